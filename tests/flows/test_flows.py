"""The flows on a real Prefect server: deployed, scheduled, run by a worker, and discreet."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date
from http import HTTPStatus
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.shop import make_shop, winback
from winback.dashboard import Dashboard, run_prefect
from winback.processes import start_apart, stop

TODAY = date(2026, 3, 2)
PATIENCE_SECONDS = 120
_TRIES = 20


def ask(server: Dashboard, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask the server's API, as the dashboard does; again where its SQLite was just locked."""
    request = Request(  # noqa: S310 - our own server
        f"{server.api_url}{path}",
        data=json.dumps(body if body is not None else {}).encode(),
        headers={"Content-Type": "application/json"},
    )
    for _ in range(_TRIES):
        try:
            with urlopen(request, timeout=10) as reply:  # noqa: S310
                return json.load(reply)
        except HTTPError as busy:
            busy.close()
            if busy.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            Event().wait(0.5)
    raise AssertionError("the server stays busy")


def wait_for(found: Callable[[], Any]) -> Any:
    """Look again until something is found; fails after two minutes."""
    deadline, pause = monotonic() + PATIENCE_SECONDS, Event()
    while not (thing := found()):
        assert monotonic() < deadline, "it did not come"
        pause.wait(0.5)
    return thing


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home folder with five lapsed customers."""
    return make_shop(tmp_path_factory.mktemp("home") / "shop", customers=5, lapsed_on=TODAY)


@pytest.fixture(scope="module")
def deployed(prefect_server: Dashboard, shop: Path) -> Dashboard:
    """Deploy everything in prefect.yaml, as an engineer does at a machine that runs winback too."""
    environment = prefect_server.environment | {"WINBACK_HOME": str(shop)}
    run_prefect(
        ["work-pool", "create", "winback", "--type", "process", "--overwrite"], environment, shop
    )
    run_prefect(["--no-prompt", "deploy", "--all"], environment, shop)
    return prefect_server


def test_scheduled_runs_appear(deployed: Dashboard) -> None:
    """Deploying is enough: the day, send and respond get their runs without a hand."""

    def scheduled_flows() -> set[str] | None:
        runs = ask(
            deployed,
            "/flow_runs/filter",
            {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "limit": 200},
        )
        flows = {flow["id"]: flow["name"] for flow in ask(deployed, "/flows/filter")}
        names = {flows[run["flow_id"]] for run in runs}
        return names if names >= {"reactivate", "send", "respond"} else None

    assert wait_for(scheduled_flows) == {"reactivate", "send", "respond"}


def test_every_deployment_runs_one_at_a_time(deployed: Dashboard) -> None:
    """A second run of a deployment is canceled, not stacked; every schedule names its zone.

    Only ``send/together`` is meant for several at once, and sleeps until somebody wakes it; a
    worker that sends for hours takes from its queue alone, and keeps nobody's no waiting.
    """
    deployments = {one["name"]: one for one in ask(deployed, "/deployments/filter")}

    assert len(ask(deployed, "/deployments/filter")) == 7
    together = deployments.pop("together")
    assert together["global_concurrency_limit"]["limit"] > 1
    assert [one["active"] for one in together["schedules"]] == [False] * 3
    assert together["work_queue_name"] == "together"
    for deployment in deployments.values():
        assert deployment["global_concurrency_limit"]["limit"] == 1
        assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
        assert deployment["work_queue_name"] == "default"
        for schedule in deployment["schedules"]:
            assert schedule["schedule"]["timezone"]


def test_what_a_run_holds_outlives_the_server(prefect_server: Dashboard) -> None:
    """P10: a place that a run took is freed after a loss of power, too: it is written to a file.

    In the server's memory alone it would be forgotten, and its deployment canceled for ever. The
    folder is the server's own, that of no other home and no other user.
    """
    ask(prefect_server, "/v2/concurrency_limits/", {"name": "held", "limit": 1})
    held = {"names": ["held"], "slots": 1, "mode": "concurrency", "lease_duration": 60}

    lease = ask(prefect_server, "/v2/concurrency_limits/increment-with-lease", held)["lease_id"]

    assert (prefect_server.home / "concurrency_leases" / f"{lease}.json").exists()


def test_a_worker_runs_a_deployment_from_a_folder_of_its_own(
    deployed: Dashboard, shop: Path, tmp_path: Path
) -> None:
    """Where the project lies is each machine's own affair: a deployment names no folder of any."""
    copy = shutil.copytree(shop, tmp_path / "elsewhere")
    environment = deployed.environment | {"WINBACK_HOME": str(copy)}
    told = json.dumps(ask(deployed, "/deployments/filter"))
    assert str(shop) not in told
    run_prefect(["deployment", "run", "pull/by-hand"], environment, copy)
    worker = start_apart(
        ["-m", "prefect", "worker", "start", "--pool", "winback", "--type", "process"],
        environment,
        log=copy / "worker.log",
    )
    try:

        def ended() -> list[str] | None:
            runs = ask(
                deployed,
                "/flow_runs/filter",
                {"flows": {"name": {"any_": ["pull"]}}, "flow_runs": {"name": {"like_": "pull"}}},
            )
            states = [run["state"]["type"] for run in runs if run["state"]["type"] != "SCHEDULED"]
            return states if states and set(states) <= {"COMPLETED", "FAILED", "CRASHED"} else None

        states = wait_for(ended)
    finally:
        stop(worker)

    assert states == ["COMPLETED"], (copy / "worker.log").read_text(encoding="utf-8")[-3000:]
    assert (copy / "var" / "winback.db").exists()
    assert not (shop / "var" / "winback.db").exists()


