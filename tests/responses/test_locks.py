"""Two transactions that want the same rows in two orders: neither may end the respond stage."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tests.responses.ears import Ears
from winback.database.tables import Enrollment

_WAITS = text(
    "select count(*) from pg_locks waits join pg_locks here using (pid) "
    "where not waits.granted and here.database = "
    "(select oid from pg_database where datname = current_database())"
)
"""Asked of the locks: what the views of statistics tell stays the same for a transaction."""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_deadlock_does_not_end_the_respond_stage(shop: Ears) -> None:
    """PostgreSQL ends the one who waited first, which is respond; it begins again (DS-11)."""
    first, message = shop.written()
    second, other = shop.written()
    lock = select(Enrollment.id).where(Enrollment.id.in_([first, second]))

    with Session(shop.engine) as session, ThreadPoolExecutor(1) as pool:
        session.execute(lock.where(Enrollment.id == second).with_for_update())
        heard = pool.submit(
            shop.hear,
            shop.report(message, "spamreport"),
            shop.report(other, "spamreport", email="ann2@example.com"),
        )
        while not session.scalar(_WAITS) and not heard.done():
            pass
        session.execute(lock.where(Enrollment.id == first).with_for_update())
        session.commit()
        counts = heard.result()

    assert counts.suppressed == 2
    assert {shop.state(first), shop.state(second)} == {"suppressed"}
