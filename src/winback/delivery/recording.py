"""Record how calls ended: one transaction for many results, each row guarded by its send id.

The classes are those of FACTS.md SG-14, TW-17 and DS-3. What a slow worker writes late is fenced
by the send id: a row that was claimed anew since is not touched (DS-10).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, exists, select, update
from sqlalchemy.orm import Session

from winback.clock import local_date
from winback.customers.suppression import suppress
from winback.database.among import among
from winback.database.history import record_moves
from winback.database.many import update_rows
from winback.database.tables import ChannelPause, Enrollment, Message, table_of
from winback.delivery.breaker import PAUSE, back_off
from winback.delivery.closing import channels_to_try, close_channel, close_country
from winback.delivery.composing import Claimed
from winback.delivery.daily import give_back
from winback.delivery.doubting import first_look
from winback.delivery.falling import Fallen, fall
from winback.delivery.machine import IN_FLIGHT_OR_IN_DOUBT, SETTLED, MessageEvent, move
from winback.delivery.news import apply_news
from winback.delivery.reaching import close_contact_point
from winback.delivery.repairing import repair
from winback.delivery.run import Run
from winback.delivery.windows import tomorrow_start
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move_all
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.timeline import StepEnd
from winback.providers.outgoing import Accepted, Busy, Refused, Result, Scope, Unclear
from winback.states import Channel, EventKind, MessageState, SuppressionReason
from winback.vouchers.reserving import return_unsent

_IN_COUNTRY: Final[Scope] = "sender_in_country"


@dataclass(frozen=True, slots=True)
class NotCalled:
    """Claimed, and then nobody was called: it goes back as it was, due at once."""

    why: str
    again: bool = False
    """The same run claims it once more, with another last look."""


@dataclass(frozen=True, slots=True)
class Called:
    """How the call of one claimed message ended; cost and segments are what we counted."""

    claimed: Claimed
    result: Result | NotCalled
    segments: int | None = None
    cost: Decimal = Decimal(0)
    again_at: datetime | None = None
    """When the same run tries once more what a provider was too busy for."""


def record_results(session: Session, run: Run, called: Sequence[Called]) -> None:
    """Write results down and do what each means; safe to repeat.

    Of a message that others took for lost meanwhile only an acceptance is written: it is evidence
    (FACTS.md DS-10).
    """
    rows = _rows(session, [one.claimed.message_id for one in called])
    ours = [
        (one, row)
        for one in called
        if (row := rows.get(one.claimed.message_id)) is not None
        and row.send_id == one.claimed.send_id
        and row.state not in (MessageState.QUEUED, MessageState.SKIPPED, MessageState.CANCELED)
    ]
    by_kind: defaultdict[type[object], list[tuple[Called, Row[Any]]]] = defaultdict(list)
    for one, row in ours:
        by_kind[_kind(one.result)].append((one, row))
    _accept(session, run, by_kind[Accepted])
    _doubt(session, run, by_kind[Unclear])
    unsent = _give_back(session, run, by_kind[Busy])
    _refuse(session, run, by_kind[Refused])
    # Last, since claims wait for the counters and this would wait for nothing more.
    give_back(session, unsent)


def _kind(result: Result | NotCalled) -> type[object]:
    # An account or a sender that is refused is no fault of the message: it goes back.
    is_of_sender = isinstance(result, Refused) and result.scope in {"channel", _IN_COUNTRY}
    return Busy if is_of_sender or isinstance(result, NotCalled) else type(result)


def _rows(session: Session, ids: Sequence[int]) -> dict[int, Row[Any]]:
    return {row.id: row for row in session.connection().execute(_CALLED, {"ids": ids})}


_CALLED: Final = (
    select(
        Message.id,
        Message.state,
        Message.send_id,
        Message.reason,
        Message.claimed_at,
        Message.accepted_at,
        Message.settled_at,
        Message.drop_at,
        Message.contact_point_id,
        Enrollment.campaign_version_id,
        # Seen once for all rows; nearly always none is.
        exists(select(ChannelPause.channel)).label("is_any_closed"),
    )
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(among(Message.id, "ids"))
    .order_by(Message.id)
    .with_for_update(of=Message)
)


def _accept(session: Session, run: Run, ended: Sequence[tuple[Called, Row[Any]]]) -> None:
    if not ended:
        return
    _change(
        session,
        run,
        [
            # Where news was faster, what it told stays.
            (
                row,
                MessageEvent.ACCEPT,
                "" if row.state in IN_FLIGHT_OR_IN_DOUBT else row.reason,
                _accepted_values(run, one, row),
            )
            for one, row in ended
            if not _was_judged(row)
        ],
    )
    for one, row in ended:
        if _was_judged(row):
            _repair(session, run, one, row)
    pass_steps(
        session,
        run,
        [
            Done(one.claimed.enrollment_id, one.claimed.step, StepEnd.ACCEPTED)
            for one, _ in ended
            if not one.claimed.is_answer
        ],
    )
    # What went through proves the channel open.
    channels = {one.claimed.channel for one, row in ended if row.is_any_closed}
    if channels:
        session.connection().execute(_END_PAUSES, {"channels": channels})


_PAUSES: Final = table_of(ChannelPause)
_END_PAUSES: Final = delete(_PAUSES).where(
    _PAUSES.c.channel.in_(bindparam("channels", expanding=True))
)


def _accepted_values(run: Run, one: Called, row: Row[Any]) -> dict[str, Any]:
    assert isinstance(one.result, Accepted)  # noqa: S101 - sorted by kind
    return {
        "provider_message_id": one.result.provider_message_id,
        "accepted_at": row.accepted_at or run.now,
        # The provider counts what it bills; 0 means that it does not know yet (TW-9).
        "segments": one.result.segments or one.segments,
        "cost": one.cost,
        "look_at": None,
    }


def _was_judged(row: Row[Any]) -> bool:
    """Say whether it counts as not sent, though nothing that its provider told says so."""
    return row.state is MessageState.FAILED and row.accepted_at is None


def _repair(session: Session, run: Run, one: Called, row: Row[Any]) -> None:
    """Take the late word as the evidence that it is, by the road of a provider's news (DS-10)."""
    assert isinstance(one.result, Accepted)  # noqa: S101 - sorted by kind
    segments = one.result.segments or one.segments
    session.connection().execute(
        _PRICE,
        {"b_id": row.id, "b_send_id": row.send_id, "cost": one.cost, "segments": segments},
    )
    apply_news(
        session,
        row.id,
        EventKind.ACCEPTED,
        at=row.claimed_at,
        reason="its worker told late",
        provider_message_id=one.result.provider_message_id,
        on_proof=partial(repair, business=run.business, now=run.now),
    )


