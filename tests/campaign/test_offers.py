"""Offers: words for the customer, cost to us, how the shop honors them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from winback.campaign.offers import Offer, OfferKind

GIVES: dict[str, Any] = {
    "percent": 15,
    "amount": 20,
    "gift": "a jar of our new honey",
    "free_trial": "1 month",
    "early_access": "the spring collection",
    "points": 5000,
    "guarantee": "your money back for 90 days",
}


def offer(**keys: Any) -> Offer:
    """Give an offer that is valid for three weeks."""
    return Offer.model_validate({"valid_for": "21 days"} | keys)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("percent", "15% off"),
        ("amount", "£20 off"),
        ("gift", "a jar of our new honey"),
        ("free_trial", "1 month free"),
        ("early_access", "early access to the spring collection"),
        ("points", "5,000 points"),
        ("guarantee", "your money back for 90 days"),
    ],
)
def test_each_kind_has_its_words(kind: str, says: str) -> None:
    """Every kind of DESIGN.md section 7 is said in words, and honored in some way."""
    made = offer(**{kind: GIVES[kind]})

    assert made.kind is OfferKind(kind)
    assert made.says("GBP", "en-GB") == says
    assert made.honored_by("GBP", "en-GB")


@pytest.mark.parametrize(
    ("keys", "locale", "says"),
    [
        ({"amount": "20.50"}, "en-GB", "£20.50 off"),
        ({"amount": 20}, "de-DE", "20\xa0£ off"),
        ({"percent": "12.5"}, "de-DE", "12,5% off"),
        ({"percent": "15%", "minimum_spend": 30}, "en-GB", "15% off from £30"),
        (
            {"percent": 15, "minimum_spend": 30, "words": "a little thank you"},
            "en",
            "a little thank you",
        ),
        ({"amount": 20}, "no such locale", "£20 off"),
        ({"amount": 20}, None, "£20 off"),
    ],
)
def test_words_follow_the_locale_and_the_terms(
    keys: dict[str, Any], locale: str | None, says: str
) -> None:
    """Amounts are written as the customer reads them; words that are written down win (P5)."""
    assert offer(**keys).says("GBP", locale) == says


@pytest.mark.parametrize(
    ("keys", "paid", "cost"),
    [
        ({"percent": 15}, 85, 15),
        ({"percent": 100}, 0, 0),
        ({"percent": 15, "cost": 2}, 85, 2),
        ({"amount": 20}, 5, 20),
        ({"gift": "honey", "cost": 3}, 50, 3),
        ({"early_access": "spring"}, 50, 0),
        ({"percent": 15}, -10, 0),
    ],
)
def test_a_redeemed_voucher_costs_what_it_gave(keys: dict[str, Any], paid: int, cost: int) -> None:
    """What was paid is the price after the discount; a written cost wins (FACTS.md MEA-11)."""
    assert offer(**keys).cost_of(Decimal(paid)) == cost


@given(st.decimals(1, 99, places=2), st.decimals(0, 10_000, places=2))
def test_paid_and_cost_make_the_list_price(percent: Decimal, paid: Decimal) -> None:
    """Percent of (paid + cost) is the cost, to the ten-thousandth that money is kept in."""
    cost = offer(percent=percent).cost_of(paid)

    assert abs((paid + cost) * percent / 100 - cost) < Decimal("0.001")


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({}, "exactly one thing, found none"),
        ({"percent": 15, "amount": 5}, "exactly one thing, found percent and amount"),
        ({"percent": 15, "codes": 5, "codes_from": "a.csv"}, "codes and codes_from exclude"),
        ({"percent": 0}, "greater than 0"),
        ({"percent": 101}, "less than or equal to 100"),
        ({"amount": "NaN"}, "finite"),
        ({"amount": 5, "codes": 0}, "greater than 0"),
        ({"amount": 5, "codes": "2.5"}, "integer"),
        ({"amount": 5, "valid_for": "0 days"}, "no time at all"),
        ({"amount": 5, "codes_from": "../secret"}, "leads out of the project"),
        ({"amount": 5, "codes_from": "/etc/passwd"}, "leads out of the project"),
        ({"gift": "honey", "cost": -1}, "greater than or equal to 0"),
    ],
)
def test_impossible_offers_are_refused(keys: dict[str, Any], sentence: str) -> None:
    """An offer gives exactly one possible thing."""
    with pytest.raises(ValidationError, match=sentence):
        offer(**keys)


def test_terms_are_what_the_till_must_know() -> None:
    """Words, number of codes and cost may change without new codes; what it gives may not."""
    before = offer(percent=15, codes=10)

    assert before.terms == offer(percent="15%", codes=20, words="thanks", cost=1).terms
    assert before.terms != offer(percent=20, codes=10).terms
    assert before.terms != offer(percent=15, minimum_spend=30).terms


def test_a_gift_without_a_cost_is_noticed() -> None:
    """Reports would count it as free."""
    assert offer(gift="honey").is_cost_unknown
    assert not offer(gift="honey", cost=0).is_cost_unknown
    assert not offer(percent=15).is_cost_unknown
