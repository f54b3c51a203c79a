"""Alerts: told once, over real HTTP, ended when what they tell is over."""

import logging
import threading
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.orm import Session
from werkzeug import Request, Response

from tests.conftest import NOW
from winback.alerts import TURN, follow, tell
from winback.database.tables import Alert, Pace
from winback.environment import read_environment

HOUR = timedelta(hours=1)


def _follow(engine: Engine, standing: dict[str, str], hours: int = 0) -> None:
    follow(engine, standing, now=NOW + hours * HOUR)


def _alerts(engine: Engine) -> list[tuple[str, bool, bool]]:
    with Session(engine) as session:
        rows = session.scalars(select(Alert).order_by(Alert.id))
        return [(one.key, one.told_at is not None, one.ended_at is not None) for one in rows]


def _target(server: HTTPServer) -> str:
    return f"json://127.0.0.1:{server.port}/alerts"


def test_an_alert_is_told_once_and_again_only_when_it_comes_back(
    engine: Engine, httpserver: HTTPServer
) -> None:
    """Each run looks anew; the operator hears of a fact when it begins, not every 15 minutes."""
    httpserver.expect_request("/alerts", method="POST").respond_with_data("")
    targets = [_target(httpserver)]
    for hours, standing in enumerate(({"a": "one"}, {"a": "one"}, {}, {"a": "one"})):
        _follow(engine, standing, hours)
        tell(engine, targets, business="Olive & Oak", now=NOW + hours * HOUR)
    assert _alerts(engine) == [("a", True, True), ("a", True, False)]
    bodies = [request.get_json() for request, _ in httpserver.log]
    assert [(body["title"], body["message"]) for body in bodies] == [
        ("winback: Olive & Oak", "one")
    ] * 2


def test_what_no_target_takes_is_tried_again(engine: Engine, httpserver: HTTPServer) -> None:
    """A chat that is down today gets the alert at the next run; nothing is lost, nothing fails."""
    httpserver.expect_ordered_request("/alerts").respond_with_data("", status=500)
    httpserver.expect_ordered_request("/alerts").respond_with_data("")
    _follow(engine, {"a": "one"})
    for _ in range(3):
        tell(engine, [_target(httpserver)], business="Olive & Oak", now=NOW)
    assert _alerts(engine) == [("a", True, False)]
    assert len(httpserver.log) == 2


