"""However slow a source is: who sends meanwhile neither waits for it nor is refused."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine, text

from tests.sources.shops import Shop
from winback.database.tables import Purchase, RejectedRow, SourceCustomer, SourceWatermark
from winback.errors import SourceError
from winback.sources.pulling import PullCounts, Reading

HEADER = "id,first,email,phone,news,texts"
ORDERS = "no,customer,date,total"


def _write_at_once(engine: Engine) -> None:
    """Write as a send run does; raises where it would have to wait for the pull."""
    statement = "UPDATE customers SET region = region"
    if engine.dialect.name == "sqlite":
        path = str(engine.url.database)
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute(statement)
            other.execute("COMMIT")
        return
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '1ms'"))
        connection.execute(text(statement))


def _shop_with_files(shop: Shop) -> None:
    shop.write("customers.csv", HEADER, "c1,Ada,ada@example.com,,yes,", "c2,Bob,,,,")
    shop.write("orders1.csv", ORDERS, "1,c1,2025-08-01,12.50")
    shop.write("orders2.csv", ORDERS, "2,c1,2025-08-02,7.50", "3,c9,2025-08-02,7.50")


def test_while_a_source_is_read_others_write(shop: Shop) -> None:
    """A send run beside a slow pull goes on: rows are read before anything is locked."""
    _shop_with_files(shop)
    read: list[str] = []

    def told(reading: Reading) -> None:
        if reading.path not in read:
            # The first that is told of a slice is that some of it was read.
            read.append(reading.path)
            _write_at_once(shop.engine)

    counts = shop.pull(progress=told)

    assert read == ["customers.csv", "orders1.csv", "orders2.csv"]
    assert counts == PullCounts(read=5, added=4, changed=0, rejected=1)


def test_of_two_pulls_at_once_one_takes_each_row(shop: Shop) -> None:
    """What another pull took meanwhile is not taken again, by no order of the two."""
    _shop_with_files(shop)
    others: list[PullCounts] = []

    def told(reading: Reading) -> None:
        if not others and reading.path == "orders1.csv":
            others.append(PullCounts())
            others.append(shop.pull())

    counts = shop.pull(progress=told)

    assert others[-1] == PullCounts(read=3, added=2, changed=0, rejected=1)
    assert counts == PullCounts(read=2, added=2, changed=0, rejected=0)
    assert len(shop.all(Purchase)) == 2
    assert len(shop.all(SourceCustomer)) == 2
    assert [row.waits_for for row in shop.all(RejectedRow)] == ["c9"]
    assert len(shop.all(SourceWatermark)) == 3
    assert shop.pull() == PullCounts()


def test_a_slice_that_is_refused_leaves_room_for_the_next(shop: Shop) -> None:
    """What was read of a file that must be refused goes; the file beside it is taken whole."""
    _shop_with_files(shop)
    wrong = shop.home / "orders0.csv"
    wrong.write_bytes(ORDERS.encode() + b"\n9,c1,2025-08-01,1\n8,caf\xe9,2025-08-01,1\n")

    with pytest.raises(SourceError, match=r"orders0\.csv is not UTF-8"):
        shop.pull()

    assert sorted(one.external_id for one in shop.all(Purchase)) == ["1", "2"]
