"""What a written amount means, and in which currency.

Pure. What can be read in two ways is refused, never guessed. Reasons are for the person who
mends the file.
"""

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Final

from winback.money import SCALE, to_units

_PLAIN: Final = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,4}))?")
_AROUND: Final = re.compile(
    r"(?P<sign>[-+\u2212]?)\s*(?P<before>[A-Za-z]{3}|[^\w\s.,+-]{1,2})?\s*(?P<sign2>[-\u2212]?)"
    r"(?P<number>[\d.,\u00a0\u202f' ]*\d)\s*(?P<after>[A-Za-z]{3}|[^\w\s.,+-]{1,2})?"
)
_SYMBOLS: Final = {
    "€": {"EUR"},
    "£": {"GBP", "EGP", "FKP", "GIP", "SHP"},
    "$": {"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "ARS", "CLP", "COP", "TWD"},
    "¥": {"JPY", "CNY"},
    "₹": {"INR"},
    "zł": {"PLN"},
    "kr": {"SEK", "NOK", "DKK", "ISK"},
}
_CACHED: Final = 100_000


def amount_reader(own_currency: str) -> Callable[[str, str], int]:
    """Give a reader of amounts to ten-thousandths that remembers those of one currency."""
    known: dict[str, int] = {}

    def read(written: str, currency: str) -> int:
        if currency != own_currency:
            return read_amount(written, currency)
        units = known.get(written)
        if units is None:
            units = read_amount(written, currency)
            if len(known) >= _CACHED:
                known.clear()
            known[written] = units
        return units

    return read


def read_amount(written: str, currency: str) -> int:
    """Read an amount to whole ten-thousandths: ``12.50``, ``1,234.50``, ``€ 12``, ``-3,5``.

    Raises ValueError for ``1,234``, which may be a thousand or one, and for a currency sign
    that is not the row's currency.
    """
    text = written.strip()
    if plain := _PLAIN.fullmatch(text):
        units = int(plain[2]) * SCALE + int((plain[3] or "").ljust(4, "0"))
        return -units if plain[1] else units
    found = _AROUND.fullmatch(text)
    if found is None:
        raise ValueError("is no amount; write 12.50" if text else "is empty")
    for sign in filter(None, (found["before"], found["after"])):
        allowed = _SYMBOLS.get(sign) or ({sign.upper()} if sign.isalpha() else set())
        if not allowed:
            raise ValueError("is no amount; write 12.50")
        if currency not in allowed:
            raise ValueError(f"is not in {currency}; map a currency column")
    number = _decimal(re.sub(r"[\u00a0\u202f' ]", "", found["number"]))
    return to_units(-number if found["sign"] in ("-", "\u2212") or found["sign2"] else number)


def _decimal(digits: str) -> Decimal:
    """Read digits with points and commas; the mark that stands last is the decimal one."""
    commas, points = digits.count(","), digits.count(".")
    if commas and points:
        mark = max(",.", key=digits.rfind)
        other = "." if mark == "," else ","
        whole, _, rest = digits.rpartition(mark)
        groups = whole.split(other)
        if mark in whole or not _are_thousands(groups):
            raise ValueError("is no amount; write 1234.50")
        digits = f"{''.join(groups)}.{rest}"
    elif commas > 1 or points > 1:
        groups = digits.split("," if commas else ".")
        if not _are_thousands(groups):
            raise ValueError("is no amount; write 1234567")
        digits = "".join(groups)
    elif commas:
        whole, _, rest = digits.partition(",")
        if len(rest) == len("000") and whole.strip("0"):
            raise ValueError("may mean thousands or thousandths; write 1234 or 1.234")
        digits = f"{whole}.{rest}"
    try:
        number = Decimal(digits)
    except InvalidOperation:
        raise ValueError("is no amount; write 12.50") from None
    if number >= 10**12:
        raise ValueError("is too large for an amount")
    return number


def _are_thousands(groups: list[str]) -> bool:
    first, *rest = groups
    return 1 <= len(first) <= len("000") and all(len(group) == len("000") for group in rest)


@cache
def known_currencies() -> frozenset[str]:
    """Give the currency codes of ISO 4217, those of old purchases too, as CLDR knows them."""
    from babel.core import get_global  # noqa: PLC0415 - babel is not light

    # XXX says that there is no currency, XTS that somebody tests.
    return frozenset(get_global("all_currencies")) - {"XXX", "XTS"}
