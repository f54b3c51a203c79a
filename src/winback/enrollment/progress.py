"""Move one enrollment's cursor because of what a person said or did: ``next_step``, ``due_on``.

``timeline`` says what comes next; here it is written down, guarded by where the cursor stood, so
that what somebody else did meanwhile is never undone. Every function takes a session, leaves the
commit to the caller, and says whether it changed anything. ``zone`` is the business's: days are
its local days.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign, Step
from winback.campaign.versions import campaign_of_version
from winback.clock import local_date
from winback.customers.canceling import Which, cancel_queued
from winback.database.history import record_decision
from winback.database.tables import Enrollment
from winback.enrollment.circumstances import (
    circumstances_of,
    record_passed,
    steps_on_their_way,
)
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move
from winback.enrollment.timeline import (
    ONE_DAY,
    Next,
    Passed,
    after_click,
    due_from,
    may_go_to,
)
from winback.states import EnrollmentState


def go_to(
    session: Session, enrollment_id: int, step: str, *, now: datetime, zone: ZoneInfo, why: str
) -> bool:
    """Make a step the next one, due tomorrow at the soonest; wakes who is asleep.

    Steps between are passed for good and what is queued for the timeline is canceled. False,
    with nothing changed but a decision written, when the step cannot be gone to: it is behind,
    on its way, or its ``only_if`` or its voucher says no. The caller then continues.
    """
    row = _enrollment(session, enrollment_id)
    if row.state is not EnrollmentState.ACTIVE:
        return False
    campaign = campaign_of_version(session, row.campaign_version_id)
    following = _reach(session, row, campaign, step, now=now, zone=zone)
    if isinstance(following, str):
        _decide(session, row, "continued", why=f"{why}; cannot go to {step}: {following}", now=now)
        return False
    _jump(session, row, campaign, following, now=now)
    _set(session, row, next_step=step, due_on=following.due_on, is_asleep=False)
    _decide(
        session, row, "went_to", why=f"{why}; {step} comes next, on {following.due_on}", now=now
    )
    return True


def sleep(
    session: Session,
    enrollment_id: int,
    *,
    until: date,
    now: datetime,
    zone: ZoneInfo,
    why: str,
    is_gentle: bool = False,
) -> bool:
    """Let an enrollment sleep until a local day (``timeline.first_of_month``, ``months_from``).

    What is queued for the timeline is canceled, the rest stands still. ``is_gentle`` after a
    hard time. A second sleep parts instead, and gives False, as for one that is not active.
    """
    row = _enrollment(session, enrollment_id)
    if row.state is not EnrollmentState.ACTIVE:
        return False
    if row.sleeps:
        move(session, row.id, EnrollmentEvent.PARTED, now=now, why=f"{why}, a second time")
        return False
    today = local_date(now, zone)
    wakes_on = max(until, today + ONE_DAY)
    due_on = wakes_on
    if row.next_step is None and row.due_on is not None:
        # The rest stands still: what is left of it follows the waking.
        due_on = wakes_on + max(row.due_on - today, ONE_DAY)
    cancel_queued(session, [row.id], which=Which.OF_THE_TIMELINE, now=now, why=why)
    changed = _set(
        session,
        row,
        due_on=due_on,
        is_asleep=True,
        sleeps=row.sleeps + 1,
        is_gentle=row.is_gentle or is_gentle,
    )
    if changed:
        _decide(session, row, "asleep", why=f"{why}; asleep until {wakes_on}", now=now)
    return changed


def hand_over(session: Session, enrollment_id: int, *, now: datetime, why: str) -> bool:
    """Give the customer to an associate: automation waits, what is queued is canceled."""
    return move(session, enrollment_id, EnrollmentEvent.HANDED_OVER, now=now, why=why)


def resume(
    session: Session,
    enrollment_id: int,
    *,
    step: str | None = None,
    now: datetime,
    zone: ZoneInfo,
    why: str,
) -> bool:
    """Give the customer back to the timeline at a step (None: where it stood), due tomorrow.

    Steps between are passed for good. False, with nothing changed, when the enrollment is not
    handed over or the step cannot be gone to (``why_not_resume`` says why).
    """
    row = _enrollment(session, enrollment_id)
    if row.state is not EnrollmentState.HANDED_OVER:
        return False
    campaign = campaign_of_version(session, row.campaign_version_id)
    following = _resumed(session, row, campaign, step, now=now, zone=zone)
    if isinstance(following, str):
        return False
    if not move(session, row.id, EnrollmentEvent.RESUMED, now=now, why=why):
        return False
    row = _enrollment(session, enrollment_id)
    _jump(session, row, campaign, following, now=now)
    return _set(session, row, next_step=following.step, due_on=following.due_on)


def why_not_resume(
    session: Session, enrollment_id: int, step: str | None, *, now: datetime, zone: ZoneInfo
) -> str | None:
    """Say why a handed-over enrollment cannot be resumed at a step; None when it can."""
    row = _enrollment(session, enrollment_id)
    if row.state is not EnrollmentState.HANDED_OVER:
        return f"the enrollment is {row.state}, not handed over"
    campaign = campaign_of_version(session, row.campaign_version_id)
    following = _resumed(session, row, campaign, step, now=now, zone=zone)
    return following if isinstance(following, str) else None


def speed_up_after_click(
    session: Session, enrollment_id: int, *, clicked_at: datetime, now: datetime, zone: ZoneInfo
) -> bool:
    """Make the next step due one day after a human click, if that is sooner.

    Reminders before an expiry, the rest, sleepers and answers keep their days.
    """
    row = _enrollment(session, enrollment_id)
    if row.state is not EnrollmentState.ACTIVE or row.is_asleep or row.due_on is None:
        return False
    campaign = campaign_of_version(session, row.campaign_version_id)
    due_on = after_click(
        campaign, row.next_step, due_on=row.due_on, clicked_on=local_date(clicked_at, zone)
    )
    if due_on == row.due_on or not _set(session, row, due_on=due_on):
        return False
    _decide(session, row, "sooner", why=f"clicked; {row.next_step} is due on {due_on}", now=now)
    return True


def _enrollment(session: Session, enrollment_id: int) -> Enrollment:
    """Read a row as it is now, whatever the session remembers; raises NoResultFound."""
    return session.scalars(
        select(Enrollment)
        .where(Enrollment.id == enrollment_id)
        .execution_options(populate_existing=True)
    ).one()


def _set(session: Session, row: Enrollment, **changes: Any) -> bool:
    """Change the cursor if it still stands where it stood when the row was read."""
    stood = (row.next_step, row.sleeps, row.state)
    done = session.execute(
        update(Enrollment)
        .where(
            Enrollment.id == row.id,
            Enrollment.next_step.is_not_distinct_from(stood[0]),
            Enrollment.sleeps == stood[1],
            Enrollment.state == stood[2],
        )
        .values(changes)
        .returning(Enrollment.id)
    ).all()
    return bool(done)


def _reach(
    session: Session,
    row: Enrollment,
    campaign: Campaign,
    step: str,
    *,
    now: datetime,
    zone: ZoneInfo,
) -> Next | str:
    """Give the way to a step, due tomorrow at the soonest, or why there is none."""
    given = circumstances_of(session, row, now=now, zone=zone)
    refusal = may_go_to(campaign, step, at=row.next_step, done=given.done)
    if refusal is not None:
        return refusal
    if step in steps_on_their_way(session, row.id):
        return f"{step} is on its way"
    following = due_from(campaign, step, on=local_date(now, zone) + ONE_DAY, given=given)
    if following.step == step:
        return following
    return next(passed.why for passed in following.passed if passed.step == step)


def _resumed(
    session: Session,
    row: Enrollment,
    campaign: Campaign,
    step: str | None,
    *,
    now: datetime,
    zone: ZoneInfo,
) -> Next | str:
    if step is not None:
        return _reach(session, row, campaign, step, now=now, zone=zone)
    given = circumstances_of(session, row, now=now, zone=zone)
    return due_from(campaign, row.next_step, on=local_date(now, zone) + ONE_DAY, given=given)


def _jump(
    session: Session, row: Enrollment, campaign: Campaign, following: Next, *, now: datetime
) -> None:
    """Pass for good what lies between the cursor and the step to come; cancel what is queued."""
    why = f"went on to {following.step or 'the end'}"
    cancel_queued(session, [row.id], which=Which.OF_THE_TIMELINE, now=now, why=why)
    on_their_way = steps_on_their_way(session, row.id)
    reasons = {passed.step: passed.why for passed in following.passed}
    between = [
        Passed(step.step, reasons.get(step.step, why))
        for step in _steps_between(campaign, row.next_step, following.step)
        # One that is being sent gets its passage when the provider has answered.
        if step.step not in on_their_way
    ]
    record_passed(session, row, between, now=now)


def _steps_between(campaign: Campaign, at: str | None, to: str | None) -> Sequence[Step]:
    if at is None:
        return ()
    end = len(campaign.steps) if to is None else campaign.position(to)
    return campaign.steps[campaign.position(at) : end]


def _decide(session: Session, row: Enrollment, what: str, *, why: str, now: datetime) -> None:
    record_decision(
        session,
        row.customer_id,
        what=what,
        why=why,
        at=now,
        campaign=row.campaign,
        enrollment_id=row.id,
    )
