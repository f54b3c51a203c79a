"""Purchases: who came back, who had never lapsed, and what was in the data before its time."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from tests.responses.ears import Ears
from winback.clock import local_date
from winback.database.tables import Customer, Purchase, Voucher
from winback.states import Arm, EnrollmentState, PurchaseKind, VoucherState

HELD_OUT: dict[str, Any] = {"state": EnrollmentState.HELD_OUT, "arm": Arm.HOLDOUT}


def _buy(shop: Ears, enrollment_id: int, *, tells: bool = True, **fields: Any) -> None:
    """Add a sale as a pull does; without ``tells`` the customer's row is left as it was."""
    customer_id = shop.enrollment(enrollment_id).customer_id
    at = fields.get("purchased_at", shop.now)
    values = {
        "source": "till",
        "external_id": f"new-{at.isoformat()}",
        "customer_id": customer_id,
        "purchased_at": at,
        "purchased_on": local_date(at, shop.business.zone),
        "amount": 40,
        "currency": "GBP",
        "kind": PurchaseKind.SALE,
        "first_seen_at": shop.now,
    } | fields
    with Session(shop.engine) as session, session.begin():
        session.execute(insert(Purchase).values(values))
        if tells:
            session.execute(
                update(Customer).where(Customer.id == customer_id).values(changed_at=shop.now)
            )


def test_a_purchase_after_enrollment_converts_and_is_thanked_for(shop: Ears) -> None:
    """DESIGN.md, section 5: converted; answer thanks, then peace."""
    enrollment_id, _ = shop.written()
    shop.respond()
    _buy(shop, enrollment_id)
    counts = shop.respond()
    assert (counts.converted, counts.answered) == (1, 1)
    assert shop.state(enrollment_id) == "converted"
    assert [one.step for one in shop.messages(enrollment_id)] == ["concern", "purchase"]
    again = shop.respond()
    assert (again.converted, again.answered) == (0, 0)


def test_a_date_only_purchase_of_the_same_day_counts_when_first_seen_after(shop: Ears) -> None:
    """DESIGN.md, section 6: it stands at midnight and is compared by date."""
    enrollment_id, _ = shop.written()
    midnight = shop.now.replace(hour=0)
    _buy(shop, enrollment_id, purchased_at=midnight, is_date_only=True)
    assert shop.respond().converted == 1
    assert shop.state(enrollment_id) == "converted"


def test_a_handed_over_customer_who_buys_converts(shop: Ears) -> None:
    """Also while an associate has the case."""
    enrollment_id, _ = shop.written()
    shop.hear(shop.text_back("hello"))
    _buy(shop, enrollment_id)
    shop.respond()
    assert shop.state(enrollment_id) == "converted"


def test_a_holdouts_purchase_moves_nothing(shop: Ears) -> None:
    """It is what is measured."""
    enrollment_id = shop.enroll(**HELD_OUT)
    shop.now += timedelta(days=1)
    _buy(shop, enrollment_id)
    assert shop.respond().converted == 0
    assert shop.state(enrollment_id) == "held_out"


@pytest.mark.parametrize("arm", ["treated", "holdout"])
@pytest.mark.parametrize("is_date_only", [True, False])
def test_late_data_take_out_who_had_never_lapsed(
    shop: Ears,
    arm: str,
    is_date_only: bool,  # noqa: FBT001
) -> None:
    """A purchase timed before the enrollment: canceled, and left out of the analysis."""
    enrollment_id = shop.enroll(**(HELD_OUT if arm == "holdout" else {}))
    shop.now += timedelta(days=3)
    before = shop.now - timedelta(days=10)
    _buy(shop, enrollment_id, purchased_at=before, is_date_only=is_date_only)
    counts = shop.respond()
    assert (counts.canceled, counts.converted) == (1, 0)
    row = shop.enrollment(enrollment_id)
    assert (row.state.value, row.is_left_out) == ("canceled", True)


def test_older_purchases_and_refunds_change_nothing(shop: Ears) -> None:
    """What lies before the lapse, and what is no activity."""
    enrollment_id, _ = shop.written()
    _buy(shop, enrollment_id, purchased_at=shop.now - timedelta(days=900))
    _buy(shop, enrollment_id, kind=PurchaseKind.REFUND, amount=-40)
    shop.respond()
    assert shop.state(enrollment_id) == "active"


def test_a_purchase_converts_when_its_time_comes_though_it_was_in_the_data(shop: Ears) -> None:
    """Purchases after the as-of instant do not exist; on their day they do."""
    enrollment_id, _ = shop.written()
    comes_at = shop.now + timedelta(days=20)
    _buy(shop, enrollment_id, purchased_at=comes_at, tells=False)
    with Session(shop.engine) as session, session.begin():
        session.execute(update(Customer).values(last_purchased_on=comes_at.date()))
    assert shop.respond().converted == 0
    shop.now = comes_at + timedelta(hours=1)
    assert shop.respond().converted == 1


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_redeemed_voucher_converts(shop: Ears, by_hand: bool) -> None:  # noqa: FBT001
    """By a purchase that carries the code, or at the till."""
    enrollment_id, _ = shop.written()
    with Session(shop.engine) as session, session.begin():
        session.execute(
            insert(Voucher).values(
                campaign="six-month",
                offer="welcome-back",
                code="ABCD-1234",
                code_key="ABCD1234",
                state=VoucherState.REDEEMED if by_hand else VoucherState.ISSUED,
                redeemed_at=shop.now if by_hand else None,
                made_at=shop.now,
                enrollment_id=enrollment_id,
                issued_at=shop.now,
                expires_at=shop.now + timedelta(days=5),
            )
        )
    if not by_hand:
        # Given to a friend: the purchase is somebody else's, the voucher is hers.
        _buy(shop, shop.enroll(), voucher_code="abcd1234")
    counts = shop.respond()
    assert shop.state(enrollment_id) == "converted"
    assert counts.answered >= 1
    with Session(shop.engine) as session:
        assert session.scalars(select(Voucher.state)).one() is VoucherState.REDEEMED
