"""Write the addresses of new and changed customers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session, aliased

from winback.database.tables import ContactPoint, SourceCustomer, Suppression
from winback.sources import staging
from winback.sources.staging import INSERTS
from winback.states import Channel

_F: Final = staging.fresh.c
_IN_BULK: Final = {"synchronize_session": False}


def write_addresses(session: Session, names: Sequence[str], now: datetime) -> None:
    """Note the addresses of changed rows; what no source names any more is not current."""
    connection = session.connection()
    seen_at = literal(now, ContactPoint.seen_at.type)
    new = INSERTS[connection.dialect.name](ContactPoint)
    yes = literal(True)  # noqa: FBT003 - an SQL literal
    for name, channel in (("email", literal(Channel.EMAIL.value)), ("phone", _F.phone_channel)):
        if name not in names:
            continue
        said = select(
            _F.customer_id, channel, _F[name], _F[f"{name}_hash"], yes, yes, seen_at
        ).where(_F[name].is_not(None))
        columns = ["customer_id", "channel", "address", "address_hash"]
        statement = new.from_select([*columns, "is_current", "is_reachable", "seen_at"], said)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["customer_id", "channel", "address"],
                set_={
                    "is_current": yes,
                    "seen_at": case(
                        (ContactPoint.is_current, ContactPoint.seen_at),
                        else_=statement.excluded.seen_at,
                    ),
                },
            )
        )
        _suppress_too(connection, _F[f"{name}_hash"], now)
    still_named = exists(
        select(SourceCustomer.id).where(
            SourceCustomer.customer_id == ContactPoint.customer_id,
            or_(
                SourceCustomer.email == ContactPoint.address,
                SourceCustomer.phone == ContactPoint.address,
            ),
        )
    )
    session.execute(
        update(ContactPoint)
        .where(
            ContactPoint.is_current,
            ContactPoint.customer_id.in_(select(_F.customer_id).where(_F.is_known)),
            ~still_named,
        )
        .values(is_current=False)
        .execution_options(**_IN_BULK)
    )


def _suppress_too(connection: Connection, address_hash: ColumnElement[Any], now: datetime) -> None:
    """Let a no of the person cover addresses that came after it (FACTS.md LAW-4)."""
    said = aliased(Suppression)
    covered = select(
        null(),
        address_hash,
        said.channel,
        said.reason,
        literal("pull"),
        said.key + literal(":") + func.substr(address_hash, 1, 24),
        literal(now, Suppression.at.type),
    ).where(said.customer_id == _F.customer_id, said.channel.is_(None), address_hash.is_not(None))
    connection.execute(
        INSERTS[connection.dialect.name](Suppression)
        .from_select(
            ["customer_id", "address_hash", "channel", "reason", "source", "key", "at"],
            covered.where(true()),
        )
        .on_conflict_do_nothing(index_elements=["key"])
    )
