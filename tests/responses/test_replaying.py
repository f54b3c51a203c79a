"""Dead letters: listed without a word of what stands in them, and applied anew (FACTS.md DS-13)."""

from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from tests.responses.ears import Ears
from winback.database.tables import Event
from winback.providers.events import UNREADABLE
from winback.providers.incoming import RawEvent
from winback.responses.replaying import dead_events, replay
from winback.states import EventState


@pytest.fixture
def stop(shop: Ears) -> RawEvent:
    """Give a no of somebody in the campaign that came in a form nobody could read."""
    _, message = shop.written()
    stop = shop.report(message, "unsubscribe")
    assert shop.hear(RawEvent(stop.key, stop.origin, {UNREADABLE: "[]"})).dead == 1
    return stop


def set_back(shop: Ears, **which: Any) -> int:
    """Set dead events back."""
    with Session(shop.engine) as session, session.begin():
        return replay(session, **which)


def states(shop: Ears) -> list[EventState]:
    """Give the states of all events."""
    with Session(shop.engine) as session:
        return list(session.scalars(select(Event.state).order_by(Event.id)))


def test_what_could_not_be_read_is_applied_once_it_can(shop: Ears, stop: RawEvent) -> None:
    """A no that came in an unknown form is one still when the form is known (P3)."""
    assert set_back(shop) == 1
    assert shop.respond().dead == 1, "nothing was mended: it is kept again"
    assert set_back(shop) == 1
    with Session(shop.engine) as session, session.begin():
        # As a reader does that knows the new form.
        session.execute(update(Event).values(body=stop.body))

    counts = shop.respond()

    assert (counts.dead, counts.suppressed) == (0, 1)
    assert states(shop) == [EventState.APPLIED]
    assert set_back(shop) == 0, "applied is applied"
    assert shop.respond().events == 0


@pytest.mark.usefixtures("stop")
def test_only_what_was_named_is_set_back(shop: Ears) -> None:
    """By origin or by number; what is not dead stays as it is."""
    shop.hear(RawEvent("sendgrid.lists:1", "sendgrid.lists", {}))
    with Session(shop.engine) as session:
        report, entry = dead_events(session)

    assert set_back(shop, origin="twilio.status") == 0
    assert set_back(shop, origin="sendgrid.lists", ids=[report.id]) == 0
    assert set_back(shop, origin="sendgrid.lists") == 1
    assert states(shop) == [EventState.DEAD, EventState.RECEIVED]
    assert set_back(shop, ids=[report.id, entry.id, 999]) == 1
    assert states(shop) == [EventState.RECEIVED, EventState.RECEIVED]


@pytest.mark.usefixtures("stop")
def test_a_dead_letter_is_told_without_what_stands_in_it(shop: Ears) -> None:
    """An error may quote an event: its kind is told, and its words where they are our own."""
    with Session(shop.engine) as session, session.begin():
        quoting = "ValueError: invalid literal for int(): 'Ann Oakley'"
        session.execute(update(Event).values(error=quoting))
        [foreign] = dead_events(session)
        session.execute(update(Event).values(error="ProviderError: no object"))
        [ours] = dead_events(session)

    assert foreign.why == "ValueError"
    assert (ours.why, ours.origin) == ("ProviderError: no object", "sendgrid.events")