_MESSAGES: Final = table_of(Message)
_PRICE: Final = (
    update(_MESSAGES)
    .where(_MESSAGES.c.id == bindparam("b_id"), _MESSAGES.c.send_id == bindparam("b_send_id"))
    .values(cost=bindparam("cost"), segments=bindparam("segments"))
)


def _doubt(session: Session, run: Run, ended: Sequence[tuple[Called, Row[Any]]]) -> None:
    _change(
        session,
        run,
        [
            (
                row,
                MessageEvent.DOUBT,
                one.result.reason,
                {
                    "cost": one.cost,
                    "segments": one.segments,
                    "look_at": first_look(row.claimed_at),
                },
            )
            for one, row in ended
            if isinstance(one.result, Unclear) and row.state is MessageState.SENDING
        ],
    )


def _give_back(
    session: Session, run: Run, ended: Sequence[tuple[Called, Row[Any]]]
) -> list[tuple[Channel, date, int]]:
    """Put back what was surely not sent, and pause where the account or the sender was refused.

    Gives of each claim the channel, the day, and what it took of the budget of segments.
    """
    open_ones = [(one, row) for one, row in ended if row.state is MessageState.SENDING]
    changes = []
    any_refused = any(isinstance(one.result, Refused) for one, _ in open_ones)
    to_try = channels_to_try(session, run.now) if any_refused else set()
    for one, row in open_ones:
        until, why = _until(run, one.result, is_probe=one.claimed.channel in to_try)
        until = one.again_at or until
        back = {"due_at": min(until, row.drop_at), "claimed_at": None}
        changes.append((row, MessageEvent.GIVE_BACK, why, back))
        if isinstance(one.result, Refused) and one.result.scope == _IN_COUNTRY:
            _pause_country(session, run, one, of=row.claimed_at, why=why)
        elif isinstance(one.result, Refused):
            channel = one.claimed.channel
            close_channel(session, channel, why=why, now=run.now, at_least=PAUSE)
    _change(session, run, changes)
    for one, _ in open_ones:
        _return_voucher(session, run, one.claimed)
    return [
        (one.claimed.channel, local_date(row.claimed_at, run.zone), one.claimed.segments)
        for one, row in open_ones
    ]


