"""When an enrollment's next step is due. Pure: dates in, dates out.

All days are local days of the business. The rules (DESIGN.md, section 7):

- ``wait`` counts from the day the step before was done, however it was done; the first from
  enrollment. A step that is passed at once adds no wait of its own.
- ``only_if`` is asked when the step before is done, and again at the claim.
- ``before_expiry`` is due that long before the last day of the last unexpired, unredeemed
  voucher of an earlier step; with none, or too late, the step is passed.
- After a hard time, steps with an offer are passed until one without was accepted.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from winback.campaign.schema import Campaign, Step
from winback.periods import Period

ONE_DAY: Final = timedelta(days=1)


class StepEnd(StrEnum):
    """How an enrollment got past a step; stored as ``step_passages.how``."""

    ACCEPTED = "accepted"
    CASE_OPENED = "case_opened"
    PASSED = "passed"
    """``only_if`` false, no voucher to remind of, too gentle for an offer, or jumped over."""
    SKIPPED = "skipped"
    FAILED = "failed"
    STALE = "stale"
    UNCONFIRMED = "unconfirmed"
    """Left without an answer from the provider for 24 hours."""


ARRIVED: Final = (StepEnd.ACCEPTED, StepEnd.CASE_OPENED)
"""The ends by which the step truly went out."""


@dataclass(frozen=True, slots=True)
class Passed:
    """One step passed at once, and why."""

    step: str
    why: str


@dataclass(frozen=True, slots=True)
class Next:
    """What comes next; ``step`` None means the rest after the last step, over on ``due_on``."""

    step: str | None
    due_on: date
    passed: tuple[Passed, ...] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the timeline must know about the enrollment besides its place.

    ``holds`` answers a condition for the customer; ``last_days`` gives, per offer, the last day
    of an issued and unredeemed voucher; ``done`` names the steps that are passed for good.
    """

    holds: Callable[[str], bool]
    last_days: Mapping[str, date]
    is_gentle: bool = False
    done: Collection[str] = ()


def next_due(campaign: Campaign, after: str | None, *, done_on: date, given: Circumstances) -> Next:
    """Give the step that follows ``after`` (None: the first), counted from ``done_on``."""
    start = 0 if after is None else campaign.position(after) + 1
    return _from_position(campaign, start, done_on=done_on, given=given, at_once=False)


def due_from(campaign: Campaign, step: str | None, *, on: date, given: Circumstances) -> Next:
    """Give the first step from ``step`` on that stands, due on a day that somebody chose.

    For waking, going to a step and resuming: the first step that stands is due on that day,
    whatever its wait. With ``step`` None, or none that stands, the rest begins on that day.
    """
    start = len(campaign.steps) if step is None else campaign.position(step)
    return _from_position(campaign, start, done_on=on, given=given, at_once=True)


def _from_position(
    campaign: Campaign, start: int, *, done_on: date, given: Circumstances, at_once: bool
) -> Next:
    passed: list[Passed] = []
    for step in campaign.steps[start:]:
        if step.step in given.done:
            continue
        due = _due(campaign, step, done_on=done_on, given=given)
        if isinstance(due, date):
            # A reminder keeps its own day: it is tied to the voucher, not to who chose it.
            keeps_its_day = step.before_expiry is not None
            return Next(step.step, done_on if at_once and not keeps_its_day else due, (*passed,))
        passed.append(Passed(step.step, due))
    return Next(None, campaign.rest.after(done_on), (*passed,))


def _due(campaign: Campaign, step: Step, *, done_on: date, given: Circumstances) -> date | str:
    """Give the day a step is due, or the reason why it is passed."""
    if given.is_gentle and step.offer is not None:
        return "after a hard time, nothing with an offer comes first"
    if step.only_if is not None and not given.holds(step.only_if):
        return f"only_if does not hold: {step.only_if}"
    if step.before_expiry is None:
        return (step.wait or Period()).after(done_on)
    last_day = _last_voucher_day(campaign, step, done_on=done_on, given=given)
    if last_day is None:
        return "there is no open voucher to remind of"
    due_on = step.before_expiry.latest_start(last_day)
    return due_on if due_on >= done_on else "it is too late to remind of the voucher"


def _last_voucher_day(
    campaign: Campaign, step: Step, *, done_on: date, given: Circumstances
) -> date | None:
    earlier = campaign.steps[: campaign.position(step.step)]
    offers = [before.offer for before in reversed(earlier) if before.offer is not None]
    open_days = (given.last_days[offer] for offer in offers if offer in given.last_days)
    return next((day for day in open_days if day >= done_on), None)


def after_click(campaign: Campaign, step: str | None, *, due_on: date, clicked_on: date) -> date:
    """Give the day the next step is due after a human click: sooner, never later.

    A reminder keeps its day before the voucher's expiry, and the rest keeps its length.
    """
    if step is None or campaign.step(step).before_expiry is not None:
        return due_on
    return min(due_on, clicked_on + ONE_DAY)


def may_go_to(
    campaign: Campaign, step: str, *, at: str | None, done: Collection[str]
) -> str | None:
    """Say why a step cannot be gone to from the place ``at``; None when it can be.

    Only forward: what is behind, or was passed, is passed for good. ``only_if`` and the voucher
    are asked when the due day is computed.
    """
    if not campaign.has_step(step):
        return f"there is no step {step}"
    if at is None:
        return "the timeline is at its end"
    if step in done or campaign.position(step) < campaign.position(at):
        return f"{step} is behind; the timeline only goes forward"
    return None


def first_of_month(year: int, month: int, *, after: date) -> date:
    """Give the next first day of that month that lies after a day.

    ``not now, ask me in March``: the first of March; one that is past means the March to come.
    """
    day = date(year, month, 1)
    while day <= after:
        day = day.replace(year=day.year + 1)
    return day


def months_from(today: date, months: int) -> date:
    """Give the day some calendar months from today, on which a sleeper wakes."""
    return Period(months=months).after(today)
