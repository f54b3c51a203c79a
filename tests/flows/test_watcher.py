"""Whom a day that runs as a flow tells: the watcher, of its end; Prefect, of what is wrong."""

from datetime import date
from pathlib import Path

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.flows.test_flows import ask, run_python, wait_for
from tests.shop import make_shop
from winback.dashboard import Dashboard

TODAY = date(2026, 3, 2)

A_GOOD_AND_A_BAD_DAY = """
import asyncio
from dataclasses import replace
from winback.clock import SystemClock
from winback.day import Day
from winback.errors import WinbackError
from winback.house import open_business
from winback.orchestration import run_reactivate

async def is_away():
    raise WinbackError("the stand-ins are away")

async def days():
    with open_business("2026-03-02", writes=True) as (business, now):
        day = Day(business, now, SystemClock(), by="flow", rehearses_days=0)
        await run_reactivate(day)
        try:
            await run_reactivate(replace(day, deliver_news=is_away))
        except WinbackError:
            print("failed")

asyncio.run(days())
"""


def test_the_watcher_hears_of_each_day_that_went_well_and_prefect_of_what_did_not(
    prefect_server: Dashboard, tmp_path: Path, httpserver: HTTPServer
) -> None:
    """One ping for a good day and none for a failed one, which is an event ``winback.alert``.

    The ping leaves before the day's pages: a server that takes none undoes no day that went well.
    """
    artifacts = {"artifacts": {"key": {"any_": ["winback-run"]}}, "limit": 200}
    pages_at_ping: list[int] = []

    def pages() -> int:
        return len(ask(prefect_server, "/artifacts/filter", artifacts))

    def said() -> list[str]:
        alerts = {"filter": {"event": {"name": ["winback.alert"]}}}
        events = ask(prefect_server, "/events/filter", alerts)["events"]
        return [event["payload"]["says"] for event in events]

    def ping(_: Request) -> Response:
        pages_at_ping.append(pages())
        return Response("ok")

    httpserver.expect_request("/ping").respond_with_handler(ping)
    home = make_shop(tmp_path / "shop", customers=0, lapsed_on=TODAY)
    settings = home / "config" / "winback.yaml"
    text = settings.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("heartbeat_url")]
    lines.append(f"heartbeat_url: {httpserver.url_for('/ping')}")
    settings.write_text("\n".join(lines), encoding="utf-8")
    before = pages()

    told = run_python(A_GOOD_AND_A_BAD_DAY, prefect_server.environment, home)

    assert told.splitlines()[-1] == "failed"
    assert pages_at_ping == [before]
    assert pages() == before + 1
    wait_for(lambda: "the last send run ended early with WinbackError; see its log" in said())
