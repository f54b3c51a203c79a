"""What late evidence puts right besides the state: codes that are out, and what it cost."""

from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from tests.delivery.test_evidence import FakeLookup, found, in_doubt, look, row
from tests.delivery.test_settling import settle, voucher
from winback.database.tables import Message, Move, Voucher
from winback.delivery.news import apply_news
from winback.delivery.repairing import repair
from winback.delivery.settling import Verdict
from winback.states import Channel, EventKind, MessageState, VoucherState
from winback.vouchers.redeeming import redeem

S, K, V = MessageState, EventKind, VoucherState


def tell(shop: Shop, enrollment_id: int, kind: EventKind) -> None:
    """Let the provider report something, as webhooks and look-ups apply it."""
    mend = partial(repair, business=shop.business, now=shop.now)
    with Session(shop.engine) as session, session.begin():
        apply_news(session, row(shop, enrollment_id).id, kind, at=shop.now, on_proof=mend)


def left_by_the_dead(shop: Shop, enrollment_id: int, state: MessageState, **also: Any) -> None:
    """Let a worker have died right after the call: nothing of the result was written down."""
    values = {"state": state, "worker_id": 999, "cost": Decimal(0), "segments": None} | also
    with Session(shop.engine) as session, session.begin():
        session.execute(
            update(Message).where(Message.enrollment_id == enrollment_id).values(values)
        )


def called_not_sent(shop: Shop) -> tuple[int, datetime | None]:
    """Let an operator call a voucher's mail not sent; gives its enrollment and the expiry."""
    one = in_doubt(shop, next_step="voucher")
    promised = voucher(shop).expires_at
    settle(shop, row(shop, one).id, Verdict.NOT_SENT)
    assert voucher(shop).state is V.RESERVED
    return one, promised


@pytest.mark.parametrize("kind", [K.ACCEPTED, K.CLICKED, K.DELIVERED, K.BOUNCED])
def test_evidence_beats_an_operators_word_and_the_code_is_out_again(
    shop: Shop, kind: EventKind
) -> None:
    """P6: who has the mail can use its code, until the day that the mail names."""
    one, promised = called_not_sent(shop)
    shop.now += DAY

    tell(shop, one, kind)

    message, code = row(shop, one), voucher(shop)
    assert message.state is {K.DELIVERED: S.DELIVERED, K.BOUNCED: S.BOUNCED}.get(kind, S.ACCEPTED)
    assert message.accepted_at is not None
    assert (code.state, code.issued_by, code.expires_at) == (V.ISSUED, message.id, promised)
    assert code.issued_at == message.claimed_at
    with Session(shop.engine) as session, session.begin():
        why = select(Move.why).where(Move.thing == "voucher").order_by(Move.id.desc()).limit(1)
        assert session.scalars(why).one() == "evidence shows that its message left"
        assert redeem(session, code.code, now=shop.now) is not None


def test_a_failure_is_no_proof_against_the_operator(shop: Shop) -> None:
    """What the provider could not deliver was not sent: the code waits for a later step."""
    one, _ = called_not_sent(shop)

    tell(shop, one, K.FAILED)

    assert row(shop, one).state is S.FAILED
    assert voucher(shop).state is V.RESERVED


def test_a_code_that_went_out_again_keeps_its_later_expiry(shop: Shop) -> None:
    """A later step carried the same code meanwhile: nothing is taken from that promise."""
    one, promised = called_not_sent(shop)
    assert promised is not None
    later = promised + DAY
    with Session(shop.engine) as session, session.begin():
        anew = {"state": V.ISSUED, "expires_at": later, "issued_at": shop.now, "issued_by": 999}
        session.execute(update(Voucher).where(Voucher.enrollment_id == one).values(anew))

    tell(shop, one, K.DELIVERED)

    assert (voucher(shop).issued_by, voucher(shop).expires_at) == (999, later)


@pytest.mark.parametrize("state", [S.SENDING, S.UNCONFIRMED])
def test_what_a_dead_worker_left_costs_what_it_cost(shop: Shop, state: MessageState) -> None:
    """A mail costs the setting's price, a text its segments', rendered from what was stored."""
    mail, text = in_doubt(shop), in_doubt(shop, next_step="check-in")
    for one in (mail, text):
        left_by_the_dead(shop, one, state)

    for one in (mail, text):
        tell(shop, one, K.DELIVERED)

    prices = shop.business.settings.economics
    assert (row(shop, mail).cost, row(shop, mail).segments) == (prices.email_cost, None)
    assert (row(shop, text).cost, row(shop, text).segments) == (prices.sms_segment_cost, 1)


def test_a_doubt_keeps_what_was_counted_at_the_call(shop: Shop) -> None:
    """A lost reply takes nothing from what we know: segments and cost stand with the doubt."""
    one = in_doubt(shop, next_step="check-in")

    price = shop.business.settings.economics.sms_segment_cost
    assert (row(shop, one).segments, row(shop, one).cost) == (1, price)


def test_an_erased_text_cannot_tell_its_cost(shop: Shop) -> None:
    """What it was rendered from is gone: nothing is made up."""
    one = in_doubt(shop, next_step="check-in")
    left_by_the_dead(shop, one, S.UNCONFIRMED, context=None)

    tell(shop, one, K.DELIVERED)

    assert (row(shop, one).cost, row(shop, one).segments) == (Decimal(0), None)


def test_known_costs_stay_as_they_are(shop: Shop) -> None:
    """Prices may have changed since; what was written down at the call is not counted anew."""
    one = in_doubt(shop)
    left_by_the_dead(shop, one, S.UNCONFIRMED, cost=Decimal("0.5"))

    tell(shop, one, K.DELIVERED)

    assert row(shop, one).cost == Decimal("0.5")


def test_a_look_up_and_an_operator_give_the_cost_too(shop: Shop) -> None:
    """Whoever proves it, the report counts it."""
    asked, told = in_doubt(shop), in_doubt(shop)
    for one in (asked, told):
        left_by_the_dead(shop, one, S.UNCONFIRMED)
    settle(shop, row(shop, told).id, Verdict.ACCEPTED)
    shop.now += DAY / 24

    look(shop, FakeLookup(Channel.EMAIL, found(K.DELIVERED)))

    price = shop.business.settings.economics.email_cost
    assert [row(shop, one).cost for one in (asked, told)] == [price, price]
