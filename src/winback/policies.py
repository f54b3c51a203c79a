"""The ``policies`` of ``config/winback.yaml``, checked: when, how often and how many."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from winback.yaml_files import Strict

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


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
        if match[2] in found:
            raise ValueError(f"{written!r} says per {match[2]} twice: keep one")
        found[match[2]] = int(match[1])
    return Cap(found.get("day"), found.get("week"))


CapField = Annotated[Cap, BeforeValidator(_cap)]


class Caps(Strict):
    """How many messages a person gets over all campaigns; answers count."""

    sms: CapField = Cap(1, 2)
    email: CapField = Cap(None, 2)


SMS_PACES: Final = {"long code": 1.0, "toll free": 3.0, "short code": 100.0}
"""Segments a second that a kind of number carries (FACTS.md TW-19)."""


_SLOWEST: Final = 0.001
"""Four an hour; far slower ones would come to instants that no calendar has."""


def _pace(written: Any, *, kinds: Mapping[str, float]) -> Any:
    # YAML 1.1 reads a bare ``off`` as false.
    if written is False or written == "off":
        return "off"
    if written == "auto":
        return written
    pace = written if isinstance(written, float) else _in_figures(str(written), kinds)
    # "nan" and "inf" are floats, but no pace.
    if pace is None or not _SLOWEST <= pace < float("inf"):
        of_kinds = "".join(f"{kind}, " for kind in kinds)
        raise ValueError(
            f"{written!r} is no pace: write {of_kinds}12 per second ({_SLOWEST} at least), auto "
            "or off"
        )
    return pace


def _in_figures(written: str, kinds: Mapping[str, float]) -> float | None:
    if written in kinds:
        return kinds[written]
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?) per second\s*", written)
    return None if found is None else float(found[1])


Pace = Literal["auto", "off"] | float


class PaceSettings(Strict):
    """How fast messages leave: mails, and segments of texts, a second."""

    email: Annotated[Pace, BeforeValidator(partial(_pace, kinds={}))] = "auto"
    sms: Annotated[Pace, BeforeValidator(partial(_pace, kinds=SMS_PACES))] = "auto"
    """By the kind of number that texts come from (FACTS.md TW-19), or in figures."""


def _count(written: Any) -> Any:
    # YAML 1.1 reads a bare ``on`` or ``off`` as true or false, which are numbers to Python.
    if isinstance(written, bool):
        raise ValueError(f"{written!r} is no number: write how many")
    return written


Count = Annotated[int, BeforeValidator(_count), Field(ge=0, le=1_000_000_000)]


class DailyLimits(Strict):
    """How many messages of a channel leave in one local day of the business."""

    email: Count = 2000
    sms: Count = 500
    sms_segments: Annotated[Count, Field(ge=1)] | None = None
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
    in_flight: Annotated[Count, Field(ge=1, le=1000)] = 64
    """Calls that one worker has on their way at a time, and so the most it leaves in doubt."""

    @model_validator(mode="before")
    @classmethod
    def _off_is_a_word(cls, written: Any) -> Any:
        # YAML 1.1 reads a bare ``off`` as false.
        if isinstance(written, dict) and written.get("warm_up") is False:
            return written | {"warm_up": "off"}
        return written
