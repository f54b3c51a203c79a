"""What stays unknown is listed, and what a person must settle is told apart (P2, DS-6)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests.outcomes.facts import START, World
from winback.business import Business
from winback.database.tables import Message
from winback.outcomes.needs import doubt_needs, find_needs
from winback.outcomes.status import read_status
from winback.outcomes.unknown import Unknown
from winback.states import Channel, MessageState

DAY = timedelta(days=1)
LATER = START + 5 * DAY


def unknown(**changes: Any) -> Unknown:
    """Give a doubt whose last look is over."""
    values: dict[str, Any] = {
        "id": 7,
        "channel": Channel.EMAIL,
        "step": "concern",
        "since": START,
        "looks": 4,
        "looks_again_at": None,
        "why": "reply lost; look 4: not in SendGrid's email logs",
    }
    return Unknown(**values | changes)


def in_doubt(world: World, at: datetime, **fields: Any) -> Message:
    """Write a message in doubt."""
    return world.message(
        world.enrollment(),
        state=MessageState.UNCONFIRMED,
        accepted_at=None,
        claimed_at=at,
        **fields,
    )


def test_the_status_lists_every_doubt(session: Session, business: Business, world: World) -> None:
    """Id, channel, step, since when, what was looked for, the oldest first."""
    second = in_doubt(world, START + DAY, channel=Channel.SMS, step="check-in")
    first = in_doubt(world, START, looks=4, reason="reply lost; look 4: not in the list")
    world.message(world.enrollment())
    session.commit()

    status = read_status(session, business, now=LATER)

    assert status["unknown"] == [
        {
            "id": first.id,
            "channel": Channel.EMAIL,
            "step": "concern",
            "since": START,
            "looks": 4,
            "looks_again_at": None,
            "why": "reply lost; look 4: not in the list",
        },
        {
            "id": second.id,
            "channel": Channel.SMS,
            "step": "check-in",
            "since": START + DAY,
            "looks": 0,
            "looks_again_at": None,
            "why": "",
        },
    ]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        pytest.param({}, "unknown", id="looked for the last time"),
        pytest.param({"since": LATER - 24 * timedelta(hours=1)}, "unconfirmed", id="its day"),
        pytest.param(
            {"looks_again_at": LATER + timedelta(minutes=15)}, "unconfirmed", id="provider away"
        ),
        pytest.param({"looks_again_at": LATER}, "unconfirmed", id="looked for just now"),
        pytest.param({"looks_again_at": LATER - DAY, "looks": 0}, "unknown", id="nobody to ask"),
    ],
)
def test_a_person_is_asked_when_nobody_looks_any_more(changes: dict[str, Any], what: str) -> None:
    """While evidence is looked for nobody needs to act; after that somebody must."""
    (need,) = doubt_needs([unknown(**changes)], now=LATER)

    assert (need.what, need.count) == (what, 1)
    assert need.since is not None


def test_the_need_names_ids_and_what_to_run() -> None:
    """An operator can act on the sentence alone; it names the first ten."""
    (one,) = doubt_needs([unknown()], now=LATER)
    (many,) = doubt_needs([unknown(id=number) for number in range(1, 13)], now=LATER)

    assert "1 message stays unknown (7)" in one.says
    assert "winback settle MESSAGE --accepted or --not-sent" in one.says
    assert "12 messages stay unknown (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, and others)" in many.says


def test_no_doubt_is_no_need() -> None:
    """Nothing unknown, nothing said."""
    assert doubt_needs([], now=LATER) == ()


def test_what_has_no_end_after_three_days_is_told(
    session: Session, business: Business, world: World
) -> None:
    """TW-16: sent is not delivered; after 72 hours it counts as unknown."""
    for age in (timedelta(hours=71), timedelta(hours=73), 15 * DAY):
        at = LATER - age
        world.message(
            world.enrollment(),
            state=MessageState.ACCEPTED,
            claimed_at=at,
            accepted_at=at,
            due_at=at,
        )
    session.commit()

    needs = {need.what: need for need in find_needs(session, business, (), now=LATER)}

    assert needs["unfinished"].count == 1
    assert "nothing final was heard" in needs["unfinished"].says
