"""The database is away while calls are on their way: nothing is lost, and nothing hangs."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import Connection, event, insert, make_url, select, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop, make_business
from tests.delivery.virtual import LoopClock, VirtualLoop, run_virtually
from winback.database.engine import make_engine
from winback.database.tables import ChannelPause, Message
from winback.delivery.patience import AGAIN_AFTER, Patience
from winback.providers.outgoing import Accepted, Outgoing, Result, Unclear
from winback.states import Channel, MessageState

S = MessageState
MINUTE = timedelta(minutes=1)


_CLOSED = OperationalError(None, None, Exception("the server closed the connection"))


@dataclass(slots=True)
class Outage:
    """A database that gives no connection while ``is_on``."""

    shop: Shop
    error: DBAPIError = _CLOSED
    is_on: bool = False
    tries: int = 0
    was_on: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Stand between the pool and whoever wants a connection."""
        event.listen(self.shop.engine, "checkout", self._refuse)

    def _refuse(self, *_of_the_pool: object) -> None:
        if self.is_on:
            self.tries += 1
            raise self.error

    def begins_with(self, result: Result) -> None:
        """Let all calls end so, and the database be away from the first of them on."""

        def answer(_: Outgoing) -> Result:
            self.is_on = self.is_on or not self.was_on
            self.was_on.append(self.is_on)
            return result

        self.shop.mail.answer = answer
        self.shop.mail.takes = lambda _: 1.0

    def ends_at(self, seconds: float) -> None:
        """Send, and let the database come back after so many seconds."""

        def look(at: float) -> None:
            if at == seconds:
                self.is_on = False

        self.shop.send_in_time(look)


def states(shop: Shop) -> dict[MessageState, int]:
    """Count the messages by their state."""
    found = [one.state for one in shop.messages()]
    return {state: found.count(state) for state in set(found)}


@pytest.mark.parametrize("was_closed", [False, True])
def test_a_channel_that_cannot_be_closed_now_is_closed_later(
    shop: Shop, *, was_closed: bool
) -> None:
    """Provider and database gone at once: the run goes to its end, and every doubt is listed (P2).

    In the database the channel is closed as soon as that is back; here nobody calls meanwhile.
    """
    if was_closed:
        closed = {"why": "", "paused_at": shop.now - 5 * MINUTE, "strikes": 1}
        with Session(shop.engine) as session, session.begin():
            session.execute(
                insert(ChannelPause).values(
                    channel=Channel.EMAIL, try_again_at=shop.now - MINUTE, **closed
                )
            )
    shop.limit(in_flight=8)
    for _ in range(20):
        shop.enroll(phones=[])
    outage = Outage(shop)
    outage.begins_with(Unclear("the reply was lost"))

    outage.ends_at(30.0)

    called = 1 if was_closed else 8
    assert len(shop.mail.sent) == called
    assert states(shop) == {S.UNCONFIRMED: called, S.QUEUED: 20 - called}
    assert outage.tries > 1
    with Session(shop.engine) as session:
        assert session.scalars(select(ChannelPause.strikes)).all() == [2 if was_closed else 1]


@pytest.mark.parametrize("seconds", [5.0, 150.0])
def test_results_wait_for_the_database(shop: Shop, seconds: float) -> None:
    """A lock that is held for minutes, or a restart of the server: no call becomes a doubt (P2)."""
    shop.limit(in_flight=8)
    for _ in range(20):
        shop.enroll(phones=[])
    outage = Outage(shop)
    outage.begins_with(Accepted("id"))

    outage.ends_at(seconds)

    assert states(shop) == {S.ACCEPTED: 20}
    assert len({one.send_id for one in shop.mail.sent}) == len(shop.mail.sent) == 20
    # What was on its way ended; nothing new was claimed, and so nobody else called.
    assert outage.was_on.count(True) == 8


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(
            InternalError(None, None, psycopg.errors.ReadOnlySqlTransaction()), id="a-standby"
        ),
        pytest.param(
            InterfaceError(None, None, psycopg.InterfaceError("the connection is closed")),
            id="a-closed-connection",
        ),
        pytest.param(
            DBAPIError(None, None, Exception(), connection_invalidated=True), id="a-lost-one"
        ),
    ],
)
def test_results_wait_while_another_server_takes_over(shop: Shop, error: DBAPIError) -> None:
    """A failover has many faces, and none of them makes a doubt of what was accepted (P2)."""
    shop.limit(in_flight=8)
    for _ in range(20):
        shop.enroll(phones=[])
    outage = Outage(shop, error)
    outage.begins_with(Accepted("id"))

    outage.ends_at(5.0)

    assert states(shop) == {S.ACCEPTED: 20}
    assert len(shop.mail.sent) == 20


