"""Look for evidence of what became of messages, at their providers; repair rows, send nothing.

Two questions. Of a message in doubt: was it accepted? Asked by the schedule of FACTS.md DS-6,
then never again: it stays ``unconfirmed`` and is listed, and an operator may settle it
(``settling``). Of an accepted message that nothing final was heard of for a day: was news lost?
Asked once (TW-33, SG-24). That a list lacks a message settles nothing by itself (DS-5).

What is found is applied as news (DS-7), and the provider's own events are kept as if its webhook
had posted them, so that what follows for the person and the address follows by the usual road.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from winback.business import Business
from winback.database.bulk import on_conflict
from winback.database.retrying import transacted
from winback.database.tables import Event, Message, table_of
from winback.delivery.doubting import LOOKS
from winback.delivery.news import apply_news
from winback.delivery.repairing import repair
from winback.delivery.seeking import Open, due_for_asking
from winback.providers.lookups import CannotTell, Found, LookedUp, Lookup
from winback.states import Channel, EventKind, EventState

_log = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""Questions on their way at a time; what they brought is written down together."""

AGAIN_AFTER: Final = timedelta(minutes=15)
"""When to ask again a provider that could not be reached; such a try counts as no look."""

TRIES_FOR: Final = timedelta(days=3)
"""From this age on a provider that cannot be reached counts as having been asked."""

LOOKED: Final = "; look "
"""What parts the reason of a doubt from what was found out since."""


@dataclass(slots=True)
class EvidenceCounts:
    """What one pass did."""

    looked: int = 0
    """Messages that a provider was asked about."""
    resolved: int = 0
    """Of those, messages whose state changed by what was found."""


async def resolve_doubts(
    business: Business, lookups: Mapping[Channel, Lookup], *, now: datetime
) -> EvidenceCounts:
    """Ask about every doubt that is due, and about lost news; safe to repeat, and by two at once.

    No transaction is open while a provider is asked.
    """
    counts = EvidenceCounts()
    if not lookups:
        return counts
    due = due_for_asking(business.engine, list(lookups), now=now, mode=business.settings.mode)
    away: set[Channel] = set()
    for batch in _batches(due, AT_ONCE):
        asked = [one for one in batch if one.row.channel not in away]
        answers = await asyncio.gather(*(_ask(lookups, one, now) for one in asked))
        pairs = list(zip(asked, answers, strict=True))
        away |= {one.row.channel for one, answer in pairs if _is_passing(answer)}
        counts.looked += len(pairs)
        counts.resolved += _record(business, pairs, now)
    return counts


async def _ask(lookups: Mapping[Channel, Lookup], one: Open, now: datetime) -> LookedUp:
    if one.sought is None:
        return CannotTell("the address was erased")
    try:
        return await lookups[one.row.channel].find(one.sought, now=now)
    except Exception as broken:  # noqa: BLE001 - one answer must not stop the others
        # What the exception itself says may hold an address, so only its kind is told.
        kind = type(broken).__name__
        _log.error("message %d: the look-up failed with %s", one.row.id, kind)
        return CannotTell(f"the look-up failed with {kind}")


def _is_passing(answer: LookedUp) -> bool:
    return isinstance(answer, CannotTell) and answer.is_passing


def _record(business: Business, pairs: Sequence[tuple[Open, LookedUp]], now: datetime) -> int:
    """Write down what was found in one transaction; gives how many messages changed state."""
    if not pairs:
        return 0

    def write(session: Session) -> int:
        # In one order, as every writer of many rows: two of them cannot wait for each other.
        ordered = sorted(pairs, key=lambda pair: pair[0].row.id)
        return sum(_write(session, business, one, answer, now=now) for one, answer in ordered)

    return transacted(business.engine, "evidence.record", write)


