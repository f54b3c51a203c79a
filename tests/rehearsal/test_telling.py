"""What is told of a rehearsal: totals, codes, drains, and nobody's name."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from winback.policies import PaceSettings, Policies
from winback.rehearsal.page import rehearsal_page
from winback.rehearsal.results import Entry, Reason, Rehearsal, Sending
from winback.rehearsal.schedule import Schedule
from winback.rehearsal.telling import codes_by_offer, drains, facts, needs, totals
from winback.states import Arm, Channel, Mode

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
TEN = datetime(2026, 3, 2, 10, tzinfo=UTC)
CHANNELS = [Channel.EMAIL, Channel.SMS, Channel.SMS, Channel.CALL, Channel.LETTER]


def sending(number: int, channel: Channel, *, day: date = MONDAY) -> Sending:
    """Give something that would leave."""
    return Sending(
        at=TEN,
        day=day,
        customer_id=number,
        campaign="six-month",
        arm=Arm.TREATED,
        step="concern",
        channel=channel,
        segments=2 if channel is Channel.SMS else None,
        cost=Decimal("0.04") if channel is Channel.SMS else Decimal(0),
    )


def rehearsal(**changes: object) -> Rehearsal:
    """Give a rehearsal of two days."""
    values: dict[str, object] = {
        "begins_at": TEN,
        "days": (MONDAY, TUESDAY),
        "schedule": Schedule(),
        "sendings": tuple(sending(number, channel) for number, channel in enumerate(CHANNELS)),
        "entries": (
            Entry(TUESDAY, 1, "six-month", Arm.TREATED),
            Entry(TUESDAY, 2, "six-month", Arm.HOLDOUT),
        ),
        "codes": {("six-month", "welcome-back"): 3},
        "postponed": (Reason("postponed", "the cap of sms is reached", 4),),
        "passed": (Reason("skipped", "no consent for sms", 1),),
        "queued": {Channel.SMS: 1},
    }
    return Rehearsal(**(values | changes))  # type: ignore[arg-type]


def test_each_day_is_added_up() -> None:
    """Every day has its line, also one on which nothing would happen."""
    monday, tuesday = totals(rehearsal())

    assert monday.by_channel == {
        Channel.EMAIL: 1,
        Channel.SMS: 2,
        Channel.CALL: 1,
        Channel.LETTER: 1,
    }
    assert (monday.segments, monday.cost, monday.enrolled) == (4, Decimal("0.08"), 0)
    assert (tuesday.enrolled, tuesday.held_out, tuesday.segments) == (2, 1, 0)


def test_codes_of_one_name_in_two_campaigns_are_kept_apart() -> None:
    """How many codes to have ready is asked per offer; two of one name are two."""
    both = {("six-month", "welcome"): 3, ("second", "welcome"): 2, ("second", "gift"): 1}

    assert codes_by_offer(rehearsal(codes=both)) == {
        "six-month/welcome": 3,
        "second/welcome": 2,
        "gift": 1,
    }


@pytest.mark.parametrize(
    ("mode", "pace", "takes"),
    [
        pytest.param(Mode.LIVE, "auto", timedelta(seconds=6), id="long code"),
        pytest.param(Mode.LIVE, 3.0, timedelta(seconds=2), id="written"),
        pytest.param(Mode.SANDBOX, "auto", timedelta(0), id="sandbox"),
    ],
)
def test_the_busiest_day_tells_how_long_texts_drain(
    mode: Mode, pace: str | float, takes: timedelta
) -> None:
    """Segments by the pace of the number (FACTS.md TW-19c)."""
    texts = tuple(
        sending(number, Channel.SMS, day=TUESDAY if number else MONDAY) for number in range(4)
    )
    policies = Policies(pace=PaceSettings.model_validate({"sms": pace}))

    [drain] = drains(rehearsal(sendings=texts), policies, mode)

    assert (drain.busiest, drain.amount, drain.takes, drain.put_off) == (TUESDAY, 6, takes, 0)


def test_what_does_not_fit_into_its_hours_is_said() -> None:
    """A batch that is longer than its window does not surprise anybody (FACTS.md TW-19c)."""
    done = rehearsal(put_off={Channel.SMS: 1_200})
    told = facts(done, {}, currency="GBP", policies=Policies(), mode=Mode.LIVE)

    said = list(needs(done, currency="GBP", policies=Policies(), mode=Mode.LIVE))

    assert said[-2:] == [
        "4 segments on 2026-03-02, the busiest day, leave in 0:00:04",
        "1,200 by sms do not fit into their hours at this pace, and leave on later days",
    ]
    assert told["drains_in"]["sms"]["fits_in_a_day"] is False
    assert told["drains_in"]["sms"]["put_off"] == 1_200


def test_a_send_that_goes_on_after_midnight_has_its_day() -> None:
    """The last day's mails may leave on the day after; they are counted where they leave."""
    after = date(2026, 3, 4)

    *_, last = totals(rehearsal(sendings=(sending(1, Channel.EMAIL, day=after),)))

    assert (last.day, last.by_channel[Channel.EMAIL]) == (after, 1)


def test_facts_name_people_by_the_ids_of_their_sources() -> None:
    """``customer`` is what winback customer takes; who has no id is nobody's name."""
    told = facts(
        rehearsal(),
        {0: {"till": ["17"]}},
        currency="GBP",
        policies=Policies(),
        mode=Mode.SANDBOX,
    )

    first, second = told["messages"][:2]
    assert (first["customer"], first["ids"]) == ("till:17", {"till": ["17"]})
    assert second["customer"] is None
    assert told["postponed"] == [{"why": "the cap of sms is reached", "n": 4}]
    assert told["passed"] == [{"how": "skipped", "why": "no consent for sms", "n": 1}]
    assert told["still_waiting"] == {Channel.EMAIL: 0, Channel.SMS: 1}
    assert (told["calls"], told["letters"], told["codes"]) == (1, 1, {"welcome-back": 3})


def test_the_page_holds_counts_only() -> None:
    """An artifact is shown to everybody who sees Prefect: days and counts, no ids."""
    page = rehearsal_page(rehearsal(), currency="GBP", policies=Policies(), mode=Mode.LIVE)

    assert "| Mon 2026-03-02 | 0 | 0 | 1 | 2 | 1 | 1 | 4 | 0.08 |" in page
    assert "- 3 codes of welcome-back" in page
    assert "- 1 calls for an associate" in page
    assert "| postponed | the cap of sms is reached | 4 |" in page
    assert "till:" not in page
