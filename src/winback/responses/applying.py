"""Apply stored events, in order and in batches; each in a savepoint of its own.

One that cannot be read is dead: kept with its error, for replay, and in nobody's way. What the
database itself refuses (a lock, a lost connection) is no fault of the event: it waits.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from winback.business import Business
from winback.database.retrying import is_away, retried
from winback.database.tables import Event, table_of
from winback.failpoints import committing
from winback.responses.acting import act
from winback.responses.forgetting import empty_events, find_forgotten, without_words
from winback.responses.hand import Hand, RespondCounts
from winback.responses.hearing import Heard, hear
from winback.responses.matching import Matched, match_all
from winback.responses.plain_news import apply_plain_news
from winback.responses.purchases import follow_purchases
from winback.states import EventState

__all__ = ["RespondCounts", "apply_events", "respond"]

logger = logging.getLogger(__name__)
BATCH: Final = 200
_LONGEST_ERROR: Final = 500


def respond(business: Business, now: datetime) -> RespondCounts:
    """Sweep: waiting events, then purchases and redemptions that are new. Safe to repeat."""
    counts = apply_events(business, now)
    return counts + retried(lambda: _follow(business, now))


def _follow(business: Business, now: datetime) -> RespondCounts:
    with Session(business.engine) as session, committing(session.begin(), "respond.purchases"):
        hand = Hand(session, business, now)
        follow_purchases(hand)
        return hand.counted()


def apply_events(
    business: Business, now: datetime, *, ids: Sequence[int] | None = None
) -> RespondCounts:
    """Apply waiting events, all or those of ``ids``; each batch is one transaction."""
    counts = RespondCounts()
    last: int | None = 0
    while last is not None:
        done, last = retried(partial(_apply_next, business, now, ids, last))
        counts += done
    return counts


def _apply_next(
    business: Business, now: datetime, ids: Sequence[int] | None, after: int
) -> tuple[RespondCounts, int | None]:
    with Session(business.engine) as session, committing(session.begin(), "respond.events"):
        hand = Hand(session, business, now)
        last = _apply_batch(hand, ids, after)
        return hand.counted(), last


def _apply_batch(hand: Hand, ids: Sequence[int] | None, after: int) -> int | None:
    """Apply one batch; gives the last id it looked at, None when nothing waited."""
    # On the connection, here and below: the session's own machinery is for objects.
    connection = hand.session.connection()
    if ids is None:
        rows = connection.execute(_WAITING, {"after": after}).all()
    else:
        wanted = [one for one in ids if one > after][:BATCH]
        rows = connection.execute(_WAITING_OF, {"after": after, "ids": wanted}).all()
    if not rows:
        return None
    heard = [(row.id, _read(row)) for row in rows]
    pairs = _matched([one for _, one in heard if isinstance(one, Heard)], hand)
    forgotten = find_forgotten(hand.session, pairs, secret=hand.business.secret)
    pairs = [
        (without_words(one) if one.event_id in forgotten else one, matched)
        for one, matched in pairs
    ]
    done = apply_plain_news(hand, pairs)
    errors = {event_id: one for event_id, one in heard if isinstance(one, str)}
    errors |= _act_on_all(hand, [pair for pair in pairs if pair[0].event_id not in done])
    hand.session.flush()
    known = {one.event_id: matched for one, matched in pairs}
    settled = [
        _settled(
            hand, event_id, one, known.get(event_id, Matched()), error=errors.get(event_id, "")
        )
        for event_id, one in heard
    ]
    connection.execute(_SETTLE, settled)
    empty_events(hand.session, forgotten)
    last: int = rows[-1].id
    return last


_Pair = tuple[Heard, Matched]


def _matched(readable: Sequence[Heard], hand: Hand) -> list[_Pair]:
    found = match_all(hand.session, readable, secret=hand.business.secret)
    return list(zip(readable, found, strict=True))


_EVENTS: Final = table_of(Event)
_WAITING: Final = (
    select(_EVENTS)
    .where(_EVENTS.c.state == EventState.RECEIVED, _EVENTS.c.id > bindparam("after"))
    .order_by(_EVENTS.c.id)
    .limit(BATCH)
    # Two appliers at once share the work on PostgreSQL; on SQLite one waits for the other.
    .with_for_update(skip_locked=True)
)
_WAITING_OF: Final = _WAITING.where(_EVENTS.c.id.in_(bindparam("ids", expanding=True)))
_SETTLE: Final = (
    update(_EVENTS)
    .where(_EVENTS.c.id == bindparam("event_id"))
    .values(
        state=bindparam("new_state"),
        kind=bindparam("new_kind"),
        occurred_at=bindparam("new_occurred_at"),
        message_id=bindparam("new_message_id"),
        error=bindparam("new_error"),
        applied_at=bindparam("new_applied_at"),
    )
)


def _read(row: Row[Any]) -> Heard | str:
    try:
        return hear(row)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one event is its own affair
        return _told(error)


def _settled(
    hand: Hand, event_id: int, one: Heard | str, matched: Matched, *, error: str
) -> dict[str, Any]:
    if error:
        logger.warning("event %d cannot be applied; kept as dead", event_id)
    hand.count("dead" if error else "events")
    heard = one if isinstance(one, Heard) else None
    return {
        "event_id": event_id,
        "new_state": EventState.DEAD if error else EventState.APPLIED,
        "new_kind": heard.kind if heard else None,
        "new_occurred_at": heard.at if heard else None,
        "new_message_id": matched.message.id if matched.message else None,
        "new_error": error,
        "new_applied_at": hand.now,
    }


def _act_on_all(hand: Hand, pairs: Sequence[_Pair]) -> dict[int, str]:
    """Act on events in their order; gives the errors of those that cannot be acted on.

    A savepoint for each takes as long as acting: one is set around all, and only where that is
    rolled back, for one poisoned event, is each tried for itself.
    """
    if not pairs or _try(hand, pairs) is None:
        return {}
    tried = {heard.event_id: _try(hand, [(heard, matched)]) for heard, matched in pairs}
    return {event_id: error for event_id, error in tried.items() if error is not None}


def _try(hand: Hand, pairs: Sequence[_Pair]) -> str | None:
    """Act in a savepoint; gives what went wrong, and then nothing was done."""
    counted = hand.counts.copy()
    try:
        with hand.session.begin_nested():
            for heard, matched in pairs:
                act(hand, matched, heard)
    except Exception as error:
        if isinstance(error, DBAPIError) and is_away(error):
            raise
        # One poisoned event must not stop the others.
        hand.counts.clear()
        hand.counts.update(counted)
        return _told(error)
    return None


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
