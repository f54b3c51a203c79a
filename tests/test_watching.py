"""What the operator is told at once: brakes, closed channels, failures, and silence."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session
from werkzeug import Request, Response

from tests.conftest import NOW
from tests.delivery.shop import Shop, make_business
from winback.clock import SetClock
from winback.database.tables import Alert, ChannelPause, Pause, StageRun
from winback.enrollment.pausing import OPERATOR, PauseScope, pause
from winback.listening import watching
from winback.states import Channel, Stage
from winback.watching import SILENT_AFTER, look_after

HOUR = timedelta(hours=1)


def _ran(engine: Engine, at: datetime, *, stage: Stage = Stage.SEND, error: str = "") -> None:
    with Session(engine) as session, session.begin():
        session.execute(
            insert(StageRun).values(
                stage=stage, as_of=at, started_at=at, ended_at=at, by="flow", counts={}, error=error
            )
        )


def _look(shop: Shop, at: datetime) -> list[str]:
    return look_after(shop.business, now=at, at=at)


def test_silence_is_told_where_work_is_due_and_once(engine: Engine) -> None:
    """A worker that died on Friday is missed on Saturday, not in the weekly report."""
    shop = Shop(make_business(engine))
    shop.enroll()
    assert _look(shop, NOW) == [], "a business that never ran is not silent yet"
    _ran(engine, NOW)
    assert _look(shop, NOW + SILENT_AFTER - HOUR) == []
    [told] = _look(shop, NOW + SILENT_AFTER + HOUR)
    assert told.startswith("nothing was sent or looked at for 27 hours, and work is due")
    _ran(engine, NOW + 2 * SILENT_AFTER)
    assert _look(shop, NOW + 2 * SILENT_AFTER + HOUR) == []
    with Session(engine) as session:
        assert session.scalars(select(Alert.ended_at)).one() is not None, "it is over"


def test_silence_is_no_alarm_where_nothing_is_due_or_all_is_paused(engine: Engine) -> None:
    """Nobody is woken up for an empty shop, or for a pause that somebody meant."""
    shop = Shop(make_business(engine))
    _ran(engine, NOW)
    assert _look(shop, NOW + 2 * SILENT_AFTER) == []
    shop.enroll()
    with Session(engine) as session, session.begin():
        pause(session, PauseScope.ALL, by=OPERATOR, why="holidays", now=NOW)
    assert _look(shop, NOW + 2 * SILENT_AFTER) == []


def test_a_failed_stage_a_closed_channel_and_a_brake_are_told(engine: Engine) -> None:
    """Each is a fact of its own; the sentence says what to do, and names nobody."""
    shop = Shop(make_business(engine))
    _ran(engine, NOW, stage=Stage.PULL, error="SourceError")
    with Session(engine) as session, session.begin():
        session.execute(
            insert(ChannelPause).values(
                channel=Channel.SMS, why="20003 refused", paused_at=NOW, try_again_at=NOW + HOUR
            )
        )
        session.execute(
            insert(Pause).values(
                scope="campaign", name="six-month", by="brake", why="3 of 9 bounced", paused_at=NOW
            )
        )
    told = _look(shop, NOW)
    assert len(told) == 3
    assert any("campaign six-month stopped by itself: 3 of 9 bounced" in one for one in told)
    assert any("sms stands still: 20003 refused" in one for one in told)
    assert any("the last pull run ended early with SourceError" in one for one in told)
    assert _look(shop, NOW + HOUR) == [], "told once"


def test_the_web_process_notices_that_nothing_runs(engine: Engine, httpserver: HTTPServer) -> None:
    """Who could tell that the schedules died? The receiver, which lives by itself."""
    shop = Shop(make_business(engine))
    shop.enroll()
    _ran(engine, NOW)
    target = SecretStr(f"json://127.0.0.1:{httpserver.port}/alerts")
    environment = replace(shop.business.environment, alert_urls=(target,))
    business = replace(shop.business, environment=environment)
    heard = threading.Event()
    httpserver.expect_request("/alerts").respond_with_handler(_noting(heard))
    with watching(business, SetClock(NOW + 2 * SILENT_AFTER), every_seconds=0.01):
        assert heard.wait(30)


def _noting(heard: threading.Event) -> Callable[[Request], Response]:
    def handler(_request: Request) -> Response:
        heard.set()
        return Response("")

    return handler