def _write(
    session: Session, business: Business, one: Open, answer: LookedUp, *, now: datetime
) -> bool:
    """Write down one answer; True if the message's state changed."""
    if isinstance(answer, Found):
        for found in (answer, *answer.further):
            if not _is_anothers(session, one.row.id, found):
                return _repair(session, business, one, found, now=now)
        _note(session, one, "what was found belongs to another message", now)
    elif _is_passing(answer) and now < one.row.claimed_at + TRIES_FOR:
        session.connection().execute(_LATER, {**_guard(one), "look_at": now + AGAIN_AFTER})
    else:
        _note(session, one, answer.why, now)
    return False


def _is_anothers(session: Session, message_id: int, found: Found) -> bool:
    """Say whether the provider's id stands for another message: words can be alike."""
    known = {"provider_id": found.provider_message_id, "own": message_id}
    return session.scalar(_ANOTHERS, known) is not None


def _repair(
    session: Session, business: Business, one: Open, found: Found, *, now: datetime
) -> bool:
    """Apply what was found, as news; True if the state changed."""
    message_id = one.row.id
    accepted_at = min(max(found.accepted_at, one.row.claimed_at), now)
    was_told = apply_news(
        session,
        message_id,
        EventKind.ACCEPTED,
        at=accepted_at,
        reason="found by asking the provider",
        provider_message_id=found.provider_message_id,
        on_proof=partial(repair, business=business, now=now),
    )
    changed = apply_news(
        session,
        message_id,
        found.kind,
        at=min(max(found.happened_at, accepted_at), now),
        code=found.code,
        reason=found.reason,
    )
    _keep(session, message_id, found, now)
    if not one.is_in_doubt and not changed:
        _note(session, one, "", now)
    return was_told or changed


def _keep(session: Session, message_id: int, found: Found, now: datetime) -> None:
    """Keep the provider's events; those that its webhook posted already are known by their keys."""
    if not found.records:
        return
    session.connection().execute(
        _KEEP_NEW,
        [
            {
                "key": record.key,
                "origin": record.origin,
                "body": record.body,
                "received_at": now,
                "state": EventState.RECEIVED,
                "message_id": message_id,
            }
            for record in found.records
        ],
    )


def _note(session: Session, one: Open, why: str, now: datetime) -> None:
    """Note a look that settled nothing, and when the next one is due."""
    row = one.row
    looks = row.looks + 1
    session.connection().execute(
        _LOOKED,
        {
            **_guard(one),
            "looks": looks,
            "look_at": next_look(row.claimed_at, now) if one.is_in_doubt else None,
            # Of a doubt both is told: how it came, and what the latest look gave.
            "reason": f"{row.reason.partition(LOOKED)[0]}{LOOKED}{looks}: {why}"
            if one.is_in_doubt
            else row.reason,
        },
    )


def next_look(claimed_at: datetime, now: datetime) -> datetime | None:
    """Give when to look next; None after the last. One late look stands for all that it missed."""
    return next((claimed_at + after for after in LOOKS if claimed_at + after > now), None)


def _guard(one: Open) -> dict[str, Any]:
    return {"b_id": one.row.id, "b_state": one.row.state, "b_send_id": one.row.send_id}


_MESSAGES: Final = table_of(Message)
_IS_IT: Final = (
    _MESSAGES.c.id == bindparam("b_id"),
    _MESSAGES.c.state == bindparam("b_state"),
    _MESSAGES.c.send_id == bindparam("b_send_id"),
)
_LATER: Final = update(_MESSAGES).where(*_IS_IT).values(look_at=bindparam("look_at"))
_LOOKED: Final = _LATER.values(looks=bindparam("looks"), reason=bindparam("reason"))
_ANOTHERS: Final = (
    select(_MESSAGES.c.id)
    .where(
        _MESSAGES.c.provider_message_id == bindparam("provider_id"),
        _MESSAGES.c.id != bindparam("own"),
    )
    .limit(1)
)
_KEEP_NEW: Final = on_conflict(insert(table_of(Event)), "key")


def _batches(found: Sequence[Open], size: int) -> Iterator[Sequence[Open]]:
    for start in range(0, len(found), size):
        yield found[start : start + size]
