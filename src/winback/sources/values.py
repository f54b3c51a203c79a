"""What one written value means: amounts, times, yes and no, lists.

Pure. What can be read in two ways is refused, never guessed. Reasons are for the person who
mends the file.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from winback.money import SCALE, to_units

STORED_INSTANT: Final = "%Y-%m-%d %H:%M:%S.%f"
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
_YES: Final = frozenset(
    re.split(" ", "yes y true t 1 on ja j oui o si sì sí sim s tak subscribed opted_in given")
)
_NO: Final = frozenset(
    re.split(" ", "no n false f 0 off nein non nej nee não nie unsubscribed opted_out opt-out")
)
_AMBIGUOUS_DATE: Final = re.compile(r"\d{1,2}([/.\-])\d{1,2}\1(\d{4}|\d{2})\b.*")
_DATE_LENGTH: Final = len("2026-03-01")
_SECONDS_LENGTH: Final = len("2026-03-01T10:00:00")
_CACHED: Final = 100_000


class AmbiguousDate(ValueError):
    """A date that can be read in two ways: the whole file is refused."""


class Instant(NamedTuple):
    """One time of purchase, in the form in which it is stored."""

    at: str
    """In UTC, as ``YYYY-MM-DD HH:MM:SS.ffffff``."""
    on: str
    """Date in the business's time zone."""
    is_date_only: int


class TimeReader:
    """Reads written times; remembers what it read, because dates repeat."""

    def __init__(
        self, *, source_zone: ZoneInfo, business_zone: ZoneInfo, date_format: str | None
    ) -> None:
        self._source_zone = source_zone
        self._business_zone = business_zone
        self._date_format = date_format
        self._known: dict[str, Instant] = {}
        self._hours: dict[str, tuple[str, str] | None] = {}

    def read(self, written: str) -> Instant:
        """Read a time: ISO 8601, or as ``date_format`` says; naive ones in the source's zone.

        A date alone stands at midnight of the business's zone. Raises AmbiguousDate for
        01/02/2026 without a format, ValueError for what is no time.
        """
        known = self._known.get(written)
        if known is not None:
            return known
        if len(written) == _SECONDS_LENGTH and self._date_format is None:
            return self._to_the_second(written)
        instant = self._read(written)
        if len(self._known) >= _CACHED:
            self._known.clear()
        self._known[written] = instant
        return instant

    def _to_the_second(self, written: str) -> Instant:
        """Read ``2026-03-01T10:20:30``: the zone is asked once an hour, not once a row."""
        try:
            datetime.fromisoformat(written)
        except ValueError:
            return self._read(written)
        hour, rest = written[:13], written[13:]
        if not (rest[0] == rest[3] == ":"):
            # Such as 2026-03-01T10:20+01, which is as long and has an offset.
            return self._read(written)
        if hour not in self._hours:
            if len(self._hours) >= _CACHED:
                self._hours.clear()
            self._hours[hour] = self._whole_hour(hour)
        found = self._hours[hour]
        if found is None:
            return self._read(written)
        return Instant(f"{found[0]}{rest}.000000", found[1], 0)

    def _whole_hour(self, hour: str) -> tuple[str, str] | None:
        """Give the UTC hour and the local date of all of an hour; None where they change in it."""
        if hour[10] not in "T ":
            return None
        first = datetime.fromisoformat(f"{hour[:10]} {hour[11:]}:00:00")
        last = first + timedelta(minutes=59, seconds=59, microseconds=999_999)
        utc = [one.replace(tzinfo=self._source_zone).astimezone(UTC) for one in (first, last)]
        days = {one.astimezone(self._business_zone).date() for one in utc}
        if utc[1] - utc[0] != last - first or utc[0].minute or len(days) > 1:
            return None
        return f"{utc[0]:%Y-%m-%d %H}", days.pop().isoformat()

    def _read(self, written: str) -> Instant:
        value = self._parse(written)
        if not isinstance(value, datetime):
            midnight = datetime.combine(value, time.min, tzinfo=self._business_zone)
            return Instant(_stored(midnight), value.isoformat(), 1)
        if value.tzinfo is None:
            value = value.replace(tzinfo=self._source_zone)
        on = value.astimezone(self._business_zone).date()
        return Instant(_stored(value), on.isoformat(), 0)

    def _parse(self, written: str) -> datetime | date:
        text = written.strip()
        if not text:
            raise ValueError("is empty")
        if self._date_format is not None:
            return self._by_format(text)
        if _AMBIGUOUS_DATE.fullmatch(text):
            raise AmbiguousDate(text)
        try:
            if len(text) <= _DATE_LENGTH:
                return date.fromisoformat(text)
            return datetime.fromisoformat(text.removesuffix(" UTC"))
        except ValueError:
            raise ValueError("is no time; write 2026-03-01 or 2026-03-01T10:00:00") from None

    def _by_format(self, text: str) -> datetime | date:
        form = self._date_format or ""
        try:
            value = datetime.strptime(text, form)  # noqa: DTZ007 - its zone is given by the caller
        except ValueError:
            raise ValueError(f"is not written as {form}") from None
        has_time = any(sign in form for sign in ("%H", "%I", "%M", "%S", "%X", "%c", "%T"))
        return value if has_time else value.date()


def _stored(instant: datetime) -> str:
    try:
        # Not strftime: it writes years before 1000 without zeros.
        text = instant.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    except OverflowError:
        raise ValueError("is out of the calendar") from None
    return text


def amount_reader() -> Callable[[str, str], int]:
    """Give a reader of amounts to ten-thousandths that remembers what it read."""
    known: dict[tuple[str, str], int] = {}

    def read(written: str, currency: str) -> int:
        units = known.get((written, currency))
        if units is None:
            units = read_amount(written, currency)
            if len(known) >= _CACHED:
                known.clear()
            known[written, currency] = units
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
        allowed = _SYMBOLS.get(sign, {sign.upper()})
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


def read_yes(written: str) -> bool | None:
    """Read yes or no in common words; None for nothing. Raises ValueError for anything else."""
    word = written.strip().lower()
    if not word:
        return None
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError("is neither yes nor no")


def read_list(written: str) -> list[str]:
    """Read a list: a JSON array, or words parted by semicolons or commas."""
    text = written.strip()
    if text.startswith("["):
        try:
            parts = [str(part) for part in json.loads(text)]
        except ValueError:
            raise ValueError("is no list; part the words by commas") from None
    else:
        parts = re.split(r"[;,]", text)
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def to_text(value: object) -> str:  # noqa: PLR0911 - one line for each type
    """Give a value of a database, JSON or Parquet as the text that a file would hold."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case float():
            return format(Decimal(repr(value)), "f") if value == value else ""  # noqa: PLR0124
        case Decimal():
            return format(value, "f")
        case datetime() | date():
            return value.isoformat()
        case list() | tuple() | dict():
            return json.dumps(value, ensure_ascii=False, default=str)
        case bytes():
            return value.decode("utf-8", "replace")
        case _:
            return str(value)
