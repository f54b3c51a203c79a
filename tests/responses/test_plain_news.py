"""Plain news, many at once: the same end as one by one, whoever applies beside it."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.responses.ears import Ears
from winback.database.tables import Event, table_of
from winback.providers.incoming import RawEvent
from winback.responses.acting import act
from winback.responses.applying import apply_events
from winback.responses.hand import Hand
from winback.responses.hearing import hear
from winback.responses.matching import match_all
from winback.responses.plain_news import apply_plain_news
from winback.responses.storing import store_events
from winback.states import EventState, MessageState


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"event": "bounce", "type": "blocked"}, MessageState.DELIVERED),
        ({"event": "bounce", "type": "bounce"}, MessageState.BOUNCED),
        ({"event": "delivered"}, MessageState.DELIVERED),
    ],
    ids=["blocked", "bounced", "delivered already"],
)
def test_what_another_applier_wrote_meanwhile_is_no_loss(
    shop: Ears, fields: dict[str, str], state: MessageState
) -> None:
    """SG-23: two at once end where one would; the delivery was matched before the other commit."""
    _, message = shop.written()
    delivered = shop.report(message, "delivered")
    other = shop.report(message, **fields)
    with Session(shop.engine) as session, session.begin():
        store_events(session, [delivered], shop.now)
    with Session(shop.engine) as session:
        query = select(table_of(Event)).where(Event.state == EventState.RECEIVED)
        heard = [hear(row) for row in session.execute(query)]
        pairs = list(
            zip(heard, match_all(session, heard, secret=shop.business.secret), strict=True)
        )
    _apply_only(shop, other)

    with Session(shop.engine) as session, session.begin():
        hand = Hand(session, shop.business, shop.now)
        done = apply_plain_news(hand, pairs)
        for event, matched in pairs:
            if event.event_id not in done:
                act(hand, matched, event)

    assert shop.messages()[0].state is state


def _apply_only(shop: Ears, raw: RawEvent) -> None:
    """Store one event and apply it alone, as another process does that took only this one."""
    with Session(shop.engine) as session, session.begin():
        ids = store_events(session, [raw], shop.now)
    apply_events(shop.business, shop.now, ids=ids)
