"""``config/sources.yaml``: which sources there are and how their columns are named.

Unknown keys and impossible values are refused with file, line and the nearest right word.
``${NAME}`` in any text is replaced from the environment; what it stands for is never shown.
"""

import codecs
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from winback.errors import FileMistakes, Mistake
from winback.periods import Period, PeriodField
from winback.yaml_files import Place, Strict, check_values, line_of, nearest, parse_yaml, read_text

FILE: Final = "config/sources.yaml"
_LAST_PORT: Final = 65_535
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _word(written: Any) -> Any:
    if isinstance(written, bool):
        # YAML 1.1 reads a bare no, yes, on or off as a flag.
        raise ValueError("YAML reads this word as a flag: write it in quotes, as 'no'")
    return str(written) if isinstance(written, int) else written


Column = Annotated[
    str, BeforeValidator(_word), StringConstraints(strip_whitespace=True, min_length=1)
]
"""The name of a column as the file writes it."""


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(
            f"{name!r} is no time zone: {nearest(name, sorted(available_timezones()))}"
        )
    return name


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except LookupError:
        raise ValueError(f"{name!r} is no encoding: write utf-8, cp1252 or latin-1") from None
    return name


def _date_format(written: str) -> str:
    if not re.search(r"%d|%-d|%j", written) or not re.search(r"%[mbB]|%j", written):
        raise ValueError(f"{written!r} names no day and month: write %d/%m/%Y or %m/%d/%Y")
    return written


def _database_url(written: SecretStr) -> SecretStr:
    try:
        port = make_url(written.get_secret_value()).port
    except (ArgumentError, ValueError):
        # Where a port should stand may be half a password: what cannot be read is not shown.
        port = -1
    if port is not None and not 0 < port <= _LAST_PORT:
        raise ValueError("this is no database address: write postgresql://user:password@host/name")
    return written


class CustomerColumns(Strict):
    """Which column is what of a customer; only the id is required."""

    external_id: Column
    given_name: Column | None = None
    family_name: Column | None = None
    email: Column | None = None
    phone: Column | None = None
    country: Column | None = None
    region: Column | None = None
    postal_code: Column | None = None
    time_zone: Column | None = None
    locale: Column | None = None
    tags: Column | None = None
    interests: Column | None = None
    loyalty_id: Column | None = None
    acquired_by: Column | None = None
    email_consent: Column | None = None
    email_consent_at: Column | None = None
    email_consent_source: Column | None = None
    sms_consent: Column | None = None
    sms_consent_at: Column | None = None
    sms_consent_source: Column | None = None
    call_consent: Column | None = None
    call_consent_at: Column | None = None
    call_consent_source: Column | None = None
    letter_consent: Column | None = None
    letter_consent_at: Column | None = None
    letter_consent_source: Column | None = None


class PurchaseColumns(Strict):
    """Which column is what of a purchase; customer, time and amount are required."""

    external_id: Column | None = None
    customer: Column
    purchased_at: Column
    amount: Column
    currency: Column | None = None
    voucher: Column | None = None
    store: Column | None = None
    product: Column | None = None
    category: Column | None = None
    refund_of: Column | None = None
    kind: Column | None = None


class CustomerFiles(Strict):
    """Files of customers; ``sms_consent_is: written`` says that texts were agreed to in writing."""

    path: Column
    columns: CustomerColumns
    sms_consent_is: Literal["written"] | None = None


class PurchaseFiles(Strict):
    """Files of purchases; ``path`` may be a pattern."""

    path: Column
    columns: PurchaseColumns


class CustomerQuery(Strict):
    """A query whose result columns carry our names for a customer."""

    query: Column
    sms_consent_is: Literal["written"] | None = None


class PurchaseQuery(Strict):
    """A query whose result columns carry our names for a purchase."""

    query: Column


class Files(Strict):
    """CSV, TSV, JSON lines or Parquet, plain or compressed."""

    kind: Literal["files"]
    customers: CustomerFiles | None = None
    purchases: PurchaseFiles | None = None
    time_zone: Annotated[str, AfterValidator(_known_zone)] | None = None
    date_format: Annotated[str, AfterValidator(_date_format)] | None = None
    """How dates are written where not as 2026-03-01, in the signs of ``strptime``."""
    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"


