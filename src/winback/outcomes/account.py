"""The daily account: what we handed over, what the provider reports of it, and every gap by id.

By the local day, and hour, of the call (FACTS.md DS-17). Counted from messages and events at
every call, so that late news corrects the days that it belongs to. Set-based: the cost follows
the days asked for, not what is stored.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    Select,
    bindparam,
    case,
    cast,
    exists,
    func,
    select,
    text,
)
from sqlalchemy.orm import Session

from winback.business import Business
from winback.clock import day_start, local_date
from winback.database.tables import Event, Message, table_of
from winback.states import Channel, MessageState

UNHEARD_AFTER: Final = timedelta(hours=24)
"""From this age on an accepted message without any event is a gap."""

UNFINISHED_AFTER: Final = timedelta(hours=72)
"""From this age on a message that was not delivered and did not fail counts as unknown: mails are
deferred, and texts sent without a receipt, no longer than that (FACTS.md TW-16, SG-19)."""

_QUARTER: Final = 900
"""Seconds. Every zone's offset is a multiple of it, so that quarters of an hour in UTC make up
local hours and days in any zone, whatever the database knows of zones."""


@dataclass(slots=True)
class Tally:
    """What became of the messages of one channel in one span of time.

    ``accepted`` is ``delivered + bounced + failed + waiting + unfinished``.
    """

    accepted: int = 0
    """The provider took them, as far as we know."""
    processed: int = 0
    """Of those, what the provider reported anything about."""
    delivered: int = 0
    bounced: int = 0
    failed: int = 0
    """Accepted, and then not delivered."""
    waiting: int = 0
    """Accepted, and the end is still to come."""
    unfinished: int = 0
    """Accepted three days ago, and nothing final was heard."""
    in_doubt: int = 0
    """Not known to be accepted; never sent again."""
    refused: int = 0
    """Refused at the call, or settled as not sent."""

    @property
    def unknown(self) -> int:
        """Count what is not known to have succeeded or failed, and should be by now."""
        return self.in_doubt + self.unfinished

    def add(self, other: "Tally") -> None:
        """Add another one to this."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def plain(self) -> dict[str, int]:
        """Give the counts."""
        return asdict(self) | {"unknown": self.unknown}


@dataclass(slots=True)
class Gaps:
    """The ids of the messages by which the account does not come out even."""

    in_doubt: list[int] = field(default_factory=list)
    unheard: list[int] = field(default_factory=list)
    """Accepted a day ago, and no event since: perhaps the webhook does not reach us."""
    unfinished: list[int] = field(default_factory=list)
    """Reported about, and yet without an end after three days."""

    def by_kind(self) -> dict[str, list[int]]:
        """Give the ids by what is missing."""
        return asdict(self)


@dataclass(slots=True)
class AccountDay:
    """One local day of one channel."""

    day: date
    channel: Channel
    tally: Tally = field(default_factory=Tally)
    hours: dict[datetime, Tally] = field(default_factory=dict)
    """By the beginning of the local hour, with its offset: an hour that occurs twice is two."""
    gaps: Gaps = field(default_factory=Gaps)

    def plain(self) -> dict[str, Any]:
        """Give the day as facts for JSON."""
        return {
            "day": self.day,
            "channel": self.channel.value,
            **self.tally.plain(),
            "gaps": self.gaps.by_kind(),
            "hours": [
                {"hour": hour.isoformat(), **tally.plain()}
                for hour, tally in sorted(self.hours.items())
            ],
        }


@dataclass(frozen=True, slots=True)
class Account:
    """The account of some days, the latest first."""

    as_of: datetime
    time_zone: str
    days: tuple[AccountDay, ...]

    def plain(self) -> dict[str, Any]:
        """Give it as facts for JSON."""
        return {
            "as_of": self.as_of,
            "time_zone": self.time_zone,
            "days": [one.plain() for one in self.days],
        }


def build_account(session: Session, business: Business, *, now: datetime, days: int) -> Account:
    """Build the account of the last local days, today included, by day and channel.

    Every day and channel is listed, zeros too.
    """
    zone, today = business.zone, local_date(now, business.zone)
    wanted = [today - timedelta(days=back) for back in range(days)]
    channels = [Channel.EMAIL]
    if business.settings.sender.sms is not None:
        channels.append(Channel.SMS)
    book = {(day, channel): AccountDay(day, channel) for day in wanted for channel in channels}
    span = {
        "since": day_start(wanted[-1], zone),
        "until": day_start(today + timedelta(days=1), zone),
        "channels": channels,
        "unheard_until": now - UNHEARD_AFTER,
        "unfinished_until": now - UNFINISHED_AFTER,
    }
    dialect = session.get_bind().dialect.name
    for quarter, channel, tally in _tallies(session.execute(_COUNTED[dialect], span)):
        at = datetime.fromtimestamp(quarter * _QUARTER, UTC).astimezone(zone)
        one = book[at.date(), channel]
        one.tally.add(tally)
        one.hours.setdefault(_hour_of(at), Tally()).add(tally)
    for row in session.execute(_GAPS, span):
        one = book[local_date(row.claimed_at, zone), row.channel]
        getattr(one.gaps, _gap_of(row)).append(row.id)
    return Account(now, zone.key, tuple(book.values()))


