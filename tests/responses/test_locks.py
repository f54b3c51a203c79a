"""What the database refuses a respond stage for a moment, which no event is to blame for."""

from typing import Any

import psycopg
import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import InternalError

from tests.locks import in_each_others_way
from tests.responses.ears import Ears
from winback.database.tables import Enrollment
from winback.states import EventState


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_deadlock_does_not_end_the_respond_stage(shop: Ears) -> None:
    """PostgreSQL ends the one who waited first, which is respond; it begins again (DS-11)."""
    first, message = shop.written()
    second, other = shop.written()
    lock = select(Enrollment.id)

    counts = in_each_others_way(
        shop.engine,
        lock.where(Enrollment.id == first),
        lock.where(Enrollment.id == second),
        lambda: shop.hear(
            shop.report(message, "spamreport"),
            shop.report(other, "spamreport", email="ann2@example.com"),
        ),
    )

    assert counts.suppressed == 2
    assert {shop.state(first), shop.state(second)} == {"suppressed"}


def test_an_event_outlives_a_failover(shop: Ears) -> None:
    """A server that became a standby refuses every write: the event waits, and is not dead."""
    enrollment_id, message = shop.written()

    def refuse(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("INSERT INTO suppressions"):
            raise InternalError(None, None, psycopg.errors.ReadOnlySqlTransaction())

    event.listen(shop.engine, "before_cursor_execute", refuse)
    with pytest.raises(InternalError):
        shop.hear(shop.report(message, "spamreport"))
    assert [one.state for one in shop.events()] == [EventState.RECEIVED]

    event.remove(shop.engine, "before_cursor_execute", refuse)
    shop.respond()

    assert shop.state(enrollment_id) == "suppressed"
