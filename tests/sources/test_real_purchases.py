"""The real purchases that are shipped: 2,357 customers, no ids, 21 rows equal to another."""

from decimal import Decimal
from importlib.resources import as_file, files

from tests.sources.shops import Shop, settings
from winback.database.tables import Customer, Purchase
from winback.sources.pulling import PullCounts

EQUAL = 21
"""Rows that equal an earlier one in customer, day and amount; 21 of them in all columns."""


def test_every_real_purchase_stays(shop: Shop) -> None:
    """Equal rows are legitimate purchases; zero-value ones are purchases too."""
    with as_file(files("winback.town").joinpath("data", "cdnow_sample.csv.gz")) as path:
        (shop.home / path.name).write_bytes(path.read_bytes())
    columns = {"customer": "master_id", "purchased_at": "date", "amount": "dollar_value"}
    shop.configure(
        shop={"kind": "files", "purchases": {"path": "cdnow_sample.csv.gz", "columns": columns}}
    )
    shop.settings = settings(currency="USD")

    assert shop.pull() == PullCounts(read=6919, added=6919)
    assert shop.pull() == PullCounts()

    customers = shop.all(Customer)
    assert len(customers) == 2357
    assert sum(one.purchase_count for one in customers) == 6919
    ids = shop.all(Purchase, "external_id")
    assert len(set(ids)) == 6919
    assert sum(not one.endswith("-1") for one in ids) == EQUAL
    assert sum(one.spent for one in customers) == sum(shop.all(Purchase, "amount"), Decimal(0))
