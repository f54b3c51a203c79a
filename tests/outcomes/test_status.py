"""The status lists every state, on an empty database too."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy.orm import Session

from tests.outcomes.facts import START, World
from winback.business import Business
from winback.database.tables import ChannelPause, StageRun
from winback.errors import Mistake
from winback.outcomes.needs import stock_needs
from winback.outcomes.status import read_status
from winback.states import (
    Arm,
    CaseState,
    Channel,
    EnrollmentState,
    EventState,
    MessageState,
    Mode,
    Stage,
    VoucherState,
)
from winback.vouchers.stock import StockLine


def test_an_empty_database_lists_every_state_as_zero(session: Session, business: Business) -> None:
    """DESIGN.md section 6: every state listed, zeros too."""
    status = read_status(session, business, now=START)

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


def test_counts_oldest_and_last_runs(session: Session, business: Business) -> None:
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

    status = read_status(session, business, now=START)

    assert (status["enrollments"]["held_out"], status["enrollments"]["active"]) == (1, 1)
    assert status["oldest"]["unconfirmed_message"] == START
    assert status["runs"]["pull"]["counts"] == {"n": 1}


def test_what_needs_a_person_is_shown(session: Session, business: Business) -> None:
    """DESIGN.md, section 7: a failing edit is shown; so are paused channels and codes to export."""
    edit = Mistake("templates/six-month/concern.mjml", 3, "unknown word", "write customer")
    shelf = replace(business.shelf, mistakes=(edit,))
    live = business.settings.model_copy(update={"mode": Mode.LIVE})
    world = World(session)
    for _ in range(100):
        world.voucher()
    session.add(
        ChannelPause(
            channel=Channel.SMS, why="the account was refused", paused_at=START, try_again_at=START
        )
    )
    session.commit()

    status = read_status(session, replace(business, settings=live, shelf=shelf), now=START)

    needs = {need["what"]: need for need in status["needs_a_person"]}
    keys = {"what", "count", "says", "since", "about"}
    assert all(set(need) == keys for need in needs.values())
    assert "templates/six-month/concern.mjml" in needs["failing_templates"]["says"]
    assert needs["channel_paused"]["since"] == START
    assert needs["codes_to_export"]["count"] == 100
    assert "low_stock" not in needs


def test_low_stock_is_told_only_where_codes_are_short() -> None:
    """Before the first export nothing is short but the export; after it, what is left counts."""
    line = StockLine(
        campaign="six-month",
        offer="welcome-back",
        free=2000,
        reserved=0,
        issued=0,
        redeemed=0,
        voided=0,
        expired=0,
        usable=0,
        is_low=True,
    )

    def told(line: StockLine) -> list[str]:
        return [need.what for need in stock_needs([line], Mode.LIVE)]

    assert told(line) == ["codes_to_export"]
    assert told(replace(line, free=5, issued=1995)) == ["codes_to_export", "low_stock"]
    assert told(replace(line, free=5, issued=1995, usable=5)) == ["low_stock"]
    assert told(replace(line, usable=2000, is_low=False)) == []
