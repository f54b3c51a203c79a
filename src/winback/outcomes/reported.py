"""What providers report that a person must look at: a quota, a filter, a reputation (SG-19, TW-17).

The table of events knows which those are (``ProviderEvent.alarm``). Here they are counted over the
last day, by one event of each kind: what was reported with the same words means the same. One of
somebody who was erased counts, and says nothing any more: another one of its kind is read.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Text, bindparam, case, cast, func, select
from sqlalchemy.orm import Session

from winback.clock import local_date
from winback.database.tables import Event, Message
from winback.providers.incoming import read_event
from winback.states import Channel, EventKind, MessageState

_DAY: Final = timedelta(days=1)
_CLAIMED_SINCE: Final = 2 * _DAY
"""A failure is reported within minutes mostly; what took longer than this is not counted."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One kind of failure of the last day, in fixed words: nobody's name or address."""

    provider: str
    alarm: str
    on: date
    """The local day of the newest: what goes on is told once a day."""
    messages: int

    @property
    def key(self) -> str:
        """What makes it one alert."""
        return f"reported:{self.provider}:{self.alarm[:80]}:{self.on}"

    @property
    def says(self) -> str:
        """Say it in a sentence."""
        are = "message was" if self.messages == 1 else "messages were"
        return (
            f"{self.provider} says {self.alarm!r}: {self.messages:,} {are} not delivered for that "
            "in 24 hours; look in its console"
        )


def find_reported(session: Session, *, now: datetime, zone: ZoneInfo) -> tuple[Reported, ...]:
    """Give what was reported in the last day and alarms, the most frequent first."""
    asked = {"since": now - _DAY, "claimed_since": now - _CLAIMED_SINCE}
    counted: defaultdict[tuple[str, str], int] = defaultdict(int)
    newest: dict[tuple[str, str], datetime] = {}
    for origin, body, received_at, messages in session.execute(_NEWEST_OF_KIND, asked):
        alarm = read_event(origin, body).alarm
        if alarm:
            what = (origin.partition(".")[0], alarm)
            counted[what] += messages
            newest[what] = max(received_at, newest.get(what, received_at))
    found = [
        Reported(*what, local_date(newest[what], zone), messages)
        for what, messages in counted.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.messages, one.key)))


_SAYS_SOMETHING: Final = cast(Event.body, Text) != "{}"
_KINDS: Final = (
    select(
        func.count(Message.id.distinct()).label("messages"),
        func.max(case((_SAYS_SOMETHING, Event.id))).label("newest_id"),
    )
    .join(Event, Event.message_id == Message.id)
    .where(
        Message.channel.in_((Channel.EMAIL, Channel.SMS)),
        Message.claimed_at >= bindparam("claimed_since"),
        Message.state.in_((MessageState.FAILED, MessageState.BOUNCED)),
        Event.kind.in_((EventKind.DROPPED, EventKind.BLOCKED, EventKind.BOUNCED, EventKind.FAILED)),
        Event.received_at >= bindparam("since"),
    )
    .group_by(Message.channel, Message.provider_code, Message.reason)
    .subquery()
)
_NEWEST_OF_KIND: Final = select(
    Event.origin, Event.body, Event.received_at, _KINDS.c.messages
).join(_KINDS, _KINDS.c.newest_id == Event.id)
