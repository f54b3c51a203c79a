"""What templates see is plain, clean and JSON."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from winback.messages.context import VoucherView, clean_name, clean_product, in_order, last_day
from winback.messages.sample import ADA, NAMELESS, sample_context, sample_voucher
from winback.messages.words import reader_locale

from .kit import plain


def test_a_context_survives_json() -> None:
    """It is stored with the message as JSON, and nothing of it is lost."""
    context = sample_context(plain(), voucher=sample_voucher())

    assert json.loads(json.dumps(context)) == context


def _keys(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{path}.{key}"
        if isinstance(value, dict):
            yield from _keys(value, f"{path}.{key}")


@pytest.mark.parametrize("is_short", [True, False])
@pytest.mark.parametrize("voucher", [sample_voucher(), None])
def test_a_context_is_built_in_order(voucher: VoucherView | None, *, is_short: bool) -> None:
    """Fresh it is rendered as it is, read back it is put in order first: the same either way."""
    facts = in_order(plain())

    context = sample_context(facts, voucher=voucher, is_short=is_short, reason="price")

    assert list(_keys(context)) == list(_keys(in_order(context)))


def test_keys_are_put_in_order_at_every_depth() -> None:
    """JSONB gives them back in an order of its own, shorter ones first."""
    ordered = in_order({"b": {"z": {"y": 1, "xx": 2}, "aa": 3}, "aa": [{"d": 1, "c": 2}]})

    assert list(_keys(ordered)) == [".aa", ".b", ".b.aa", ".b.z", ".b.z.xx", ".b.z.y"]


def test_what_is_unknown_is_there_as_none() -> None:
    """``{% if voucher %}`` can ask; a missing key would raise."""
    context = sample_context(plain(), customer=replace(NAMELESS, last_purchased_on=None))

    assert context["voucher"] is None
    assert context["reason"] is None
    assert context["customer"]["last_purchased_on"] is None
    assert context["customer"]["greeting_name"] == ""


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        (None, ""),
        ("Ada", "Ada"),
        ("  ADA  ", "Ada"),
        ("ada", "Ada"),
        ("McKay", "McKay"),
        ("Ada\r\nBcc: x", "Ada Bcc: x"),
        ("李", "李"),
        ("a" * 200, "A" + "a" * 79),
    ],
)
def test_names_are_made_fit_for_a_greeting(written: str | None, clean: str) -> None:
    """FACTS.md SEC-7: one line, no control characters; not shouted either."""
    assert clean_name(written) == clean


def test_products_are_one_line() -> None:
    """A product's name comes from a source, too."""
    assert clean_product(" olive \n oil\x00 ") == "olive oil"
    assert clean_product("  ") is None


def test_the_last_day_is_inclusive() -> None:
    """LAW-7: a voucher that ends at midnight can be used on the day before, and so it says."""
    zone = ZoneInfo("Europe/London")

    assert last_day(datetime(2026, 7, 1, 23, 0, tzinfo=UTC), zone) == date(2026, 7, 1)


def test_a_person_signs() -> None:
    """The first touch is signed by the person in the sender's name."""
    assert sample_context(plain())["business"]["signature"] == "Anna"


@pytest.mark.parametrize(
    ("language", "locale", "country", "expected"),
    [
        ("en", "en-US", "GB", "en_US"),
        ("en", "", "US", "en_US"),
        ("en", "", "", "en_GB"),
        ("en", "de-DE", "DE", "en_DE"),
        ("de", "de-AT", "AT", "de_AT"),
        ("de", "", "CH", "de_CH"),
        ("de-AT", "", "", "de_AT"),
        ("xx", "", "", "en"),
    ],
)
def test_dates_are_in_the_language_of_the_words(
    language: str, locale: str, country: str, expected: str
) -> None:
    """The reader's own locale where the words are in its language, else the words' language."""
    context = sample_context(plain(), customer=replace(ADA, locale=locale, country=country))

    assert str(reader_locale(context, language)) == expected