class Sql(Strict):
    """Any database that SQLAlchemy reaches; read only, streamed."""

    kind: Literal["sql"]
    url: Annotated[SecretStr, AfterValidator(_database_url)]
    overlap: PeriodField = Period(days=3)
    """``:since`` is the start of the last good pull minus this."""
    customers: CustomerQuery | None = None
    purchases: PurchaseQuery | None = None
    time_zone: Annotated[str, AfterValidator(_known_zone)] | None = None
    date_format: Annotated[str, AfterValidator(_date_format)] | None = None
    timeout_minutes: Annotated[int, Field(ge=1)] = 30
    row_limit: Annotated[int, Field(ge=1)] = 50_000_000
    """A query that gives more rows is refused (FACTS.md SEC-21)."""


SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class SourcesFile(Strict):
    """The whole file."""

    sources: dict[SourceName, Annotated[Files | Sql, Field(discriminator="kind")]]


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One source, by its name."""

    name: str
    how: Files | Sql


def load_sources(home: Path, environ: Mapping[str, str] = os.environ) -> tuple[SourceConfig, ...]:
    """Read and check ``config/sources.yaml``; none where there is no such file.

    Raises FileMistakes with every mistake.
    """
    path = home / FILE
    if not path.exists():
        return ()
    text = read_text(path, FILE)
    named = {name: environ[name] for name in _VARIABLE.findall(text) if name in environ}
    return _parsed(text, tuple(named.items()))


@lru_cache(maxsize=4)
def _parsed(text: str, named: tuple[tuple[str, str], ...]) -> tuple[SourceConfig, ...]:
    """Give the sources of a text, with what the environment says to its names.

    Every day asks again, and a file seldom changes: parsing it takes as long as a small pull.
    """
    environ = dict(named)
    written, lines = parse_yaml(text, FILE)
    missing: list[Mistake] = []
    value = _expanded(written, (), environ=environ, lines=lines, missing=missing)
    if missing:
        raise FileMistakes(missing)
    checked = check_values(value, lines, SourcesFile, shown_as=FILE, written=written)
    empty = [
        Mistake(
            FILE,
            line_of(lines, ("sources", name)),
            f"{name} has neither customers nor purchases",
            "add one",
        )
        for name, how in checked.sources.items()
        if how.customers is None and how.purchases is None
    ]
    if empty:
        raise FileMistakes(empty)
    return tuple(SourceConfig(name, how) for name, how in checked.sources.items())


def notes_on(sources: tuple[SourceConfig, ...], *, is_sandbox: bool) -> list[str]:
    """Give what ``check`` should say of sources that are right but leave something open."""
    notes: list[str] = []
    for source in sources:
        how = source.how
        if isinstance(how.purchases, PurchaseFiles) and how.purchases.columns.external_id is None:
            notes.append(
                f"{source.name}: purchases have no external_id column; "
                "each changed row will count as a new purchase, so corrections need one"
            )
        customers = how.customers
        asks_texts = customers is not None and (
            "sms_consent" in customers.query
            if isinstance(customers, CustomerQuery)
            else customers.columns.sms_consent is not None
        )
        if asks_texts and customers is not None and customers.sms_consent_is is None:
            assumed = "assumed here in the sandbox" if is_sandbox else "so no text will be sent"
            notes.append(
                f"{source.name}: nothing says that text consents are written, {assumed}; "
                "add sms_consent_is: written where they are"
            )
    return notes


def _expanded(
    value: Any,
    place: Place,
    *,
    environ: Mapping[str, str],
    lines: dict[Place, int],
    missing: list[Mistake],
) -> Any:
    """Replace every ``${NAME}``; notes the names that the environment does not have."""
    if isinstance(value, dict):
        return {
            key: _expanded(inner, (*place, key), environ=environ, lines=lines, missing=missing)
            for key, inner in value.items()
        }
    if not isinstance(value, str):
        return value
    missing += [
        Mistake(
            FILE, line_of(lines, place), f"${{{name}}} is not set", f"set {name} in the environment"
        )
        for name in _VARIABLE.findall(value)
        if name not in environ
    ]
    return _VARIABLE.sub(lambda found: environ.get(found[1], ""), value)
