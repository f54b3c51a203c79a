"""What the flows promise Prefect, told without a server."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prefect import Flow
from sqlalchemy.orm import Session

from flows.detect import detect
from flows.measure import measure, measure_outcomes
from flows.pull import pull, pull_sources
from flows.reactivate import reactivate
from flows.respond import respond
from flows.send import send, send_batch
from tests.shop import make_shop
from winback import orchestration
from winback.clock import SystemClock
from winback.database.tables import StageRun
from winback.day import Day
from winback.house import open_business
from winback.states import Stage

FLOWS: list[Flow[Any, Any]] = [pull, detect, send, respond, measure, reactivate]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_flow_takes_only_as_of_and_tells_of_its_failure(flow: Flow[Any, Any]) -> None:
    """Parameters are shown by Prefect: nothing but an instant (FACTS.md SEC-22)."""
    assert list(flow.parameters.properties) == ["as_of"]
    assert flow.flow_run_name is orchestration.run_name
    assert flow.on_failure_hooks == [orchestration.note_failure]
    assert flow.on_crashed_hooks == [orchestration.note_failure]


def test_flows_are_named_for_what_they_do() -> None:
    """The names that schedules and dashboards know."""
    names = [flow.name for flow in FLOWS]
    assert names == ["pull", "detect", "send", "respond", "measure", "reactivate"]


def test_only_what_may_run_twice_is_retried() -> None:
    """FACTS.md DS-8: the outbox owns the retries of sending."""
    assert (pull_sources.retries, measure_outcomes.retries, send_batch.retries) == (2, 2, 0)


def test_a_run_is_named_by_the_local_day() -> None:
    """Half past eleven at night in London is the next day in Auckland."""
    instant = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)

    london, auckland = ZoneInfo("Europe/London"), ZoneInfo("Pacific/Auckland")
    assert orchestration.name_of_run("send", instant, london) == "send 2026-03-02"
    assert orchestration.name_of_run("send", instant, auckland) == "send 2026-03-03"


def test_a_late_run_gives_way_to_one_that_did_its_work(tmp_path: Path) -> None:
    """P10: after downtime one orderly catch-up; a run in time is never overtaken."""
    home = make_shop(tmp_path / "shop", customers=1, lapsed_on=date(2026, 3, 2))
    with open_business("2026-03-02", writes=True, home=home, environ={}) as (business, now):
        day = Day(business, now, SystemClock())
        late = now - timedelta(hours=2)
        assert not orchestration.was_done_since(day, Stage.SEND, late)
        with Session(business.engine) as session, session.begin():
            began = now - timedelta(hours=1)
            session.add(
                StageRun(
                    stage=Stage.SEND,
                    as_of=began,
                    started_at=began,
                    ended_at=began,
                    by="flow",
                    counts={},
                )
            )
            session.add(
                StageRun(
                    stage=Stage.RESPOND,
                    as_of=began,
                    started_at=began,
                    ended_at=began,
                    by="flow",
                    counts={},
                    error="OperationalError",
                )
            )
        assert orchestration.was_done_since(day, Stage.SEND, late)
        assert not orchestration.was_done_since(day, Stage.RESPOND, late)
        assert not orchestration.was_done_since(day, Stage.SEND, now - timedelta(minutes=30))
        assert not orchestration.was_done_since(day, Stage.SEND, now - timedelta(minutes=5))
