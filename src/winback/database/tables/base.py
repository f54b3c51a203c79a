"""What all tables are made of: their base, their row ids, and the forms of columns in common."""

from typing import Any

import sqlalchemy
from sqlalchemy import JSON, ForeignKey, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from winback.database.types import RowId

Json = JSON().with_variant(JSONB(), "postgresql")
"""A document, which PostgreSQL keeps in its binary form."""


class Table(DeclarativeBase):
    """Base of all tables; names of constraints are fixed, so migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def table_of(mapped: type[Table]) -> sqlalchemy.Table:
    """Give the table itself: for plain statements, which need no machinery of objects."""
    return mapped.metadata.tables[mapped.__tablename__]


def row_id() -> Mapped[int]:
    """Make a key that the database itself counts up."""
    return mapped_column(RowId, primary_key=True, autoincrement=True)


def refer_to(column: str, **options: Any) -> Mapped[Any]:
    """Make a column that holds the id of a row of another table, given as ``table.column``."""
    return mapped_column(RowId, ForeignKey(column), **options)


def only_where(condition: str) -> dict[str, Any]:
    """Give an index entries only where a condition holds; literals, or SQLite would not use it."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
