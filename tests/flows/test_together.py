"""Several workers share one outbox: a Prefect work pool, PostgreSQL, and no coordinator of ours."""

import asyncio
import os
import shutil
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, make_url, select
from sqlalchemy.orm import Session

from tests.flows.test_flows import ask, wait_for
from tests.shop import make_shop
from winback import day
from winback.clock import SystemClock
from winback.dashboard import Dashboard, run_prefect
from winback.database.engine import make_engine
from winback.database.tables import Message
from winback.day import Day
from winback.house import open_business
from winback.processes import start_apart, stop
from winback.sandbox.faults import FaultPlan
from winback.sandbox.stand_ins import stand_ins
from winback.states import MessageState

CUSTOMERS = 400
WORKERS = 3
# In the words of docs/going-live.md.
WORKER = (
    "-m prefect worker start --pool together --work-queue together --limit 1".split()  # noqa: SIM905
)


@pytest.mark.soak
def test_three_workers_send_each_message_once(
    prefect_server: Dashboard, postgres_url: str, tmp_path: Path
) -> None:
    """P1 and P12: whoever takes a run claims what is left; the provider sees each message once."""
    database_url = _make_database(postgres_url)
    home = make_shop(
        tmp_path / "shop",
        customers=CUSTOMERS,
        lapsed_on=SystemClock().now().date(),
        database_url=database_url,
    )
    _without_holdout(home)
    with ExitStack() as stack:
        stand = stack.enter_context(stand_ins(tmp_path / "record.db"))
        # A slow provider, so that one worker alone would be at it for half a minute.
        stand.faults = FaultPlan(latency_seconds=3)
        credentials = stand.credentials
        environment = prefect_server.environment | {
            "WINBACK_HOME": str(home),
            "WINBACK_DATABASE_URL": database_url,
            "WINBACK_SENDGRID_URL": stand.sendgrid_url,
            "WINBACK_TWILIO_URL": stand.twilio_url,
            "SENDGRID_API_KEY": credentials.api_key,
            "TWILIO_ACCOUNT_SID": credentials.account_sid,
            "TWILIO_AUTH_TOKEN": credentials.auth_token,
        }
        _lapse(home, environment)
        _deploy(home, environment)
        for _ in range(WORKERS):
            run_prefect(["deployment", "run", "send/together"], environment, home)
        for number in range(WORKERS):
            # Each machine has its copy of the folder somewhere else.
            own = {"WINBACK_HOME": str(shutil.copytree(home, tmp_path / f"machine{number}"))}
            log = tmp_path / f"worker{number}.log"
            stack.callback(stop, start_apart(WORKER, environment | own, log=log))
        states = wait_for(lambda: _ended(prefect_server))
        accepted = Counter(mail.to_address for mail in stand.record.mails())

    assert states == ["COMPLETED"] * WORKERS, (tmp_path / "worker0.log").read_text("utf-8")[-3000:]
    engine = make_engine(database_url)
    with Session(engine) as session:
        by_worker = session.execute(
            select(Message.worker_id, func.count())
            .where(Message.state == MessageState.ACCEPTED)
            .group_by(Message.worker_id)
        )
        shares = dict(by_worker.tuples().all())
    engine.dispose()
    assert len(accepted) == CUSTOMERS
    assert set(accepted.values()) == {1}
    assert sum(shares.values()) == CUSTOMERS
    assert len(shares) >= 2, f"one worker did it all: {shares}"


def _make_database(server: str) -> str:
    name = f"winback_together_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _without_holdout(home: Path) -> None:
    campaign = home / "config" / "campaigns" / "six-month.yaml"
    text = campaign.read_text(encoding="utf-8")
    assert "holdout: 15%" in text
    campaign.write_text(text.replace("holdout: 15%", "holdout: 0%"), encoding="utf-8")


def _lapse(home: Path, environment: dict[str, str]) -> None:
    """Pull and detect, so that only the sending is left."""
    with open_business(None, writes=True, home=home, environ=environment) as (business, now):
        today = Day(business, now, SystemClock())
        asyncio.run(day.pull(today))
        assert asyncio.run(day.detect(today))["enrolled"] == CUSTOMERS


def _deploy(home: Path, environment: dict[str, str]) -> None:
    """Deploy ``send/together`` alone, to a pool of its own."""
    text = (home / "prefect.yaml").read_text(encoding="utf-8")
    (home / "prefect.yaml").write_text(text.replace("    name: winback\n", "    name: together\n"))
    run_prefect(["work-pool", "create", "together", "--type", "process"], environment, home)
    run_prefect(["--no-prompt", "deploy", "--name", "send/together"], environment, home)


def _ended(server: Dashboard) -> list[str] | None:
    runs = ask(
        server,
        "/flow_runs/filter",
        {"work_pools": {"name": {"any_": ["together"]}}, "limit": 50},
    )
    states = [run["state"]["type"] for run in runs]
    return states if set(states) <= {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None
