"""Decent hours and few messages, from the plan to the provider (P4)."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from tests.delivery.shop import DAY, HOME, Shop
from winback.campaign.schema import Campaign
from winback.delivery.news import apply_news
from winback.messages.shelf import load_shelf
from winback.policies import WEEKDAYS, CustomHours, Hours, QuietHours
from winback.providers.outgoing import Unclear
from winback.states import Channel, EventKind, MessageState

NIGHT = datetime(2026, 3, 3, 3, 0, tzinfo=UTC)
NOON_IN_NEW_YORK = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
EVENING_IN_LONDON = datetime(2026, 3, 2, 20, 30, tzinfo=UTC)
HALF_PAST_EIGHT_IN_NEW_YORK = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
CHRISTMAS = datetime(2026, 12, 25, 11, 0, tzinfo=UTC)
FEDERAL = Hours(time(8), time(21))
OFFICE = CustomHours(**dict.fromkeys(WEEKDAYS[:5], Hours(time(8), time(18))))


def keep_hours(shop: Shop, hours: QuietHours) -> None:
    """Let the shop keep hours."""
    policies = shop.business.settings.policies.model_copy(update={"quiet_hours": hours})
    shop.change(policies=policies)


def two_campaigns(shop: Shop, home: Path) -> tuple[Campaign, Campaign]:
    """Give two campaigns that begin with a text, the first with priority 1; they share words."""
    steps = shop.campaign.steps[1:]
    campaigns = tuple(
        shop.campaign.model_copy(update={"campaign": name, "priority": priority, "steps": steps})
        for priority, name in ((1, "dear"), (2, "other"))
    )
    for campaign in campaigns:
        shutil.copytree(HOME / "templates" / "six-month", home / "templates" / campaign.campaign)
    shutil.copytree(HOME / "templates" / "_layout", home / "templates" / "_layout")
    shelf = load_shelf(home, campaigns, shop.business.facts)
    shop.business = replace(shop.business, campaigns=campaigns, shelf=shelf)
    return campaigns[0], campaigns[1]


def test_mails_leave_at_any_hour_unless_hours_are_written(shop: Shop) -> None:
    """By default only texts keep hours; a mail waits for hours that were written for mails."""
    shop.now = NIGHT
    first = shop.enroll()
    by_default = shop.send()

    keep_hours(shop, QuietHours(email=OFFICE))
    second = shop.enroll()
    at_night = shop.send()
    shop.now = NIGHT.replace(hour=8)
    in_the_morning = shop.send()

    assert (by_default.accepted, at_night.postponed, in_the_morning.accepted) == (1, 1, 1)
    assert shop.messages(first)[0].accepted_at == NIGHT
    assert shop.messages(second)[0].accepted_at == NIGHT.replace(hour=8)


def test_a_mail_is_held_to_its_readers_zone_and_not_to_a_number(shop: Shop) -> None:
    """Where the person lives counts for a mail; a number says where texts arrive."""
    keep_hours(shop, QuietHours(email=OFFICE))
    elsewhere = {"country": "US", "time_zone": "America/Los_Angeles"}
    far = shop.enroll(customer=elsewhere)
    near = shop.enroll(phones=["+12125550123"])

    shop.send()

    [waiting], [sent] = shop.messages(far), shop.messages(near)
    assert sent.state is MessageState.ACCEPTED
    assert waiting.due_at == datetime(2026, 3, 2, 16, 0, tzinfo=UTC)


def test_no_text_on_a_holiday_where_configured(shop: Shop) -> None:
    """Christmas and the days after are left out; the text leaves on the first day that is none."""
    shop.now = CHRISTMAS
    keep_hours(shop, QuietHours(sms=CustomHours(profile="standard", holidays=False)))
    one = shop.enroll(next_step="check-in", phones=["+447400123456"])

    shop.send()

    [message] = shop.messages(one)
    assert (message.state, message.reason) == (MessageState.QUEUED, "outside the decent hours")
    # Boxing Day is a Saturday, and Sunday is none of its substitutes.
    assert message.due_at == datetime(2026, 12, 27, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("region", [None, "Greater London", "England"])
@pytest.mark.parametrize(
    "day",
    [
        pytest.param(datetime(2026, 4, 6, 11, tzinfo=UTC), id="Easter Monday"),
        pytest.param(datetime(2026, 8, 31, 11, tzinfo=UTC), id="Summer Bank Holiday"),
    ],
)
def test_no_text_on_a_holiday_of_a_region_that_is_not_known(
    shop: Shop, day: datetime, region: str | None
) -> None:
    """P4: the shipped sources map no region, and a county is none that the calendar knows."""
    shop.now = day
    keep_hours(shop, QuietHours(sms=CustomHours(profile="standard", holidays=False)))
    somewhere = {"country": "GB", "region": region, "time_zone": None}
    one = shop.enroll(next_step="check-in", customer=somewhere, phones=["+447400123456"])

    shop.send()

    [message] = shop.messages(one)
    assert (message.state, message.reason) == (MessageState.QUEUED, "outside the decent hours")
    # British summer time.
    assert message.due_at == day.replace(hour=8) + DAY


def test_a_text_waits_for_the_hours_of_every_zone(shop: Shop) -> None:
    """A British address with a number of New York: at ten in London it is five there (LAW-23b)."""
    one = shop.enroll(
        next_step="check-in",
        phones=["+12125550123"],
        customer={"country": "GB", "time_zone": None},
    )

    shop.send()

    [message] = shop.messages(one)
    assert message.due_at == datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize("is_first", [True, False], ids=["enrolled first", "enrolled second"])
def test_at_a_cap_the_campaign_with_priority_goes_first(
    shop: Shop, tmp_path: Path, *, is_first: bool
) -> None:
    """One text a day to a number, over all campaigns: who has priority leaves, the other waits."""
    dear, other = two_campaigns(shop, tmp_path)
    number = "+447400100001"
    ones = {
        campaign.campaign: shop.enroll(phones=[number], campaign=campaign)
        for campaign in ((dear, other) if is_first else (other, dear))
    }

    shop.send()

    [first], [second] = shop.messages(ones["dear"]), shop.messages(ones["other"])
    assert first.state is MessageState.ACCEPTED
    assert (second.state, second.reason) == (MessageState.QUEUED, "the cap of sms is reached")
    assert second.due_at == shop.now + DAY


def test_a_text_in_doubt_counts_for_the_cap(shop: Shop, tmp_path: Path) -> None:
    """FACTS.md DS-16: else a crash, or a lost reply, would let the cap be beaten."""
    dear, other = two_campaigns(shop, tmp_path)
    number = "+447400100001"
    shop.texts.answer = lambda _: Unclear("the reply was lost")
    first = shop.enroll(phones=[number], campaign=dear)
    shop.send()
    shop.texts.answer = None

    second = shop.enroll(phones=[number], campaign=other)
    shop.now += timedelta(hours=3)
    shop.send()

    [doubtful], [waiting] = shop.messages(first), shop.messages(second)
    assert doubtful.state is MessageState.UNCONFIRMED
    assert (waiting.state, waiting.reason) == (MessageState.QUEUED, "the cap of sms is reached")


def test_a_text_whose_validity_ran_out_is_not_sent_again(shop: Shop) -> None:
    """30036: surely not delivered, and yet accepted once; P1 forbids a second one (TW-5)."""
    one = shop.enroll(next_step="check-in")
    shop.send()
    [text] = shop.messages(one)
    with Session(shop.engine) as session, session.begin():
        at = shop.now + timedelta(hours=4)
        apply_news(session, text.id, EventKind.FAILED, at=at, code="30036", reason="expired")

    for _ in range(9):
        shop.now += DAY
        shop.send()

    assert shop.states(one)[0] == ("check-in", Channel.SMS, MessageState.FAILED)
    assert [step for step, _, _ in shop.states(one)] == ["check-in", "voucher"]
    assert len(shop.texts.sent) == 1


def test_what_never_gets_its_hour_is_dropped_with_the_reason(shop: Shop) -> None:
    """Postponed, then dropped by ``fresh_for``: never silently lost, and told in one sentence."""
    closed = CustomHours(sun=Hours(time(3), time(4)))
    keep_hours(shop, QuietHours(sms=closed))
    one = shop.enroll(next_step="check-in", consents=(Channel.SMS,))

    for _ in range(9):
        shop.send()
        shop.now += DAY

    assert shop.passages(one)["check-in"] == "stale"
    assert shop.decisions(one)[:2] == [
        ("postponed", "check-in: outside the decent hours"),
        ("stale", "check-in: stale, it could not leave in time: outside the decent hours"),
    ]


def test_own_hours_for_texts_hold_for_an_address_with_its_state(shop: Shop) -> None:
    """A state and a number of the same country stop nobody's text (FACTS.md LAW-23)."""
    shop.now = NOON_IN_NEW_YORK
    keep_hours(shop, QuietHours(sms=OFFICE))
    lives_in_florida = {"country": "US", "region": "FL", "time_zone": None}
    shop.enroll(next_step="check-in", customer=lives_in_florida, phones=["+13055550123"])
    shop.enroll(next_step="check-in")

    assert shop.send().accepted == 2


