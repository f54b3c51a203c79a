"""Close a channel for a while, and let one message try it afterwards: the circuit breaker.

A country that texts do not reach is closed until an operator lets it go on.

The state is a row that all workers share (``channel_pauses``): while it stands and its time is
not over nobody claims; after that one message goes first, and what is accepted removes the row.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import bindparam, exists, insert, select, update
from sqlalchemy.orm import Session

from winback.database.bulk import on_conflict
from winback.database.tables import ChannelPause, Pause, table_of
from winback.delivery.breaker import stays_open
from winback.delivery.whereabouts import country_of
from winback.enrollment.pausing import PROVIDER, PauseScope, pause
from winback.states import Channel

_log = logging.getLogger(__name__)

_PAUSES: Final = table_of(ChannelPause)
_CLOSE: Final = on_conflict(insert(_PAUSES).returning(_PAUSES.c.channel))
_STRIKES: Final = select(_PAUSES.c.strikes, _PAUSES.c.try_again_at).where(
    _PAUSES.c.channel == bindparam("b_channel")
)
_AGAIN: Final = (
    update(_PAUSES)
    .where(_PAUSES.c.channel == bindparam("b_channel"))
    .values(
        why=bindparam("b_why"),
        strikes=bindparam("b_strikes"),
        try_again_at=bindparam("b_try_again_at"),
    )
)
_TRIED: Final = select(_PAUSES.c.channel).where(_PAUSES.c.try_again_at <= bindparam("now"))


def close_channel(
    session: Session,
    channel: Channel,
    *,
    why: str,
    now: datetime,
    at_least: timedelta = timedelta(0),
    stays: Callable[[int], timedelta] = stays_open,
) -> datetime:
    """Close a channel; gives until when. Each time in a row it ``stays`` closed for longer.

    Results of calls that were in flight together count as one time.
    """
    until = now + max(stays(1), at_least)
    connection = session.connection()
    values = {"channel": channel, "why": why, "paused_at": now, "try_again_at": until, "strikes": 1}
    if connection.execute(_CLOSE, values).scalar_one_or_none() is not None:
        _log.warning("channel %s is paused: %s", channel, why)
        return until
    found = connection.execute(_STRIKES, {"b_channel": channel}).one()
    strikes: int = found.strikes
    open_until: datetime = found.try_again_at
    if open_until > now:
        # Closed a moment ago, by a call that was in flight together with this one.
        return open_until
    until = now + max(stays(strikes + 1), at_least)
    again = {
        "b_channel": channel,
        "b_why": why,
        "b_strikes": strikes + 1,
        "b_try_again_at": until,
    }
    connection.execute(_AGAIN, again)
    return until


def channels_to_try(session: Session, now: datetime) -> set[Channel]:
    """Give the channels that were closed and may be tried: by one message at first."""
    return set(session.scalars(_TRIED, {"now": now}))


def close_country(
    session: Session, number: str, *, why: str, now: datetime, of: datetime | None = None
) -> None:
    """Let texts to a number's country wait until an operator resumes (TW-17, 21408 and 30034).

    ``of`` is when the text was called that this was told of: what went out before an operator let
    the country go on says nothing about it now.
    """
    country = country_of(number)
    if country is None:
        return
    known = {"name": country, "of": of or now}
    if session.connection().scalar(_RESUMED_SINCE, known):
        return
    if pause(session, PauseScope.COUNTRY, country, by=PROVIDER, why=why, now=now):
        _log.warning("texts to %s are paused: %s", country, why)


_RESUMED_SINCE: Final = select(
    exists().where(
        Pause.scope == PauseScope.COUNTRY,
        Pause.name == bindparam("name"),
        Pause.resumed_at > bindparam("of"),
    )
)
