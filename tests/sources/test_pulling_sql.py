"""Databases are read only, streamed, and only as far back as needed."""

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.sources.shops import Shop
from winback.database.tables import ContactPoint, Customer, Purchase
from winback.errors import SourceError
from winback.sources.pulling import PullCounts, Reading

CUSTOMERS = (
    "select id as external_id, email, newsletter as email_consent from customer "
    "where updated_at >= :since"
)
PURCHASES = (
    "select id as external_id, customer_id as customer, paid_at as purchased_at, total as amount "
    "from orders where updated_at >= :since"
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Give the shop's own database."""
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            create table customer (id int, email text, newsletter int, updated_at text);
            create table orders
                (id int, customer_id int, paid_at text, total real, updated_at text);
            insert into customer values (7, 'Ada@example.com', 1, '2026-03-01 10:00:00');
            insert into orders values (1, 7, '2025-08-01 10:00:00', 12.1, '2025-08-01 10:00:00');
            """
        )
    connection.close()
    return path


def _configure(shop: Shop, database: Path, **changes: Any) -> None:
    shop.environ = {"SHOP_DATABASE_URL": f"sqlite:///{database}"}
    source = {
        "kind": "sql",
        "url": "${SHOP_DATABASE_URL}",
        "overlap": "3 days",
        "customers": {"query": CUSTOMERS},
        "purchases": {"query": PURCHASES},
    }
    shop.configure(shop=source | changes)


def _run(database: Path, statement: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(statement)
    connection.close()


def test_a_query_is_pulled_from_the_last_good_pull_minus_the_overlap(
    shop: Shop, database: Path
) -> None:
    """:since spares rows that were read long ago, and never misses one that came late."""
    _configure(shop, database)
    assert shop.pull() == PullCounts(read=2, added=2)
    assert [one.address for one in shop.all(ContactPoint)] == ["ada@example.com"]
    assert [str(one.amount) for one in shop.all(Purchase)] == ["12.10"]

    _run(database, "insert into orders values (2, 7, '2026-03-01', 5, '2026-03-01 08:00:00')")
    _run(database, "insert into orders values (3, 7, '2026-02-01', 5, '2026-02-01 08:00:00')")
    counts = shop.pull(now=shop.now + timedelta(days=1))

    assert counts == PullCounts(read=2, added=1)
    (ada,) = shop.all(Customer)
    assert (ada.purchase_count, str(ada.last_purchased_on)) == (2, "2026-03-01")


def test_a_row_that_is_mended_leaves_the_rejected(shop: Shop, database: Path) -> None:
    """Rows of a query are known by their id."""
    _run(database, "insert into orders values (2, 7, 'soon', 5, '2026-03-01 08:00:00')")
    _configure(shop, database)
    assert shop.pull().rejected == 1

    _run(database, "update orders set paid_at = '2026-03-01' where id = 2")

    assert shop.pull() == PullCounts(read=2, added=1)
    assert shop.reasons() == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        pytest.param(
            "select id as external_id, email as mail from customer", "unknown column", id="unknown"
        ),
        pytest.param("select email from customer", "no column 'external_id'", id="missing"),
        pytest.param(
            "select * from nowhere",
            "query of customers was refused: there is no table 'nowhere'",
            id="no table",
        ),
        pytest.param(
            "select mail from customer",
            "query of customers was refused: there is no column 'mail'",
            id="no column",
        ),
        pytest.param("delete from customer", "refused: it wants to write", id="writing"),
        pytest.param("selct 1", "refused: this database does not understand it", id="no SQL"),
        pytest.param("select :day", "refused: only :since is filled in", id="parameter"),
    ],
)
def test_a_wrong_query_is_refused_whole(
    shop: Shop, database: Path, query: str, sentence: str
) -> None:
    """FACTS.md SEC-21: the connection is read only; the sentence carries no values of rows."""
    _configure(shop, database, customers={"query": query})

    with pytest.raises(SourceError, match=sentence):
        shop.pull()

    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from customer").fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("select * from nowhere", "refused: there is no table 'nowhere'"),
        ("select 1 as mail where nothing = 1", "refused: there is no column 'nothing'"),
        ("selct 1", "refused: this database does not understand it"),
        ("select 'Oakley'::int as external_id", r"refused: InvalidTextRepresentation;"),
    ],
)
def test_postgresql_says_why_a_query_is_refused(
    shop: Shop, postgres_url: str, query: str, sentence: str
) -> None:
    """The same reasons from another driver, and of a value in its words only the kind."""
    shop.environ = {"SHOP_DATABASE_URL": postgres_url}
    shop.configure(
        shop={"kind": "sql", "url": "${SHOP_DATABASE_URL}", "purchases": {"query": query}}
    )

    with pytest.raises(SourceError, match=sentence) as refused:
        shop.pull()

    assert "query of purchases" in str(refused.value)
    assert "Oakley" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("sqlite:///nowhere/hunter2.db", "there is no such file"),
        ("postgresql://bob:hunter2@127.0.0.1:1/shop", "nothing answers there"),
    ],
)
def test_no_connection_is_not_a_wrong_query(shop: Shop, url: str, sentence: str) -> None:
    """Who reads the sentence knows whether to mend the address or the query."""
    shop.environ = {"SHOP_DATABASE_URL": url}
    shop.configure(
        shop={"kind": "sql", "url": "${SHOP_DATABASE_URL}", "customers": {"query": CUSTOMERS}}
    )

    with pytest.raises(SourceError, match="no connection to the database for customers") as no:
        shop.pull()

    assert sentence in str(no.value)
    assert "hunter2" not in str(no.value)


def test_too_many_rows_are_refused(shop: Shop, database: Path) -> None:
    """FACTS.md SEC-21: a row cap, so that a forgotten join cannot fill the disk."""
    _run(database, "insert into customer values (8, 'b@example.com', 1, '2026-03-01 10:00:00')")
    _configure(shop, database, row_limit=1)

    with pytest.raises(SourceError, match="more than 1 rows"):
        shop.pull()

    assert shop.all(Customer) == []


def test_a_shop_on_postgresql_is_read_too(shop: Shop, postgres_url: str) -> None:
    """The same over another driver: instants with their zone, numbers without loss."""
    shop.environ = {"SHOP_DATABASE_URL": postgres_url}
    shop.configure(
        shop={
            "kind": "sql",
            "url": "${SHOP_DATABASE_URL}",
            "time_zone": "Europe/London",
            "purchases": {
                "query": "select 'p' || n as external_id, n as customer, 9.5::numeric as amount, "
                "timestamptz '2025-08-01 23:30+00' as purchased_at from generate_series(1, 3) n "
                "where timestamptz '2025-08-01' >= :since"
            },
        }
    )

    assert shop.pull() == PullCounts(read=3, added=3)
    assert {str(one.purchased_on) for one in shop.all(Purchase)} == {"2025-08-02"}


def test_a_query_is_asked_again_where_another_pull_took_its_answer(
    shop: Shop, database: Path
) -> None:
    """What it gave stands on what is no longer so; an order that came since is taken too."""
    _configure(shop, database)
    others: list[PullCounts] = []

    def told(reading: Reading) -> None:
        if reading.part == "purchases" and not others:
            others.append(PullCounts())
            others.append(shop.pull(now=shop.now + timedelta(minutes=1)))
            _run(database, "insert into orders values (2, 7, '2026-03-01', 5, '2026-03-01')")

    ours = shop.pull(progress=told)

    assert others[-1] == PullCounts(read=2, added=1, changed=0, rejected=0)
    assert ours == PullCounts(read=2, added=2, changed=0, rejected=0)
    assert sorted(one.external_id for one in shop.all(Purchase)) == ["1", "2"]
