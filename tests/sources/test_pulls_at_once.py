"""Two pulls of one source at once: whatever becomes of the other, ours never ends with half."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import event

from tests.sources.shops import CUSTOMERS, PURCHASES, Shop
from winback.database.tables import Customer, Purchase, RejectedRow, SourceWatermark
from winback.errors import SourceError
from winback.sources.pulling import Progress, PullCounts, Reading

HEADER = "id,first,email,phone,news,texts"
ORDERS = "no,customer,date,total"
EVERYTHING = PullCounts(read=5, added=4, changed=0, rejected=1)


class Killed(BaseException):
    """The end of a process, as far as a pull can tell."""


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """Give the shop one file of customers and three of orders, the last with one of nobody."""
    shop.write("customers.csv", HEADER, "c1,Ada,ada@example.com,,yes,")
    shop.write("orders1.csv", ORDERS, "1,c1,2024-08-01,12.50")
    shop.write("orders2.csv", ORDERS, "2,c1,2026-02-28,7.50")
    shop.write("orders3.csv", ORDERS, "3,c1,2026-03-01,7.50", "4,c9,2026-03-01,7.50")
    return shop


def once_at(path: str, happens: Callable[[], object]) -> Progress:
    """Give what lets something happen once, while the rows of this file are being read."""
    happened: list[str] = []

    def told(reading: Reading) -> None:
        if reading.path == path and not happened:
            happened.append(path)
            happens()

    return told


def all_is_there(shop: Shop) -> None:
    """Every row was taken once, every file is marked, and the sums are those of all orders."""
    assert sorted(one.external_id for one in shop.all(Purchase)) == ["1", "2", "3"]
    assert [row.waits_for for row in shop.all(RejectedRow)] == ["c9"]
    assert [(one.purchase_count, str(one.last_purchased_on)) for one in shop.all(Customer)] == [
        (3, "2026-03-01")
    ]
    assert len(shop.all(SourceWatermark)) == 4
    assert shop.pull() == PullCounts()


@pytest.mark.parametrize("dies_at", ["orders2.csv", "orders3.csv"])
def test_what_a_pull_that_died_did_not_take_is_taken(shop: Shop, dies_at: str) -> None:
    """Another pull got ahead and died in the middle: ours takes all that it left, and counts it."""

    def die() -> None:
        raise Killed

    def other() -> None:
        with pytest.raises(Killed):
            shop.pull(progress=once_at(dies_at, die))

    counts = shop.pull(progress=once_at("orders1.csv", other))

    taken = 1 if dies_at == "orders2.csv" else 2
    assert counts == PullCounts(read=5 - taken, added=4 - taken, changed=0, rejected=1)
    all_is_there(shop)


def test_a_pull_that_is_still_reading_is_not_waited_for(shop: Shop) -> None:
    """Another pull got ahead and stands in the middle: when ours ends, all is there, once."""
    stands, goes_on = Event(), Event()

    def stand() -> None:
        stands.set()
        goes_on.wait()

    with ThreadPoolExecutor(1) as pool:
        others = []

        def other() -> None:
            others.append(pool.submit(shop.pull, progress=once_at("orders2.csv", stand)))
            stands.wait()

        try:
            ours = shop.pull(progress=once_at("customers.csv", other))
            all_is_there(shop)
        finally:
            goes_on.set()
        theirs = others[0].result()

    assert theirs == PullCounts(read=2, added=2, changed=0, rejected=0)
    assert ours + theirs == EVERYTHING
    all_is_there(shop)


@pytest.mark.parametrize("begins_at", ["customers.csv", "orders1.csv", "orders3.csv"])
def test_a_pull_that_takes_everything_leaves_nothing_and_that_is_no_error(
    shop: Shop, begins_at: str
) -> None:
    """All was taken meanwhile: ours counts only what it took itself, and ends well."""
    others: list[PullCounts] = []

    ours = shop.pull(progress=once_at(begins_at, lambda: others.append(shop.pull())))

    assert others[0].read > 0
    assert ours + others[0] == EVERYTHING
    all_is_there(shop)


def test_purchases_that_waited_are_taken_once_by_two_pulls(shop: Shop) -> None:
    """Their customer came, and another pull took them as ours was about to: none is lost."""
    shop.pull()
    shop.append("customers.csv", "c9,Bob,,,,")
    shop.append("orders3.csv", "5,c9,2026-03-02,7.50")
    others: list[PullCounts] = []

    def before(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "CREATE TEMPORARY TABLE staged_purchases" in statement.strip() and not others:
            others.append(PullCounts())
            others.append(shop.pull())

    event.listen(shop.engine, "before_cursor_execute", before)
    ours = shop.pull()

    assert others[-1] == PullCounts(read=1, added=2, changed=0, rejected=0)
    assert ours == PullCounts(read=1, added=1, changed=0, rejected=0)
    assert sorted(one.external_id for one in shop.all(Purchase)) == ["1", "2", "3", "4", "5"]
    assert shop.all(RejectedRow) == []
    assert shop.pull() == PullCounts()


def test_equal_rows_without_ids_are_counted_on_from_what_another_pull_took(shop: Shop) -> None:
    """A file grew, and another pull took the first of it: an equal row is one more, not the same.

    What was counted before stands on what is no longer so, and is counted anew.
    """
    columns = {"customer": "customer", "purchased_at": "date", "amount": "total"}
    orders = {"path": "orders1.csv", "columns": columns}
    shop.configure(till={"kind": "files", "customers": CUSTOMERS, "purchases": orders})
    shop.pull()
    shop.append("orders1.csv", "7,c1,2024-08-01,12.50")

    def other() -> None:
        shop.pull()
        shop.append("orders1.csv", "8,c1,2024-08-01,12.50")

    ours = shop.pull(progress=once_at("orders1.csv", other))

    assert ours == PullCounts(read=1, added=1, changed=0, rejected=0)
    assert len(shop.all(Purchase)) == 3


def test_a_refused_file_is_told_once_however_often_the_source_is_read(shop: Shop) -> None:
    """One sentence for it, and what stands beside it is taken, also where a pull begins again."""
    (shop.home / "orders0.csv").write_bytes(ORDERS.encode() + b"\n8,caf\xe9,2025-08-01,1\n")

    def other() -> None:
        with pytest.raises(SourceError):
            shop.pull()

    with pytest.raises(SourceError) as told:
        shop.pull(progress=once_at("orders2.csv", other))

    assert str(told.value).count("orders0.csv is not UTF-8") == 1
    assert "\n" not in str(told.value)
    assert sorted(one.external_id for one in shop.all(Purchase)) == ["1", "2", "3"]


def test_who_is_overtaken_again_and_again_gives_up_aloud(shop: Shop) -> None:
    """The day must not go on with half the facts: one sentence, and what it was told to do.

    Nothing is lost: the next pull takes what is left. Other sources are pulled all the same.
    """
    books = {"path": "books.csv", "columns": PURCHASES["columns"]}
    till = {"kind": "files", "customers": CUSTOMERS, "purchases": PURCHASES}
    shop.configure(till=till, books={"kind": "files", "purchases": books})
    shop.write("books.csv", ORDERS, "b1,c1,2026-03-01,5.00")
    overtaken = 0

    def told(reading: Reading) -> None:
        nonlocal overtaken
        if reading.path == "orders1.csv":
            overtaken += 1
            shop.pull("till", now=shop.now + timedelta(seconds=overtaken))
            shop.append("orders1.csv", f"1{overtaken},c1,2025-01-01,1.00")

    with pytest.raises(SourceError) as refused:
        shop.pull(progress=told)

    assert overtaken == 3
    assert str(refused.value) == (
        "till: another pull takes from it at the same time, and its purchases may not all be "
        "there; wait until that one has ended, then pull again"
    )
    assert "b1" in [one.external_id for one in shop.all(Purchase)]
    shop.pull()
    assert len(shop.all(Purchase)) == 3 + overtaken + 1
