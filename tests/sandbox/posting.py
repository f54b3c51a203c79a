"""Requests to the stand-ins that our own senders would never make."""

from collections.abc import Mapping
from typing import Any

import aiohttp

from tests.providers.examples import mail, text
from winback.clock import Clock
from winback.providers.outgoing import Outgoing, Sender
from winback.providers.sendgrid import SendGridSender
from winback.providers.twilio import TextBuilder, TwilioSender
from winback.sandbox.stand_ins import Sandbox


async def post_mail(stand: Sandbox, payload: object) -> tuple[int, dict[str, Any] | None]:
    """Post any payload with the right key; gives status and body."""
    headers = {"Authorization": f"Bearer {stand.credentials.api_key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{stand.url}/v3/mail/send", json=payload, headers=headers) as response,
    ):
        return response.status, await response.json() if await response.text() else None


async def post_text(
    stand: Sandbox, changes: Mapping[str, str | None]
) -> tuple[int, dict[str, Any]]:
    """Post a text's form with changes; None leaves a field out."""
    known = stand.credentials
    request = TextBuilder(known.account_sid, known.auth_token).build(text())
    form = {name: value for name, value in {**request.form, **changes}.items() if value is not None}
    return await ask_twilio(stand, "/Messages.json", form=form)


async def ask_twilio(
    stand: Sandbox,
    path: str,
    query: Mapping[str, str] | None = None,
    *,
    form: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """Ask the account's resource, or post a form to it; gives status and body."""
    known = stand.credentials
    login = aiohttp.encode_basic_auth(known.account_sid, known.auth_token)
    async with (
        aiohttp.ClientSession(headers={"Authorization": login}) as session,
        session.request(
            "GET" if form is None else "POST",
            f"{stand.url}/2010-04-01/Accounts/{known.account_sid}{path}",
            params=query,
            data=form,
        ) as response,
    ):
        return response.status, await response.json()


def senders_with(stand: Sandbox, clock: Clock, *, secret: str) -> list[tuple[Sender, Outgoing]]:
    """Give both senders with another secret, each with a message to send."""
    return [
        (SendGridSender(secret, clock=clock, base_url=stand.url), mail()),
        (
            TwilioSender(stand.credentials.account_sid, secret, clock=clock, base_url=stand.url),
            text(),
        ),
    ]
