"""The settings of one installation: ``config/winback.yaml``, checked.

Loaded once, at the top, and handed down as small values; secrets come from ``environment.py``.
"""

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from winback.errors import ConfigError
from winback.policies import Policies
from winback.shipped import shipped
from winback.states import Mode
from winback.yaml_files import Strict, load_file, nearest


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(
            f"{name!r} is no time zone: {nearest(name, sorted(available_timezones()))}"
        )
    return name


def _country(code: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", code):
        raise ValueError(f"{code!r} is no country code: write two capitals, as GB or US")
    countries, _ = _countries_and_currencies()
    if code not in countries:
        raise ValueError(f"{code!r} is no country code: {_near_code(code, countries, 'GB or US')}")
    return code


def _currency(code: str) -> str:
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise ValueError(f"{code!r} is no currency code: write three capitals, as GBP or USD")
    _, currencies = _countries_and_currencies()
    if code not in currencies:
        raise ValueError(
            f"{code!r} is no currency code: {_near_code(code, currencies, 'GBP or USD')}"
        )
    return code


@cache
def _countries_and_currencies() -> tuple[frozenset[str], frozenset[str]]:
    """Give the codes of ISO 3166 and ISO 4217 that are in use, as CLDR knows them."""
    from babel.core import get_global  # noqa: PLC0415 - babel is not light

    in_use = {
        territory: {code for code, _, until, is_tender in listed if is_tender and until is None}
        for territory, listed in get_global("territory_currencies").items()
    }
    # CLDR lists the European Union beside its members; a business stands in one of these.
    countries = frozenset(name for name, codes in in_use.items() if codes and name != "EU")
    return countries, frozenset().union(*in_use.values())


def _near_code(code: str, known: Iterable[str], examples: str) -> str:
    swapped = [word for word in sorted(known) if sorted(word) == sorted(code)]
    near = swapped or get_close_matches(code, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"write one that is in use, as {examples}"


def _percent(written: Any) -> Any:
    if isinstance(written, str) and written.strip().endswith("%"):
        try:
            return Decimal(written.strip().removesuffix("%").strip()) / 100
        except InvalidOperation as broken:
            raise ValueError(f"{written!r} is no share: write 40%") from broken
    return written


def _top_percent(written: Any) -> Any:
    if isinstance(written, str) and (found := re.fullmatch(r"top\s+(\d+(?:\.\d+)?)\s*%", written)):
        return Decimal(found[1]) / 100
    raise ValueError(f"{written!r} is no share: write top 20%")


def _address(written: str) -> str:
    if not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+", written):
        raise ValueError(f"{written!r} is no e-mail address: write anna@example.com")
    return written


def _recipient(written: str) -> str:
    if not re.fullmatch(r"\+[1-9]\d{6,14}", written):
        _address(written)
    return written


def _host(written: str) -> str:
    if not re.fullmatch(
        r"([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?\.)+[a-zA-Z][a-zA-Z0-9-]+", written
    ):
        raise ValueError(f"{written!r} is no domain: write reply.example.com")
    return written


def _web_address(written: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", written) or not _leads_somewhere(written):
        raise ValueError(f"{written!r} is no address: write https://shop.example.com")
    return written


def _leads_somewhere(url: str) -> bool:
    """Say whether a URL has a host, and a port that there is."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _one_line(written: str) -> str:
    # A line break in a name would become a header of its own (FACTS.md SEC-7).
    if not written.strip() or not written.isprintable():
        raise ValueError(f"{written!r} cannot be shown: write one line of text")
    return written


Line = Annotated[str, AfterValidator(_one_line)]
Address = Annotated[str, AfterValidator(_address)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Cost = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]

Share = Annotated[Decimal, BeforeValidator(_percent), Field(ge=0, le=1)]
"""A share between 0 and 1, written as ``40%``."""


class EmailSender(Strict):
    """Who mails come from; without ``reply_domain`` replies go to ``support_email``."""

    name: Line
    address: Address
    reply_domain: Annotated[str, AfterValidator(_host)] | None = None


class SmsSender(Strict):
    """The Twilio messaging service that texts come from."""

    messaging_service: Annotated[str, Field(pattern=r"^MG[0-9a-fA-F]{32}$")]


class SenderSettings(Strict):
    """Who writes; without ``sms`` no text is sent and steps fall to their ``otherwise``."""

    email: EmailSender
    sms: SmsSender | None = None


class BusinessSettings(Strict):
    """Who the business is; ``time_zone`` is the zone in which all its days are counted."""

    name: Line
    postal_address: Line
    country: Annotated[str, AfterValidator(_country)]
    time_zone: Annotated[str, AfterValidator(_known_zone)]
    currency: Annotated[str, AfterValidator(_currency)]
    website: WebAddress | None = None
    support_email: Address | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The business's time zone."""
        return ZoneInfo(self.time_zone)


class Economics(Strict):
    """Margin as a share of revenue; costs of a mail and of a text segment, in own currency."""

    margin: Share = Decimal("0.4")
    email_cost: Cost = Decimal("0.001")
    sms_segment_cost: Cost = Decimal("0.04")


class ValueSettings(Strict):
    """Whose value is high: the top share by 24-month spend."""

    high: Annotated[Decimal, BeforeValidator(_top_percent), Field(le=1)] = Decimal("0.2")


class Settings(Strict):
    """``config/winback.yaml``, checked."""

    business: BusinessSettings
    sender: SenderSettings
    mode: Mode = Mode.SANDBOX
    allow_list: tuple[Annotated[str, AfterValidator(_recipient)], ...] = ()
    public_url: str = "http://127.0.0.1:8484"
    economics: Economics = Economics()
    value: ValueSettings = ValueSettings()
    policies: Policies = Policies()
    heartbeat_url: WebAddress | None = None

    @model_validator(mode="after")
    def _url_has_no_path_tail(self) -> "Settings":
        is_plain = re.fullmatch(r"https?://[^/\s]+(/[^\s?#]*)?", self.public_url)
        if is_plain is None or not _leads_somewhere(self.public_url):
            raise ValueError(
                f"public_url {self.public_url!r} is no address: write https://win.example.com"
            )
        return self

    @property
    def base_url(self) -> str:
        """The public URL without a closing slash."""
        return self.public_url.rstrip("/")


def load_settings(home: Path) -> Settings:
    """Read and check ``config/winback.yaml``; raises FileMistakes with every mistake."""
    path = home / "config" / "winback.yaml"
    if not path.exists():
        raise ConfigError(
            f"there is no config/winback.yaml under {home}; "
            "go to the folder that holds it or name it in WINBACK_HOME; a new one begins with a "
            f"copy of config, templates, flows and prefect.yaml of {shipped('config')}"
        )
    return load_file(path, Settings, shown_as="config/winback.yaml")
