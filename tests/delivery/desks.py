"""A desk right before its calls: a worker has begun, and claimed what is due."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop
from winback.delivery.calling import Desk
from winback.delivery.claiming import claim
from winback.delivery.composing import Claimed
from winback.delivery.due import due_messages
from winback.delivery.leases import Lease, begin_worker
from winback.delivery.queueing import queue_due
from winback.states import Channel

LOCKED = OperationalError(None, None, Exception("database is locked"))


def claimed_at_desk(shop: Shop, channel: Channel) -> tuple[Desk, Sequence[Claimed]]:
    """Claim what is due on a channel, by a new worker; gives it, and the desk to call it from."""
    run = shop.run()
    queue_due(run)
    with Session(shop.engine) as session, session.begin():
        worker = begin_worker(session, shop.now)
        ids = due_messages(session, shop.now)[channel]
        found = claim(session, run, ids, resting={}, worker_id=worker)
    sender = shop.texts if channel is Channel.SMS else shop.mail
    desk = Desk(run, {channel: sender}, Lease(worker, shop.now), shop.clock)
    desk.saw(found.pauses)
    return desk, found.claimed


@contextmanager
def failing(engine: Engine, table: str, error: DBAPIError = LOCKED) -> Iterator[list[str]]:
    """Let statements that name a table fail within the block; gives those that did."""
    failed: list[str] = []

    def fail(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if table in statement:
            failed.append(statement)
            raise error

    event.listen(engine, "before_cursor_execute", fail)
    try:
        yield failed
    finally:
        event.remove(engine, "before_cursor_execute", fail)
