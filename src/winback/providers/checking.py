"""Asks the providers whether our keys work, for ``winback check --online``; sends nothing."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from winback.environment import Environment
from winback.providers.list_registry import open_lists
from winback.providers.suppression_lists import Asked, NoPage
from winback.providers.transport import NotSent, ReplyLost, Transport

_SENDGRID: Final = "https://api.sendgrid.com"
_TWILIO: Final = "https://api.twilio.com"
_OK: Final = 200
_REFUSED: Final = frozenset({401, 403, 404})


@dataclass(frozen=True, slots=True)
class CredentialCheck:
    """Whether one provider knows our keys, as a sentence that names no secret."""

    provider: str
    is_ok: bool
    sentence: str


async def check_credentials(environment: Environment) -> list[CredentialCheck]:
    """Ask each provider whose keys are given: SendGrid's scopes, Twilio's account."""
    transport = Transport()
    try:
        return [
            check
            for check in (
                await _check_sendgrid(environment, transport),
                await _check_twilio(environment, transport),
            )
            if check is not None
        ]
    finally:
        await transport.close()


async def _check_sendgrid(environment: Environment, transport: Transport) -> CredentialCheck | None:
    if environment.sendgrid_api_key is None:
        return None
    key = environment.sendgrid_api_key.get_secret_value()
    url = (environment.sendgrid_url or _SENDGRID).rstrip("/") + "/v3/scopes"
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
    return await _ask("SendGrid", "SENDGRID_API_KEY", transport, (url, headers))


async def check_lists(environment: Environment, *, now: datetime) -> CredentialCheck | None:
    """Ask SendGrid whether our key may read its suppression lists; None without a key (SG-40).

    Each is asked for what came since ``now``, and what it names is thrown away.
    """
    at = int(now.timestamp())
    async with open_lists(environment) as lists:
        if not lists.is_ready:
            return None
        answers = {name: await lists.page(Asked(name, at, at, 0)) for name in lists.names}
    missed = {name: page for name, page in answers.items() if isinstance(page, NoPage)}
    refused = ", ".join(name for name, page in missed.items() if page.is_refused)
    if refused:
        said = (
            f"the key may not read {refused}; give it read access to suppressions and unsubscribe "
            "groups, or who is on these lists only is learned when a mail to them is dropped"
        )
    elif missed:
        said = "; ".join(f"{name}: {page.why}" for name, page in missed.items())
    else:
        said = "the key may read who unsubscribed, complained or bounced"
    return CredentialCheck("SendGrid lists", not missed, said)


async def _check_twilio(environment: Environment, transport: Transport) -> CredentialCheck | None:
    if environment.twilio_account_sid is None or not environment.twilio_auth_tokens:
        return None
    sid = environment.twilio_account_sid
    login = f"{sid}:{environment.twilio_auth_tokens[0].get_secret_value()}".encode()
    url = (environment.twilio_url or _TWILIO).rstrip("/") + f"/2010-04-01/Accounts/{sid}.json"
    headers = {"Authorization": f"Basic {b64encode(login).decode()}"}
    names = "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
    return await _ask("Twilio", names, transport, (url, headers))


async def _ask(
    provider: str, names: str, transport: Transport, request: tuple[str, Mapping[str, str]]
) -> CredentialCheck:
    url, headers = request
    try:
        answer = await transport.request("GET", url, headers=headers)
    except (NotSent, ReplyLost) as error:
        return CredentialCheck(provider, False, f"{provider} cannot be reached ({error})")  # noqa: FBT003 - a field
    if answer.status == _OK:
        return CredentialCheck(provider, True, f"{provider} accepts {names}")  # noqa: FBT003 - a field
    if answer.status in _REFUSED:
        said = f"{provider} refuses {names} ({answer.status}); make a new key and set it"
        return CredentialCheck(provider, False, said)  # noqa: FBT003 - a field
    said = f"{provider} answered {answer.status}; try again later"
    return CredentialCheck(provider, False, said)  # noqa: FBT003 - a field