def test_a_dead_target_does_not_make_the_others_hear_it_again(
    engine: Engine, httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Told is told: who took it is not told at each look because another one is away."""
    httpserver.expect_request("/alerts").respond_with_data("")
    httpserver.expect_request("/dead").respond_with_data("", status=500)
    dead = f"json://user:hunter2@127.0.0.1:{httpserver.port}/dead"
    _follow(engine, {"a": "one"})
    for looks in range(5):
        said = tell(engine, [dead, _target(httpserver)], business="Olive & Oak", now=NOW)
        assert said == (["one"] if looks == 0 else [])
    assert [request.path for request, _ in httpserver.log] == ["/dead", "/alerts"]
    assert _alerts(engine) == [("a", True, False)]
    assert "not taken by the target 1 of 2 (json)" in caplog.text
    assert "reached nobody" not in caplog.text
    assert "hunter2" not in caplog.text


def test_who_looks_while_another_tells_leaves_it_to_that_one(
    engine: Engine, httpserver: HTTPServer
) -> None:
    """Three workers that end at once are one alert, not three."""
    is_being_told, may_end = threading.Event(), threading.Event()

    def slow(_request: Request) -> Response:
        is_being_told.set()
        assert may_end.wait(30)
        return Response("")

    httpserver.expect_request("/alerts").respond_with_handler(slow)
    _follow(engine, {"a": "one"})
    said: list[list[str]] = []

    def look() -> None:
        said.append(tell(engine, [_target(httpserver)], business="Olive & Oak", now=NOW))

    first = threading.Thread(target=look)
    first.start()
    assert is_being_told.wait(30)
    look()
    look()
    may_end.set()
    first.join()
    assert said == [[], [], ["one"]]
    assert len(httpserver.log) == 1
    look()
    assert len(httpserver.log) == 1, "told once, whoever looks later"


@pytest.mark.parametrize("ahead", [timedelta(seconds=2), TURN - timedelta(seconds=1)])
def test_a_turn_of_a_machine_whose_clock_is_ahead_stands(
    engine: Engine, httpserver: HTTPServer, ahead: timedelta
) -> None:
    """Two machines are never quite in step: what one is telling the other leaves to it."""
    httpserver.expect_request("/alerts").respond_with_data("")
    _follow(engine, {"a": "one"})
    with Session(engine) as session, session.begin():
        session.execute(insert(Pace).values(name="alerts", free_at=NOW + ahead + TURN))

    assert tell(engine, [_target(httpserver)], business="Olive & Oak", now=NOW) == []
    assert _alerts(engine) == [("a", False, False)]


def test_a_turn_that_nobody_gave_back_ends_by_itself(
    engine: Engine, httpserver: HTTPServer
) -> None:
    """Who died between telling and noting it leaves the alert to others: rather twice than never.

    So does one whose clock was ahead: an instant that was given as ``--as-of``, for example.
    """
    httpserver.expect_request("/alerts").respond_with_data("")
    _follow(engine, {"a": "one"})
    for taken_at, is_told in ((NOW, False), (NOW - TURN, True), (NOW + 9 * HOUR, True)):
        with Session(engine) as session, session.begin():
            session.execute(insert(Pace).values(name="alerts", free_at=taken_at + TURN))
            session.execute(update(Alert).values(told_at=None))
        tell(engine, [_target(httpserver)], business="Olive & Oak", now=NOW)
        assert _alerts(engine) == [("a", is_told, False)]
        with Session(engine) as session, session.begin():
            session.execute(delete(Pace))


def test_who_has_no_targets_leaves_it_to_be_told_by_who_has(
    engine: Engine, httpserver: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine that was given no targets logs an alert once, and keeps it from nobody."""
    httpserver.expect_request("/alerts").respond_with_data("")
    for hours in range(3):
        _follow(engine, {"a": "one"}, hours)
        assert tell(engine, [], business="Olive & Oak", now=NOW + hours * HOUR) == []
    assert [one.getMessage() for one in caplog.records] == ["alert: one"]
    assert _alerts(engine) == [("a", False, False)]

    _follow(engine, {"a": "one"}, 3)
    told = tell(engine, [_target(httpserver)], business="Olive & Oak", now=NOW + 3 * HOUR)

    assert told == ["one"]
    assert [request.get_json()["message"] for request, _ in httpserver.log] == ["one"]
    assert _alerts(engine) == [("a", True, False)]


def test_targets_that_cannot_be_read_say_so_and_keep_their_secret(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistyped URL holds a password still: it is counted in the log, never shown."""
    _follow(engine, {"a": "one"})
    with caplog.at_level(logging.DEBUG):
        said = tell(engine, ["nosuch://user:hunter2@x"], business="Olive & Oak", now=NOW)
    assert said == []
    assert "the target 1 of 1 cannot be read" in caplog.text
    assert "hunter2" not in caplog.text
    assert _alerts(engine) == [("a", False, False)]


def test_targets_come_from_the_environment_and_print_masked(tmp_path: object) -> None:
    """Divided by spaces, since some of them hold commas."""
    written = "mailto://u:pw@mail.example.com?to=a@b.example,c@d.example json://host.example"
    environment = read_environment(
        {"WINBACK_ALERT_URLS": written, "WINBACK_SECRET": "s", "WINBACK_HOME": str(tmp_path)}
    )
    assert [one.get_secret_value() for one in environment.alert_urls] == written.split()
    assert "pw@" not in repr(environment)
