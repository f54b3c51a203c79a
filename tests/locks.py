"""A real deadlock between the program and a transaction of a test, on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from sqlalchemy import Engine, Select, text
from sqlalchemy.orm import Session

T = TypeVar("T")

_WAITS: Final = text(
    "select count(*) from pg_locks waits join pg_locks here using (pid) "
    "where not waits.granted and here.database = "
    "(select oid from pg_database where datname = current_database())"
)
"""Asked of the locks: what the views of statistics tell stays the same for a transaction."""


def in_each_others_way(
    engine: Engine, wanted: Select[Any], held: Select[Any], work: Callable[[], T]
) -> T:
    """Lock what ``held`` selects, let ``work`` wait for it, then want what that has locked.

    PostgreSQL ends who first waited for its patience, which is ``work``: this one has more. Gives
    what ``work`` gave in the end.
    """
    with Session(engine) as session, ThreadPoolExecutor(1) as pool:
        session.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        session.execute(held.with_for_update())
        working = pool.submit(work)
        while not session.scalar(_WAITS) and not working.done():
            pass
        assert not working.done(), "it waited for nothing"
        session.execute(wanted.with_for_update())
        session.commit()
        return working.result()


def behind(engine: Engine, first: Callable[[Session], object], work: Callable[[], T]) -> T:
    """Let ``work`` begin when ``first`` is done and not committed, and commit once it waits.

    Commits, too, where ``work`` waits for nothing and is through. Gives what ``work`` gave.
    """
    with Session(engine) as session, ThreadPoolExecutor(1) as pool:
        first(session)
        working = pool.submit(work)
        while not session.scalar(_WAITS) and not working.done():
            pass
        session.commit()
        return working.result()
