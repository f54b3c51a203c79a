"""Offers: what a voucher gives, its words for the customer, its cost to us, how it is honored."""

import json
import re
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Final

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, format_decimal
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from winback.periods import Period, PeriodField
from winback.yaml_files import Strict


class OfferKind(StrEnum):
    """What kind of thing an offer gives; the words are the keys of the campaign file."""

    PERCENT = "percent"
    AMOUNT = "amount"
    GIFT = "gift"
    FREE_TRIAL = "free_trial"
    EARLY_ACCESS = "early_access"
    POINTS = "points"
    GUARANTEE = "guarantee"


_COST_NEEDED: Final = (OfferKind.GIFT, OfferKind.FREE_TRIAL, OfferKind.POINTS)


def _number_before_percent(written: Any) -> Any:
    if isinstance(written, str) and written.strip().endswith("%"):
        return written.strip().removesuffix("%").strip()
    return written


def _more_than_nothing(period: Period) -> Period:
    if period.is_nothing:
        raise ValueError("no time at all: write 1 day or more")
    return period


def _safe_path(path: str) -> str:
    if re.match(r"[/\\]|[A-Za-z]:", path) or ".." in re.split(r"[/\\]", path):
        raise ValueError(f"{path!r} leads out of the project: write config/codes.csv")
    return path


Words = Annotated[str, Field(min_length=1, max_length=200)]
Some = Annotated[PeriodField, AfterValidator(_more_than_nothing)]
Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class Offer(Strict):
    """One offer: exactly one kind, and how long a voucher of it is valid from the day it is sent.

    Codes are made up to ``codes``, or drawn from the file ``codes_from``; with neither they are
    made as they are needed.
    """

    percent: Annotated[Positive | None, BeforeValidator(_number_before_percent), Field(le=100)] = (
        None
    )
    amount: Positive | None = None
    gift: Words | None = None
    free_trial: Some | None = None
    early_access: Words | None = None
    points: Annotated[int, Field(gt=0)] | None = None
    guarantee: Words | None = None
    valid_for: Some
    minimum_spend: Positive | None = None
    codes: Annotated[int, Field(gt=0, le=10_000_000)] | None = None
    codes_from: Annotated[str, AfterValidator(_safe_path)] | None = None
    cost: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None = None
    words: Words | None = None
    honored: Words | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "Offer":
        kinds = [kind.value for kind in OfferKind if getattr(self, kind) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            raise ValueError(
                f"an offer gives exactly one thing, found {found}: "
                f"keep one of {', '.join(kind.value for kind in OfferKind)}"
            )
        if self.codes is not None and self.codes_from is not None:
            raise ValueError("codes and codes_from exclude each other: keep one")
        return self

    @property
    def kind(self) -> OfferKind:
        """What kind of thing it gives."""
        return next(kind for kind in OfferKind if getattr(self, kind) is not None)

    @property
    def terms(self) -> str:
        """What it gives, as plain JSON: what a code is worth at the till, whatever its words."""
        given = self.model_dump(
            mode="json", exclude_none=True, include={self.kind.value, "minimum_spend"}
        )
        return json.dumps(given, sort_keys=True)

    @property
    def has_no_limit(self) -> bool:
        """Say whether codes are made as they are needed."""
        return self.codes is None and self.codes_from is None

    @property
    def is_cost_unknown(self) -> bool:
        """Say whether it costs us something that nobody wrote down."""
        return self.kind in _COST_NEEDED and self.cost is None

    def says(self, currency: str, locale: str | None) -> str:
        """Give its words for a customer, as "15% off from £30"; ``words`` replace them whole."""
        if self.words is not None:
            return self.words
        gives = self._gives(currency, _locale(locale))
        if self.minimum_spend is None:
            return gives
        return f"{gives} from {_money(self.minimum_spend, currency, _locale(locale))}"

    def cost_of(self, order_amount: Decimal) -> Decimal:
        """Give what one redeemed voucher costs us; the amount is what the customer paid.

        What was paid is the price after the discount: 15 % off an order of 100 leaves 85, and
        costs 15. A ``cost`` that is written down wins.
        """
        if self.cost is not None:
            return self.cost
        paid = max(order_amount, Decimal(0))
        match self.kind:
            case OfferKind.PERCENT if self.percent is not None and self.percent < 100:  # noqa: PLR2004
                return (paid * self.percent / (100 - self.percent)).quantize(Decimal("0.0001"))
            case OfferKind.AMOUNT if self.amount is not None:
                return self.amount
            case _:
                return Decimal(0)

    def honored_by(self, currency: str, locale: str | None) -> str:
        """Say how the shop honors it: what is done at the till when the code comes."""
        if self.honored is not None:
            return self.honored
        gives = self._gives(currency, _locale(locale))
        match self.kind:
            case OfferKind.PERCENT | OfferKind.AMOUNT:
                return f"take {gives.removesuffix(' off')} off the order"
            case OfferKind.GIFT:
                return f"add {gives} to the order"
            case OfferKind.POINTS:
                return f"book {gives} to the customer's account"
            case _:
                return f"grant {gives}"

    def _gives(self, currency: str, locale: Locale) -> str:
        match self.kind:
            case OfferKind.PERCENT if self.percent is not None:
                return f"{_number(self.percent, locale)}% off"
            case OfferKind.AMOUNT if self.amount is not None:
                return f"{_money(self.amount, currency, locale)} off"
            case OfferKind.FREE_TRIAL:
                return f"{self.free_trial} free"
            case OfferKind.EARLY_ACCESS:
                return f"early access to {self.early_access}"
            case OfferKind.POINTS if self.points is not None:
                return f"{_number(self.points, locale)} points"
            case _:
                return self.gift or self.guarantee or ""


@lru_cache(maxsize=512)
def _locale(written: str | None) -> Locale:
    """Read ``en-GB``; British English where it is unknown."""
    try:
        return Locale.parse((written or "en-GB").replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return Locale("en", "GB")


@lru_cache(maxsize=1024)
def _money(amount: Decimal, currency: str, locale: Locale) -> str:
    """Write an amount as a person would: £20, and £20.50."""
    if amount != amount.to_integral_value():
        return format_currency(amount, currency, locale=locale)
    pattern = locale.currency_formats["standard"].pattern.replace(".00", "")
    return format_currency(amount, currency, pattern, locale=locale, currency_digits=False)


@lru_cache(maxsize=1024)
def _number(number: Decimal | int, locale: Locale) -> str:
    return format_decimal(number, locale=locale)
