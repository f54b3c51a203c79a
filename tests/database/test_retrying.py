"""A transaction that was ended for another one begins again, and nothing else does."""

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from winback.database.retrying import is_ended_for_another, retried


def ended(kind: type[psycopg.Error]) -> OperationalError:
    """Give an error as SQLAlchemy raises it."""
    return OperationalError("select", {}, kind("in the way"))


def raising(errors: Iterator[Exception | None]) -> str:
    """Raise the next error; say done where there is none."""
    error = next(errors)
    if error is not None:
        raise error
    return "done"


@pytest.mark.parametrize(
    "kind", [psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure]
)
def test_what_was_ended_for_another_begins_again(kind: type[psycopg.Error]) -> None:
    """A deadlock is nobody's fault: of two, one goes on, and the other follows."""
    errors = iter([ended(kind), ended(kind), None])

    assert retried(lambda: raising(errors)) == "done"


def test_it_is_given_up_where_it_never_ends_well() -> None:
    """Five times in a row is no accident any more."""
    errors = iter([ended(psycopg.errors.DeadlockDetected)] * 5)

    with pytest.raises(OperationalError):
        retried(lambda: raising(errors))
    assert list(errors) == []


@pytest.mark.parametrize(
    "error",
    [
        ended(psycopg.errors.AdminShutdown),
        ended(psycopg.errors.LockNotAvailable),
        IntegrityError("insert", {}, psycopg.errors.UniqueViolation("twice")),
        DBAPIError("select", {}, ValueError("of SQLite")),
    ],
    ids=["connection", "impatience", "constraint", "another driver"],
)
def test_no_other_error_is_tried_again(error: DBAPIError) -> None:
    """Whether a lost connection rolled back nobody knows; what is refused is refused again."""
    errors = iter([error, None])

    assert not is_ended_for_another(error)
    with pytest.raises(type(error)):
        retried(lambda: raising(errors))
    assert list(errors) == [None]
