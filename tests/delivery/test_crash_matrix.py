"""The crash matrix: a process dies at every commit and every call, and nothing goes twice or lost.

FACTS.md DS-20 and DS-23. Each test is one life of a small shop: a real process passes the whole
day and dies, another one goes on where it stood, and the stand-in providers' own record says
whether anybody got a message twice (P1) or never (P2).
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.delivery.crash_child import beat_once, run, serving
from tests.delivery.crash_fates import End, Fate
from tests.delivery.crash_shop import (
    BEFORE,
    DOUBTED,
    DUE,
    LATER,
    NEW,
    TODAY,
    YESTERDAY,
    Life,
    add_customers,
    living,
    make_home,
)
from tests.soak.servers import fresh_database
from winback.failpoints import CALLS, COMMITS, EXIT_CODE, FAILPOINTS
from winback.sandbox.faults import ByChance, Fault, FaultPlan
from winback.states import MessageState


def _day(day: object) -> tuple[str, ...]:
    return ("run", "--as-of", str(day))


def _send(day: object) -> tuple[str, ...]:
    return ("send", "--as-of", str(day))


_BY_HAND: Final = (
    "voucher.import",
    "voucher.export",
    "voucher.redeem",
    "pause.by_hand",
    "customer.by_hand",
    "desk.case",
    "events.replay",
    "settle.by_hand",
)
"""What a person types; the others happen by themselves."""

_FIRST_START: Final = ("start.upgrade", "start.belong")
_ELSEWHERE: Final = {*_FIRST_START, "worker.beat", "send.close", "web.keep", *_BY_HAND}
"""Passed before there is anything, in long or bad runs only, by the receiver, or by hand."""

_OF_THE_DAY: Final = tuple(name for name in COMMITS if name not in _ELSEWHERE)

_IN_DOUBT: Final = ("send.claim", "pace.turn", "send.record", "sendgrid", "twilio")
"""Between claim and result nobody knows what was sent: only here a message may stay in doubt."""

_SURE: Final = ("send.claim.before_commit", "send.record.after_commit")
"""Of these, the two on the outer side."""

_CARRY_PROMISES: Final = (
    *("pull.part", "detect.enroll", "queue.plan", "worker.begin", "worker.end"),
    *("send.settle", "send.claim", "send.record", "evidence.record", "respond.events"),
)
"""Commits on which a message or an answer hangs; the others are asked in the soak."""


def _points(*names: str) -> list[str]:
    return [point for point in FAILPOINTS if point.rpartition(".")[0] in names]


_APART: Final = ("alert.told",)
"""Who dies while telling keeps the turn of telling for a while: nobody can die of it again."""

_DEATHS: Final = [
    *(_points(name) for name in (*_OF_THE_DAY, *CALLS) if name not in (*_IN_DOUBT, *_APART)),
    *([point] for point in _points(*_APART)),
]

_RESUME: Final = ("resume", "--channel", "sms", "--as-of", str(TODAY))
_ONCE: Final = ("voucher.redeem", "settle.by_hand")

Begin = Callable[[], AbstractContextManager[Life]]


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)],
)
def server(request: pytest.FixtureRequest) -> str | None:
    """Give each of the two database servers: None stands for SQLite, which needs none."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="module")