def _until(run: Run, result: Result | NotCalled, *, is_probe: bool) -> tuple[datetime, str]:
    """Give when to try again, and why so late."""
    if isinstance(result, NotCalled):
        return run.now, result.why
    if isinstance(result, Busy):
        wait = back_off(result.retry_after_seconds, chance=run.rng.random())
        return run.now + wait, result.reason
    assert isinstance(result, Refused)  # noqa: S101 - see _kind
    # The next one to try the channel is another one: perhaps only this one meets the refusal.
    # And what waits for a country looks each day whether an operator let it go on.
    is_for_tomorrow = is_probe or result.scope == _IN_COUNTRY
    until = tomorrow_start(run.now, run.zone) if is_for_tomorrow else run.now + PAUSE
    return until, f"{result.code} {result.reason}"


def _pause_country(session: Session, run: Run, one: Called, *, of: datetime, why: str) -> None:
    """Let texts to its country wait; ``of`` is when it was claimed."""
    close_country(session, one.claimed.point.address, why=why, now=run.now, of=of)


def _refuse(session: Session, run: Run, ended: Sequence[tuple[Called, Row[Any]]]) -> None:
    """Fail what was finally refused, and do what follows for the person and the step."""
    # A webhook may have told otherwise already: news that carries our id is better evidence. And
    # what others took for lost has been passed by them, or will be.
    open_ones = [
        (one, one.result, row)
        for one, row in ended
        if isinstance(one.result, Refused) and row.state is MessageState.SENDING
    ]
    if not open_ones:
        return
    _change(
        session,
        run,
        [
            (row, MessageEvent.REFUSE, refused.reason, {"provider_code": refused.code})
            for _, refused, row in open_ones
        ],
    )
    for one, refused, row in open_ones:
        _return_voucher(session, run, one.claimed)
        if refused.scope == "recipient_opted_out":
            _suppress(session, run, one.claimed)
        elif refused.scope == "address_invalid" and row.contact_point_id is not None:
            close_contact_point(session, row.contact_point_id, now=run.now)
        elif refused.scope == "country":
            why = f"{refused.code} {refused.reason}"
            _pause_country(session, run, one, of=row.claimed_at, why=why)
    fall(session, run, [_fallen(one.claimed, refused, row) for one, refused, row in open_ones])


def _suppress(session: Session, run: Run, claimed: Claimed) -> None:
    """Take the provider's word for a no that it holds (FACTS.md TW-17, 21610)."""
    suppress(
        session,
        key=f"provider:{claimed.provider}:{claimed.message_id}",
        reason=SuppressionReason.STOPPED,
        source=claimed.provider,
        at=run.now,
        customer_id=claimed.customer_id,
        address_hash=claimed.point.address_hash,
    )
    why = f"{claimed.provider} holds a no of this person"
    move_all(session, [claimed.enrollment_id], EnrollmentEvent.OPTED_OUT, now=run.now, why=why)


def _fallen(claimed: Claimed, refused: Refused, row: Row[Any]) -> Fallen:
    return Fallen(
        message_id=claimed.message_id,
        enrollment_id=claimed.enrollment_id,
        customer_id=claimed.customer_id,
        campaign_version_id=row.campaign_version_id,
        step=claimed.step,
        is_answer=claimed.is_answer,
        channel=claimed.channel,
        voucher_id=claimed.voucher_id,
        drop_at=row.drop_at,
        may_use_other=refused.scope != "recipient_opted_out",
        how=StepEnd.FAILED,
        why=f"{refused.code} {refused.reason}",
    )


def _return_voucher(session: Session, run: Run, claimed: Claimed) -> None:
    if claimed.voucher_id is not None:
        return_unsent(session, claimed.voucher_id, claimed.message_id, run.now)


_Change = tuple[Row[Any], MessageEvent, str, dict[str, Any]]


def _change(session: Session, run: Run, changes: Sequence[_Change]) -> None:
    """Move rows by one kind of event; all changes of a call set the same columns."""
    if not changes:
        return
    moved = [
        (row, event, why, values, move(row.state, event, message_id=row.id))
        for row, event, why, values in changes
    ]
    update_rows(
        session.connection(),
        table_of(Message),
        [
            {
                "b_id": row.id,
                "b_state": row.state,
                "b_send_id": row.send_id,
                "state": state,
                "reason": why,
                "settled_at": (row.settled_at or run.now) if state in SETTLED else None,
                **values,
            }
            for row, _, why, values, state in moved
        ],
    )
    record_moves(
        session,
        [
            {
                "thing": "message",
                "thing_id": row.id,
                "from_state": row.state,
                "to_state": state,
                "event": event,
                "why": why,
                "at": run.now,
            }
            for row, event, why, _, state in moved
            if state is not row.state
        ],
    )
