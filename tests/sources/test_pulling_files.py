"""Files are pulled whole or by their growth, in one transaction, safe to repeat."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tests.sources.shops import Shop
from winback.database.tables import (
    Consent,
    ContactPoint,
    Customer,
    Purchase,
    RejectedRow,
    SourceCustomer,
)
from winback.sources.pulling import PullCounts
from winback.states import Channel, ConsentState, PurchaseKind

HEADER = "id,first,email,phone,news,texts"


def test_customers_and_purchases_are_taken_with_their_sums(shop: Shop) -> None:
    """The one way in: rows, contact points, consents and maintained sums."""
    shop.write(
        "customers.csv",
        HEADER,
        "c1,Ada,Ada@Example.com,07400 123456,yes,no",
        "c2,Bob,,,,",
    )
    shop.write(
        "orders.csv",
        "no,customer,date,total",
        "1,c1,2025-08-01,12.50",
        "2,c1,2025-07-01T23:30:00,7.50",
        "3,c1,2025-08-02,-2.50",
    )

    counts = shop.pull()

    assert counts == PullCounts(read=5, added=5, changed=0, rejected=0)
    ada, bob = shop.all(Customer)
    assert (ada.given_name, ada.purchase_count, ada.spent) == ("Ada", 2, Decimal("17.50"))
    assert ada.last_purchased_on == date(2025, 8, 1)
    assert ada.last_purchased_at == datetime(2025, 7, 31, 23, tzinfo=UTC)
    assert ada.first_purchased_at == datetime(2025, 7, 1, 22, 30, tzinfo=UTC)
    assert (bob.purchase_count, bob.last_purchased_on) == (0, None)
    points = {(point.channel, point.address) for point in shop.all(ContactPoint)}
    assert points == {(Channel.EMAIL, "ada@example.com"), (Channel.SMS, "+447400123456")}
    said = {(one.channel, one.state, one.source, one.evidence) for one in shop.all(Consent)}
    assert said == {
        (Channel.EMAIL, ConsentState.GIVEN, "till", "customers.csv:2"),
        (Channel.SMS, ConsentState.WITHDRAWN, "till", "customers.csv:2"),
    }
    kinds = [purchase.kind for purchase in shop.all(Purchase)]
    assert kinds == [PurchaseKind.SALE, PurchaseKind.SALE, PurchaseKind.REFUND]


def test_a_second_pull_changes_nothing(shop: Shop) -> None:
    """Pull is safe to repeat; unchanged files are not even read."""
    shop.write("customers.csv", HEADER, "c1,Ada,ada@example.com,,yes,")
    shop.write("orders.csv", "no,customer,date,total", "1,c1,2025-08-01,12.50")
    shop.pull()
    before = [one.changed_at for one in shop.all(Customer)]

    counts = shop.pull(now=shop.now + timedelta(days=1))

    assert counts == PullCounts()
    assert [one.changed_at for one in shop.all(Customer)] == before


def test_a_rewritten_file_is_compared_row_by_row(shop: Shop) -> None:
    """A whole new export with one correction changes that one purchase and its customer."""
    shop.write("customers.csv", HEADER, "c1,Ada,,,,", "c2,Bob,,,,")
    lines = ["no,customer,date,total", "1,c1,2025-08-01,12.50", "2,c2,2025-08-01,10"]
    shop.write("orders.csv", *lines)
    shop.pull()

    shop.write("orders.csv", lines[0], "1,c2,2025-09-01,20", lines[2])
    counts = shop.pull(now=shop.now + timedelta(days=1))

    assert counts == PullCounts(read=2, added=0, changed=1, rejected=0)
    ada, bob = shop.all(Customer)
    assert (ada.purchase_count, ada.spent, ada.last_purchased_on) == (0, 0, None)
    assert (bob.purchase_count, bob.spent) == (2, Decimal(30))
    assert bob.last_purchased_on == date(2025, 9, 1)
    assert ada.changed_at == bob.changed_at == shop.now + timedelta(days=1)


def test_a_grown_file_is_read_from_where_it_grew(shop: Shop) -> None:
    """The cost follows what changed: only the added lines are read, numbered on."""
    shop.write("customers.csv", HEADER, "c1,Ada,,,,")
    shop.write("orders.csv", "no,customer,date,total", "1,c1,2025-08-01,12.50")
    shop.pull()

    shop.append("orders.csv", "2,c1,2025-08-02,1", "3,c1,nonsense,1")
    counts = shop.pull()

    assert counts == PullCounts(read=2, added=1, changed=0, rejected=1)
    assert shop.reasons() == [
        ("orders.csv:4", "purchased_at is no time; write 2026-03-01 or 2026-03-01T10:00:00")
    ]


def test_a_last_line_without_its_end_is_read_again_when_it_grew(shop: Shop) -> None:
    """A file may be pulled while it is written: half a line never stays."""
    shop.write("customers.csv", HEADER, "c1,Ada,,,,")
    shop.write("orders.csv", "no,customer,date,total", "1,c1,2025-08-01,1", end="")
    shop.pull()

    shop.append("orders.csv", "2.50", "2,c1,2025-08-02,1")
    counts = shop.pull()

    assert counts == PullCounts(read=2, added=1, changed=1, rejected=0)
    assert [one.amount for one in shop.all(Purchase)] == [Decimal("12.50"), Decimal(1)]


def test_equal_rows_without_ids_stay_separate_purchases(shop: Shop) -> None:
    """DESIGN.md, section 7: an ordinal among equal rows, the file's name left out."""
    shop.configure(
        till={
            "kind": "files",
            "purchases": {
                "path": "orders*.csv",
                "columns": {"customer": "customer", "purchased_at": "date", "amount": "total"},
            },
        }
    )
    row = "c1,2025-08-01,12.50"
    shop.write("orders-a.csv", "customer,date,total", row, row, "c2,2025-08-01,3")
    assert shop.pull() == PullCounts(read=3, added=3)

    # The same rows in another file are the same purchases, one more there is one more.
    shop.write("orders-b.csv", "customer,date,total", row, row, row)
    assert shop.pull() == PullCounts(read=3, added=1)

    # In a grown file the count goes on, also where equal rows came from elsewhere.
    shop.append("orders-a.csv", row)
    assert shop.pull() == PullCounts(read=1, added=0)
    shop.append("orders-a.csv", row)
    assert shop.pull() == PullCounts(read=1, added=1)

    assert [one.purchase_count for one in shop.all(Customer)] == [4, 1]
    assert [one.external_id for one in shop.all(SourceCustomer)] == ["c1", "c2"]


def test_a_purchase_of_an_unknown_customer_waits_for_it(shop: Shop) -> None:
    """It is rejected with its reason, and taken when the customer appears."""
    shop.write("customers.csv", HEADER, "c1,Ada,,,,")
    shop.write("orders.csv", "no,customer,date,total", "1,c1,2025-08-01,1", "2,c9,2025-08-01,2.25")
    assert shop.pull() == PullCounts(read=3, added=2, rejected=1)
    assert shop.reasons() == [
        ("orders.csv:3", "customer is not known; it will be taken when its customer is")
    ]

    shop.append("customers.csv", "c9,Cy,,,,")
    counts = shop.pull()

    assert counts == PullCounts(read=1, added=2)
    assert shop.all(RejectedRow) == []
    assert [one.spent for one in shop.all(Customer)] == [Decimal(1), Decimal("2.25")]
