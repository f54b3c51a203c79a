"""Apply what a provider reports about one message: ranked, so that order does not matter.

News that carries our send id is evidence: it settles a doubt, repairs the row and sends nothing
(FACTS.md DS-5, DS-7). The step that a late acceptance stands for is passed by the next send run
(``doubting.pass_proven``), which knows the business's day.
"""

from datetime import datetime

from sqlalchemy import case, exists, select, update
from sqlalchemy.orm import Session, aliased

from winback.database.history import record_move
from winback.database.tables import Message
from winback.delivery.machine import IN_FLIGHT_OR_IN_DOUBT, NEWS_STATE, SETTLED, after_news
from winback.states import EventKind, MessageState


def apply_news(
    session: Session,
    message_id: int,
    kind: EventKind,
    *,
    at: datetime,
    code: str = "",
    reason: str = "",
    provider_message_id: str | None = None,
) -> bool:
    """Take one piece of news about a message; True if its state changed.

    Safe to repeat and in any order. ``at`` is when it happened.
    """
    row = session.execute(
        select(Message.state, Message.accepted_at, Message.provider_message_id)
        .where(Message.id == message_id)
        .with_for_update()
    ).one_or_none()
    if row is None or kind not in NEWS_STATE:
        return False
    to_state = after_news(row.state, kind)
    values: dict[str, object] = {}
    if row.provider_message_id is None and provider_message_id:
        values["provider_message_id"] = provider_message_id
    if to_state is not row.state:
        values |= {
            "state": to_state,
            "reason": reason if to_state in _NEEDS_REASON else "",
            "provider_code": code or None,
            "settled_at": at if to_state in SETTLED else None,
        }
    if values:
        session.execute(
            update(Message)
            .where(Message.id == message_id, Message.state == row.state)
            .values(values)
            .execution_options(synchronize_session=False)
        )
    if to_state is row.state:
        return False
    if row.accepted_at is None:
        _accepted(session, message_id, at=at)
    record_move(
        session,
        "message",
        message_id,
        from_state=row.state,
        to_state=to_state,
        event=kind,
        at=at,
        why=reason,
    )
    return True


_NEEDS_REASON = (MessageState.FAILED, MessageState.BOUNCED)


def _accepted(session: Session, message_id: int, *, at: datetime) -> None:
    """Note that the provider took it, unless another row of the step already stands for that.

    Only news about a message that was refused at the call can come so late that the step went
    out on its other channel meanwhile; the index that is promise P1 would refuse a second one.
    """
    mine, other = aliased(Message), aliased(Message)
    has_other = exists(
        select(other.id)
        .join(mine, (mine.enrollment_id == other.enrollment_id) & (mine.step == other.step))
        .where(
            mine.id == message_id,
            other.id != message_id,
            other.accepted_at.is_not(None)
            | other.state.in_((MessageState.QUEUED, *IN_FLIGHT_OR_IN_DOUBT)),
        )
    )
    session.execute(
        update(Message)
        .where(Message.id == message_id)
        .values(accepted_at=case((has_other, None), else_=at))
        .execution_options(synchronize_session=False)
    )
