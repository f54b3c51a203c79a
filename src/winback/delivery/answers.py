"""Queue an answer: a message off the timeline, at most once per person, campaign and lapse.

Somebody who was two customers may have two enrollments of one lapse (promise P1).

The row is of the same kind as a step's and takes the same road: the gate is asked at the claim,
where an offer's code is reserved too. Whether it was given is asked there once more: the two may
have become one since.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from winback.campaign.versions import campaign_of_version
from winback.database.among import among
from winback.database.history import record_decision
from winback.database.tables import Customer, Enrollment, Message
from winback.delivery.queueing import queue_messages
from winback.states import Arm, EnrollmentState, MessageState


def queue_answer(session: Session, enrollment_id: int, answer_name: str, *, now: datetime) -> bool:
    """Queue an answer of the enrollment's campaign; True if it was queued now.

    False for a holdout, for the suppressed, for an answer that the campaign does not have, and
    for one that was given before.
    """
    asked = {"enrollment_id": enrollment_id, "answer": answer_name}
    row = session.connection().execute(_ANSWERED, asked).one()
    if row.is_given or row.arm is Arm.HOLDOUT or row.state is EnrollmentState.SUPPRESSED:
        return False
    campaign = campaign_of_version(session, row.campaign_version_id)
    answer = campaign.answers.get(answer_name)
    if answer is None:
        return False
    queue_messages(
        session,
        [
            {
                "enrollment_id": enrollment_id,
                "customer_id": row.customer_id,
                "step": answer_name,
                "is_answer": True,
                "channel": answer.channel,
                "voucher_id": None,
                "priority": campaign.priority,
                "state": MessageState.QUEUED,
                "queued_at": now,
                "due_at": now,
                "drop_at": now + (answer.fresh_for.after(now.date()) - now.date()),
            }
        ],
    )
    record_decision(
        session,
        row.customer_id,
        what="queued",
        why=f"answer {answer_name}",
        at=now,
        campaign=row.campaign,
        enrollment_id=enrollment_id,
    )
    return True


def given_otherwise(session: Session, message_ids: Collection[int]) -> set[int]:
    """Give which queued answers the person has by another enrollment of the same lapse.

    Or will have: of two that are queued it is the older enrollment's, whose the address is, too.
    """
    return set(session.connection().scalars(_GIVEN, {"ids": message_ids}))


_OTHER: Final = aliased(Enrollment)
_TWIN: Final = aliased(Message)
_GIVEN: Final = (
    select(Message.id)
    .join(Enrollment, Enrollment.id == Message.enrollment_id)
    .where(
        among(Message.id, "ids"),
        exists().where(
            _TWIN.customer_id == Message.customer_id,
            _TWIN.step == Message.step,
            _TWIN.is_answer,
            _TWIN.enrollment_id != Message.enrollment_id,
            _TWIN.accepted_at.is_not(None)
            | _TWIN.state.in_((MessageState.SENDING, MessageState.UNCONFIRMED))
            | and_(_TWIN.state == MessageState.QUEUED, _TWIN.enrollment_id < Message.enrollment_id),
            _OTHER.id == _TWIN.enrollment_id,
            _OTHER.campaign == Enrollment.campaign,
            _OTHER.lapsed_on == Enrollment.lapsed_on,
        ),
    )
)
_ANSWERED: Final = (
    select(
        Enrollment.customer_id,
        Enrollment.campaign,
        Enrollment.campaign_version_id,
        Enrollment.arm,
        Enrollment.state,
        or_(
            exists().where(
                Message.enrollment_id == Enrollment.id,
                Message.step == bindparam("answer"),
                Message.state != MessageState.CANCELED,
            ),
            # Messages follow the person when two customers become one; enrollments may not.
            exists().where(
                Message.customer_id == func.coalesce(Customer.merged_into, Customer.id),
                Message.step == bindparam("answer"),
                Message.state != MessageState.CANCELED,
                _OTHER.id == Message.enrollment_id,
                _OTHER.campaign == Enrollment.campaign,
                _OTHER.lapsed_on == Enrollment.lapsed_on,
            ),
        ).label("is_given"),
    )
    .join(Customer, Customer.id == Enrollment.customer_id)
    .where(Enrollment.id == bindparam("enrollment_id"))
)
