"""What belongs to the day as a whole: the record of its stages, and its heartbeat."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy.orm import Session

from tests.shop import make_shop
from winback.clock import SystemClock
from winback.day import Day, beat, pull, run
from winback.errors import FileMistakes
from winback.house import open_business
from winback.outcomes.status import read_status

TODAY = date(2026, 3, 2)


@contextmanager
def day_with_heartbeat(home: Path, url: str, *, customers: int = 1) -> Iterator[Day]:
    """Open a small shop whose heartbeat goes to an address."""
    make_shop(home, customers=customers, lapsed_on=TODAY)
    settings = home / "config" / "winback.yaml"
    text = settings.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("heartbeat_url")]
    settings.write_text("\n".join([*lines, f"heartbeat_url: {url}", ""]), encoding="utf-8")
    with open_business("2026-03-02", writes=True, home=home, environ={}) as (business, now):
        yield Day(business, now, SystemClock())


async def test_a_day_that_ended_is_told_to_the_watcher(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    """The heartbeat carries nothing but itself, and only after the day."""
    httpserver.expect_oneshot_request("/ping").respond_with_data("ok")

    with day_with_heartbeat(tmp_path / "shop", httpserver.url_for("/ping")) as day:
        assert await beat(day) is True

    (request, _), *others = httpserver.log
    assert others == []
    assert request.get_data() == b""


async def test_a_whole_day_is_told_to_the_watcher_once(
    tmp_path: Path, httpserver: HTTPServer
) -> None:
    """Each day that went to its end is told, and a second one is another."""
    httpserver.expect_request("/ping").respond_with_data("ok")

    with day_with_heartbeat(tmp_path / "shop", httpserver.url_for("/ping"), customers=0) as day:
        await run(day)
        assert len(httpserver.log) == 1
        await run(day)
        assert len(httpserver.log) == 2


async def test_a_day_that_failed_is_told_by_silence(tmp_path: Path, httpserver: HTTPServer) -> None:
    """Only a watcher who hears nothing raises the alarm: a stage that fails keeps it silent."""
    httpserver.expect_request("/ping").respond_with_data("ok")
    home = tmp_path / "shop"

    with day_with_heartbeat(home, httpserver.url_for("/ping"), customers=0) as day:
        (home / "config" / "sources.yaml").write_text("sources: none", encoding="utf-8")
        with pytest.raises(FileMistakes):
            await run(day)

    assert httpserver.log == []


async def test_a_watcher_that_is_away_fails_no_day(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A heartbeat that is not heard is a line in the log, nothing more."""
    with day_with_heartbeat(tmp_path / "shop", "http://127.0.0.1:9/ping") as day:
        assert await beat(day) is False

    assert "heartbeat was not heard" in caplog.text


async def test_a_stage_that_failed_ended_and_says_by_what(tmp_path: Path) -> None:
    """The record of a failed stage has its end and the kind of its error, and nothing it said."""
    home = make_shop(tmp_path / "shop", customers=1, lapsed_on=TODAY)
    sources = home / "config" / "sources.yaml"
    right = sources.read_text(encoding="utf-8")
    with open_business("2026-03-02", writes=True, home=home, environ={}) as (business, now):
        day = Day(business, now, SystemClock())
        sources.write_text("sources: ann@example.com", encoding="utf-8")
        with pytest.raises(FileMistakes):
            await pull(day)
        with Session(business.engine) as session:
            failed = read_status(session, business, now=now)["runs"]["pull"]
        sources.write_text(right, encoding="utf-8")
        await pull(day)
        with Session(business.engine) as session:
            mended = read_status(session, business, now=now)["runs"]["pull"]

    assert failed["ended_at"] is not None
    assert (failed["error"], failed["counts"]) == ("FileMistakes", {})
    assert (mended["error"], mended["counts"]["added"]) == ("", 2)
