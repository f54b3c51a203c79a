"""The facts of conditions, on both databases."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from tests.enrollment.shop import (
    LONDON,
    add_customer,
    add_enrollment,
    add_purchase,
    make_campaign,
)
from winback.campaign.conditions import FIELDS
from winback.enrollment.facts import condition_facts
from winback.states import EnrollmentState, PurchaseKind

BOUGHT = date(2025, 9, 1)


def test_every_field_is_there_and_unknown_words_are_empty(session: Session, now: datetime) -> None:
    """A condition can always compare: nothing is missing, nothing is None."""
    customer = add_customer(session, [BOUGHT])

    facts = condition_facts(session, [customer], now=now, zone=LONDON, currency="GBP")

    assert set(facts[customer]) == set(FIELDS)
    assert facts[customer] == {
        "purchases": 1,
        "spent": Decimal(20),
        "days_since_last_purchase": 182,
        "country": "",
        "locale": "",
        "value": "normal",
        "tags": [],
        "interests": [],
        "reason": "",
        "last_product": "",
    }


def test_what_came_later_does_not_exist(session: Session, now: datetime) -> None:
    """Standing in the past: counted anew, refunds off, other currencies left out."""
    customer = add_customer(session, [BOUGHT, now.date() + timedelta(days=5)])
    add_purchase(
        session, customer, BOUGHT, amount=Decimal(-5), kind=PurchaseKind.REFUND, product="back"
    )
    add_purchase(session, customer, BOUGHT - timedelta(days=9), currency="USD", product="oil")

    facts = condition_facts(session, [customer], now=now, zone=LONDON, currency="GBP")[customer]

    assert (facts["purchases"], facts["spent"]) == (2, Decimal(15))
    assert facts["days_since_last_purchase"] == 182


def test_the_last_product_is_of_the_last_sale(session: Session, now: datetime) -> None:
    """A refund is no purchase, a later sale does not exist yet."""
    customer = add_customer(session, [])
    for days, product, kind in (
        (-30, "honey", PurchaseKind.SALE),
        (-40, "oil", PurchaseKind.SALE),
        (-20, "returned", PurchaseKind.REFUND),
        (20, "later", PurchaseKind.SALE),
    ):
        day = now.date() + timedelta(days=days)
        add_purchase(session, customer, day, product=product, kind=kind)

    facts = condition_facts(session, [customer], now=now, zone=LONDON)

    assert facts[customer]["last_product"] == "honey"


def test_an_open_enrollment_keeps_value_and_reason(session: Session, now: datetime) -> None:
    """Its own value goes first; the last reason given in any enrollment is remembered."""
    open_one, ended = add_customer(session, [BOUGHT]), add_customer(session, [BOUGHT])
    add_enrollment(session, open_one, make_campaign(), now=now, value="high", reason="price")
    add_enrollment(
        session,
        ended,
        make_campaign(),
        now=now,
        value="high",
        reason="service",
        state=EnrollmentState.EXHAUSTED,
    )

    facts = condition_facts(session, [open_one, ended, 999], now=now, zone=LONDON)

    assert {key: (one["value"], one["reason"]) for key, one in facts.items()} == {
        open_one: ("high", "price"),
        ended: ("normal", "service"),
    }
