"""The shop's exports hold the real purchases, each on its day, and people who reach nobody."""

import csv
import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import phonenumbers
import pytest

from winback.town.shop import Shop, read_purchases
from winback.town.walk import FIRST, LAST, ZONE, days_between

SEED = 1997


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Give the shop on the eve of the first day."""
    shop = Shop(tmp_path, SEED, ZONE)
    shop.open(FIRST)
    return shop


def rows(home: Path, name: str) -> list[dict[str, str]]:
    """Read one export."""
    with (home / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_real_data_are_whole() -> None:
    """6,919 purchases of 2,357 customers, exact duplicates and zero values included."""
    orders = read_purchases()

    assert len(orders) == 6_919
    assert len({order.customer for order in orders}) == 2_357
    assert sum(order.total == 0 for order in orders) == 8
    assert sum(count - 1 for count in Counter(orders).values() if count > 1) == 21


def test_the_shop_opens_with_the_past_and_nothing_of_the_future(shop: Shop, tmp_path: Path) -> None:
    """Purchases arrive when their day comes, none before."""
    assert shop.real
    assert max(row["date"] for row in rows(tmp_path, "orders")) < FIRST.isoformat()
    assert len(rows(tmp_path, "customers")) == 2_357


def test_the_exports_only_grow(shop: Shop, tmp_path: Path) -> None:
    """What was exported stays as it was: a grown file is read from where it grew."""
    path = tmp_path / "data" / "orders.csv"
    before = path.read_bytes()

    shop.trade(FIRST)

    assert path.read_bytes().startswith(before)
    assert rows(tmp_path, "orders")[-1]["date"] == FIRST.isoformat()


def test_after_the_walk_every_real_purchase_was_exported(shop: Shop, tmp_path: Path) -> None:
    """All 6,919 arrive, and besides only returns."""
    for day in days_between():
        shop.trade(day)

    totals = [Decimal(row["total"]) for row in rows(tmp_path, "orders")]
    assert sum(total >= 0 for total in totals) == 6_919
    assert 0 < sum(total < 0 for total in totals) < 300
    assert days_between()[-1] == LAST


def test_a_shop_opened_again_starts_afresh(shop: Shop, tmp_path: Path) -> None:
    """Each demo begins from the same exports."""
    path = tmp_path / "data" / "orders.csv"
    before = path.read_bytes()
    shop.trade(FIRST)

    Shop(tmp_path, SEED, ZONE).open(FIRST)

    assert path.read_bytes() == before


def test_people_are_made_up_and_reach_nobody(shop: Shop, tmp_path: Path) -> None:
    """Addresses of example.com, numbers of the exchange 555 that are valid in form."""
    people = rows(tmp_path, "customers")

    assert shop.real
    for person in people:
        assert not person["email"] or re.fullmatch(r"[a-z]+\.\d{4}@example\.com", person["email"])
        if person["phone"]:
            assert person["phone"].startswith("+1202555")
            assert phonenumbers.is_valid_number(phonenumbers.parse(person["phone"]))
    assert len({person["phone"] for person in people if person["phone"]}) > 1_500


def test_consents_differ(shop: Shop, tmp_path: Path) -> None:
    """Most agree to mails, some to texts too, some only to mails, a few to nothing."""
    found = Counter((row["news"], row["texts"]) for row in rows(tmp_path, "customers"))

    assert shop.real
    assert found["yes", "yes"] > 800
    assert found["yes", "no"] > 500
    assert found["no", "no"] > 50


def test_a_voucher_buyer_pays_less_on_the_day(shop: Shop, tmp_path: Path) -> None:
    """A simulated purchase is exported on its day, with its code, after the discount."""
    day = FIRST + timedelta(days=3)
    shop.sell("0001", day, "ABCD-EFGH-JKMNP")

    shop.trade(day)

    row = next(row for row in rows(tmp_path, "orders") if row["voucher"])
    assert (row["customer_id"], row["date"]) == ("0001", day.isoformat())
    assert Decimal(row["total"]) > 18
    assert [order.customer for order in shop.simulated] == ["0001"]


def test_the_data_start_and_end_where_they_should() -> None:
    """Real purchases reach from January 1997 to the last day of the walk."""
    days = [order.day for order in read_purchases()]

    assert (min(days), max(days)) == (date(1997, 1, 1), LAST)
