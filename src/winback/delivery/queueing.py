"""Carry plans out: queue messages with their vouchers, open cases, pass steps."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Final

from sqlalchemy.orm import Session

from winback.database.bulk import insert_new
from winback.database.retrying import transacted
from winback.database.tables import Message
from winback.delivery.cases import open_cases
from winback.delivery.gate import WRITTEN_TO
from winback.delivery.isolating import Isolation, transacted_rows
from winback.delivery.planning import Plan, due_ids, plan_batch
from winback.delivery.run import Run
from winback.delivery.telling import tell_owner, tell_unplanned
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move_all
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.pausing import standing_pauses
from winback.enrollment.timeline import StepEnd
from winback.enrollment.waking import end_rests, sleepers, wake
from winback.failpoints import Commit, committing
from winback.states import MessageState
from winback.vouchers.reserving import NotExported, RunOut, UsedUp, reserve_many
from winback.vouchers.stock import fill

_BATCH: Final = 500
_NOT_EXPORTED: Final = "the codes of {} are not exported yet: winback voucher export"
_NO_CODE: Final = "the codes of {} have run out"
_USED: Final = "its voucher of {} is used or expired"


@dataclass(frozen=True, slots=True)
class Queued:
    """What planning did: messages queued, cases opened, steps that nobody will get."""

    messages: int = 0
    cases: int = 0
    skipped: int = 0
    postponed: int = 0

    def __add__(self, other: "Queued") -> "Queued":
        """Count both."""
        return Queued(
            self.messages + other.messages,
            self.cases + other.cases,
            self.skipped + other.skipped,
            self.postponed + other.postponed,
        )


_Work = Callable[[Session, Run, Sequence[int]], Queued]


def queue_due(run: Run, enrollments: Isolation | None = None) -> Queued:
    """Plan and queue everything that is due today; safe to repeat, and by two at once.

    An enrollment that nobody can plan is left as it is, told of, and keeps no other from it.
    Where these are too many, ``enrollments`` is left to tell; without it, that is raised here.
    """
    if enrollments is None:
        enrollments = Isolation("enrollment")
        queued = queue_due(run, enrollments)
        enrollments.tell()
        return queued
    begun = transacted(run.business.engine, "queue.wake", partial(_begin, run))
    if begun is None:
        return Queued()
    some = _Some(run, enrollments)
    for ids in _batches(begun.sleepers):
        some.work("queue.wake", _wake, ids)
    seen: set[tuple[int, str | None]] = set()
    # A step that is passed may make the next one due on the same day: look until nothing is new.
    while True:
        with Session(run.reads) as session:
            due = [tuple(row) for row in due_ids(session, run, still=begun.still)]
        fresh = [one for one in due if one not in seen and one[0] not in some.put_aside]
        if not fresh:
            return some.done
        _fill_stocks(run, {step for _, step in fresh})
        seen.update(fresh)
        for ids in _batches([id_ for id_, _ in fresh]):
            some.work("queue.plan", _plan, ids)


@dataclass(frozen=True, slots=True)
class _Begun:
    """Campaigns that stand still, and who is to be woken in the others."""

    still: Collection[str]
    sleepers: Sequence[int]


def _begin(run: Run, session: Session) -> _Begun | None:
    """End the rests that are over; None where everything stands still."""
    pauses = standing_pauses(session)
    if pauses.all is not None:
        return None
    still = [*pauses.campaigns]
    end_rests(session, run, still=still)
    return _Begun(still, sleepers(session, run, still=still))


@dataclass(slots=True)
class _Some:
    """Works at some enrollments at a time, in a transaction, and counts what was done."""

    run: Run
    enrollments: Isolation
    done: Queued = field(default_factory=Queued)
    put_aside: set[int] = field(default_factory=set)
    """Whom this run could not work at."""

    def work(self, name: Commit, work: _Work, ids: Sequence[int]) -> None:
        """Work at these; whoever cannot be worked at is left as they are."""
        engine = self.run.business.engine

        def at_once(ids: Sequence[int]) -> None:
            self.done += transacted_rows(engine, name, lambda session: work(session, self.run, ids))

        def put_aside(id_: int, kind: str) -> None:
            self.put_aside.add(id_)
            tell = partial(tell_unplanned, run=self.run, enrollment_id=id_, kind=kind)
            transacted_rows(engine, name, tell)

        self.enrollments.work(ids, at_once, put_aside)


def _wake(session: Session, run: Run, ids: Sequence[int]) -> Queued:
    wake(session, run, ids)
    return Queued()


def _plan(session: Session, run: Run, ids: Sequence[int]) -> Queued:
    return _carry_out(session, run, plan_batch(session, run, ids))


def _fill_stocks(run: Run, steps: Collection[str | None]) -> None:
    """Bring stocks up to their limits, where a step that is due takes from them."""
    business = run.business
    for campaign in business.campaigns:
        if any(one.step in steps and one.offer is not None for one in campaign.steps):
            home = business.environment.home
            with (
                Session(business.engine) as session,
                committing(session.begin(), "queue.stock"),
            ):
                fill(session, campaign, now=run.now, rng=run.rng, home=home)


def _carry_out(session: Session, run: Run, plans: Sequence[Plan]) -> Queued:
    ends = [(plan, event) for plan in plans if (event := _ENDS.get(plan.ends or ""))]
    for plan, event in ends:
        move_all(session, [plan.row.id], event, now=run.now, why=plan.why)
    carried, refused = _with_vouchers(session, run, [plan for plan in plans if plan.channel])
    waits = [(plan, why) for plan, how, why in refused if how is None]
    passed = [Done(plan.row.id, plan.step.step, how, why) for plan, how, why in refused if how]
    passed += [
        Done(plan.row.id, plan.step.step, plan.passes, plan.why) for plan in plans if plan.passes
    ]
    messages = [(plan, id_) for plan, id_ in carried if plan.channel in WRITTEN_TO]
    cases = [(plan, id_) for plan, id_ in carried if plan.channel not in WRITTEN_TO]
    opened = open_cases(session, run, cases)
    queue_messages(session, [_message(run, plan, id_) for plan, id_ in messages])
    tell_owner(session, run, waits)
    pass_steps(session, run, [*passed, *opened])
    return Queued(
        messages=len(messages),
        cases=sum(one.how is StepEnd.CASE_OPENED for one in opened),
        skipped=sum(
            one.how in (StepEnd.SKIPPED, StepEnd.STALE, StepEnd.FAILED)
            for one in [*passed, *opened]
        ),
        postponed=len(waits),
    )


_ENDS: Final = {
    "suppressed": EnrollmentEvent.OPTED_OUT,
    "unreachable": EnrollmentEvent.CONTACT_LOST,
}

_Refusal = tuple[Plan, StepEnd | None, str]


def _with_vouchers(
    session: Session, run: Run, plans: Sequence[Plan]
) -> tuple[list[tuple[Plan, int | None]], list[_Refusal]]:
    """Reserve what the plans offer: the plans with their voucher, and those that get none."""
    carried: list[tuple[Plan, int | None]] = []
    refused: list[_Refusal] = []
    by_version: defaultdict[int, list[Plan]] = defaultdict(list)
    for plan in plans:
        if plan.step.offer is None:
            carried.append((plan, plan.voucher_id))
        else:
            by_version[plan.row.campaign_version_id].append(plan)
    for of_version in by_version.values():
        answers = reserve_many(
            session,
            [(plan.row.id, plan.step.offer) for plan in of_version if plan.step.offer],
            campaign=of_version[0].campaign,
            now=run.now,
            must_be_exported=run.must_be_exported,
            rng=run.rng,
        )
        for plan in of_version:
            match answers[plan.row.id, plan.step.offer or ""]:
                case NotExported(offer):
                    refused.append((plan, None, _NOT_EXPORTED.format(offer)))
                case RunOut(offer):
                    refused.append((plan, StepEnd.SKIPPED, _NO_CODE.format(offer)))
                case UsedUp(offer):
                    refused.append((plan, StepEnd.SKIPPED, _USED.format(offer)))
                case voucher_id:
                    carried.append((plan, voucher_id))
    return carried, refused


def _message(run: Run, plan: Plan, voucher_id: int | None) -> dict[str, Any]:
    return {
        "enrollment_id": plan.row.id,
        "customer_id": plan.row.customer_id,
        "step": plan.step.step,
        "is_answer": False,
        "channel": plan.channel,
        "voucher_id": voucher_id,
        "priority": plan.campaign.priority,
        "state": MessageState.QUEUED,
        "queued_at": run.now,
        "due_at": run.now,
        "drop_at": plan.drop_at,
    }


def queue_messages(session: Session, messages: Sequence[dict[str, Any]]) -> None:
    """Insert rows of the outbox; one that is there already stays as it is (P1)."""
    if not messages:
        return
    session.connection().execute(insert_new(Message), [_DEFAULTS | message for message in messages])


_DEFAULTS: Final[dict[str, Any]] = {"variant": "a", "reason": "", "cost": Decimal(0), "priority": 1}


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _BATCH):
        yield ids[start : start + _BATCH]
