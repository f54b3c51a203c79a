"""What limits, caps and pauses hold is postponed and never lost: whatever comes in which order."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, Shop
from winback.campaign.schema import Campaign
from winback.database.tables import Message
from winback.enrollment.pausing import PauseScope, pause, resume
from winback.periods import Period
from winback.policies import Cap, Caps, DailyLimits
from winback.states import MessageState


@dataclass(frozen=True, slots=True)
class Weather:
    """What holds messages back on one day."""

    limit: int
    cap: int
    paused: PauseScope | None


DAYS = st.lists(
    st.builds(
        Weather,
        limit=st.integers(0, 3),
        cap=st.integers(0, 1),
        paused=st.sampled_from([None, None, *PauseScope]),
    ),
    max_size=5,
)
NAMES = {
    PauseScope.ALL: "",
    PauseScope.CAMPAIGN: "six-month",
    PauseScope.CHANNEL: "email",
    PauseScope.COUNTRY: "GB",
}
"""A country's pause holds texts alone; these are mails."""


def patient(shop: Shop) -> Campaign:
    """Give the campaign with steps that stay fresh for longer than anything here holds them."""
    steps = [step.model_copy(update={"fresh_for": Period(days=30)}) for step in shop.campaign.steps]
    return shop.campaign.model_copy(update={"steps": tuple(steps)})


def begin(shop: Shop, weather: Weather) -> None:
    """Let the day hold back what it does."""
    shop.limit(
        daily_limits=DailyLimits(email=weather.limit),
        caps=Caps(email=Cap(per_day=weather.cap)),
    )
    if weather.paused is not None:
        with Session(shop.engine) as session, session.begin():
            name = NAMES[weather.paused]
            pause(session, weather.paused, name, by="operator", why="", now=shop.now)


def end(shop: Shop, weather: Weather) -> None:
    """Let a pause be over, in the evening of its day."""
    if weather.paused is not None:
        with Session(shop.engine) as session, session.begin():
            name, zone = NAMES[weather.paused], shop.business.zone
            resume(session, weather.paused, name, now=shop.now + DAY / 4, zone=zone)


def test_what_is_held_leaves_later_and_once(shop: Shop) -> None:
    """P2, P4: accepted or told why it waits on each day; once all is open, everything leaves."""

    # Examples follow each other in one shop, as weeks do.
    @settings(max_examples=12, deadline=None)
    @given(days=DAYS, people=st.integers(1, 4))
    def hold(days: list[Weather], people: int) -> None:
        sent_before = len(shop.mail.sent)
        who: dict[str, Any] = {"next_step": "farewell", "phones": [], "campaign": patient(shop)}
        ids = [shop.enroll(**who) for _ in range(people)]
        for weather in days:
            begin(shop, weather)
            counts = shop.send()
            end(shop, weather)
            shop.now += DAY
            assert counts.accepted <= min(weather.limit, people if weather.cap else 0)
            assert (counts.skipped, counts.failed, counts.unconfirmed) == (0, 0, 0)
            waiting = [one for one in messages(shop, ids) if one.state is MessageState.QUEUED]
            assert all(one.reason for one in waiting)
        shop.limit(daily_limits=DailyLimits(email=100), caps=Caps(email=Cap()))
        # A cap of zero looks again in a week.
        for _ in range(8):
            shop.send()
            shop.now += DAY
        assert [one.state for one in messages(shop, ids)] == [MessageState.ACCEPTED] * people
        assert len(shop.mail.sent) == sent_before + people

    hold()


def messages(shop: Shop, ids: list[int]) -> list[Message]:
    """Read the messages of some enrollments."""
    return [message for one in ids for message in shop.messages(one)]
