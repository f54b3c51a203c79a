"""Queue an answer: a message off the timeline, at most once per person, campaign and lapse.

Somebody who was two customers may have two enrollments of one lapse (promise P1).

The row is of the same kind as a step's and takes the same road: the gate is asked at the claim,
where an offer's code is reserved too.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import bindparam, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from winback.campaign.versions import campaign_of_version
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


_OTHER: Final = aliased(Enrollment)
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
