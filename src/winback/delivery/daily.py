"""How many messages of each channel left on each local day: daily limits and warm-up count by it.

One counter for a channel and a day, raised in the transaction that claims and lowered when a
message goes back unsent. Who asks in order to claim holds today's counters until the commit, so
that claims of several workers take turns: limits and caps are exact, and no claim counts the day
again. The counters of days before they were kept are made from the messages, once.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from winback.clock import day_start, local_date
from winback.database.bulk import insert_new
from winback.database.tables import ChannelDay, Message, table_of
from winback.delivery.run import Run
from winback.delivery.warming import mails_of_day, warms_up
from winback.delivery.windows import tomorrow_start
from winback.states import Channel

WRITTEN: Final = (Channel.EMAIL, Channel.SMS)

_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_DAY: Final = timedelta(days=1)


def left_today(session: Session, run: Run) -> dict[Channel, int]:
    """Give how many of each written channel may still leave today, never below zero.

    Waits for the claims of other workers, and makes them wait until this transaction ends: call
    it first, before anything that the claim depends on is read.
    """
    claimed = _claimed_today(session, run)
    return {
        channel: max(0, limit_today(session, run, channel) - claimed[channel])
        for channel in WRITTEN
    }


def segments_today(session: Session, run: Run) -> int:
    """Give how many segments of texts were claimed today while a budget of them was set."""
    return session.connection().scalars(_SEGMENTS, {"day": run.today}).one_or_none() or 0


def count_claims(
    session: Session, run: Run, claimed: Mapping[Channel, int], *, segments: int = 0
) -> None:
    """Count messages that were claimed today; the counters are there since ``left_today``.

    ``segments`` are those of the texts; they are counted only where a budget is set, since it
    takes a text's words to know them.
    """
    rows = [
        {
            "b_channel": channel,
            "b_day": run.today,
            "more": more,
            "more_segments": segments if channel is Channel.SMS else 0,
        }
        for channel, more in claimed.items()
        if more
    ]
    if rows:
        session.connection().execute(_COUNT, rows)


def give_back(session: Session, given: Iterable[tuple[Channel, date, int]]) -> None:
    """Take claims back that surely sent nothing.

    Of each the channel, the day of the claim, and the segments that were counted for it.
    """
    claims: Counter[tuple[Channel, date]] = Counter()
    segments: Counter[tuple[Channel, date]] = Counter()
    for channel, day, parts in given:
        claims[channel, day] += 1
        segments[channel, day] += parts
    rows = [
        {
            "b_channel": channel,
            "b_day": day,
            "more": -less,
            "more_segments": -segments[channel, day],
        }
        for (channel, day), less in sorted(claims.items())
    ]
    if rows:
        session.connection().execute(_COUNT, rows)


def limit_today(session: Session, run: Run, channel: Channel) -> int:
    """Give how many of a channel may leave today at most: its daily limit, or the warm-up's."""
    settings = run.business.settings
    limits = settings.policies.daily_limits
    if channel is Channel.SMS:
        return limits.sms
    return mails_of_day(session, settings, run.today) if warms_up(settings) else limits.email


def _claimed_today(session: Session, run: Run) -> dict[Channel, int]:
    """Hold today's counters and give them; makes those that are missing."""
    found = _today(session, run)
    missing = [channel for channel in WRITTEN if channel not in found]
    if not missing:
        return found
    known = set(session.scalars(_CHANNELS))
    made = [
        day for channel in missing for day in _made(session, run, channel, known=channel in known)
    ]
    session.connection().execute(insert_new(ChannelDay), made)
    # Another worker may have been faster; its row stands, and this waits for its claim.
    return _today(session, run)


def _today(session: Session, run: Run) -> dict[Channel, int]:
    # Yesterday's and tomorrow's too: around midnight not all workers stand in the same day.
    span = {"since": run.today - _ONE_DAY, "until": run.today + _ONE_DAY}
    found = session.connection().execute(_AROUND, span)
    return {channel: claimed for channel, day, claimed in found if day == run.today}


def _made(session: Session, run: Run, channel: Channel, *, known: bool) -> Iterator[dict[str, Any]]:
    """Count the messages of today, and of all days before where no counter was ever kept."""
    midnight = day_start(run.today, run.zone)
    at = midnight if known else _LONG_AGO
    while (first := _first_claim(session, channel, at, midnight)) is not None:
        at = min(tomorrow_start(first, run.zone), midnight)
        yield _day(session, channel, local_date(first, run.zone), since=first, until=at)
    tomorrow = tomorrow_start(run.now, run.zone)
    yield _day(session, channel, run.today, since=midnight, until=tomorrow)


def _first_claim(
    session: Session, channel: Channel, since: datetime, until: datetime
) -> datetime | None:
    span = {"channel": channel, "since": since, "until": until}
    return session.scalars(_FIRST_CLAIM, span).one()


def _day(
    session: Session, channel: Channel, day: date, *, since: datetime, until: datetime
) -> dict[str, Any]:
    span = {"channel": channel, "since": since, "until": until}
    claimed, segments = session.execute(_CLAIMS, span).one()
    return {"channel": channel, "day": day, "claimed": claimed, "segments": segments}


_DAYS: Final = table_of(ChannelDay)
_AROUND: Final = (
    select(_DAYS.c.channel, _DAYS.c.day, _DAYS.c.claimed)
    .where(
        _DAYS.c.channel.in_(WRITTEN),
        _DAYS.c.day >= bindparam("since"),
        _DAYS.c.day <= bindparam("until"),
    )
    .order_by(_DAYS.c.day, _DAYS.c.channel)
    .with_for_update()
)
_SEGMENTS: Final = select(_DAYS.c.segments).where(
    _DAYS.c.channel == Channel.SMS, _DAYS.c.day == bindparam("day")
)
_CHANNELS: Final = select(_DAYS.c.channel).distinct()
_COUNT: Final = (
    update(_DAYS)
    .where(_DAYS.c.channel == bindparam("b_channel"), _DAYS.c.day == bindparam("b_day"))
    .values(
        claimed=_DAYS.c.claimed + bindparam("more"),
        segments=_DAYS.c.segments + bindparam("more_segments"),
    )
)
_SPAN: Final = (
    Message.channel == bindparam("channel"),
    Message.claimed_at >= bindparam("since"),
    Message.claimed_at < bindparam("until"),
)
# What was given back to the queue has no claim any more; a refused call used up its turn.
_FIRST_CLAIM: Final = select(func.min(Message.claimed_at)).where(*_SPAN)
_CLAIMS: Final = select(func.count(), func.coalesce(func.sum(Message.segments), 0)).where(*_SPAN)
