"""Column types: aware UTC instants, exact money, words of closed sets.

A day reads and writes hundreds of thousands of these values. So each type gives the dialects its
whole conversion as one function (``bind_processor``, ``result_processor``) instead of the chain
of three calls that SQLAlchemy would build around ``process_bind_param``.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, NoReturn, TypeVar

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, TypeDecorator

from winback.money import from_units, to_units

E = TypeVar("E", bound=StrEnum)

RowId = BigInteger().with_variant(Integer(), "sqlite")
"""A key that counts up by itself in both databases."""


class Utc(TypeDecorator[datetime]):
    """An aware instant, stored in UTC; naive ones are refused (SQLite drops the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:
        """Turn an instant to UTC; raises ValueError for a naive one."""
        return _utc_text if dialect.name == "sqlite" else _utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        """Give the zone back."""
        return _of_utc_text if dialect.name == "sqlite" else _utc


def _utc(value: datetime | None) -> datetime | None:
    if value is None or value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise ValueError("a naive time cannot be stored")
    return value.astimezone(UTC)


def _utc_text(value: datetime | None) -> str | None:
    """Write an instant as SQLite keeps it: microseconds always, so that text sorts as time."""
    stored = _utc(value)
    return None if stored is None else stored.replace(tzinfo=None).isoformat(" ", "microseconds")


def _of_utc_text(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored + "+00:00")


class Amount(TypeDecorator[Decimal]):
    """An exact amount, stored as whole ten-thousandths; its currency is a column beside it."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:  # noqa: ARG002
        """Turn a decimal to ten-thousandths."""
        return _units

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        """Give the decimal back."""
        return _amount


def _units(value: Decimal | None) -> int | None:
    return None if value is None else to_units(value)


def _amount(stored: int | None) -> Decimal | None:
    return None if stored is None else from_units(int(stored))


class Word(TypeDecorator[E], Generic[E]):
    """A member of a closed set, stored as its word."""

    impl = String(32)
    cache_ok = True

    def __init__(self, words: type[E]) -> None:
        super().__init__()
        self.words = words
        # A member equals its word and hashes alike, so that one table answers for both.
        self._texts = _Known({None: None} | {word: word.value for word in words})
        self._members = _Known({None: None} | {word.value: word for word in words})

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any]:  # noqa: ARG002
        """Refuse what is not of the set."""
        return self._texts.__getitem__

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        """Give the member back."""
        return self._members.__getitem__


class _Known(dict[Any, Any]):
    """What the words of a set turn into; anything else raises ValueError."""

    def __missing__(self, word: object) -> NoReturn:
        raise ValueError(f"{word!r} is not a word of the set")
