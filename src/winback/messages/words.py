"""The filters of templates: dates and money in the words of the reader's language."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency
from jinja2 import Undefined, pass_context
from jinja2.runtime import Context

from winback.errors import TemplateError

LANGUAGE = "_language"
"""Name, in the running context, of the language that the template is written in."""


@pass_context
def day(context: Context, value: object) -> str:
    """Write a date in full: 12 March 2026."""
    return _written(_date(value), "long", _locale(context))


@pass_context
def short_day(context: Context, value: object) -> str:
    """Write a date without its year: 12 March."""
    return _written(_date(value), "MMMMd", _locale(context))


@pass_context
def weekday(context: Context, value: object) -> str:
    """Write the day of the week: Thursday."""
    return _written(_date(value), "EEEE", _locale(context))


@pass_context
def month(context: Context, value: object) -> str:
    """Write month and year: March 2026."""
    return _written(_date(value), "yMMMM", _locale(context))


@pass_context
def money(context: Context, value: object) -> str:
    """Write an amount of the business's currency: £30.00."""
    _refuse_missing(value)
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise TemplateError("the filter money was given something that is no amount") from None
    return format_currency(amount, context["business"]["currency"], locale=_locale(context))


def reader_locale(context: Mapping[str, Any], language: str) -> str:
    """Give the locale for dates and money: the template's language as the reader's country says.

    A date in another language than the words around it would look like a mistake, so a reader's
    own locale counts only where it is of the template's language.
    """
    return _best_locale(
        language,
        context["customer"]["locale"],
        context["customer"]["country"],
        home=context["business"]["country"],
    )


@lru_cache(maxsize=4096)
def _best_locale(language: str, own: str, country: str, *, home: str) -> str:
    spoken = language.replace("_", "-").split("-")[0] or "en"
    own = own.replace("-", "_")
    wanted = [own] if own.split("_")[0].lower() == spoken and "_" in own else []
    wanted += [language.replace("-", "_")] if "-" in language or "_" in language else []
    wanted += [f"{spoken}_{region}" for region in (country, home) if region]
    for name in (*wanted, spoken):
        try:
            return str(Locale.parse(name))
        except (ValueError, UnknownLocaleError):
            continue
    return "en"


@lru_cache(maxsize=4096)
def _written(value: date, form: str, locale: str) -> str:
    # One day's messages carry few dates; writing one anew costs as much as half a mail.
    # Loaded here, since loading it looks up the zone of the machine.
    from babel.dates import format_date, format_skeleton  # noqa: PLC0415

    if form in ("long", "EEEE"):
        return format_date(value, format=form, locale=locale)
    return format_skeleton(form, value, locale=locale)


def _locale(context: Context) -> str:
    return str(context[LANGUAGE])


def _date(value: object) -> date:
    _refuse_missing(value)
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise TemplateError("a date filter was given something that is no date") from None


def _refuse_missing(value: object) -> None:
    if isinstance(value, Undefined):
        # Asking an undefined value for its text raises with the name that is missing.
        str(value)
    if value is None:
        raise TemplateError("a filter was given a value that is not known for this customer")
