"""Find who is one person over several sources: by the same normalized address, nothing else."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from winback.database.tables import SourceCustomer
from winback.enrollment.merging import merge_customers
from winback.sources import staging

_F: Final = staging.fresh.c


def emails_given_up(connection: Connection, source: str) -> set[str]:
    """Give the addresses that known rows give up: they may have become single now."""
    old = (
        select(SourceCustomer.email)
        .join(
            staging.fresh,
            (SourceCustomer.source == source) & (SourceCustomer.external_id == _F.external_id),
        )
        .where(
            _F.is_known,
            SourceCustomer.email.is_not(None),
            SourceCustomer.email.is_distinct_from(_F.email),
        )
    )
    return {str(one) for one in connection.scalars(old)}


def join_by_email(connection: Connection, source: str) -> None:
    """Give new rows the customer that another source knows by the same address.

    Never within one source; an address that occurs twice in one source joins nothing.
    """
    other, twin, own = (aliased(SourceCustomer) for _ in range(3))
    second = staging.fresh.alias("second")
    pairs = (
        select(_F.seq, other.customer_id)
        .join(other, (other.email == _F.email) & (other.source != source))
        .where(
            ~_F.is_known,
            ~exists(
                select(twin.id).where(
                    twin.email == _F.email, twin.source == other.source, twin.id != other.id
                )
            ),
            ~exists(select(own.id).where(own.email == _F.email, own.source == source)),
            ~exists(select(second.c.seq).where(second.c.email == _F.email, second.c.seq != _F.seq)),
            ~exists(
                select(own.id).where(own.customer_id == other.customer_id, own.source == source)
            ),
        )
        .subquery()
    )
    one = (
        select(pairs.c.seq, func.min(pairs.c.customer_id).label("customer_id"))
        .group_by(pairs.c.seq)
        .having(func.min(pairs.c.customer_id) == func.max(pairs.c.customer_id))
        .subquery()
    )
    single = (
        select(one.c.customer_id)
        .group_by(one.c.customer_id)
        .having(func.count() == 1)
        .scalar_subquery()
    )
    connection.exec_driver_sql(
        f"CREATE INDEX staged_fresh_email ON {staging.fresh.name} (email)"
        if connection.dialect.name == "postgresql"
        else f"CREATE INDEX temp.staged_fresh_email ON {staging.fresh.name} (email)"
    )
    connection.execute(
        update(staging.fresh)
        .where(_F.seq == one.c.seq, one.c.customer_id.in_(single))
        .values(customer_id=one.c.customer_id, is_joined=True)
    )


def merge_by_email(
    session: Session, emails: set[str], *, now: datetime, zone: ZoneInfo, currency: str
) -> None:
    """Make one of customers that turn out to share an address over two sources."""
    connection = session.connection()
    played = select(_F.email).where(_F.email.is_not(None))
    known = aliased(SourceCustomer)
    counted = (
        select(known.email, known.source, func.min(known.customer_id).label("customer_id"))
        .where(or_(known.email.in_(played), known.email.in_(sorted(emails))))
        .group_by(known.email, known.source)
        .having(func.count() == 1)
        .subquery()
    )
    shared = (
        select(counted.c.email)
        .group_by(counted.c.email)
        .having(func.min(counted.c.customer_id) != func.max(counted.c.customer_id))
    )
    for email in connection.scalars(shared.order_by(counted.c.email)).all():
        rows = connection.execute(
            select(counted.c.customer_id)
            .where(counted.c.email == email)
            .order_by(counted.c.customer_id)
        )
        first, *others = dict.fromkeys(row.customer_id for row in rows)
        for other in others:
            if not _share_a_source(connection, first, other):
                first = merge_customers(
                    session, first, other, now=now, zone=zone, currency=currency
                )


def _share_a_source(connection: Connection, one: int, other: int) -> bool:
    """Say whether one source knows both: then they are two persons to it."""
    mine, theirs = aliased(SourceCustomer), aliased(SourceCustomer)
    found = (
        select(mine.id)
        .join(theirs, theirs.source == mine.source)
        .where(mine.customer_id == one, theirs.customer_id == other)
    )
    return connection.execute(found.limit(1)).first() is not None
