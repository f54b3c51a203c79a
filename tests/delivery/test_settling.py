"""An operator settles what no evidence settled; neither word sends anything (P1, P6)."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from tests.delivery.test_evidence import in_doubt, row
from winback.database.tables import Message, Move, Voucher
from winback.delivery.news import apply_news
from winback.delivery.settling import Verdict, settle_by_hand
from winback.errors import ConfigError
from winback.states import Channel, EventKind, MessageState, VoucherState
from winback.vouchers.reserving import release

S = MessageState


def settle(shop: Shop, message_id: int, verdict: Verdict, note: str = "") -> str:
    """Settle one message, as the command does."""
    with Session(shop.engine) as session, session.begin():
        return settle_by_hand(session, shop.business, message_id, verdict, now=shop.now, note=note)


def voucher(shop: Shop) -> Voucher:
    """Read the one voucher that is bound."""
    with Session(shop.engine) as session:
        return session.scalars(select(Voucher).where(Voucher.enrollment_id.is_not(None))).one()


def test_accepted_counts_from_the_call(shop: Shop) -> None:
    """The step is passed as accepted when it was sent, and the next one waits from then."""
    one = in_doubt(shop)
    sent_at = shop.now
    shop.now += timedelta(hours=2)

    told = settle(shop, row(shop, one).id, Verdict.ACCEPTED)
    shop.send()

    message = row(shop, one)
    assert (message.state, message.accepted_at) == (S.ACCEPTED, sent_at)
    assert (message.looks, message.look_at) == (0, None)
    assert shop.passages(one) == {"concern": "accepted"}
    assert shop.enrollment(one).due_on == sent_at.date() + 5 * DAY
    assert len(shop.mail.sent) == 1
    assert "counts as accepted" in told


def test_not_sent_is_failed_and_never_sent_again(shop: Shop) -> None:
    """The step is passed, and its other channel is not used either (DESIGN.md, section 5)."""
    one = in_doubt(shop, next_step="check-in")

    told = settle(shop, row(shop, one).id, Verdict.NOT_SENT, "not in the console")
    for _ in range(3):
        shop.send()
        shop.now += timedelta(hours=6)

    message = row(shop, one)
    assert (message.state, message.accepted_at) == (S.FAILED, None)
    assert message.reason == "an operator says it was not sent: not in the console"
    assert shop.states(one) == [("check-in", Channel.SMS, S.FAILED)]
    assert shop.passages(one) == {"check-in": "failed"}
    assert shop.enrollment(one).next_step == "voucher"
    assert (len(shop.mail.sent), len(shop.texts.sent)) == (0, 1)
    assert "not sent again on any channel" in told


def test_the_history_names_the_operator_and_not_the_note(shop: Shop) -> None:
    """A note may say more than the history should keep."""
    one = in_doubt(shop)

    settle(shop, row(shop, one).id, Verdict.NOT_SENT, "asked Ann")

    with Session(shop.engine) as session:
        last = session.scalars(
            select(Move).where(Move.thing == "message").order_by(Move.id.desc()).limit(1)
        ).one()
    assert (last.from_state, last.to_state) == ("unconfirmed", "failed")
    assert (last.event, last.why) == ("settle_not_sent", "an operator says it was not sent")


def test_after_a_day_of_doubt_only_the_row_changes(shop: Shop) -> None:
    """The step was passed when its day was over; settling it later moves nobody."""
    one = in_doubt(shop)
    shop.now += DAY
    shop.send()
    due_on = shop.enrollment(one).due_on
    shop.now += DAY

    settle(shop, row(shop, one).id, Verdict.NOT_SENT)

    assert row(shop, one).state is S.FAILED
    assert shop.passages(one) == {"concern": "unconfirmed"}
    assert shop.enrollment(one).due_on == due_on


def test_the_code_of_what_was_not_sent_is_reserved_again(shop: Shop) -> None:
    """P6: never burned by a send that surely failed; a later step carries the same code."""
    one = in_doubt(shop, next_step="voucher")
    code = voucher(shop).code
    assert voucher(shop).state is VoucherState.ISSUED

    told = settle(shop, row(shop, one).id, Verdict.NOT_SENT)

    assert (voucher(shop).state, voucher(shop).code) == (VoucherState.RESERVED, code)
    assert (voucher(shop).issued_at, voucher(shop).expires_at) == (None, None)
    assert "its code is reserved again" in told


def test_a_code_that_turns_out_to_be_out_is_given_to_nobody_else(shop: Shop) -> None:
    """P6: an operator was wrong, the customer has the code; it is not freed for another one."""
    one = in_doubt(shop, next_step="voucher")
    settle(shop, row(shop, one).id, Verdict.NOT_SENT)

    with Session(shop.engine) as session, session.begin():
        apply_news(session, row(shop, one).id, EventKind.DELIVERED, at=shop.now)
        released = release(session, one, shop.now)

    assert row(shop, one).state is S.DELIVERED
    assert released == 0
    assert voucher(shop).state is VoucherState.RESERVED


def test_an_answer_is_settled_too(shop: Shop) -> None:
    """What is off the timeline passes no step."""
    one = in_doubt(shop)
    with Session(shop.engine) as session, session.begin():
        session.execute(update(Message).values(is_answer=True))

    settle(shop, row(shop, one).id, Verdict.ACCEPTED)

    assert row(shop, one).state is S.ACCEPTED
    assert shop.passages(one) == {}


@pytest.mark.parametrize("verdict", Verdict)
def test_only_what_is_in_doubt_can_be_settled(shop: Shop, verdict: Verdict) -> None:
    """What is known is not argued with, and what does not exist is a mistake."""
    one = shop.enroll()
    shop.send()

    with pytest.raises(ConfigError, match="is accepted, not in doubt"):
        settle(shop, row(shop, one).id, verdict)
    with pytest.raises(ConfigError, match="there is no message 999"):
        settle(shop, 999, verdict)


def test_settling_twice_is_refused(shop: Shop) -> None:
    """The second word finds nothing in doubt."""
    one = in_doubt(shop)
    settle(shop, row(shop, one).id, Verdict.NOT_SENT)

    with pytest.raises(ConfigError, match="is failed, not in doubt"):
        settle(shop, row(shop, one).id, Verdict.ACCEPTED)
