"""What is owed at rest, after a last send: nothing that has no reason (P2)."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.simulation.town import Town
from winback.clock import local_date
from winback.database.tables import Enrollment, Message, StepPassage
from winback.delivery.planning import ON_ITS_WAY
from winback.enrollment.pausing import standing_pauses
from winback.enrollment.timeline import StepEnd
from winback.states import EnrollmentState, MessageState


def nothing_waits(session: Session, town: Town) -> None:
    """P2: after a send nothing is queued and due but what stands still, and that says so.

    Whatever may not leave now is due later, and told why.
    """
    pauses = standing_pauses(session)
    rows = session.execute(
        select(
            Message.id,
            Message.channel,
            Message.queued_at,
            Message.due_at,
            Message.reason,
            Enrollment.campaign,
        )
        .join(Enrollment, Enrollment.id == Message.enrollment_id)
        .where(Message.state == MessageState.QUEUED)
    ).all()
    due = [row for row in rows if row.due_at <= town.now]
    owed = [row for row in due if not (pauses.stops(row.campaign, row.channel) and row.reason)]
    assert not owed, f"due, and never taken up: {owed[:3]}"
    silent = [row for row in rows if row.due_at > row.queued_at and not row.reason]
    assert not silent, f"postponed without a word: {silent[:3]}"


def nothing_unplanned(session: Session, town: Town) -> None:
    """P2: after a send every step that is due is on its way."""
    pauses = standing_pauses(session)
    today = local_date(town.now, town.business.settings.business.zone)
    on_its_way = select(Message.id).where(
        Message.enrollment_id == Enrollment.id,
        Message.step == Enrollment.next_step,
        Message.state.in_(ON_ITS_WAY),
    )
    rows = session.execute(
        select(Enrollment.id, Enrollment.campaign, Enrollment.next_step).where(
            Enrollment.state == EnrollmentState.ACTIVE,
            Enrollment.due_on <= today,
            ~on_its_way.exists(),
        )
    ).all()
    owed = [row for row in rows if pauses.stops_campaign(row.campaign) is None]
    assert not owed, f"due, and never planned: {owed[:3]}"


def nothing_passed_untruly(session: Session, got: Collection[tuple[int, str]]) -> None:
    """P2: a step that was passed as accepted was accepted by a provider.

    ``got`` is what providers have, by enrollment and step.
    """
    passed = session.execute(
        select(StepPassage.enrollment_id, StepPassage.step).where(
            StepPassage.how == StepEnd.ACCEPTED
        )
    )
    untrue = {(row.enrollment_id, row.step) for row in passed}.difference(got)
    assert not untrue, f"passed as accepted, and no provider has it: {untrue}"
