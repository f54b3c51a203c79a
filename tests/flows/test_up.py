"""``winback up`` as a whole: the day runs by its schedules, and one signal stops everything."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.flows.test_flows import ask, wait_for
from tests.shop import make_shop
from winback.clock import SystemClock
from winback.dashboard import Dashboard, free_port, noted_server, run_prefect
from winback.database.engine import make_engine
from winback.database.tables import Message
from winback.processes import find_processes, stop
from winback.states import MessageState

CUSTOMERS = 60


@pytest.mark.soak
def test_one_signal_stops_a_run_that_sends(
    prefect_server: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends gives back what has not left, tells the server that it ended, and is gone."""
    home = make_shop(tmp_path / "shop", customers=CUSTOMERS, lapsed_on=SystemClock().now().date())
    _slow_down(home)
    monkeypatch.setenv("WINBACK_HOME", str(home))
    monkeypatch.setenv("PREFECT_API_URL", prefect_server.api_url)
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "up.log").open("wb"))
        words = [sys.executable, "-m", "winback", "up", "--port", str(free_port())]
        up = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
        stack.callback(stop, up)
        wait_for(lambda: noted_server(home / "var"))
        run_prefect(["deployment", "run", "reactivate/daily"], prefect_server.environment, home)
        wait_for(lambda: _states(home).get(MessageState.ACCEPTED))
        worker = {one.pid for one in find_processes() if one.parent == up.pid}
        family = worker | {one.pid for one in find_processes() if one.parent in worker}
        up.terminate()
        up.wait(60)

    assert len(family) >= 2, (home / "var" / "worker.log").read_text(encoding="utf-8")[-3000:]
    assert not [one for one in find_processes() if one.pid in family]
    states = _states(home)
    assert states[MessageState.QUEUED] > CUSTOMERS / 2
    assert MessageState.SENDING not in states
    days = {"flow_runs": {"tags": {"all_": ["day"]}, "state": {"type": {"any_": ["RUNNING"]}}}}
    assert ask(prefect_server, "/flow_runs/filter", days) == []
    assert noted_server(home / "var") is None


def _slow_down(home: Path) -> None:
    settings = home / "config" / "winback.yaml"
    text = settings.read_text(encoding="utf-8")
    paced = text.replace("\npolicies:", "\npolicies:\n  pace: {email: 0.5 per second}", 1)
    assert paced != text
    settings.write_text(paced, encoding="utf-8")


def _states(home: Path) -> dict[MessageState, int]:
    """Count the messages of a shop by state; nothing before it has a database."""
    path = home / "var" / "winback.db"
    if not path.exists():
        return {}
    engine = make_engine(f"sqlite:///{path}")
    with Session(engine.execution_options(winback_reads_only=True)) as session:
        found = session.execute(select(Message.state, func.count()).group_by(Message.state))
        states = dict(found.tuples().all())
    engine.dispose()
    return states
