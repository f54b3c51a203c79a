"""From settings to look-ups: what is asked about the doubts of which channel.

The senders' keys, URLs and rewriting (``registry``) hold here too. Each look-up is made with the
first question: on most days there is none.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from winback.environment import Environment
from winback.providers.lookups import AllowListedLookup, CannotTell, LookedUp, Lookup, Sought
from winback.settings import Settings
from winback.states import Channel, Mode

logger = logging.getLogger(__name__)

Lend = Callable[[], Environment]
Make = Callable[[Environment], Lookup]


class OnFirstQuestion:
    """A look-up that is made when the first doubt needs it."""

    def __init__(self, name: str, channel: Channel, make: Callable[[], Lookup]) -> None:
        self.name = name
        self.channel = channel
        self._make = make
        self._made: Lookup | None = None

    async def find(self, sought: Sought, *, now: datetime) -> LookedUp:
        """Ask the look-up, made now if it was not yet."""
        if self._made is None:
            try:
                self._made = self._make()
            except Exception as broken:  # noqa: BLE001 - whatever it is, nobody was asked
                kind = type(broken).__name__
                logger.warning("%s: nobody can be asked about doubts: %s", self.name, kind)
                return CannotTell(f"{self.name} cannot be asked: {kind}", is_passing=True)
        return await self._made.find(sought, now=now)

    async def close(self) -> None:
        """Close the look-up, if there ever was one."""
        if self._made is not None:
            await self._made.close()


def _sendgrid(environment: Environment) -> Lookup:
    from winback.providers.sendgrid_logs import SendGridLogs  # noqa: PLC0415 - loaded when used

    key = environment.sendgrid_api_key
    assert key is not None  # noqa: S101 - the sender of the channel asked for it
    return SendGridLogs(key.get_secret_value(), base_url=environment.sendgrid_url)


def _twilio(environment: Environment) -> Lookup:
    from winback.providers.twilio_list import TwilioList  # noqa: PLC0415 - loaded when used

    sid, tokens = environment.twilio_account_sid, environment.twilio_auth_tokens
    assert sid is not None  # noqa: S101 - the sender of the channel asked for it
    return TwilioList(sid, tokens[0].get_secret_value(), base_url=environment.twilio_url)


def make_lookups(
    settings: Settings, environment: Environment, *, lend: Lend | None = None
) -> dict[Channel, Lookup]:
    """Make the look-up of each channel that a sender is made for, in the loop that will ask.

    ``lend``, for mode ``sandbox``, gives the environment of the stand-ins where URLs are not given.
    """
    made: dict[Channel, Lookup] = {
        Channel.EMAIL: OnFirstQuestion(
            "sendgrid",
            Channel.EMAIL,
            _maker(_sendgrid, environment, lend if environment.sendgrid_url is None else None),
        )
    }
    if settings.sender.sms is not None:
        made[Channel.SMS] = OnFirstQuestion(
            "twilio",
            Channel.SMS,
            _maker(_twilio, environment, lend if environment.twilio_url is None else None),
        )
    if settings.mode is Mode.TEST:
        return {
            channel: AllowListedLookup(lookup, settings.allow_list)
            for channel, lookup in made.items()
        }
    return made


def _maker(make: Make, environment: Environment, lend: Lend | None) -> Callable[[], Lookup]:
    return lambda: make(lend() if lend is not None else environment)


@asynccontextmanager
async def open_lookups(
    settings: Settings, environment: Environment, *, lend: Lend | None = None
) -> AsyncIterator[dict[Channel, Lookup]]:
    """Make the look-ups as ``make_lookups`` does, and close them at the end."""
    lookups = make_lookups(settings, environment, lend=lend)
    try:
        yield lookups
    finally:
        for lookup in lookups.values():
            await lookup.close()
