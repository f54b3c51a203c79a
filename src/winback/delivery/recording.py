"""Record how calls ended: one transaction for many results, each row guarded by its send id.

The classes are those of FACTS.md SG-14, TW-17 and DS-3. What a slow worker writes late is fenced
by the send id: a row that was claimed anew since is not touched (DS-10).
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, select, update
from sqlalchemy.orm import Session

from winback.database.among import among
from winback.database.tables import ChannelPause, Enrollment, Message, table_of
from winback.delivery.daily import give_back
from winback.delivery.doubting import first_look
from winback.delivery.failing import fail_refused
from winback.delivery.giving_back import goes_back, put_back
from winback.delivery.machine import IN_FLIGHT_OR_IN_DOUBT, MessageEvent
from winback.delivery.news import apply_news
from winback.delivery.repairing import repair
from winback.delivery.results import Called, Ended, Found, change_rows
from winback.delivery.run import Run
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.timeline import StepEnd
from winback.providers.outgoing import Accepted, Busy, Refused, Unclear
from winback.states import EventKind, MessageState


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
    by_kind: defaultdict[type[object], list[Ended]] = defaultdict(list)
    for one, row in ours:
        by_kind[Busy if goes_back(one.result) else type(one.result)].append((one, row))
    _accept(session, run, by_kind[Accepted])
    _doubt(session, run, by_kind[Unclear])
    unsent = put_back(session, run, by_kind[Busy])
    fail_refused(session, run, by_kind[Refused])
    # Last, since claims wait for the counters and this would wait for nothing more.
    give_back(session, unsent)


def _rows(session: Session, ids: Sequence[int]) -> dict[int, Found]:
    rows: dict[int, Found] = {}
    # Where it waited for a merge, PostgreSQL leaves out what is of another enrollment by then. Of
    # what it locked, and leaves out still, nothing is left: erased, or not ours to begin with.
    for _ in range(2):
        missing = [id_ for id_ in ids if id_ not in rows]
        if missing:
            found = session.connection().execute(_CALLED, {"ids": missing})
            rows |= {row.id: row for row in map(Found._make, found)}
    return rows


# In the order of Found.
_CALLED: Final = (
    select(
        Message.id,
        Message.enrollment_id,
        Message.customer_id,
        Message.state,
        Message.send_id,
        Message.reason,
        Message.claimed_at,
        Message.accepted_at,
        Message.settled_at,
        Message.drop_at,
        Message.contact_point_id,
        Message.step,
        Message.is_answer,
        Enrollment.campaign_version_id,
        Enrollment.state.label("enrollment_state"),
        Enrollment.next_step,
        Enrollment.is_asleep,
        # Seen once for all rows; nearly always none is.
        exists(select(ChannelPause.channel)).label("is_any_closed"),
    )
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(among(Message.id, "ids"))
    .order_by(Message.id)
    .with_for_update(of=Message)
)


def _accept(session: Session, run: Run, ended: Sequence[Ended]) -> None:
    if not ended:
        return
    change_rows(
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
            # The row's: a merge lets another enrollment go on with it.
            Done(row.enrollment_id, one.claimed.step, StepEnd.ACCEPTED)
            for one, row in ended
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


def _accepted_values(run: Run, one: Called, row: Found) -> dict[str, Any]:
    assert isinstance(one.result, Accepted)  # noqa: S101 - sorted by kind
    return {
        "provider_message_id": one.result.provider_message_id,
        "accepted_at": row.accepted_at or run.now,
        # The provider counts what it bills; 0 means that it does not know yet (TW-9).
        "segments": one.result.segments or one.segments,
        "cost": one.cost,
        "look_at": None,
    }


def _was_judged(row: Found) -> bool:
    """Say whether it counts as not sent, though nothing that its provider told says so."""
    return row.state is MessageState.FAILED and row.accepted_at is None


def _repair(session: Session, run: Run, one: Called, row: Found) -> None:
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


def _doubt(session: Session, run: Run, ended: Sequence[Ended]) -> None:
    change_rows(
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
