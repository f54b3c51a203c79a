"""Take turns at the pace of a channel, shared by all workers through one row of the database."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, bindparam, insert, select, update
from sqlalchemy.orm import Session

from winback.database.bulk import on_conflict
from winback.database.tables import Pace, table_of
from winback.delivery.pace import BURST, reserve
from winback.failpoints import committing


class NoTurnSoon(Exception):
    """The next tokens are so far off that none were taken."""

    def __init__(self, starts_at: datetime) -> None:
        super().__init__("no turn soon")
        self.starts_at = starts_at


def take_turn(
    engine: Engine,
    name: str,
    amount: int,
    *,
    per_second: float,
    now: datetime,
    within: timedelta | None = None,
) -> datetime:
    """Reserve ``amount`` tokens of a bucket; gives from when on they are ours, one by one.

    Raises NoTurnSoon, and reserves nothing, where they would begin later than ``within``.

    ``now`` is the machine's clock, never an as-of instant. Owns its transaction. What is reserved
    and not used is lost: a worker that dies slows the others down for a moment, no more.
    """
    with Session(engine) as session, committing(session.begin(), "pace.turn"):
        connection = session.connection()
        connection.execute(_OPEN, {"name": name, "free_at": now - BURST})
        free_at = connection.execute(_LOCKED, {"b_name": name}).scalar_one()
        turn = reserve(free_at, amount, per_second=per_second, now=now)
        if within is not None and turn.starts_at > now + within:
            raise NoTurnSoon(turn.starts_at)
        connection.execute(_SET, {"b_name": name, "b_free_at": turn.free_at})
    return turn.starts_at


def free_from(session: Session, name: str) -> datetime | None:
    """Give when the next token of a bucket is free; None where it was never used."""
    free_at: datetime | None = session.connection().execute(_FREE, {"b_name": name}).scalar()
    return free_at


_PACES: Final = table_of(Pace)
_FREE: Final = select(_PACES.c.free_at).where(_PACES.c.name == bindparam("b_name"))
_OPEN: Final = on_conflict(insert(_PACES))
_LOCKED: Final = (
    select(_PACES.c.free_at).where(_PACES.c.name == bindparam("b_name")).with_for_update()
)
_SET: Final = (
    update(_PACES)
    .where(_PACES.c.name == bindparam("b_name"))
    .values(free_at=bindparam("b_free_at"))
)
