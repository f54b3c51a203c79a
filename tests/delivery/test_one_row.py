"""The unique index on the outbox: one row of an enrollment and step that went or may go (P1)."""

from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.database.tables import Message
from winback.states import Channel, MessageState

LIVE = (MessageState.QUEUED, MessageState.SENDING, MessageState.UNCONFIRMED)
WAS_TAKEN = (
    *(MessageState.ACCEPTED, MessageState.DELIVERED, MessageState.BOUNCED, MessageState.FAILED),
    MessageState.UNCONFIRMED,
)
OVER = (MessageState.SKIPPED, MessageState.CANCELED, MessageState.FAILED)


def add(shop: Shop, enrollment_id: int, state: MessageState, **fields: Any) -> int:
    """Add a row of the outbox for the enrollment's first step; gives its id."""
    values: dict[str, Any] = {
        "enrollment_id": enrollment_id,
        "customer_id": shop.enrollment(enrollment_id).customer_id,
        "step": "concern",
        "channel": Channel.EMAIL,
        "state": state,
        "queued_at": shop.now,
        "due_at": shop.now,
        "drop_at": shop.now + DAY,
    }
    with Session(shop.engine) as session, session.begin():
        added = insert(Message).values(values | fields).returning(Message.id)
        return session.execute(added).scalar_one()


@pytest.mark.parametrize(
    ("state", "is_taken"),
    [(state, False) for state in LIVE] + [(state, True) for state in WAS_TAKEN],
)
def test_a_second_row_of_a_step_is_refused_by_the_database(
    shop: Shop,
    state: MessageState,
    is_taken: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """P1: whatever the code thinks, the tables hold one, over both channels."""
    enrollment_id = shop.enroll()
    add(shop, enrollment_id, state, accepted_at=shop.now if is_taken else None)

    for second in LIVE:
        with pytest.raises(IntegrityError):
            add(shop, enrollment_id, second, channel=Channel.SMS)


@pytest.mark.parametrize("state", OVER)
def test_a_row_that_went_nowhere_makes_room(shop: Shop, state: MessageState) -> None:
    """The other channel is used where the first was refused; one that is taken up again is not."""
    enrollment_id = shop.enroll()
    first = add(shop, enrollment_id, state)

    add(shop, enrollment_id, MessageState.QUEUED, channel=Channel.SMS)

    again = update(Message).where(Message.id == first).values(state=MessageState.QUEUED)
    with pytest.raises(IntegrityError), Session(shop.engine) as session, session.begin():
        session.execute(again)


def test_other_steps_and_other_people_have_rows_of_their_own(shop: Shop) -> None:
    """One row of each step, for each enrollment."""
    one, other = shop.enroll(), shop.enroll()
    ids = {
        add(shop, one, MessageState.QUEUED),
        add(shop, other, MessageState.QUEUED),
        add(shop, one, MessageState.QUEUED, step="check-in"),
    }
    assert len(ids) == 3
