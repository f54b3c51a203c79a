"""Many rows at once: the same rows as one by one, on both servers."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.orm import Session

from winback.database.among import among, aside
from winback.database.many import insert_rows, update_rows
from winback.database.tables import (
    CampaignVersion,
    Customer,
    Installation,
    Move,
    Pause,
    Purchase,
    SourceCustomer,
    table_of,
)
from winback.states import Mode, PurchaseKind

CUSTOMERS, PURCHASES, MOVES = table_of(Customer), table_of(Purchase), table_of(Move)
NASTY = 'O\'Brien "50%" \\ :ids ? %(x)s \n\t ünï 🫒'


def customer(number: int, now: datetime, **fields: Any) -> dict[str, Any]:
    """Give a customer's row."""
    values = {
        "id": number,
        "given_name": NASTY,
        "family_name": None,
        "tags": [NASTY, {"a": None}],
        "interests": [],
        "first_seen_at": now,
        "changed_at": now.astimezone(timezone(timedelta(hours=5, minutes=45))),
        "merged_into": None,
        "purchase_count": number,
        "spent": Decimal("-12.3456"),
        "last_purchased_at": None if number % 2 else now,
        "last_purchased_on": None if number % 2 else now.date(),
    }
    return values | fields


def purchase(number: int, now: datetime) -> dict[str, Any]:
    """Give a purchase's row."""
    return {
        "source": "till",
        "external_id": str(number),
        "customer_id": 1,
        "purchased_at": now + timedelta(microseconds=number),
        "purchased_on": now.date(),
        "is_date_only": bool(number % 2),
        "amount": Decimal(number) / 8,
        "currency": "GBP",
        "kind": PurchaseKind.REFUND if number % 2 else PurchaseKind.SALE,
        "first_seen_at": now,
    }


def test_what_is_written_at_once_reads_as_what_is_written_one_by_one(
    session: Session, now: datetime
) -> None:
    """Text, words, amounts, flags, days, instants in any zone, documents and None."""
    rows = [customer(number, now) for number in range(1, 4)]
    bought = [purchase(number, now) for number in range(1, 6)]
    session.execute(insert(CUSTOMERS), rows)
    session.execute(insert(PURCHASES), bought)
    one_by_one = session.execute(select(CUSTOMERS).order_by(CUSTOMERS.c.id)).all()
    purchases = session.execute(select(*PURCHASES.c[2:]).order_by(PURCHASES.c.id)).all()
    session.execute(delete(PURCHASES))
    session.execute(delete(CUSTOMERS))

    insert_rows(session.connection(), CUSTOMERS, rows)
    insert_rows(session.connection(), PURCHASES, bought)

    assert session.execute(select(CUSTOMERS).order_by(CUSTOMERS.c.id)).all() == one_by_one
    again = session.execute(select(*PURCHASES.c[2:]).order_by(PURCHASES.c.id)).all()
    assert again == purchases


def test_documents_stay_with_their_rows(session: Session, now: datetime) -> None:
    """Each in its own row, whatever is in it; None is nothing, in some rows or in all."""
    given: list[dict[str, Any] | None] = [{"a": NASTY}, None, {}, {"b": ["\n", None, 1]}]
    known = {"mode": Mode.SANDBOX, "salt": "s", "made_at": now}
    rows = [known | {"id": id_, "measured": one} for id_, one in enumerate(given, start=10)]
    found = select(Installation.measured).where(Installation.id >= 10).order_by(Installation.id)

    insert_rows(session.connection(), table_of(Installation), rows)
    assert session.scalars(found).all() == given
    backwards = [{"b_id": id_, "measured": one} for id_, one in enumerate(given[::-1], start=10)]
    update_rows(session.connection(), table_of(Installation), backwards)
    assert session.scalars(found).all() == given[::-1]
    emptied = [{"b_id": row["id"], "measured": None} for row in rows]
    update_rows(session.connection(), table_of(Installation), emptied)
    assert session.scalars(found.where(Installation.measured.is_(None))).all() == [None] * 4


def test_rows_keep_their_order(session: Session, now: datetime) -> None:
    """History is told in the order in which it was written."""
    move = {"thing": "message", "from_state": None, "to_state": "b", "event": "e", "at": now}
    rows = [move | {"thing_id": number, "why": ""} for number in range(500)]

    insert_rows(session.connection(), MOVES, rows)

    assert list(session.scalars(select(Move.thing_id).order_by(Move.id))) == list(range(500))