def yesterday(server: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder with a shop that has seen yesterday: its home, its database, the record."""
    folder = tmp_path_factory.mktemp("yesterday")
    make_home(folder / "home")
    with fresh_database(folder, server) as url:
        with living(folder / "home", url, folder / "record.db") as life:
            assert run(life.place, [_day(BEFORE)]) == 0, life.place.told()
            # One mail of yesterday is in doubt: today there is one to look for, and to tell of.
            add_customers(folder / "home", DOUBTED, YESTERDAY)
            life.stand.faults = FaultPlan(choose=ByChance(1, {Fault.DROP_BEFORE: 1}))
            assert run(life.place, [_day(f"{YESTERDAY}T08:30")]) == 0, life.place.told()
            life.stand.faults = FaultPlan()
            add_customers(folder / "home", DUE, YESTERDAY)
            assert run(life.place, [_day(YESTERDAY)]) == 0, life.place.told()
            life.hear(applies_at_once=False)
        (folder / "url").write_text(url, encoding="utf-8")
        yield folder


@pytest.fixture
def begin(server: str | None, yesterday: Path, tmp_path: Path) -> Begin:
    """Give what begins a life on the morning of the day on which everything happens."""

    @contextmanager
    def begun() -> Iterator[Life]:
        home = shutil.copytree(yesterday / "home", tmp_path / "home")
        add_customers(home, NEW, TODAY)
        record = Path(shutil.copy(yesterday / "record.db", tmp_path))
        like = (yesterday / "url").read_text(encoding="utf-8")
        with fresh_database(tmp_path, server, like) as url, living(home, url, record) as life:
            yield life

    return begun


_ALL_FAIL: Final = FaultPlan(choose=ByChance(1, {Fault.ERROR_AFTER: 1}))


def die(life: Life, *points: str) -> None:
    """Begin the day, and begin it again, each time to die at the next of these points."""
    for point in points:
        assert run(life.place, [_day(TODAY)], Fate(dies_at=point)) == EXIT_CODE, point


def go_on(life: Life, *, until_later: bool = True) -> None:
    """Start again and run to rest: today, and with the news until doubts are a day old."""
    assert run(life.place, [_day(TODAY), _send(TODAY)]) == 0, life.place.told()
    if until_later:
        life.hear()
        assert run(life.place, [_send(LATER)]) == 0, life.place.told()


@pytest.mark.parametrize("points", _DEATHS, ids=" then ".join)
def test_a_day_that_dies_before_and_after_a_commit_or_a_call_loses_nothing(
    begin: Begin, points: list[str]
) -> None:
    """P1 and P2 where nobody is being called: a crash, and a crash after it, leave no trace."""
    with begin() as life:
        die(life, *points)

        go_on(life, until_later=False)

        life.judge()


@pytest.mark.parametrize("point", _points(*_IN_DOUBT))
def test_a_day_that_dies_around_a_call_sends_nothing_twice_and_loses_nothing(
    begin: Begin, point: str
) -> None:
    """P1 and P2 where nobody knows what was sent: each is accepted once, or listed (DS-1)."""
    with begin() as life:
        die(life, point)

        go_on(life)

        life.judge(may_doubt=point not in _SURE)


@pytest.mark.soak
@pytest.mark.parametrize("point", _points(*_OF_THE_DAY, *CALLS))
def test_a_day_that_dies_once_ends_as_any_other(begin: Begin, point: str) -> None:
    """Each point alone, and all that follows until doubts are a day old."""
    with begin() as life:
        die(life, point)

        go_on(life)

        life.judge(may_doubt=point.rpartition(".")[0] in _IN_DOUBT)


@pytest.mark.parametrize("point", ["sendgrid.before_call:3", "sendgrid.after_call:3"])
def test_a_worker_that_dies_among_many_calls_leaves_only_doubts(begin: Begin, point: str) -> None:
    """Some calls are through, some on their way, some not begun: each row is what it can be."""
    with begin() as life:
        die(life, point)

        go_on(life)

        life.judge(may_doubt=True)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in _CARRY_PROMISES else pytest.mark.soak)
        for name in _OF_THE_DAY
    ],
)
def test_a_commit_whose_answer_is_lost_sends_nothing_twice_and_loses_nothing(
    begin: Begin, name: str
) -> None:
    """DS-23: the process is told that the connection broke; once it is so, once it is not."""
    with begin() as life:
        for end in (End.UNDONE, End.LOST):
            # It may go on, try again or end: but no later run may pay for it.
            run(life.place, [_day(TODAY)], Fate(commit=name, end=end))

        go_on(life)

        life.judge(may_doubt=name in _IN_DOUBT)


@pytest.mark.parametrize("name", ["send.claim", "send.record"])
def test_a_process_that_dies_between_commit_and_answer_is_as_safe(begin: Begin, name: str) -> None:
    """DS-23: COMMIT is on its way, and nobody is there any more to hear what became of it."""
    with begin() as life:
        fate = Fate(commit=name, end=End.SENT)
        assert run(life.place, [_day(TODAY)], fate) == EXIT_CODE

        go_on(life)

        life.judge(may_doubt=True)


def test_a_first_start_that_dies_leaves_a_database_to_begin_with(
    server: str | None, tmp_path: Path
) -> None:
    """Killed before and after the schema, or whose it is, is committed, the next has it whole."""
    make_home(tmp_path / "home")
    record = tmp_path / "record.db"
    with (
        fresh_database(tmp_path, server) as url,
        living(tmp_path / "home", url, record) as life,
    ):
        for point in _points(*_FIRST_START):
            assert run(life.place, [_day(BEFORE)], Fate(dies_at=point)) == EXIT_CODE

        assert run(life.place, [_day(BEFORE)]) == 0, life.place.told()

        heard = Counter(mail.to_address for mail in life.stand.record.mails())
        assert len(heard) == life.customers()
        assert set(heard.values()) == {1}


@pytest.mark.parametrize("point", _points("send.close"))
def test_a_worker_that_dies_as_it_closes_a_channel_leaves_only_doubts(
    begin: Begin, point: str
) -> None:
    """A provider that accepts and says 500 to all: closed or not, nobody is written to twice."""
    with begin() as life:
        life.stand.faults = _ALL_FAIL
        die(life, point)
        life.stand.faults = FaultPlan()

        go_on(life)

        life.judge(may_doubt=True)


@pytest.mark.parametrize("point", _points("worker.beat"))
def test_a_worker_that_dies_while_it_beats_holds_nothing_back(begin: Begin, point: str) -> None:
    """A lease of nobody is found dead at once on its own machine (DS-10)."""
    with begin() as life:
        assert beat_once(life.place, Fate(dies_at=point)) == EXIT_CODE

        go_on(life, until_later=False)

        life.judge()


@pytest.mark.parametrize("point", _points("web.keep", "respond.events"))
def test_a_receiver_that_dies_loses_no_news_and_takes_none_twice(begin: Begin, point: str) -> None:
    """What was not answered is posted again, and known by its key (SG-22, SG-24, DS-13)."""
    with begin() as life:
        assert run(life.place, [_day(TODAY)]) == 0, life.place.told()
        with serving(life.place, Fate(dies_at=point)) as dying:
            life.report_to(dying.url)
        assert dying.exit_code == EXIT_CODE

        with serving(life.place) as server:
            life.report_to(server.url)
        assert run(life.place, [("respond", "--as-of", str(TODAY))]) == 0, life.place.told()

        life.judge()
        mails = {mail.send_id for mail in life.stand.record.mails()}
        assert mails <= life.send_ids(MessageState.DELIVERED)


@pytest.mark.parametrize("name", _BY_HAND)
def test_what_a_person_types_happens_whole_or_not_at_all(begin: Begin, name: str) -> None:
    """A command that dies is typed again, and the day goes on as if it had not."""
    with begin() as life:
        words = life.typed(name)
        for point in _points(name):
            assert run(life.place, [words], Fate(dies_at=point)) == EXIT_CODE

        again = run(life.place, [words])

        # It had happened the second time: what can be done once only says so.
        assert bool(again) == (name in _ONCE), life.place.told()
        if name == "pause.by_hand":
            assert run(life.place, [_RESUME]) == 0, life.place.told()
        go_on(life, until_later=False)
        life.judge(may_doubt=name == "settle.by_hand")


def test_no_commit_and_no_call_is_without_its_points(
    begin: Begin, server: str | None, tmp_path: Path
) -> None:
    """The matrix is complete: its lives pass every point, and nothing between two points twice."""
    told = tmp_path / "told"
    tells = Fate(tells=told)
    (tmp_path / "first").mkdir()
    make_home(tmp_path / "first" / "home")
    with (
        fresh_database(tmp_path / "first", server) as url,
        living(tmp_path / "first" / "home", url, tmp_path / "first" / "record.db") as life,
    ):
        assert run(life.place, [_day(BEFORE)], tells) == 0, life.place.told()
    with begin() as life:
        for name in _BY_HAND:
            assert run(life.place, [life.typed(name)], tells) == 0, life.place.told()
        assert run(life.place, [_RESUME]) == 0, life.place.told()
        # So bad a day that a channel is closed in it.
        life.stand.faults = _ALL_FAIL
        assert run(life.place, [_day(TODAY)], tells) == 0, life.place.told()
        assert beat_once(life.place, tells) == 0, life.place.told()
        with serving(life.place, tells) as receiver:
            life.report_to(receiver.url)

    lines = Counter(told.read_text(encoding="ascii").splitlines())
    assert set(FAILPOINTS) - set(lines) == set()
    for edges, what in (
        (("before_commit", "after_commit"), "COMMIT"),
        (("before_call", "after_call"), "CALL"),
    ):
        for edge in edges:
            passed = sum(count for line, count in lines.items() if line.endswith(edge))
            assert passed == lines[what], f"{what} without {edge}"
