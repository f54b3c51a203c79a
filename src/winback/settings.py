"""The settings of one installation: ``config/winback.yaml``, checked.

Loaded once, at the top, and handed down as small values; secrets come from ``environment.py``.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from winback.errors import ConfigError
from winback.shipped import shipped
from winback.states import Mode
from winback.yaml_files import Strict, load_file, nearest

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


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
        return Decimal(written.strip().removesuffix("%").strip()) / 100
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
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", written):
        raise ValueError(f"{written!r} is no address: write https://shop.example.com")
    return written


def _one_line(written: str) -> str:
    # A line break in a name would become a header of its own (FACTS.md SEC-7).
    if not written.strip() or not written.isprintable():
        raise ValueError(f"{written!r} cannot be shown: write one line of text")
    return written


Line = Annotated[str, AfterValidator(_one_line)]
Address = Annotated[str, AfterValidator(_address)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Cost = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]

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

    high: Annotated[Decimal, BeforeValidator(_top_percent)] = Decimal("0.2")


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many in the rolling 24 hours and in the rolling 7 days; None is no limit."""

    per_day: int | None = None
    per_week: int | None = None


def _cap(written: Any) -> Any:
    if isinstance(written, Cap):
        return written
    if not isinstance(written, str):
        raise ValueError(f"{written!r} is no cap: write 1 per day and 2 per week")
    found: dict[str, int] = {}
    for part in written.split(" and "):
        match = re.fullmatch(r"\s*(\d+) per (day|week)\s*", part)
        if match is None:
            raise ValueError(f"{written!r} is no cap: write 1 per day and 2 per week")
        found[match[2]] = int(match[1])
    return Cap(found.get("day"), found.get("week"))


CapField = Annotated[Cap, BeforeValidator(_cap)]


class Caps(Strict):
    """How many messages a person gets over all campaigns; answers count."""

    sms: CapField = Cap(1, 2)
    email: CapField = Cap(None, 2)


SMS_PACES: Final = {"long code": 1.0, "toll free": 3.0, "short code": 100.0}
"""Segments a second that a kind of number carries (FACTS.md TW-19)."""


def _pace(written: Any) -> Any:
    # YAML 1.1 reads a bare ``off`` as false.
    if written is False or written == "off":
        return "off"
    if written == "auto" or isinstance(written, float):
        return written
    if written in SMS_PACES:
        return SMS_PACES[written]
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?) per second\s*", str(written))
    if found is None or float(found[1]) == 0:
        raise ValueError(
            f"{written!r} is no pace: write long code, toll free, short code, 12 per second or off"
        )
    return float(found[1])


PaceField = Annotated[Literal["auto", "off"] | float, BeforeValidator(_pace)]


class PaceSettings(Strict):
    """How fast messages leave: mails, and segments of texts, a second."""

    email: PaceField = "auto"
    sms: PaceField = "auto"
    """By the kind of number that texts come from (FACTS.md TW-19), or in figures."""


class DailyLimits(Strict):
    """How many messages of a channel leave in one local day of the business."""

    email: Annotated[int, Field(ge=0)] = 2000
    sms: Annotated[int, Field(ge=0)] = 500
    sms_segments: Annotated[int, Field(ge=1)] | None = None
    """A brand's budget at the carriers, over all its numbers (FACTS.md TW-19b); None: none."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A window of local wall-clock time, start inclusive, end exclusive."""

    opens: time
    closes: time


def _hours(written: Any) -> Any:
    if isinstance(written, Hours) or written is None:
        return written
    found = re.fullmatch(
        r"\s*(\d{1,2})(?::(\d\d))?\s*(?:to|-)\s*(\d{1,2})(?::(\d\d))?\s*", str(written)
    )
    if found is None:
        raise ValueError(f"{written!r} are no hours: write 09:00 to 20:00, or null for none")
    opens = time(int(found[1]), int(found[2] or 0))
    closes = time(int(found[3]), int(found[4] or 0))
    if opens >= closes:
        raise ValueError(f"{written!r} ends before it begins: write 09:00 to 20:00")
    return Hours(opens, closes)


HoursField = Annotated[Hours | None, BeforeValidator(_hours)]


class CustomHours(Strict):
    """Hours in which messages may leave, per weekday; a weekday that is left out has none.

    With a ``profile`` its hours hold on the weekdays that are left out.
    """

    profile: Literal["standard", "strict"] | None = None
    mon: HoursField = None
    tue: HoursField = None
    wed: HoursField = None
    thu: HoursField = None
    fri: HoursField = None
    sat: HoursField = None
    sun: HoursField = None
    holidays: bool = True
    """Whether messages may leave on public holidays of the recipient's country."""

    @property
    def written_days(self) -> tuple[Weekday, ...]:
        """Give the weekdays that are written out, those with ``null`` included."""
        return tuple(day for day in WEEKDAYS if day in self.model_fields_set)


class QuietHours(Strict):
    """When messages may leave, per channel, where their reader is."""

    sms: Literal["standard", "strict"] | CustomHours = "standard"
    email: Literal["any", "standard", "strict"] | CustomHours = "any"


def _quiet_hours(written: Any) -> Any:
    """Read hours that name no channel as those of texts."""
    if isinstance(written, QuietHours):
        return written
    if isinstance(written, dict) and written.keys() & QuietHours.model_fields.keys():
        return written
    return {"sms": written}


class Policies(Strict):
    """When, how often and how many; every key has a default."""

    quiet_hours: Annotated[QuietHours, BeforeValidator(_quiet_hours)] = QuietHours()
    caps: Caps = Caps()
    daily_limits: DailyLimits = DailyLimits()
    pace: PaceSettings = PaceSettings()
    warm_up: Literal["auto", "off"] = "auto"
    in_flight: Annotated[int, Field(ge=1, le=1000)] = 64
    """Calls that one worker has on their way at a time, and so the most it leaves in doubt."""

    @model_validator(mode="before")
    @classmethod
    def _off_is_a_word(cls, written: Any) -> Any:
        # YAML 1.1 reads a bare ``off`` as false.
        if isinstance(written, dict) and written.get("warm_up") is False:
            return written | {"warm_up": "off"}
        return written


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
        if not re.fullmatch(r"https?://[^/\s]+(/[^\s?#]*)?", self.public_url):
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