def test_known_rows_are_skipped_where_asked(session: Session, now: datetime) -> None:
    """By any unique index, partial ones too; the others go in."""
    session.execute(insert(CUSTOMERS), [customer(1, now)])
    known = {"source": "till", "customer_id": 1, "row_hash": "h", "pulled_at": now}
    table = table_of(SourceCustomer)
    insert_rows(session.connection(), table, [known | {"external_id": "a"}])
    both = [known | {"external_id": "a"}, known | {"external_id": "b"}]
    insert_rows(session.connection(), table, both, skips_known=True)
    pause = {"scope": "all", "name": "", "by": "operator", "why": "", "paused_at": now}
    insert_rows(session.connection(), table_of(Pause), [pause, pause], skips_known=True)

    assert list(session.scalars(select(SourceCustomer.external_id))) == ["a", "b"]
    assert len(session.scalars(select(Pause.id)).all()) == 1


def test_updates_are_guarded_row_by_row(session: Session, now: datetime) -> None:
    """Each row says what it must have been; one that was not stays."""
    insert_rows(session.connection(), CUSTOMERS, [customer(number, now) for number in (1, 2, 3)])
    later = now + timedelta(hours=1)

    update_rows(
        session.connection(),
        CUSTOMERS,
        [
            {"b_id": 1, "b_purchase_count": 1, "given_name": NASTY * 2, "changed_at": later},
            {"b_id": 2, "b_purchase_count": 9, "given_name": "never", "changed_at": later},
            {"b_id": 3, "b_purchase_count": 3, "given_name": None, "changed_at": now},
        ],
    )

    found = session.execute(
        select(Customer.given_name, Customer.changed_at).order_by(Customer.id)
    ).all()
    assert [tuple(row) for row in found] == [(NASTY * 2, later), (NASTY, now), (None, now)]


def test_what_was_empty_is_compared_as_any_value(session: Session, now: datetime) -> None:
    """A cursor that stood nowhere moves only while it still stands nowhere."""
    named = [customer(1, now, family_name=None), customer(2, now, family_name="Oak")]
    insert_rows(session.connection(), CUSTOMERS, named)
    rows = [
        {"b_id": number, "b_family_name": was, "given_name": "moved"}
        for number, was in ((1, None), (2, None))
    ]

    update_rows(session.connection(), CUSTOMERS, rows)

    found = session.execute(select(Customer.given_name).order_by(Customer.id)).scalars()
    assert list(found) == ["moved", NASTY]


def test_nothing_to_write_writes_nothing(session: Session) -> None:
    """An empty batch is no statement."""
    insert_rows(session.connection(), MOVES, [])
    update_rows(session.connection(), MOVES, [])


def test_naive_times_are_refused_here_too(session: Session, now: datetime) -> None:
    """A time without a zone never reaches the database."""
    naive = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)

    with pytest.raises(ValueError, match="naive time"):
        insert_rows(session.connection(), CUSTOMERS, [customer(1, now, changed_at=naive)])


def test_among_takes_any_collection_of_ids_or_words(session: Session, now: datetime) -> None:
    """One parameter, whatever is in it; none is nobody."""
    insert_rows(session.connection(), CUSTOMERS, [customer(number, now) for number in range(1, 6)])
    insert_rows(session.connection(), CUSTOMERS, [customer(9, now, given_name=None)])
    by_id = select(Customer.id).where(among(Customer.id, "ids")).order_by(Customer.id)
    by_name = select(Customer.id).where(among(Customer.given_name, "names"))

    for ids in ([2, 4], {2, 4}, (2, 4, 77)):
        assert list(session.scalars(by_id, {"ids": ids})) == [2, 4]
    assert list(session.scalars(by_id, {"ids": []})) == []
    assert len(session.scalars(by_name, {"names": [NASTY, "x"]}).all()) == 5


def test_what_is_set_aside_means_the_same(session: Session, now: datetime) -> None:
    """Only the way to the rows is another; types are kept."""
    version = {"campaign": "c", "content": {}, "first_used_at": now}
    rows = [version | {"content_hash": "a"}, version | {"content_hash": "b"}]
    insert_rows(session.connection(), table_of(CampaignVersion), rows)

    found = select(CampaignVersion.content_hash).where(
        aside(CampaignVersion.content_hash) == "b", aside(CampaignVersion.first_used_at) <= now
    )

    assert list(session.scalars(found)) == ["b"]


def test_the_ids_lead_to_the_rows(engine: Engine) -> None:
    """No look through a whole table, and none through all that is due (P12)."""
    if engine.dialect.name != "sqlite":
        # It plans by what it has counted; an empty table tells nothing.
        return
    statement = select(Customer.id).where(
        among(Customer.id, "ids"), aside(Customer.changed_at) <= datetime(2026, 1, 1, tzinfo=UTC)
    )
    compiled = statement.compile(engine)
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {compiled}", ("[]", "2026-01-01")
        ).all()

    assert plan[0][3] == "SEARCH customers USING INTEGER PRIMARY KEY (rowid=?)"
