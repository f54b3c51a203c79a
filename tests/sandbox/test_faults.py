"""What a plan of faults does to webhooks, to look-ups and to the clock; that it can be written."""

import asyncio
import json
from dataclasses import replace
from random import Random
from time import perf_counter

import pytest

from tests.conftest import NOW
from tests.providers.examples import mail, text
from tests.sandbox.receiver import KeepingReceiver
from winback.providers.outgoing import Accepted, Sender
from winback.sandbox.faults import (
    Fault,
    FaultPlan,
    SelfReports,
    at_calls,
    by_chance,
    read_plan,
)
from winback.sandbox.stand_ins import MailEvent, Sandbox
from winback.states import EventKind

PLANS = {
    "nothing": FaultPlan(),
    "by number": FaultPlan(choose=at_calls({1: Fault.BUSY, 7: Fault.DROP_AFTER})),
    "by chance": FaultPlan(choose=by_chance(Random(3), 0.2, *Fault)),  # noqa: S311
    "webhooks": FaultPlan(
        duplicate_webhooks=0.1,
        reorder_webhooks=True,
        forge_webhooks=0.2,
        lose_webhooks=0.3,
        skew_seconds=60,
        webhook_batch=7,
        reports_by_itself=SelfReports(delay_seconds=3, every_seconds=0.5),
    ),
    "answers": FaultPlan(latency_seconds=0.08, delay_seconds=9, busy_seconds=2, has_lists=False),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_can_be_written_and_read(name: str) -> None:
    """A plan reaches stand-ins in another process whole, and chooses the same there."""
    plan = PLANS[name]

    assert read_plan(json.loads(json.dumps(plan.as_json()))) == plan


def test_a_function_of_ones_own_is_no_plan_to_write() -> None:
    """Code does not travel; nobody is led to believe that it did."""
    with pytest.raises(ValueError, match="another process"):
        FaultPlan(choose=lambda _call: None).as_json()


@pytest.mark.parametrize(
    "written",
    [{"unknown": 1}, {"choose": {"faults": [[1, "nonsense"]]}}, {"choose": {"seed": 1}}],
)
def test_what_is_no_plan_is_refused(written: dict[str, object]) -> None:
    """A misspelt fault must not become a test without faults."""
    with pytest.raises(ValueError, match=r"plan of faults|nonsense"):
        read_plan(written)


def test_chances_do_not_shift_each_other() -> None:
    """DS-22: what happens to a call depends on its number, not on how often was asked before."""
    plan = FaultPlan(choose=by_chance(Random(3), 0.5, *Fault))  # noqa: S311

    assert [plan.choose(call) for call in range(50)] == [
        plan.choose(call) for call in reversed(range(50))
    ][::-1]


async def test_latency_is_shared_by_calls_at_once(stand: Sandbox, mails: Sender) -> None:
    """Many calls at once take hardly longer than one, and none takes less."""
    stand.faults = FaultPlan(latency_seconds=0.05)

    async def timed(number: int) -> float:
        began = perf_counter()
        result = await mails.send(mail(send_id=f"send-{number}"))
        assert isinstance(result, Accepted)
        return perf_counter() - began

    began = perf_counter()
    took = await asyncio.gather(*map(timed, range(40)))

    assert min(took) >= 0.05
    assert perf_counter() - began < 1
    assert stand.calls == len(stand.record.mails()) == 40


async def test_what_is_accepted_late_is_not_there_before(stand: Sandbox, texts: Sender) -> None:
    """DS-4: a look-up while the provider still thinks finds nothing, and proves nothing."""
    stand.faults = FaultPlan(choose=at_calls({1: Fault.ACCEPT_LATE}), delay_seconds=0.2)

    sending = asyncio.create_task(texts.send(text()))
    while await asyncio.to_thread(lambda: stand.calls) == 0:
        pass
    before = stand.record.texts()
    result = await sending

    assert before == []
    assert [one.sid for one in stand.record.texts()] == [getattr(result, "provider_message_id", "")]


async def test_a_forged_webhook_comes_before_the_true_one(
    stand: Sandbox, mails: Sender, texts: Sender, received: KeepingReceiver
) -> None:
    """DS-21, P11: with a wrong signature nothing is taken; the same is taken with the right one."""
    stand.faults = FaultPlan(forge_webhooks=True)
    await mails.send(mail())
    await texts.send(text())

    assert await asyncio.to_thread(stand.flush) == 4

    assert (received.posts, received.refused, len(received.raws)) == (6, 3, 4)


async def test_a_lost_status_never_comes(
    stand: Sandbox, texts: Sender, received: KeepingReceiver
) -> None:
    """TW-33: the record knows what the receiver was never told."""
    stand.faults = FaultPlan(lose_webhooks=True)
    await texts.send(text())

    assert await asyncio.to_thread(stand.flush) == 0

    assert received.posts == 0
    assert stand.record.texts()[0].status == "delivered"


async def test_times_may_lie(stand: Sandbox, mails: Sender, received: KeepingReceiver) -> None:
    """DS-21: the times of events say nothing about their order; signatures keep theirs."""
    stand.faults = FaultPlan(skew_seconds=3600)
    await mails.send(mail())
    (kept,) = stand.record.mails()

    await asyncio.to_thread(stand.report, [MailEvent(kept, "open")] * 50)

    offsets = [((event.occurred_at or NOW) - NOW).total_seconds() for event in received.events]
    assert min(offsets) < -600 < 600 < max(offsets)
    assert max(map(abs, offsets)) <= 3601


@pytest.mark.parametrize(
    "plan",
    [
        FaultPlan(reports_by_itself=SelfReports(every_seconds=0.001)),
        FaultPlan(
            reports_by_itself=SelfReports(delay_seconds=0.05, every_seconds=0.001),
            duplicate_webhooks=0.3,
            reorder_webhooks=True,
            webhook_batch=3,
        ),
    ],
    ids=["at once", "late, twice and in disorder"],
)
async def test_the_stand_ins_report_by_themselves(
    *,
    stand: Sandbox,
    mails: Sender,
    texts: Sender,
    received: KeepingReceiver,
    plan: FaultPlan,
) -> None:
    """DS-21: also of what was accepted without an answer; each report arrives in the end."""
    stand.faults = replace(plan, choose=at_calls({2: Fault.DROP_AFTER, 3: Fault.ERROR_AFTER}))
    for number in range(10):
        await mails.send(mail(send_id=f"mail-{number}"))
        await texts.send(text(send_id=f"text-{number}"))

    while await asyncio.to_thread(lambda: stand.reports_waiting):
        pass

    told = {(event.send_id, event.kind) for event in received.events}
    assert told == {
        (f"{kind}-{number}", word)
        for kind in ("mail", "text")
        for number in range(10)
        for word in (EventKind.ACCEPTED, EventKind.DELIVERED)
    }
    assert not stand.record.untold_mails()
    stand.faults = FaultPlan()


async def test_a_report_that_is_not_taken_is_made_again(
    stand: Sandbox, mails: Sender, received: KeepingReceiver
) -> None:
    """SG-24: the stand-in tries by itself until the receiver is back."""
    received.fails = True
    stand.faults = FaultPlan(reports_by_itself=SelfReports(every_seconds=0.001))
    await mails.send(mail())
    while received.posts < 3:
        assert await asyncio.to_thread(lambda: stand.reports_waiting) > 0

    received.fails = False
    while await asyncio.to_thread(lambda: stand.reports_waiting):
        pass

    assert [event.kind for event in received.events] == [EventKind.ACCEPTED, EventKind.DELIVERED]
