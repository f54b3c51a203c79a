"""When the next step is due; pure."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.enrollment.shop import make_campaign
from winback.enrollment.timeline import (
    Circumstances,
    Next,
    after_click,
    due_from,
    first_of_month,
    may_go_to,
    months_from,
    next_due,
)

CAMPAIGN = make_campaign()
DAY = date(2026, 3, 2)
NAMES = [step.step for step in CAMPAIGN.steps]


def _given(
    *,
    holds: bool = True,
    last_days: Mapping[str, date] | None = None,
    is_gentle: bool = False,
    done: Collection[str] = (),
) -> Circumstances:
    return Circumstances(
        holds=lambda _: holds, last_days=last_days or {}, is_gentle=is_gentle, done=done
    )


def _days(days: int) -> date:
    return DAY + timedelta(days=days)


@pytest.mark.parametrize(
    ("after", "circumstances", "step", "due_on"),
    [
        (None, {}, "concern", DAY),
        ("concern", {}, "check-in", _days(5)),
        ("voucher", {"last_days": {"welcome-back": _days(21)}}, "reminder", _days(17)),
        ("voucher", {"last_days": {"welcome-back": _days(4)}}, "reminder", DAY),
        ("voucher", {"last_days": {"welcome-back": _days(3)}}, "comeback", _days(10)),
        ("voucher", {"last_days": {"comeback": _days(21)}}, "comeback", _days(10)),
        ("voucher", {}, "comeback", _days(10)),
        ("reminder", {"holds": False}, "farewell", _days(14)),
        ("check-in", {"is_gentle": True}, "farewell", _days(14)),
        ("check-in", {"done": {"voucher", "reminder"}}, "comeback", _days(10)),
        ("farewell", {}, None, _days(14)),
    ],
)
def test_the_next_step_and_its_day(
    after: str | None, circumstances: dict[str, Any], step: str | None, due_on: date
) -> None:
    """Waits, reminders, conditions, gentleness and the rest, each by its rule."""
    found = next_due(CAMPAIGN, after, done_on=DAY, given=_given(**circumstances))

    assert (found.step, found.due_on) == (step, due_on)


def test_the_last_earlier_voucher_is_reminded_of() -> None:
    """Of two open codes the one of the later step counts; an expired one does not."""
    steps = [
        *CAMPAIGN.model_dump(mode="json")["steps"][:3],
        {"step": "more", "wait": "1 day", "channel": "email", "template": "t", "offer": "comeback"},
        {"step": "remind", "before_expiry": "2 days", "channel": "email", "template": "t"},
    ]
    campaign = make_campaign(steps=steps)
    both = {"welcome-back": _days(30), "comeback": _days(9)}
    expired = both | {"comeback": _days(-1)}

    def due(days: dict[str, date]) -> date:
        return next_due(campaign, "more", done_on=DAY, given=_given(last_days=days)).due_on

    assert due(both) == _days(7)
    assert due(expired) == _days(28)


@given(
    st.sampled_from([None, *NAMES]),
    st.fixed_dictionaries({"holds": st.booleans(), "is_gentle": st.booleans()}),
    st.sets(st.sampled_from(NAMES)),
    st.none() | st.integers(-30, 60),
)
def test_it_only_goes_forward_and_never_back_in_time(
    after: str | None, flags: dict[str, bool], done: set[str], expires_in: int | None
) -> None:
    """Whatever the circumstances: forward, not before today, and every step accounted for."""
    last_days = {} if expires_in is None else {"welcome-back": _days(expires_in)}
    circumstances = _given(last_days=last_days, done=done, **flags)

    found = next_due(CAMPAIGN, after, done_on=DAY, given=circumstances)

    start = 0 if after is None else NAMES.index(after) + 1
    end = len(NAMES) if found.step is None else NAMES.index(found.step)
    assert end >= start
    assert found.due_on >= DAY
    assert found.step not in done
    assert [one.step for one in found.passed] == [
        name for name in NAMES[start:end] if name not in done
    ]


def test_a_chosen_day_goes_before_the_wait() -> None:
    """Waking, going to a step and resuming: the step is due on the day, whatever its wait."""
    assert due_from(CAMPAIGN, "check-in", on=DAY, given=_given()) == Next("check-in", DAY)
    assert due_from(CAMPAIGN, None, on=DAY, given=_given()) == Next(None, _days(14))
    reminded = _given(last_days={"welcome-back": _days(21)})
    assert due_from(CAMPAIGN, "reminder", on=DAY, given=reminded).due_on == _days(17)


@pytest.mark.parametrize(
    ("step", "due_in", "expected"), [("check-in", 5, 1), ("check-in", 0, 0), ("reminder", 9, 9)]
)
def test_a_click_only_ever_hurries(step: str, due_in: int, expected: int) -> None:
    """One day after the click if that is sooner; reminders and the rest keep their days."""
    assert after_click(CAMPAIGN, step, due_on=_days(due_in), clicked_on=DAY) == _days(expected)
    assert after_click(CAMPAIGN, None, due_on=_days(due_in), clicked_on=DAY) == _days(due_in)


def test_going_to_a_step_is_only_forward() -> None:
    """What is behind, passed, unknown, or beyond the end cannot be gone to."""
    assert may_go_to(CAMPAIGN, "voucher", at="check-in", done=()) is None
    assert may_go_to(CAMPAIGN, "concern", at="check-in", done=())
    assert may_go_to(CAMPAIGN, "voucher", at="check-in", done={"voucher"})
    assert may_go_to(CAMPAIGN, "nowhere", at="check-in", done=())
    assert may_go_to(CAMPAIGN, "voucher", at=None, done=())


def test_a_month_means_its_next_first_day() -> None:
    """Asked for a month that has begun or gone, the one to come is meant."""
    assert first_of_month(2026, 6, after=DAY) == date(2026, 6, 1)
    assert first_of_month(2026, 3, after=DAY) == date(2027, 3, 1)
    assert first_of_month(2026, 3, after=date(2026, 3, 1)) == date(2027, 3, 1)
    assert months_from(date(2025, 11, 30), 3) == date(2026, 2, 28)
