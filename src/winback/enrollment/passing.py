"""Pass steps of many enrollments at once: how the cursor moves on from a step that is done.

``timeline`` says what comes next; here it is asked for a whole batch with a handful of queries,
since every accepted message passes a step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Row
from sqlalchemy.orm import Session

from winback.campaign.schema import Campaign
from winback.clock import local_date
from winback.enrollment.circumstances import steps_on_their_way
from winback.enrollment.conditions import Standpoint, campaigns_of
from winback.enrollment.cursors import CursorWrites, circumstances_for, read_cursors
from winback.enrollment.timeline import ARRIVED, Circumstances, Next, Passed, StepEnd, next_due
from winback.states import EnrollmentState

_ON_THE_TIMELINE: Final = (EnrollmentState.ACTIVE, EnrollmentState.HANDED_OVER)


@dataclass(frozen=True, slots=True)
class Done:
    """How one enrollment got past one step; ``why`` is needed where nothing arrived.

    ``at`` is when that was, where it is noticed only now; None means just now.
    """

    enrollment_id: int
    step: str
    how: StepEnd
    why: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Got:
    """What the person of an enrollment got otherwise, each step with its instant.

    ``last_at`` is when they got anything last, by this enrollment or otherwise.
    """

    enrollment_id: int
    steps: Mapping[str, datetime]
    last_at: datetime
    why: str
    stands_at: str | None = None
    """The step that is being sent to them by now: the enrollment goes on from there."""


def pass_steps(session: Session, run: Standpoint, done: Sequence[Done]) -> None:
    """Record how steps were got past, for good, and set what comes next and when.

    Called when messages were accepted, skipped, failed, dropped as stale or left unconfirmed for
    24 hours, when cases were opened, and for what is passed without a message. Writes the decision
    for every end by which nothing arrived. Safe to repeat: a step has one passage, and a cursor
    moves only from that step. Who is handed over moves on without a due day; who sleeps keeps the
    waking day.
    """
    for batch in _one_per_enrollment(done):
        _pass_batch(session, run, batch)


def go_past(session: Session, run: Standpoint, got: Got) -> None:
    """Let an enrollment go past what its person got otherwise, and wait from when that was.

    The timeline only goes forward: what lies before the last of it, and did not go out, is passed
    for good. Safe to repeat.
    """
    row = read_cursors(session, [got.enrollment_id])[0]
    campaign = campaigns_of(session, run, [row.campaign_version_id])[row.campaign_version_id]
    given = circumstances_for(session, run, [row])(row)
    writes, names = CursorWrites(run), [step.step for step in campaign.steps]
    here = len(names) if row.next_step is None else campaign.position(row.next_step)
    behind = max([here, *(place + 1 for place, name in enumerate(names) if name in got.steps)])
    if got.stands_at is not None:
        behind = max(behind, campaign.position(got.stands_at))
    # One that is being sent gets its passage when the provider has answered.
    on_their_way, done = steps_on_their_way(session, row.id), set(given.done)
    later = f"{got.stands_at} is being sent" if got.stands_at else f"a later step was {got.why}"
    for place, name in enumerate(names[:behind]):
        is_over = place >= here and name not in on_their_way
        if name not in done and (name in got.steps or is_over):
            why = got.why if name in got.steps else later
            at = got.steps.get(name, run.now)
            writes.end_step(row, StepEnd.PASSED, Passed(name, why), at=at)
            done.add(name)
    if got.stands_at is not None:
        due_on = _due_day(row, campaign, Next(got.stands_at, run.today))
        writes.move_cursor(row, next_step=got.stands_at, due_on=due_on)
        writes.write(session)
        return
    following = _following(
        campaign,
        names[behind - 1] if behind else None,
        run,
        done_at=got.last_at,
        given=replace(given, done=done),
    )
    writes.pass_at_once(row, following.passed)
    due_on = _due_day(row, campaign, following)
    if following.step == row.next_step and row.due_on is not None and due_on is not None:
        due_on = row.due_on if row.is_asleep else max(row.due_on, due_on)
    writes.move_cursor(row, next_step=following.step, due_on=due_on)
    writes.write(session)


def _one_per_enrollment(done: Sequence[Done]) -> Iterator[dict[int, Done]]:
    waiting = list(done)
    while waiting:
        batch: dict[int, Done] = {}
        later = [one for one in waiting if batch.setdefault(one.enrollment_id, one) is not one]
        yield batch
        waiting = later


def _pass_batch(session: Session, run: Standpoint, batch: dict[int, Done]) -> None:
    rows = read_cursors(session, list(batch))
    campaigns = campaigns_of(session, run, (row.campaign_version_id for row in rows))
    given = circumstances_for(session, run, rows)
    writes = CursorWrites(run)
    for row in rows:
        campaign = campaigns[row.campaign_version_id]
        _pass_one(writes, row, batch[row.id], campaign=campaign, given=given(row))
    writes.write(session)


def _pass_one(
    writes: CursorWrites, row: Row[Any], one: Done, *, campaign: Campaign, given: Circumstances
) -> None:
    # Also when a step that was left unconfirmed turns out to have been accepted.
    is_gentle = row.is_gentle and (
        one.how not in ARRIVED or campaign.step(one.step).offer is not None
    )
    changes: dict[str, Any] = {} if is_gentle == row.is_gentle else {"is_gentle": is_gentle}
    if one.step not in given.done:
        done_at = one.at or writes.run.now
        writes.end_step(row, one.how, Passed(one.step, one.why), at=done_at)
        if row.state in _ON_THE_TIMELINE and row.next_step == one.step:
            following = _following(
                campaign,
                one.step,
                writes.run,
                done_at=done_at,
                given=replace(given, is_gentle=is_gentle),
            )
            writes.pass_at_once(row, following.passed)
            changes |= {"next_step": following.step, "due_on": _due_day(row, campaign, following)}
    if changes:
        writes.move_cursor(row, **changes)


def _following(
    campaign: Campaign,
    step: str | None,
    run: Standpoint,
    *,
    done_at: datetime,
    given: Circumstances,
) -> Next:
    following = next_due(campaign, step, done_on=local_date(done_at, run.zone), given=given)
    # What fell due before anybody noticed is due today: its freshness begins now.
    return replace(following, due_on=max(following.due_on, run.today))


def _due_day(row: Row[Any], campaign: Campaign, following: Next) -> date | None:
    if row.state is EnrollmentState.HANDED_OVER:
        return None
    if not row.is_asleep or row.due_on is None:
        return following.due_on
    # Accepted while asleep: the claim came before the wish to wait, which still holds.
    return row.due_on if following.step is not None else campaign.rest.after(row.due_on)