def _hour_of(at: datetime) -> datetime:
    """Give the beginning of a local hour with its offset fixed, by which two alike differ."""
    offset = at.utcoffset() or timedelta()
    return at.replace(minute=0, tzinfo=timezone(offset))


def _tallies(rows: Iterable[Row[Any]]) -> Iterator[tuple[int, Channel, Tally]]:
    for row in rows:
        tally = Tally()
        if not row.was_accepted:
            name = "in_doubt" if row.state is MessageState.UNCONFIRMED else "refused"
            setattr(tally, name, row.number)
        else:
            tally.accepted = row.number
            tally.processed = row.number if row.is_heard_of else 0
            waits = "unfinished" if row.is_old else "waiting"
            setattr(tally, _ENDS.get(row.state, waits), row.number)
        yield row.quarter, row.channel, tally


_ENDS: Final[Mapping[MessageState, str]] = {
    MessageState.DELIVERED: "delivered",
    MessageState.BOUNCED: "bounced",
    MessageState.FAILED: "failed",
}


def _gap_of(row: Row[Any]) -> str:
    if row.state is MessageState.UNCONFIRMED:
        return "in_doubt"
    return "unfinished" if row.is_heard_of else "unheard"


_MESSAGES: Final = table_of(Message)
_EVENTS: Final = table_of(Event)
_IN_SPAN: Final = (
    _MESSAGES.c.channel.in_(bindparam("channels", expanding=True)),
    _MESSAGES.c.claimed_at >= bindparam("since"),
    _MESSAGES.c.claimed_at < bindparam("until"),
)
_IS_OPEN: Final = _MESSAGES.c.state == MessageState.ACCEPTED
_HAS_EVENT: Final = exists().where(_EVENTS.c.message_id == _MESSAGES.c.id)
_IS_HEARD_OF: Final[ColumnElement[bool]] = case((_IS_OPEN, _HAS_EVENT), else_=True)
"""Whoever has ended was reported; only of the others must events be looked for."""
_IS_OLD: Final[ColumnElement[bool]] = _MESSAGES.c.accepted_at <= bindparam("unfinished_until")


def _counted(quarter: ColumnElement[int]) -> Select[Any]:
    return (
        select(
            quarter.label("quarter"),
            _MESSAGES.c.channel,
            _MESSAGES.c.state,
            _MESSAGES.c.accepted_at.is_not(None).label("was_accepted"),
            _IS_HEARD_OF.label("is_heard_of"),
            case((_IS_OPEN, _IS_OLD), else_=False).label("is_old"),
            func.count().label("number"),
        )
        .where(
            *_IN_SPAN,
            _MESSAGES.c.accepted_at.is_not(None)
            | _MESSAGES.c.state.in_((MessageState.UNCONFIRMED, MessageState.FAILED)),
        )
        .group_by(*map(text, ("quarter", "channel", "state", "was_accepted")))
        .group_by(*map(text, ("is_heard_of", "is_old")))
    )


_SECONDS: Final[Mapping[str, ColumnElement[int]]] = {
    "sqlite": cast(func.strftime("%s", _MESSAGES.c.claimed_at), Integer),
    "postgresql": cast(func.floor(func.extract("epoch", _MESSAGES.c.claimed_at)), Integer),
}
_COUNTED: Final = {
    dialect: _counted(seconds.op("/", return_type=Integer())(_QUARTER))
    for dialect, seconds in _SECONDS.items()
}
_GAPS: Final = (
    select(
        _MESSAGES.c.id,
        _MESSAGES.c.channel,
        _MESSAGES.c.state,
        _MESSAGES.c.claimed_at,
        _IS_HEARD_OF.label("is_heard_of"),
    )
    .where(
        *_IN_SPAN,
        (_MESSAGES.c.state == MessageState.UNCONFIRMED)
        | (
            _IS_OPEN
            & ((_MESSAGES.c.accepted_at <= bindparam("unheard_until")) & ~_HAS_EVENT | _IS_OLD)
        ),
    )
    .order_by(_MESSAGES.c.id)
)
