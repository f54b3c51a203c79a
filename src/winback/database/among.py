"""``column IN (these)`` as one parameter, however many they are: what batches are read by.

SQLAlchemy writes such a list out, one parameter for each, into a statement that is new for each
length. As one parameter it is the same statement always, which the databases know already.

SQLite knows no sizes, and would rather look through all that is due than for the few that are
asked for by their ids: what is only checked of these rows is set ``aside``.
"""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import ARRAY, BigInteger, Boolean, ColumnElement, Dialect, Text, TypeDecorator
from sqlalchemy import bindparam as bind
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Listed(TypeDecorator[Iterable[Any]]):
    """A list as one parameter: JSON for SQLite, an array for PostgreSQL."""

    impl = Text
    cache_ok = True

    def __init__(self, *, is_text: bool) -> None:
        super().__init__()
        self.is_text = is_text

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Give the type that the database is told."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(ARRAY(Text() if self.is_text else BigInteger()))

    def process_bind_param(self, value: Iterable[Any] | None, dialect: Dialect) -> Any:
        """Write a list, whatever collection it comes in."""
        listed = list(value or ())
        return orjson.dumps(listed).decode() if dialect.name == "sqlite" else listed


class _Among(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True
    name = "among"

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002 - SQLAlchemy's signature
        """Stand as it is: SQLite has no booleans, and ``= 1`` around it would hide the index."""
        return self


class _Aside(FunctionElement[Any]):
    inherit_cache = True
    name = "aside"

    def __init__(self, column: Any) -> None:
        super().__init__(column)
        self.type = column.type


def aside(column: Any) -> Any:
    """Give the column for a condition that must not choose the index; its value is the same."""
    return _Aside(column)


def among(column: Any, parameter: str) -> ColumnElement[bool]:
    """Ask whether a column of ids or words is among those that ``parameter`` is given."""
    is_text = not issubclass(column.type.python_type, int)
    return _Among(column, bind(parameter, type_=_Listed(is_text=is_text)))


@compiles(_Among, "sqlite")
def _on_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, listed = (compiler.process(one, **options) for one in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({listed}))"  # noqa: S608 - compiled parts


@compiles(_Aside, "sqlite")
def _aside_on_sqlite(element: _Aside, compiler: SQLCompiler, **options: Any) -> str:
    (column,) = (compiler.process(one, **options) for one in element.clauses)
    return f"+{column}"


@compiles(_Aside, "postgresql")
def _aside_on_postgresql(element: _Aside, compiler: SQLCompiler, **options: Any) -> str:
    # It keeps count of what there is, and chooses well.
    (column,) = (compiler.process(one, **options) for one in element.clauses)
    return column


@compiles(_Among, "postgresql")
def _on_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, listed = (compiler.process(one, **options) for one in element.clauses)
    return f"{column} = ANY ({listed})"
