"""Read one row of a purchase into the tuple that is staged.

Pure. This is the inner loop of a pull: a million rows go through it in seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final
from zoneinfo import ZoneInfo

from winback.database.bulk import Cell
from winback.sources.amounts import amount_reader, known_currencies
from winback.sources.protocol import BadRow
from winback.sources.times import AmbiguousDate, TimeReader
from winback.states import PurchaseKind

OPTIONAL: Final = {
    "refund_of": "refund_of",
    "voucher": "voucher_code",
    "store": "store",
    "product": "product",
    "category": "category",
}
"""Our names in a mapping, and the columns that they are stored in."""
_FIXED: Final = (
    "n",
    "external_id",
    "customer",
    "purchased_at",
    "purchased_on",
    "is_date_only",
    "amount",
    "currency",
    "kind",
)
_KINDS: Final = {
    "": "",
    "sale": "sale",
    "refund": "refund",
    "return": "refund",
    "order": "sale",
    "purchase": "sale",
}
_LONGEST_ID: Final = 1_000
StagedRow = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class PurchaseForm:
    """How a source's purchases are written."""

    source: str
    path: str
    """The file, or ``query``: for the sentence that refuses it."""
    names: Sequence[str]
    """Our names, in the order of the values."""
    currency: str
    """The business's, for rows without one."""
    source_zone: ZoneInfo
    business_zone: ZoneInfo
    date_format: str | None

    @property
    def has_ids(self) -> bool:
        """Say whether the rows carry ids of their own."""
        return "external_id" in self.names

    @property
    def optional(self) -> tuple[str, ...]:
        """The stored columns that this source fills beyond the fixed ones."""
        return tuple(column for name, column in OPTIONAL.items() if name in self.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a staged row."""
        return _FIXED + self.optional


def purchase_reader(form: PurchaseForm) -> Callable[[int, Sequence[str]], StagedRow]:
    """Give what turns one row into a staged one.

    A row without an id gets the hash of (source, customer, time, amount, currency); the ordinal
    among equal rows is added in the database. The reader raises BadRow with the column and the
    reason, SourceError for a date that can be read in two ways.
    """
    times = TimeReader(
        source_zone=form.source_zone,
        business_zone=form.business_zone,
        date_format=form.date_format,
    )
    read_time, read_units = times.read, amount_reader(form.currency)
    places = {name: index for index, name in enumerate(form.names)}
    at_place, amount_place = places["purchased_at"], places["amount"]
    customer_place, id_place = places["customer"], places.get("external_id")
    currency_place, kind_place = places.get("currency"), places.get("kind")
    extra_places = tuple(places[name] for name in OPTIONAL if name in places)
    own_currency, salt = form.currency, form.source

    def read(line: int, values: Sequence[str]) -> StagedRow:
        what = "customer"
        try:
            customer = values[customer_place].strip()
            if not customer or "\0" in customer or len(customer) > _LONGEST_ID:
                _refuse_name(customer)
            what = "purchased_at"
            at, on, is_date_only = read_time(values[at_place])
            what = "currency"
            currency = own_currency
            if currency_place is not None and values[currency_place]:
                currency = _currency(values[currency_place])
            what = "amount"
            units = read_units(values[amount_place], currency)
            what = "kind"
            kind = "refund" if units < 0 else "sale"
            if kind_place is not None and _kind(values[kind_place]) == PurchaseKind.REFUND:
                kind, units = "refund", -abs(units)
            what = "external_id"
            if id_place is not None:
                external_id = values[id_place].strip()
                if not external_id or "\0" in external_id or len(external_id) > _LONGEST_ID:
                    _refuse_name(external_id)
            else:
                when = on if is_date_only else at
                seed = f"{salt}\x1f{customer}\x1f{when}\x1f{units}\x1f{currency}"
                external_id = blake2b(seed.encode(), digest_size=16).hexdigest()
        except AmbiguousDate as ambiguous:
            place = f"{form.source}: {form.path}, line {line}"
            raise ambiguous.refusal(place, "purchased_at") from None
        except ValueError as bad:
            raise BadRow(
                line, f"{what} {bad}", dict(zip(form.names, values, strict=False))
            ) from None
        row = (line, external_id, customer, at, on, is_date_only, units, currency, kind)
        if not extra_places:
            return row
        return row + tuple([_extra(values[place]) for place in extra_places])

    return read


def _refuse_name(name: str) -> None:
    if not name:
        raise ValueError("is empty")
    raise ValueError("holds a NUL" if "\0" in name else "is too long")


def _currency(written: str) -> str:
    code = written.strip().upper()
    if code not in known_currencies():
        raise ValueError("is no currency code of ISO 4217; write GBP or USD")
    return code


def _kind(written: str) -> str:
    kind = _KINDS.get(written.strip().lower())
    if kind is None:
        raise ValueError("is neither sale nor refund")
    return kind


def _extra(written: str) -> str | None:
    # Neither database's text can hold a NUL for certain.
    return written.strip().replace("\0", "") or None
