"""``winback preview``: a template as one customer would get it, before anybody does."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winback.cli.output import AsJson, AsOf, opened, print_json, say

if TYPE_CHECKING:
    from winback.business import Business
    from winback.messages.preview import Previewed
    from winback.providers.outgoing import Outgoing, Result
    from winback.states import Channel


def register(app: typer.Typer) -> None:
    """Add the command of this group."""

    @app.command()
    def preview(
        template: Annotated[
            str, typer.Argument(help="A template, or the step or answer that uses it.")
        ],
        *,
        customer: Annotated[
            str, typer.Option("--customer", metavar="ID", help="External id, or SOURCE:ID.")
        ],
        channel: Annotated[
            str | None, typer.Option("--channel", help="email, sms, call or letter.")
        ] = None,
        campaign: Annotated[
            str | None, typer.Option("--campaign", help="Needed when there are several.")
        ] = None,
        variant: Annotated[str | None, typer.Option("--variant", help="a, b, ...")] = None,
        html: Annotated[
            Path | None, typer.Option("--html", metavar="FILE", help="Write the mail's HTML here.")
        ] = None,
        send_to: Annotated[
            str | None,
            typer.Option("--send-to", metavar="ADDRESS", help="Also send it to this address."),
        ] = None,
        as_of: AsOf = None,
        as_json: AsJson = False,
    ) -> None:
        """Show a template as this customer would get it today; burns no voucher.

        Shows the newest edit, also one that cannot go live yet, and says what keeps it. Codes are
        samples, marked as such, and links lead to no message, so nothing can be redeemed,
        unsubscribed or answered through a preview.

        Example: winback preview voucher --customer 1042 --html voucher.html
        """
        with opened(as_of, writes=False) as (business, now):
            from sqlalchemy.orm import Session

            from winback.enrollment.person import find_customer
            from winback.messages.preview import preview as rendered_for

            reading = business.engine.execution_options(winback_reads_only=True)
            with Session(reading) as session:
                shown = rendered_for(
                    session,
                    business.shelf,
                    settings=business.settings,
                    secret=business.secret,
                    template=template,
                    customer_id=find_customer(session, customer),
                    now=now,
                    campaign=campaign,
                    channel=_channel(channel),
                    variant=variant,
                )
            if html is not None:
                _write_html(html, shown)
            result = None if send_to is None else _send(business, send_to, shown)
            _show(shown, as_json=as_json, sent=result)


def _channel(written: str | None) -> "Channel | None":
    from winback.errors import ConfigError
    from winback.states import Channel
    from winback.yaml_files import nearest

    if written is None or written in list(Channel):
        return Channel(written) if written else None
    advice = nearest(written, [channel.value for channel in Channel])
    raise ConfigError(f"--channel {written!r} is no channel; {advice}")


def _write_html(path: Path, shown: "Previewed") -> None:
    from winback.errors import ConfigError

    if not shown.rendered.html:
        raise ConfigError(f"{shown.source.shown_as} is no mail and has no HTML")
    path.write_text(shown.rendered.html, encoding="utf-8")


def _show(shown: "Previewed", *, as_json: bool, sent: str | None) -> None:
    for mistake in shown.mistakes:
        sys.stderr.write(f"cannot go live: {mistake}\n")
    if as_json:
        print_json(_facts(shown, sent))
        return
    say(f"{shown.source.shown_as}, as {shown.position.name} ({shown.position.channel})")
    for name, value in shown.headers.items():
        say(f"{name}: {value}")
    if shown.rendered.subject:
        say(f"Subject: {shown.rendered.subject}")
    say("")
    say(shown.rendered.text)
    if shown.segments is not None:
        counted = shown.segments
        plural = "" if counted.segments == 1 else "s"
        say(f"{counted.segments} segment{plural}, {counted.units} {counted.encoding} units")
    if shown.has_sample_links:
        say("the links are samples: they lead nowhere")
    if shown.has_sample_code:
        say("the code is a sample: no voucher was used")
    if sent is not None:
        say(sent)


def _facts(shown: "Previewed", sent: str | None) -> dict[str, object]:
    counted = shown.segments
    return {
        "file": shown.source.shown_as,
        "campaign": shown.source.campaign,
        "step": shown.position.name,
        "channel": shown.position.channel,
        "locale": shown.source.locale,
        "variant": shown.source.variant,
        "headers": dict(shown.headers),
        "subject": shown.rendered.subject,
        "text": shown.rendered.text,
        "html": shown.rendered.html,
        "segments": counted.segments if counted else None,
        "encoding": counted.encoding if counted else None,
        "is_sample_code": shown.has_sample_code,
        "has_sample_links": shown.has_sample_links,
        "mistakes": [str(mistake) for mistake in shown.mistakes],
        "sent": sent,
    }


def _send(business: "Business", address: str, shown: "Previewed") -> str:
    """Hand the preview to the configured provider, in the mode that is set."""
    import asyncio

    from winback.errors import ProviderError
    from winback.house import open_day
    from winback.providers.outgoing import Accepted

    outgoing = _outgoing(business, address, shown)

    async def sent() -> "Result":
        async with open_day() as day:
            sender = day.senders.get(shown.position.channel)
            if sender is None:
                raise ProviderError(f"no provider sends by {shown.position.channel}")
            return await sender.send(outgoing)

    result = asyncio.run(sent())
    if not isinstance(result, Accepted):
        raise ProviderError(f"the preview was not sent: {getattr(result, 'reason', 'busy')}")
    return f"sent in mode {business.settings.mode}, as {result.provider_message_id}"


def _outgoing(business: "Business", address: str, shown: "Previewed") -> "Outgoing":
    from uuid import uuid4

    from winback.customers.identity import normalize_email, normalize_phone
    from winback.errors import ConfigError
    from winback.providers.outgoing import OutgoingEmail, OutgoingText
    from winback.states import Channel

    settings = business.settings
    # No row of ours has this id: events that come back for it are about no message.
    send_id = f"preview-{uuid4().hex}"
    try:
        match shown.position.channel:
            case Channel.EMAIL:
                headers = {k: v for k, v in shown.headers.items() if k.startswith("List-")}
                return OutgoingEmail(
                    send_id=send_id,
                    to_address=normalize_email(address),
                    to_name=None,
                    from_name=settings.sender.email.name,
                    from_address=settings.sender.email.address,
                    reply_to=shown.headers["Reply-To"],
                    subject=shown.rendered.subject,
                    html=shown.rendered.html,
                    text=shown.rendered.text,
                    headers=headers,
                    categories=("preview",),
                )
            case Channel.SMS if settings.sender.sms is not None:
                return OutgoingText(
                    send_id=send_id,
                    to_number=normalize_phone(address, settings.business.country),
                    body=shown.rendered.text,
                    messaging_service=settings.sender.sms.messaging_service,
                    status_callback=f"{settings.base_url}/webhooks/twilio/status",
                    valid_for_seconds=3600,
                )
            case _:
                raise ConfigError(f"{shown.source.shown_as} cannot be sent from here")
    except ValueError as wrong:
        raise ConfigError(f"--send-to: {wrong}") from None
