"""The shop of the town: its real purchases, and the exports that grow by a day each morning."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from winback.town.people import draw
from winback.town.persons import CUSTOMER_COLUMNS, made_up_person

_DATA: Final = Path(__file__).parent / "data" / "cdnow_sample.csv.gz"
_RETURNED_SHARE: Final = 0.02
_RETURNED_AFTER: Final = timedelta(days=8)
ORDER_COLUMNS: Final = ("customer_id", "date", "total", "discs", "voucher")


@dataclass(frozen=True, slots=True)
class Order:
    """One row of the shop's export: a sale, or a return with a negative total."""

    customer: str
    day: date
    total: Decimal
    discs: str = ""
    voucher: str = ""

    def row(self) -> tuple[str, ...]:
        """Give it as the export writes it."""
        return (self.customer, self.day.isoformat(), str(self.total), self.discs, self.voucher)


class Shop:
    """What was really bought, what the town's people buy besides, and the two export files."""

    def __init__(self, home: Path, seed: int, zone: ZoneInfo) -> None:
        self._seed = seed
        self.zone = zone
        self._folder = home / "data"
        self.real = read_purchases()
        self.simulated: list[Order] = []
        """What came from a message; the report does not know which these are."""
        self._by_day: defaultdict[date, list[Order]] = defaultdict(list)
        self._joined: defaultdict[date, list[str]] = defaultdict(list)
        self._latest: dict[str, Decimal] = {}
        seen: set[str] = set()
        for order in self.real:
            self._by_day[order.day].append(order)
            if order.customer not in seen:
                self._joined[order.day].append(order.customer)
                seen.add(order.customer)
        for place, order in enumerate(self.real):
            if draw(seed, order.customer, "returns", place) < _RETURNED_SHARE and order.total:
                self._add_return(order)

    def open(self, first: date) -> None:
        """Write both exports with everything before the first day."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, columns in (("customers", CUSTOMER_COLUMNS), ("orders", ORDER_COLUMNS)):
            path = self._folder / f"{name}.csv"
            path.unlink(missing_ok=True)
            self._append(path, [columns])
        for day in sorted(day for day in self._by_day if day < first):
            self.trade(day)

    def trade(self, day: date) -> int:
        """Append one day's new customers and purchases; gives how many purchases."""
        newcomers = [made_up_person(self._seed, customer) for customer in self._joined.get(day, ())]
        orders = self._by_day.get(day, [])
        self._append(self._folder / "customers.csv", newcomers)
        self._append(self._folder / "orders.csv", [order.row() for order in orders])
        for order in orders:
            if order.total > 0:
                self._latest[order.customer] = order.total
        return len(orders)

    def sell(self, customer: str, day: date, voucher: str) -> None:
        """Let a customer buy on a day to come because of a message."""
        usual = max(self._latest.get(customer, Decimal(0)), Decimal("21.98"))
        total = usual * Decimal("0.85") if voucher else usual
        order = Order(customer, day, total.quantize(Decimal("0.01")), "1", voucher)
        self.simulated.append(order)
        self._by_day[day].append(order)
        if draw(self._seed, customer, "returns", day) < _RETURNED_SHARE:
            self._add_return(order)

    def _add_return(self, order: Order) -> None:
        day = order.day + _RETURNED_AFTER
        self._by_day[day].append(Order(order.customer, day, -order.total))

    @staticmethod
    def _append(path: Path, rows: Iterable[Sequence[str]]) -> None:
        with path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def read_purchases() -> tuple[Order, ...]:
    """Read the 6,919 real purchases, in the order of their days."""
    with gzip.open(_DATA, "rt", encoding="utf-8", newline="") as file:
        orders = [
            Order(
                row["sample_id"],
                date.fromisoformat(row["date"]),
                Decimal(row["dollar_value"]),
                row["number_of_cds"],
            )
            for row in csv.DictReader(file)
        ]
    return tuple(sorted(orders, key=lambda order: (order.day, order.customer)))