def test_a_text_to_an_area_code_of_florida_keeps_the_hours_of_florida(shop: Shop) -> None:
    """Without any address, at half past eight in the evening in Miami and New York (LAW-23b)."""
    shop.now = HALF_PAST_EIGHT_IN_NEW_YORK
    keep_hours(shop, QuietHours(sms=CustomHours(**dict.fromkeys(WEEKDAYS, FEDERAL))))
    nowhere = {"country": None, "time_zone": None}
    miami = shop.enroll(next_step="check-in", customer=nowhere, phones=["+13055550123"])
    new_york = shop.enroll(next_step="check-in", customer=nowhere, phones=["+12125550123"])

    shop.send()

    [waiting], [sent] = shop.messages(miami), shop.messages(new_york)
    assert (waiting.state, waiting.reason) == (MessageState.QUEUED, "outside the decent hours")
    assert waiting.due_at == datetime(2026, 3, 3, 13, 0, tzinfo=UTC)
    assert sent.state is MessageState.ACCEPTED


@pytest.mark.parametrize(
    ("region", "due_at"),
    [
        pytest.param("GU", datetime(2026, 3, 2, 23, 0, tzinfo=UTC), id="Guam"),
        pytest.param("MP", datetime(2026, 3, 2, 23, 0, tzinfo=UTC), id="Saipan"),
    ],
)
def test_a_text_waits_for_the_morning_of_an_island(
    shop: Shop, region: str, due_at: datetime
) -> None:
    """P4: with an address on Guam and a number of Washington both count (FACTS.md LAW-23b)."""
    shop.now = EVENING_IN_LONDON
    island = {"country": "US", "region": region, "time_zone": None}
    one = shop.enroll(next_step="check-in", customer=island, phones=["+12025550123"])

    shop.send()

    [message] = shop.messages(one)
    assert (message.state, message.due_at) == (MessageState.QUEUED, due_at)
    shop.now = due_at
    assert shop.send().accepted == 1


def test_no_text_leaves_where_no_hour_is_decent_everywhere(shop: Shop) -> None:
    """P4: the military's Pacific and Washington share no hour; nothing leaves by text."""
    shop.now = EVENING_IN_LONDON
    far = {"country": "US", "region": "AP", "time_zone": None}
    shop.enroll(next_step="check-in", customer=far, phones=["+12025550123"], emails=[])

    for _ in range(10):
        shop.send()
        shop.now += timedelta(hours=9)

    assert shop.texts.sent == []