def test_run_goes_through_prefect_when_a_server_answers(
    prefect_server: Dashboard, tmp_path: Path
) -> None:
    """``winback run`` says that it ran as a flow, leaves artifacts, and tells no person's data."""
    home = make_shop(tmp_path / "shop", customers=5, lapsed_on=TODAY)

    done = winback(
        home, "run", "--as-of", "2026-03-02", "--json", environment=prefect_server.environment
    )

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["by"] == "flow"
    assert told["pull"]["read"] == 10
    assert told["detect"]["enrolled"] == 5
    kept = {artifact["key"] for artifact in ask(prefect_server, "/artifacts/filter")}
    pages = ("run", "funnel", "lift", "account", "needs-a-person")
    assert kept >= {f"winback-{page}" for page in pages}
    # The latest: other runs on the same server leave theirs, in whatever order tests go.
    rehearsals = {"artifacts": {"key": {"any_": ["winback-rehearsal"]}}, "sort": "CREATED_DESC"}
    ahead = ask(prefect_server, "/artifacts/filter", rehearsals)[0]["data"]
    assert "from 2026-03-02" in ahead
    assert "the day at 10:00, and a send every 15 minutes" in ahead
    kinds = ("flow_runs", "task_runs", "artifacts", "logs")
    everything = json.dumps(
        [ask(prefect_server, f"/{kind}/filter", {"limit": 200}) for kind in kinds]
    )
    assert "reactivate 2026-03-02" in everything
    assert "@example.com" not in everything
    assert "Oakley" not in everything
    assert "+1202555" not in everything


STAGES_APART = """
import asyncio, json
from datetime import UTC, datetime, timedelta
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow_async
from prefect.states import Scheduled
from flows.measure import measure
from flows.respond import respond
from flows.send import send

async def all_of_them():
    await send()
    await respond()
    await measure()
    late = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(hours=1))
    async with get_client() as client:
        run = await client.create_flow_run(send, state=late)
    return await run_flow_async(send, flow_run=run)

print(json.dumps(asyncio.run(all_of_them())))
"""


def test_every_run_leaves_what_it_did_and_what_needs_a_person(
    prefect_server: Dashboard, tmp_path: Path
) -> None:
    """Not only the day leaves artifacts; a run that was overtaken says that it did nothing."""
    home = make_shop(tmp_path / "shop", customers=1, lapsed_on=TODAY)
    before = {artifact["id"] for artifact in ask(prefect_server, "/artifacts/filter")}

    told = run_python(STAGES_APART, prefect_server.environment, home)

    assert json.loads(told.splitlines()[-1]) == {}
    left: dict[str, list[str]] = {}
    for artifact in ask(prefect_server, "/artifacts/filter", {"sort": "CREATED_DESC"}):
        if artifact["id"] not in before:
            says = f"{artifact['description']} {artifact['data']}"
            left.setdefault(artifact["key"], []).append(says)
    assert {key: len(says) for key, says in left.items()} == {
        "winback-send": 2,
        "winback-respond": 1,
        "winback-measure": 1,
        "winback-funnel": 1,
        "winback-lift": 1,
        "winback-needs-a-person": 3,
    }
    assert "so it did nothing" in left["winback-send"][0]
    assert "/artifacts/key/winback-funnel" in left["winback-respond"][0]


MISSED_DAYS = """
import asyncio, json
from datetime import UTC, datetime, timedelta
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow_async
from prefect.states import Scheduled
from flows.reactivate import reactivate

async def missed(**parameters):
    late = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(days=parameters.pop("ago")))
    async with get_client() as client:
        run = await client.create_flow_run(reactivate, parameters=parameters, state=late)
    return await run_flow_async(reactivate, flow_run=run, parameters=parameters)

async def one_after_the_other():
    as_of = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    first, second = await missed(ago=2), await missed(ago=1)
    return [sorted(done) for done in (first, second, await missed(ago=1, as_of=as_of))]

print(json.dumps(asyncio.run(one_after_the_other())))
"""


def test_missed_days_are_one_day(prefect_server: Dashboard, tmp_path: Path) -> None:
    """P10: a worker that takes one run at a time catches up once; a day named by hand is run."""
    home = make_shop(tmp_path / "shop", customers=1, lapsed_on=TODAY)

    told = run_python(MISSED_DAYS, prefect_server.environment, home)

    whole = ["detect", "measure", "pull", "respond", "send"]
    assert json.loads(told.splitlines()[-1]) == [whole, [], whole]
    wanted = {"sort": "CREATED_DESC", "artifacts": {"key": {"any_": ["winback-run"]}}, "limit": 3}
    left = [
        artifact["description"] for artifact in ask(prefect_server, "/artifacts/filter", wanted)
    ]
    assert ["so it did nothing" in says for says in left] == [False, True, False]


def run_python(script: str, environment: Mapping[str, str], home: Path) -> str:
    """Run a script in a home folder, as a worker would; gives what it printed."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", script],
        cwd=home,
        env={**os.environ, **environment, "WINBACK_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_run_goes_directly_when_no_server_answers(tmp_path: Path) -> None:
    """A Prefect server that is away stops nothing: the day runs directly, and says so."""
    home = make_shop(tmp_path / "shop", customers=2, lapsed_on=TODAY)

    done = winback(
        home,
        "run",
        "--as-of",
        "2026-03-02",
        "--json",
        environment={"PREFECT_API_URL": "http://127.0.0.1:9/api"},
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["by"] == "direct"
