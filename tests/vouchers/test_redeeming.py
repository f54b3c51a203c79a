"""Redeem: once, in time, whoever asks."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from tests.vouchers.shop import a_campaign, buy, enroll, seeded
from winback.database.tables import Move, Voucher
from winback.periods import Period
from winback.states import VoucherState
from winback.vouchers.redeeming import Redeemed, redeem, redeem_from_purchases
from winback.vouchers.reserving import issue, reserve
from winback.vouchers.stock import fill

LONDON = ZoneInfo("Europe/London")
DAY = timedelta(days=1)


def issued(session: Session, now: datetime) -> tuple[int, Voucher]:
    """Give one enrollment with the voucher that was issued to it, valid for nine days."""
    campaign = a_campaign()
    fill(session, campaign, now=now, rng=seeded(), home=Path())
    (one,) = enroll(session, campaign, now)
    voucher = reserve(
        session,
        enrollment_id=one,
        campaign=campaign,
        offer="welcome",
        now=now,
        must_be_exported=False,
    )
    assert isinstance(voucher, int)
    issue(session, voucher, message_id=1, now=now, valid_for=Period(days=9), zone=LONDON)
    return one, session.get_one(Voucher, voucher)


def test_of_a_hundred_at_once_one_succeeds(engine: Engine, now: datetime) -> None:
    """Redeeming is one guarded update: of 100 at once exactly one wins (FACTS.md SEC-16)."""
    with Session(engine) as session, session.begin():
        code = issued(session, now)[1].code

    def at_the_till(_: int) -> Redeemed | None:
        with Session(engine) as session, session.begin():
            return redeem(session, code, now=now)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(at_the_till, range(100)))

    assert sum(answer is not None for answer in answers) == 1
    with Session(engine) as session:
        moves = select(func.count()).where(Move.to_state == VoucherState.REDEEMED)
        assert session.scalar(moves) == 1


def test_a_code_is_redeemed_as_it_is_typed(session: Session, now: datetime) -> None:
    """Case, dashes and look-alike letters do not matter at the till."""
    enrollment_id, voucher = issued(session, now)
    typed = voucher.code.lower().replace("-", " ").replace("0", "o").replace("1", "i")

    redeemed = redeem(session, typed, now=now)

    assert redeemed is not None
    assert (redeemed.voucher_id, redeemed.enrollment_id) == (voucher.id, enrollment_id)


def test_unknown_expired_and_used_codes_answer_alike(session: Session, now: datetime) -> None:
    """Nobody learns from the answer which codes exist (FACTS.md SEC-17)."""
    _, voucher = issued(session, now)
    free = session.scalars(select(Voucher.code).where(Voucher.state == VoucherState.FREE)).first()
    assert voucher.expires_at is not None
    assert free is not None

    assert redeem(session, "ABCD-EFGH-JKMNP", now=now) is None
    assert redeem(session, free, now=now) is None
    assert redeem(session, voucher.code, now=voucher.expires_at) is None
    assert redeem(session, voucher.code, now=voucher.expires_at - timedelta(microseconds=1))
    assert redeem(session, voucher.code, now=now) is None


def test_a_purchase_that_carries_the_code_redeems_it(session: Session, now: datetime) -> None:
    """The sweep finds the code however the till wrote it, and changes nothing a second time."""
    enrollment_id, voucher = issued(session, now)
    written = f" {voucher.code.lower().replace('-', '')} "
    bought_at = now + DAY
    purchase = buy(session, enrollment_id, written, at=bought_at, seen_at=now + 2 * DAY)

    found = redeem_from_purchases(session, now + 2 * DAY)
    again = redeem_from_purchases(session, now + 3 * DAY)

    assert found == [Redeemed(voucher.id, enrollment_id, purchase, bought_at)]
    assert again == []
    session.refresh(voucher)
    assert (voucher.state, voucher.purchase_id) == (VoucherState.REDEEMED, purchase)


def test_a_late_file_still_redeems_a_code_used_in_time(session: Session, now: datetime) -> None:
    """What counts is when the purchase was made, not when it was pulled."""
    enrollment_id, voucher = issued(session, now)
    buy(session, enrollment_id, voucher.code, at=now + 9 * DAY, seen_at=now + 30 * DAY)

    assert len(redeem_from_purchases(session, now + 30 * DAY)) == 1


def test_a_code_used_after_its_expiry_is_not_redeemed(session: Session, now: datetime) -> None:
    """The expiry is exclusive: a purchase of the next day does not count."""
    enrollment_id, voucher = issued(session, now)
    assert voucher.expires_at is not None
    buy(session, enrollment_id, voucher.code, at=voucher.expires_at, seen_at=now + 10 * DAY)

    assert redeem_from_purchases(session, now + 10 * DAY) == []


def test_the_earliest_purchase_with_a_code_wins(session: Session, now: datetime) -> None:
    """Two purchases with one code redeem it once."""
    enrollment_id, voucher = issued(session, now)
    buy(session, enrollment_id, voucher.code, at=now + 3 * DAY, seen_at=now + 4 * DAY)
    first = buy(session, enrollment_id, voucher.code, at=now + DAY, seen_at=now + 4 * DAY)

    (redeemed,) = redeem_from_purchases(session, now + 4 * DAY)

    assert redeemed.purchase_id == first


def test_a_purchase_is_linked_to_a_code_redeemed_by_hand(session: Session, now: datetime) -> None:
    """The till told us first; the purchase that follows names the voucher, and is no second use."""
    enrollment_id, voucher = issued(session, now)
    redeem(session, voucher.code, now=now)
    purchase = buy(session, enrollment_id, voucher.code, at=now, seen_at=now + DAY)

    assert redeem_from_purchases(session, now + DAY) == []

    session.refresh(voucher)
    assert voucher.purchase_id == purchase


@pytest.mark.parametrize("days", [0, 2, 40])
def test_no_purchase_is_overlooked_between_sweeps(
    session: Session, now: datetime, days: int
) -> None:
    """A sweep starts where the last one stopped, with a day to spare for a slow pull."""
    enrollment_id, voucher = issued(session, now)
    redeem_from_purchases(session, now + days * DAY)
    seen_at = now + days * DAY - timedelta(hours=20)
    buy(session, enrollment_id, voucher.code, at=now, seen_at=seen_at)

    assert len(redeem_from_purchases(session, now + (days + 1) * DAY)) == 1
