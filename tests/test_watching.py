"""What the operator is told at once: brakes, closed channels, failures, and silence."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.orm import Session
from werkzeug import Request, Response

from tests.conftest import NOW
from tests.delivery.shop import Shop, make_business
from winback.business import Business
from winback.clock import SetClock
from winback.database.tables import Alert, ChannelPause, Event, Message, Pause, StageRun
from winback.delivery.brakes import apply_brakes
from winback.delivery.leases import beat, begin_worker
from winback.delivery.news import apply_news
from winback.delivery.settling import Verdict, settle_by_hand
from winback.enrollment.pausing import OPERATOR, PauseScope, pause
from winback.errors import Mistake
from winback.listening import watching
from winback.outcomes.runs import usual_rest
from winback.providers.outgoing import Unclear
from winback.states import Channel, EventKind, Stage
from winback.watching import SILENT_AFTER, look_after

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def _ran(engine: Engine, *times: datetime, stage: Stage = Stage.SEND, error: str = "") -> None:
    with Session(engine) as session, session.begin():
        session.execute(
            insert(StageRun),
            [_run(stage, at) | {"ended_at": at, "error": error} for at in times],
        )


def _began(engine: Engine, *times: datetime, stage: Stage = Stage.SEND) -> None:
    """Begin runs that do not end: at work still, or killed."""
    with Session(engine) as session, session.begin():
        session.execute(insert(StageRun), [_run(stage, at) for at in times])


def _run(stage: Stage, at: datetime) -> dict[str, Any]:
    return {"stage": stage, "as_of": at, "started_at": at, "by": "flow", "counts": {}}


def _end_all(engine: Engine, at: datetime, error: str = "") -> None:
    with Session(engine) as session, session.begin():
        session.execute(
            update(StageRun).where(StageRun.ended_at.is_(None)).values(ended_at=at, error=error)
        )


def _standing(engine: Engine) -> list[str]:
    with Session(engine) as session:
        query = select(Alert.key).where(Alert.ended_at.is_(None)).order_by(Alert.key)
        return list(session.scalars(query))


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
    assert told.startswith("no send run ended well for 27 hours, and work is due")
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


def test_a_brake_that_is_to_come_is_told_at_once(engine: Engine) -> None:
    """Bounces that came after the send are told now, not when the next one begins (LAW-21)."""
    shop = Shop(make_business(engine))
    for _ in range(12):
        shop.enroll()
    shop.send()
    with Session(engine) as session, session.begin():
        for one in shop.messages()[:10]:
            apply_news(session, one.id, EventKind.BOUNCED, at=NOW)

    [told] = _look(shop, NOW + HOUR)
    with Session(engine) as session, session.begin():
        apply_brakes(session, now=NOW + DAY, settings=shop.business.settings)

    assert told == (
        "campaign six-month stops before its next message: 10 of 12 mails of 2026-03-02 bounced; "
        "more than 2 % harms the domain's name; winback resume lets it go on then"
    )
    assert _look(shop, NOW + DAY) == [], "the same fact, told once"
    assert _standing(engine) == ["brake:six-month"]


def test_a_stage_that_fails_each_time_is_told_once(engine: Engine) -> None:
    """The next run has only begun: it proves nothing yet, and whoever looks meanwhile sees that."""
    shop = Shop(make_business(engine))
    told = []
    for quarter in range(4):
        begun = NOW + quarter * HOUR / 4
        _began(engine, begun)
        told += _look(shop, begun + HOUR / 10)
        _end_all(engine, begun + HOUR / 6, "OperationalError")
        told += _look(shop, begun + HOUR / 6)
    assert told == ["the last send run ended early with OperationalError; see its log"]
    _ran(engine, NOW + HOUR)
    assert _look(shop, NOW + HOUR) == []
    assert _standing(engine) == []


def test_sends_that_are_killed_each_time_are_told(engine: Engine) -> None:
    """A process that runs out of memory every quarter of an hour leaves no error, and no end."""
    shop = Shop(make_business(engine))
    shop.enroll()
    _began(engine, *(NOW + quarter * HOUR / 4 for quarter in range(5 * 24 * 4)))
    at = NOW + 5 * DAY
    killed, silence = _look(shop, at)
    assert killed == "a send run began 3 hours ago and never ended; was its process killed?"
    assert silence.startswith("no send run ended well for 120 hours, and work is due")
    _ran(engine, at)
    assert _look(shop, at) == []
    assert _standing(engine) == []


def test_a_run_that_is_still_at_work_is_not_called_killed(engine: Engine) -> None:
    """A send run drains a big day for hours at the pace of texts: its worker beats meanwhile."""
    shop = Shop(make_business(engine))
    _began(engine, NOW)
    _began(engine, NOW, stage=Stage.PULL)
    with Session(engine) as session, session.begin():
        worker = begin_worker(session, NOW + HOUR / 60)
    for at in (NOW + 2 * HOUR, NOW + 5 * HOUR):
        with Session(engine) as session, session.begin():
            assert beat(session, worker, at)
        _look(shop, at)
        assert _standing(engine) == ([] if at == NOW + 2 * HOUR else ["failed:pull"])
    _look(shop, at + HOUR)
    assert _standing(engine) == ["failed:pull", "failed:send"]


def test_a_day_that_is_missed_is_told_while_sends_go_on(engine: Engine) -> None:
    """Without pull nobody is known to have bought, without detect nobody enters."""
    shop = Shop(make_business(engine))
    daily = [stage for stage in Stage if stage is not Stage.SEND]
    for stage in daily:
        _ran(engine, NOW, stage=stage)
    _ran(engine, NOW + 5 * DAY)
    assert _look(shop, NOW + 5 * DAY) == [], "once is not daily: perhaps it was tried by hand"
    for stage in daily:
        _ran(engine, NOW + 5 * DAY, NOW + 6 * DAY, stage=stage)
    _ran(engine, NOW + 7 * DAY, stage=Stage.RESPOND)
    _ran(engine, NOW + 7 * DAY + 7 * HOUR)
    assert _look(shop, NOW + 7 * DAY + 5 * HOUR) == []
    [told] = _look(shop, NOW + 7 * DAY + 7 * HOUR)
    assert told.startswith("no run of pull, detect, measure ended well for 31 hours")
    assert _look(shop, NOW + 8 * DAY) == [], "told once"
    for stage in daily:
        _ran(engine, NOW + 8 * DAY + HOUR, stage=stage)
    _ran(engine, NOW + 8 * DAY + HOUR)
    _look(shop, NOW + 8 * DAY + HOUR)
    assert _standing(engine) == []


def test_a_missed_day_is_no_alarm_while_all_is_paused(engine: Engine) -> None:
    """What somebody stopped is meant to stand still; a stage that fails is told as failed."""
    shop = Shop(make_business(engine))
    _ran(engine, NOW, NOW + DAY, stage=Stage.PULL)
    _ran(engine, NOW, NOW + DAY, stage=Stage.DETECT)
    _ran(engine, NOW + 2 * DAY, stage=Stage.PULL, error="SourceError")
    at = NOW + 3 * DAY
    _look(shop, at)
    assert _standing(engine) == ["failed:pull", "silence:day"]
    with Session(engine) as session:
        text = session.scalar(select(Alert.text).where(Alert.key == "silence:day"))
        assert text is not None
        assert text.startswith("no run of detect ended well for 48 hours")
    with Session(engine) as session, session.begin():
        pause(session, PauseScope.ALL, by=OPERATOR, why="holidays", now=at)
    _look(shop, at)
    assert _standing(engine) == ["failed:pull"]


@pytest.mark.parametrize(
    ("days", "rest"),
    [
        pytest.param([0], None, id="once"),
        pytest.param([0, 1], 1, id="two days in a row"),
        pytest.param([0, 3], None, id="by hand"),
        pytest.param(range(15), 1, id="every day"),
        pytest.param([0, 1, 2, 3, 4, 7, 8, 9, 10, 11], 3, id="weekdays, and it is Friday"),
        pytest.param([0, 1, 2, 3, 4, 7, 8, 9, 10], 1, id="weekdays, and it is Thursday"),
        pytest.param([0, 7, 14], 7, id="each week"),
    ],
)
def test_when_the_next_run_is_due_is_read_from_the_last_week(
    days: Sequence[int], rest: int | None
) -> None:
    """A shop whose day runs on weekdays is not told each Saturday that it did not run."""
    late = [NOW + day * DAY + (day % 3) * HOUR for day in days]
    assert usual_rest(late) == (None if rest is None else rest * DAY)


@pytest.mark.parametrize(
    ("days", "by_hand", "rest"),
    [
        pytest.param(range(10), 9.5, 1, id="in the evening of a daily run"),
        pytest.param(range(2), 1.5, 1, id="in the evening of the second day"),
        pytest.param(range(10), 10.5, 1, id="in the evening of a day that was missed"),
        pytest.param([0, 1, 2, 3, 4, 7, 8, 9, 10, 11], 12.5, 1.5, id="on a free Saturday"),
        pytest.param([0, 7, 14], 16.5, 4.5, id="between two weekly runs"),
        pytest.param([0, 1], 6.5, None, id="days after two tries"),
    ],
)
def test_a_run_by_hand_at_another_hour_hides_no_schedule(
    days: Sequence[int], by_hand: float, rest: float | None
) -> None:
    """What runs each morning is still missed the morning after somebody ran it in the evening.

    It may be late by a day after that run: somebody looked after it not long ago.
    """
    ended = [*(NOW + day * DAY for day in days), NOW + by_hand * DAY]
    assert usual_rest(ended) == (None if rest is None else rest * DAY)


def test_one_run_by_hand_does_not_silence_a_missed_day(engine: Engine) -> None:
    """Who ran it on a free Saturday is told on Monday that nothing ran in the morning."""
    shop = Shop(make_business(engine))
    friday = 4
    mornings = [week * 7 + day for week in range(2) for day in range(friday + 1)]
    by_hand = NOW + 12.5 * DAY
    _ran(engine, *(NOW + day * DAY for day in mornings), by_hand, stage=Stage.DETECT)
    assert _look(shop, NOW + 14 * DAY + 5 * HOUR) == []
    [told] = _look(shop, NOW + 14 * DAY + 7 * HOUR)
    assert told.startswith("no run of detect ended well for 43 hours")


def test_a_doubt_that_nobody_settles_does_not_hide_later_ones(engine: Engine) -> None:
    """What stays unknown on another day is told again, once, and settling some is no news (P2)."""
    shop = Shop(make_business(engine))
    shop.mail.answer = lambda _: Unclear("lost")
    shop.enroll()
    shop.send()
    later = NOW + 30 * HOUR
    [told] = _look(shop, later)
    assert told.startswith("1 message stays unknown (1)")
    shop.now += 10 * DAY
    shop.enroll()
    shop.enroll()
    shop.send()
    assert _look(shop, shop.now + HOUR) == []
    later = shop.now + 30 * HOUR
    [told] = _look(shop, later)
    assert told.startswith("2 messages stay unknown")
    assert _look(shop, later) == []
    with Session(engine) as session, session.begin():
        newest = session.scalar(select(func.max(Message.id)))
        assert newest is not None
        settle_by_hand(session, shop.business, newest, Verdict.NOT_SENT, now=later)
    assert _look(shop, later) == []
    assert _standing(engine) == ["unknown:2026-03-02", "unknown:2026-03-12"]


def test_events_that_cannot_be_read_are_told_each_day_that_brings_more(engine: Engine) -> None:
    """They are kept: the first one must not hide that a provider changed its form since."""
    shop = Shop(make_business(engine))

    def hear(at: datetime) -> list[str]:
        dead = {"origin": "sendgrid.events", "body": {}, "received_at": at, "state": "dead"}
        with Session(engine) as session, session.begin():
            session.execute(insert(Event).values(key=f"e:{at}", **dead))
        return _look(shop, at)

    assert hear(NOW)[0].startswith("1 event could not be read")
    assert hear(NOW + HOUR) == []
    assert hear(NOW + 9 * DAY)[0].startswith("3 events could not be read")
    assert _look(shop, NOW + 10 * DAY) == []


def test_who_read_the_files_long_ago_leaves_what_they_tell(engine: Engine) -> None:
    """The web part lives for weeks; a run that sees a new mistake tells it once, not each run."""
    edit = Mistake("templates/six-month/concern.mjml", 3, "unknown variable", "")
    long_ago = make_business(engine)
    of_today = replace(long_ago, shelf=replace(long_ago.shelf, mistakes=(edit,)))

    def look(business: Business, hour: int, *, knows_files: bool) -> list[str]:
        at = NOW + hour * HOUR
        return look_after(business, now=at, at=at, knows_files=knows_files)

    assert look(of_today, 0, knows_files=True)[0].startswith("1 template cannot go live")
    assert look(long_ago, 1, knows_files=False) == []
    assert look(of_today, 2, knows_files=True) == [], "told already, and standing still"
    assert look(long_ago, 3, knows_files=True) == []
    assert look(of_today, 4, knows_files=False) == [], "mended since, for all that it knows"
    assert _standing(engine) == []


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
