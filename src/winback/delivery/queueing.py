"""Carry plans out: queue messages with their vouchers, open cases, pass steps."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from winback.database.bulk import insert_new
from winback.database.history import record_decisions
from winback.database.tables import Decision, Message
from winback.delivery.cases import open_cases
from winback.delivery.gate import WRITTEN_TO
from winback.delivery.planning import Plan, due_ids, plan_batch
from winback.delivery.run import Run
from winback.delivery.windows import tomorrow_start
from winback.enrollment.machine import EnrollmentEvent
from winback.enrollment.moving import move_all
from winback.enrollment.passing import Done, pass_steps
from winback.enrollment.pausing import standing_pauses
from winback.enrollment.timeline import StepEnd
from winback.enrollment.waking import end_rests, wake_due
from winback.failpoints import committing
from winback.states import MessageState
from winback.vouchers.reserving import NotExported, RunOut, UsedUp, reserve_many
from winback.vouchers.stock import fill

_BATCH: Final = 500
_NOT_EXPORTED: Final = "the codes of {} are not exported yet: winback voucher export"
_NO_CODE: Final = "the codes of {} have run out"
_USED: Final = "its voucher of {} is used or expired"


@dataclass(slots=True)
class Queued:
    """What planning did: messages queued, cases opened, steps that nobody will get."""

    messages: int = 0
    cases: int = 0
    skipped: int = 0
    postponed: int = 0


def queue_due(run: Run) -> Queued:
    """Plan and queue everything that is due today; safe to repeat, and by two at once."""
    engine, done = run.business.engine, Queued()
    with Session(engine) as session, committing(session.begin(), "queue.wake"):
        pauses = standing_pauses(session)
        if pauses.all is not None:
            return done
        still = [*pauses.campaigns]
        wake_due(session, run, still=still)
        end_rests(session, run, still=still)
    seen: set[tuple[int, str | None]] = set()
    # A step that is passed may make the next one due on the same day: look until nothing is new.
    while True:
        with Session(run.reads) as session:
            fresh = [
                one for row in due_ids(session, run, still=still) if (one := tuple(row)) not in seen
            ]
        if not fresh:
            return done
        _fill_stocks(run, {step for _, step in fresh})
        seen.update(fresh)
        for ids in _batches([id_ for id_, _ in fresh]):
            with Session(engine) as session, committing(session.begin(), "queue.plan"):
                _carry_out(session, run, plan_batch(session, run, ids), done)


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


def _carry_out(session: Session, run: Run, plans: Sequence[Plan], done: Queued) -> None:
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
    _tell_owner(session, run, waits)
    pass_steps(session, run, [*passed, *opened])
    done.messages += len(messages)
    done.cases += sum(one.how is StepEnd.CASE_OPENED for one in opened)
    done.skipped += sum(
        one.how in (StepEnd.SKIPPED, StepEnd.STALE, StepEnd.FAILED) for one in [*passed, *opened]
    )
    done.postponed += len(waits)


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
    session.connection().execute(
        insert_new(session, Message), [_DEFAULTS | message for message in messages]
    )


_DEFAULTS: Final[dict[str, Any]] = {"variant": "a", "reason": "", "cost": Decimal(0), "priority": 1}


def _tell_owner(session: Session, run: Run, waits: Sequence[tuple[Plan, str]]) -> None:
    """Note, once a day, that a step waits for codes that the shop does not know yet."""
    if not waits:
        return
    today = tomorrow_start(run.now, run.zone) - timedelta(days=1)
    told = set(
        session.scalars(
            select(Decision.enrollment_id).where(
                Decision.customer_id.in_([plan.row.customer_id for plan, _ in waits]),
                Decision.what == "postponed",
                Decision.at >= today,
            )
        )
    )
    record_decisions(
        session,
        [
            {
                "customer_id": plan.row.customer_id,
                "campaign": plan.row.campaign,
                "enrollment_id": plan.row.id,
                "what": "postponed",
                "why": f"{plan.step.step}: {why}",
                "at": run.now,
            }
            for plan, why in waits
            if plan.row.id not in told
        ],
    )


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _BATCH):
        yield ids[start : start + _BATCH]
