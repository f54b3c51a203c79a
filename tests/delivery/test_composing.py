"""What one message is rendered from."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import Shop
from winback.campaign.facts import Facts
from winback.database.tables import Customer
from winback.delivery.composing import Carried, context_of, customer_views, links_of
from winback.delivery.looking import look
from winback.messages.context import in_order


def _keys(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        yield key
        if isinstance(value, dict):
            yield from _keys(value)


@pytest.mark.parametrize("has_voucher", [True, False])
def test_a_context_of_the_send_path_is_in_order(shop: Shop, *, has_voucher: bool) -> None:
    """It is rendered as it is, and after JSONB put in order: the bytes must be the same."""
    said = {"says": "so", "by": "Anna", "since": "2026-03-01"}
    facts = Facts.model_validate({"benefits": {"repair": said, "delivery": said}})
    shop.business = replace(shop.business, facts=facts)
    shop.enroll()
    run, offer = shop.run(), next(iter(shop.campaign.offers))
    with Session(shop.engine) as session:
        (customer_id,) = session.scalars(select(Customer.id))
        sight = look(session, [customer_id], now=run.now)
        views = customer_views(session, run, sight, [customer_id])

    context = context_of(
        run,
        views[customer_id],
        campaign=shop.campaign,
        step="concern",
        reason="price",
        carried=Carried(offer, "OLIVE-1", run.now) if has_voucher else None,
        links=links_of(run, 7),
    )

    assert context["facts"]["benefits"].keys() == {"repair", "delivery"}
    assert list(_keys(context)) == list(_keys(in_order(context)))
