"""From settings to senders: which provider serves which channel.

Importing this module loads no vendor; each is loaded when the first message needs it.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pydantic import SecretStr

from winback.clock import Clock, SystemClock
from winback.environment import Environment
from winback.errors import ConfigError, ProviderConfigError
from winback.providers.allow_list import AllowListed
from winback.providers.outgoing import Outgoing, Result, Sender
from winback.settings import Settings
from winback.states import Channel, Mode

Factory = Callable[[Environment, Clock], Sender]


class OnFirstSend:
    """A sender that is made when the first message needs it: the vendors' packages load slowly."""

    def __init__(self, name: str, channel: Channel, make: Callable[[], Sender]) -> None:
        self.name = name
        self.channel = channel
        self._make = make
        self._made: Sender | None = None

    async def send(self, message: Outgoing) -> Result:
        """Hand the message to the sender, made now if it was not yet."""
        if self._made is None:
            self._made = self._make()
        return await self._made.send(message)

    async def close(self) -> None:
        """Close the sender, if there ever was one."""
        if self._made is not None:
            await self._made.close()


def _sendgrid(environment: Environment, clock: Clock) -> Sender:
    key = _given(environment.sendgrid_api_key, "SENDGRID_API_KEY", "mails")

    def make() -> Sender:
        from winback.providers.sendgrid import SendGridSender  # noqa: PLC0415 - loaded when used

        return SendGridSender(key, clock=clock, base_url=environment.sendgrid_url)

    return OnFirstSend("sendgrid", Channel.EMAIL, make)


def _twilio(environment: Environment, clock: Clock) -> Sender:
    sid = _given(environment.twilio_account_sid, "TWILIO_ACCOUNT_SID", "texts")
    tokens = environment.twilio_auth_tokens
    token = _given(tokens[0] if tokens else None, "TWILIO_AUTH_TOKEN", "texts")

    def make() -> Sender:
        from winback.providers.twilio import TwilioSender  # noqa: PLC0415 - loaded when used

        return TwilioSender(sid, token, clock=clock, base_url=environment.twilio_url)

    return OnFirstSend("twilio", Channel.SMS, make)


FACTORIES: dict[Channel, Factory] = {Channel.EMAIL: _sendgrid, Channel.SMS: _twilio}
"""One provider per channel; a second provider is one module and one line here."""


def make_senders(
    settings: Settings, environment: Environment, *, clock: Clock | None = None
) -> dict[Channel, Sender]:
    """Make the sender of each channel that is configured; without ``sender.sms`` there is no SMS.

    Call it inside the loop that will send, and close each sender there. In mode ``test`` every
    recipient is rewritten to the allow list. Raises ConfigError where a key is missing, and where
    mode ``sandbox`` would reach a real provider.
    """
    channels = [Channel.EMAIL] + ([Channel.SMS] if settings.sender.sms is not None else [])
    if settings.mode is Mode.SANDBOX:
        _refuse_real_providers(environment)
    made = {
        channel: FACTORIES[channel](environment, clock or SystemClock()) for channel in channels
    }
    if settings.mode is Mode.TEST:
        return {
            channel: AllowListed(sender, settings.allow_list) for channel, sender in made.items()
        }
    return made


@asynccontextmanager
async def open_senders(
    settings: Settings, environment: Environment, *, clock: Clock | None = None
) -> AsyncIterator[dict[Channel, Sender]]:
    """Make the senders as ``make_senders`` does, and close them at the end."""
    senders = make_senders(settings, environment, clock=clock)
    try:
        yield senders
    finally:
        for sender in senders.values():
            await sender.close()


def _given(value: SecretStr | str | None, name: str, what: str) -> str:
    written = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not written:
        raise ProviderConfigError(f"{name} is not set; {what} cannot be sent without it")
    return written


def _refuse_real_providers(environment: Environment) -> None:
    if environment.sendgrid_url is None or environment.twilio_url is None:
        raise ConfigError(
            "mode sandbox sends to stand-ins only: start them, or name their URLs in "
            "WINBACK_SENDGRID_URL and WINBACK_TWILIO_URL"
        )
