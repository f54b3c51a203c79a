"""Two customers become one while a message to one of them is on its way (P1, P2)."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from tests.delivery.fakes import FakeSender
from tests.delivery.shop import DAY, Shop, make_business
from tests.enrollment.test_merging import accepted, days_pass, merge
from winback.providers.outgoing import Busy, Outgoing, Refused, Result
from winback.states import Channel, MessageState

S = MessageState
SMS, EMAIL = Channel.SMS, Channel.EMAIL
BUSY = Busy(None, "429 busy")
NO_MOBILE = Refused("21614", "not a mobile number", "address_invalid")


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """Give the shipped example on a test's database."""
    return Shop(make_business(engine))


def send_meanwhile(
    shop: Shop, sender: FakeSender, meanwhile: Callable[[], object], result: Result
) -> None:
    """Send; something happens while the first message is being called."""

    def answer(_: Outgoing) -> Result:
        sender.answer = None
        meanwhile()
        return result

    sender.answer = answer
    shop.send()


@pytest.mark.parametrize("result", [BUSY, NO_MOBILE])
def test_what_goes_back_is_not_sent_to_who_has_it(shop: Shop, result: Result) -> None:
    """P1: the older one's text surely was not sent, and the younger one had it yesterday."""
    younger = shop.enroll(next_step="check-in")
    shop.send()
    shop.now += DAY
    older = shop.enroll(next_step="check-in", enrolled_at=shop.now - 3 * DAY)

    send_meanwhile(shop, shop.texts, lambda: merge(shop, older, younger), result)
    days_pass(shop, 3)

    assert accepted(shop) == ["check-in"]
    assert shop.states(older) == [
        ("check-in", SMS, S.CANCELED if result is BUSY else S.FAILED),
    ]
    assert shop.enrollment(older).next_step == "voucher"
