"""The status lists every state, on an empty database too."""

from datetime import timedelta

from sqlalchemy.orm import Session

from tests.outcomes.facts import START, World
from winback.database.tables import StageRun
from winback.outcomes.status import read_status
from winback.states import (
    Arm,
    CaseState,
    EnrollmentState,
    EventState,
    MessageState,
    Stage,
    VoucherState,
)


def test_an_empty_database_lists_every_state_as_zero(session: Session) -> None:
    """DESIGN.md section 6: every state listed, zeros too."""
    status = read_status(session)

    for name, words in (
        ("enrollments", EnrollmentState),
        ("messages", MessageState),
        ("vouchers", VoucherState),
        ("cases", CaseState),
        ("events", EventState),
    ):
        assert status[name] == {word.value: 0 for word in words}
    assert status["runs"] == {stage.value: None for stage in Stage}
    assert set(status["oldest"].values()) == {None}


def test_counts_oldest_and_last_runs(session: Session) -> None:
    """What is there is counted; the oldest unresolved and the last run of a stage are named."""
    world = World(session)
    world.enrollment(Arm.HOLDOUT)
    world.message(
        world.enrollment(), state=MessageState.UNCONFIRMED, accepted_at=None, claimed_at=START
    )
    for day in range(2):
        at = START + timedelta(days=day)
        session.add(
            StageRun(
                stage=Stage.PULL,
                as_of=at,
                started_at=at,
                ended_at=at,
                by="direct",
                counts={"n": day},
            )
        )
    session.commit()

    status = read_status(session)

    assert (status["enrollments"]["held_out"], status["enrollments"]["active"]) == (1, 1)
    assert status["oldest"]["unconfirmed_message"] == START
    assert status["runs"]["pull"]["counts"] == {"n": 1}
