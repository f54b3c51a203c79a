"""A campaign's file is edited while people are inside: who entered keeps what was promised."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop
from winback.campaign.schema import Campaign
from winback.database.tables import Voucher
from winback.states import Channel, MessageState, VoucherState

S = MessageState


def offering(campaign: Campaign, **changes: Any) -> Campaign:
    """Give a campaign whose offer of the voucher step is another one."""
    offer = campaign.offers["welcome-back"].model_copy(update=changes)
    return campaign.model_copy(update={"offers": campaign.offers | {"welcome-back": offer}})


def given(shop: Shop, enrollment_id: int) -> list[Voucher]:
    """Give the codes of an enrollment."""
    with Session(shop.engine) as session:
        return list(session.scalars(select(Voucher).where(Voucher.enrollment_id == enrollment_id)))


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param({"offers": {}}, id="offer taken out"),
        pytest.param({"campaign": "half-year"}, id="renamed"),
        pytest.param(None, id="another percentage"),
    ],
)
def test_who_entered_before_an_edit_gets_a_code_of_what_they_were_promised(
    shop: Shop, edited: dict[str, Any] | None
) -> None:
    """Nobody had reached the voucher step before, so no such code was ever made (P5, P6)."""
    inside = shop.enroll(next_step="voucher")
    old = shop.campaign
    new = offering(old, percent=Decimal(20)) if edited is None else old.model_copy(update=edited)
    shop.business = replace(shop.business, campaigns=(new,))

    shop.send()

    assert shop.states(inside) == [("voucher", Channel.EMAIL, S.ACCEPTED)]
    (voucher,) = given(shop, inside)
    assert (voucher.campaign, voucher.terms) == (
        old.campaign,
        old.offers["welcome-back"].terms,
    )


def test_outside_the_sandbox_the_step_waits_until_the_till_knows_the_code(shop: Shop) -> None:
    """As many as may be given are made at once: one export is enough for all who are inside."""
    shop.change(mode="live")
    inside = shop.enroll(next_step="voucher")
    old = shop.campaign
    new = offering(old, percent=Decimal(20))
    shop.business = replace(shop.business, campaigns=(new,))

    assert shop.send().postponed == 1
    with Session(shop.engine) as session, session.begin():
        mine = Voucher.terms == old.offers["welcome-back"].terms
        made = session.scalars(select(Voucher.state).where(mine)).all()
        session.execute(update(Voucher).values(exported_at=shop.now))
    shop.send()

    assert made == [VoucherState.FREE] * (old.offers["welcome-back"].codes or 0)
    assert shop.states(inside) == [("voucher", Channel.EMAIL, S.ACCEPTED)]