def test_a_wrong_statement_is_no_outage(shop: Shop) -> None:
    """It stays wrong however long one waits, so the run ends at once and says so."""
    for _ in range(3):
        shop.enroll(phones=[])
    outage = Outage(shop, ProgrammingError(None, None, Exception("no such column")))
    outage.begins_with(Accepted("id"))

    with pytest.raises(ProgrammingError):
        outage.ends_at(3600.0)

    assert outage.tries < 10


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_connections_to_a_server_that_became_a_standby_are_left(shop: Shop) -> None:
    """It answers and reads, and would refuse each write for ever: others took its place."""
    shop.limit(in_flight=8)
    for _ in range(20):
        shop.enroll(phones=[])
    old: set[int] = set()
    refused: list[str] = []

    def demote(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        if driver.info.backend_pid in old:
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    def answer(_: Outgoing) -> Result:
        if not old:
            with Session(shop.engine) as session:
                old.update(session.scalars(text("select pid from pg_stat_activity")))
        return Accepted("id")

    event.listen(shop.engine, "begin", demote)
    event.listen(
        shop.engine,
        "handle_error",
        lambda context: refused.append(type(context.original_exception).__name__),
    )
    shop.mail.answer = answer
    shop.mail.takes = lambda _: 1.0

    shop.send_in_time()

    assert states(shop) == {S.ACCEPTED: 20}
    assert set(refused) == {"ReadOnlySqlTransaction"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_row_that_another_holds_does_not_stop_the_loop(database_url: str) -> None:
    """PostgreSQL waits for a row as long as it takes: results are put off, and replies are read."""
    # So that this ends, too, where nothing else ends the wait.
    guard = {"options": "-c statement_timeout=20000"}
    url = make_url(database_url).update_query_dict(guard)
    engine = make_engine(url.render_as_string(hide_password=False))
    shop, ended = Shop(make_business(engine)), list[str]()
    shop.enroll(phones=[])
    with Session(engine) as other:

        def hold(_: Outgoing) -> Result:
            other.execute(select(Message.id).with_for_update())
            return Accepted("id")

        def let_go(context: ExceptionContext) -> None:
            ended.append(type(context.original_exception).__name__)
            other.rollback()

        shop.mail.answer = hold
        event.listen(engine, "handle_error", let_go)
        shop.send_in_time()

    assert ended == ["LockNotAvailable"]
    assert states(shop) == {S.ACCEPTED: 1}
    engine.dispose()


def test_results_do_not_wait_for_a_slow_call(shop: Shop) -> None:
    """Once the database is back they are written, whoever has not answered yet: a crash may come.

    And nobody turns round and round meanwhile: then no time would pass here.
    """
    shop.limit(in_flight=8)
    for _ in range(6):
        shop.enroll(phones=[])
    outage = Outage(shop)
    outage.begins_with(Accepted("id"))
    takes = iter([20.0])
    shop.mail.takes = lambda _: next(takes, 0.2)
    seen: dict[float, dict[MessageState, int]] = {}

    def look(at: float) -> None:
        if at == 3.0:
            outage.is_on = False
        if at == 6.0:
            seen[at] = states(shop)

    shop.send_in_time(look)

    assert seen == {6.0: {S.ACCEPTED: 5, S.SENDING: 1}}
    assert states(shop) == {S.ACCEPTED: 6}


def test_who_is_ended_in_a_long_outage_still_tries_for_a_while(shop: Shop) -> None:
    """What is known of calls is worth half a minute, however long it has waited already."""
    for _ in range(3):
        shop.enroll(phones=[])
    outage = Outage(shop)
    outage.begins_with(Accepted("id"))
    loop = VirtualLoop()

    async def ended() -> None:
        sending = asyncio.ensure_future(shop.sending(LoopClock(shop.now, loop)))
        await asyncio.sleep(60.0)
        sending.cancel()
        await asyncio.sleep(10.0)
        outage.is_on = False
        await asyncio.gather(sending, return_exceptions=True)

    run_virtually(loop, ended())

    assert states(shop) == {S.ACCEPTED: 3}


def test_a_database_that_stays_away_ends_the_run(shop: Shop) -> None:
    """After ten minutes it is told; what was called is in doubt with the next run (DS-10)."""
    for _ in range(3):
        shop.enroll(phones=[])
    outage = Outage(shop)
    outage.begins_with(Accepted("id"))

    with pytest.raises(OperationalError):
        outage.ends_at(3600.0)

    outage.is_on = False
    assert states(shop) == {S.SENDING: 3}
    shop.now += timedelta(hours=2)
    assert shop.send().unconfirmed == 3


def test_patience_has_an_end() -> None:
    """Each failed try is followed by another one a little later, until it was long enough."""
    patience = Patience(longest=10.0)
    assert patience.fails(100.0)
    assert patience.waits(100.0)
    assert not patience.waits(100.0 + AGAIN_AFTER)
    assert patience.fails(109.9)
    assert not patience.fails(110.0)
    patience.is_over()
    assert not patience.is_tried
    assert patience.fails(200.0)
