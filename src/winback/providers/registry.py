"""From settings to senders: which provider serves which channel.

Importing this module loads no vendor; each is loaded when the first message needs it.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import attrgetter

from pydantic import SecretStr

from winback.clock import Clock, SystemClock
from winback.environment import Environment
from winback.errors import ConfigError, ProviderConfigError
from winback.providers.allow_list import AllowListed
from winback.providers.outgoing import Busy, Outgoing, Result, Sender
from winback.settings import Settings
from winback.states import Channel, Mode

logger = logging.getLogger(__name__)

Make = Callable[[], Sender]
Lend = Callable[[], Environment]


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of one channel.

    ``ready`` looks at its keys and gives what makes the sender, for so many calls at once;
    ``url_of`` gives its address where the environment names one.
    """

    name: str
    ready: Callable[[Environment, Clock, int], Make]
    url_of: Callable[[Environment], str | None]


class OnFirstSend:
    """A sender that is made when the first message needs it: the vendors' packages load slowly."""

    def __init__(self, name: str, channel: Channel, make: Make) -> None:
        self.name = name
        self.channel = channel
        self._make = make
        self._made: Sender | None = None

    async def send(self, message: Outgoing) -> Result:
        """Hand the message to the sender, made now if it was not yet."""
        if self._made is None:
            try:
                self._made = self._make()
            except Exception as broken:  # noqa: BLE001 - whatever it is, no message has left
                kind = type(broken).__name__
                logger.warning("%s: the sender cannot be made: %s", self.name, kind)
                return Busy(reason=f"the sender cannot be made: {kind}")
        return await self._made.send(message)

    async def close(self) -> None:
        """Close the sender, if there ever was one."""
        if self._made is not None:
            await self._made.close()


def _sendgrid(environment: Environment, clock: Clock, in_flight: int) -> Make:
    key = _given(environment.sendgrid_api_key, "SENDGRID_API_KEY", "mails")

    def make() -> Sender:
        from winback.providers.sendgrid import SendGridSender  # noqa: PLC0415 - loaded when used
        from winback.providers.transport import Transport  # noqa: PLC0415 - loaded when used

        transport, url = Transport(connections=in_flight), environment.sendgrid_url
        return SendGridSender(key, clock=clock, base_url=url, transport=transport)

    return make


def _twilio(environment: Environment, clock: Clock, in_flight: int) -> Make:
    sid = _given(environment.twilio_account_sid, "TWILIO_ACCOUNT_SID", "texts")
    tokens = environment.twilio_auth_tokens
    token = _given(tokens[0] if tokens else None, "TWILIO_AUTH_TOKEN", "texts")

    def make() -> Sender:
        from winback.providers.transport import Transport  # noqa: PLC0415 - loaded when used
        from winback.providers.twilio import TwilioSender  # noqa: PLC0415 - loaded when used

        transport, url = Transport(connections=in_flight), environment.twilio_url
        return TwilioSender(sid, token, clock=clock, base_url=url, transport=transport)

    return make


PROVIDERS: dict[Channel, Provider] = {
    Channel.EMAIL: Provider("sendgrid", _sendgrid, attrgetter("sendgrid_url")),
    Channel.SMS: Provider("twilio", _twilio, attrgetter("twilio_url")),
}
"""One provider per channel; a second provider is one module and one line here."""


def make_senders(
    settings: Settings,
    environment: Environment,
    *,
    clock: Clock | None = None,
    lend: Lend | None = None,
) -> dict[Channel, Sender]:
    """Make the sender of each channel that is configured; without ``sender.sms`` there is no SMS.

    Call it inside the loop that will send, and close each sender there. In mode ``test`` every
    recipient is rewritten to the allow list. ``lend``, for mode ``sandbox``, is called with the
    first message to a provider whose URL is not given, and gives the environment to send it in.
    Raises ConfigError where a key is missing, and where mode ``sandbox`` would reach a real
    provider.
    """
    channels = [Channel.EMAIL] + ([Channel.SMS] if settings.sender.sms is not None else [])
    if settings.mode is Mode.SANDBOX and lend is None:
        _refuse_real_providers(environment)
    made: dict[Channel, Sender] = {}
    for channel in channels:
        provider = PROVIDERS[channel]
        in_flight = settings.policies.in_flight
        make = _maker(provider, environment, clock or SystemClock(), in_flight=in_flight, lend=lend)
        made[channel] = OnFirstSend(provider.name, channel, make)
    if settings.mode is Mode.TEST:
        return {
            channel: AllowListed(sender, settings.allow_list) for channel, sender in made.items()
        }
    return made


@asynccontextmanager
async def open_senders(
    settings: Settings,
    environment: Environment,
    *,
    clock: Clock | None = None,
    lend: Lend | None = None,
) -> AsyncIterator[dict[Channel, Sender]]:
    """Make the senders as ``make_senders`` does, and close them at the end."""
    senders = make_senders(settings, environment, clock=clock, lend=lend)
    try:
        yield senders
    finally:
        for sender in senders.values():
            await sender.close()


def _maker(
    provider: Provider,
    environment: Environment,
    clock: Clock,
    *,
    in_flight: int,
    lend: Lend | None,
) -> Make:
    if lend is None or provider.url_of(environment) is not None:
        return provider.ready(environment, clock, in_flight)

    def make() -> Sender:
        return provider.ready(lend(), clock, in_flight)()

    return make


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
