"""Read one new or changed row of a customer: normalized, checked, hashed.

Pure. A customer is taken even where a value is wrong: without that value, and the defect is
noted; only a row without an id is refused.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import blake2b
from typing import Final, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from winback.customers.identity import address_hash, normalize_email, read_phone
from winback.database.bulk import Cell
from winback.sources.times import AmbiguousDate, TimeReader
from winback.sources.values import read_list, read_yes
from winback.states import Channel, ConsentState

T = TypeVar("T")
TEXTS: Final = ("given_name", "family_name", "region", "postal_code", "loyalty_id", "acquired_by")
LISTS: Final = ("tags", "interests")
FIELDS: Final = (*TEXTS, "country", "time_zone", "locale", *LISTS)
"""Columns of the customer's own row."""
PERSONAL: Final = (*TEXTS, *LISTS)
"""Fields that are not taken again once the person was erased."""
_LONGEST_LOCALE: Final = 35
_ISO_LENGTH: Final = 2

FRESH_COLUMNS: Final = (
    "n",
    "external_id",
    "row_hash",
    "customer_id",
    *FIELDS,
    "email",
    "email_hash",
    "phone",
    "phone_channel",
    "phone_hash",
    *(f"{channel}_{what}" for channel in Channel for what in ("state", "at", "evidence")),
)


@dataclass(frozen=True, slots=True)
class CustomerForm:
    """How a source's customers are written."""

    source: str
    names: Sequence[str]
    country: str
    """The business's, for customers without one."""
    source_zone: ZoneInfo
    business_zone: ZoneInfo
    date_format: str | None
    is_sms_written: bool
    secret: str


@dataclass(frozen=True, slots=True)
class Fresh:
    """One row, ready to be taken, and what was wrong with it."""

    values: Mapping[str, Cell]
    defects: Sequence[str]


def row_hash(form: CustomerForm) -> Callable[[Sequence[str]], str]:
    """Give what hashes a row together with how it is understood."""
    salt = repr((tuple(form.names), form.country, form.is_sms_written, form.date_format))

    def hashed(values: Sequence[str]) -> str:
        return blake2b("\x1f".join([salt, *values]).encode(), digest_size=16).hexdigest()

    return hashed


def customer_reader(form: CustomerForm) -> Callable[[Mapping[str, str], str], Fresh]:
    """Give what turns one mapped row, and its place, into one that can be taken."""
    times = TimeReader(
        source_zone=form.source_zone, business_zone=form.business_zone, date_format=form.date_format
    )

    texts = [name for name in TEXTS if name in form.names]
    lists = [name for name in LISTS if name in form.names]
    channels = [channel for channel in Channel if f"{channel}_consent" in form.names]
    nothing: dict[str, Cell] = dict.fromkeys(FRESH_COLUMNS)
    nothing |= dict.fromkeys(LISTS, "[]")

    def read(row: Mapping[str, str], place: str) -> Fresh:
        defects: list[str] = []
        values = dict(nothing)
        for name in texts:
            values[name] = _clean(row[name]) or None
        for name in lists:
            found = _taken(read_list, row[name], name, defects)
            values[name] = json.dumps(found or [], ensure_ascii=False)
        country = _taken(_country, row.get("country", ""), "country", defects)
        values["country"] = country
        values["time_zone"] = _taken(_zone, row.get("time_zone", ""), "time_zone", defects)
        values["locale"] = _taken(_locale, row.get("locale", ""), "locale", defects)
        _read_addresses(row, values, defects, form=form, country=country or form.country)
        for channel in channels:
            _read_consent(row, values, defects, channel=channel, times=times, place=place)
        return Fresh(values, defects)

    return read


def _read_addresses(
    row: Mapping[str, str],
    values: dict[str, Cell],
    defects: list[str],
    *,
    form: CustomerForm,
    country: str,
) -> None:
    email = _taken(normalize_email, row.get("email", ""), "email", defects)
    values["email"] = email
    values["email_hash"] = address_hash(form.secret, Channel.EMAIL, email) if email else None
    read = partial(read_phone, country=country)
    phone = _taken(read, row.get("phone", ""), "phone", defects)
    if phone:
        number, channel = phone
        values["phone"], values["phone_channel"] = number, channel.value
        values["phone_hash"] = address_hash(form.secret, channel, number)


def _read_consent(
    row: Mapping[str, str],
    values: dict[str, Cell],
    defects: list[str],
    *,
    channel: Channel,
    times: TimeReader,
    place: str,
) -> None:
    """Read what a row says of one channel: a yes, a no, or nothing."""
    said = _taken(read_yes, row.get(f"{channel}_consent", ""), f"{channel}_consent", defects)
    at = None
    if written_at := row.get(f"{channel}_consent_at", ""):
        try:
            at = times.read(written_at)[0]
        except AmbiguousDate as ambiguous:
            raise ambiguous.refusal(place, f"{channel}_consent_at") from None
        except ValueError as bad:
            defects.append(f"{channel}_consent_at {bad}; taken without it")
    origin = _clean(row.get(f"{channel}_consent_source", ""))
    state = None
    if said is not None:
        state = ConsentState.GIVEN.value if said else ConsentState.WITHDRAWN.value
    values[f"{channel}_state"] = state
    values[f"{channel}_at"] = at
    values[f"{channel}_evidence"] = f"{place}: {origin}" if origin else place


def _taken(read: Callable[[str], T], written: str, name: str, defects: list[str]) -> T | None:
    """Read a value, or note why it is left out."""
    text = _clean(written)
    if not text:
        return None
    try:
        return read(text)
    except ValueError as bad:
        defects.append(f"{name}: {bad}; taken without it")
        return None


def _clean(written: str) -> str:
    return written.strip().replace("\0", "")


def _country(written: str) -> str:
    code = written.upper()
    code = "GB" if code == "UK" else code
    if len(code) != _ISO_LENGTH or not code.isascii() or not code.isalpha():
        raise ValueError("is no country code; write GB or US")
    return code


def _zone(written: str) -> str:
    if written not in _zones():
        raise ValueError("is no time zone; write Europe/London")
    return written


@cache
def _zones() -> frozenset[str]:
    # Asked once: listing the zones reads a folder.
    return frozenset(available_timezones())


def _locale(written: str) -> str:
    locale = written.replace("_", "-")
    parts = locale.split("-")
    if len(locale) > _LONGEST_LOCALE or not all(
        part.isascii() and part.isalnum() for part in parts
    ):
        raise ValueError("is no locale; write en or en-GB")
    return locale
