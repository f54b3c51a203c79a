"""Tell a rehearsal: totals per day, what it takes, how long it drains; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from winback.delivery.pace import drain_time, pace_of
from winback.policies import Policies
from winback.rehearsal.results import Rehearsal, Sending
from winback.rehearsal.schedule import Schedule
from winback.states import Arm, Channel, Mode

WRITTEN: Final = (Channel.EMAIL, Channel.SMS)


@dataclass(slots=True)
class Total:
    """What one day would bring."""

    day: date
    enrolled: int = 0
    """Both arms."""
    held_out: int = 0
    by_channel: dict[Channel, int] = field(default_factory=lambda: dict.fromkeys(Channel, 0))
    segments: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Drain:
    """How long the busiest day of a channel takes to leave (FACTS.md TW-19c)."""

    channel: Channel
    busiest: date
    amount: int
    """Mails, or segments of texts."""
    takes: timedelta
    put_off: int
    """Messages that the pace kept past their hours, on any of the days; they leave later."""


def totals(done: Rehearsal) -> list[Total]:
    """Add up each day, also those on which nothing would happen."""
    # The last send may go on into the day after.
    days = dict.fromkeys([*done.days, *sorted({one.day for one in done.sendings})])
    found = {day: Total(day) for day in days}
    for entry in done.entries:
        found[entry.day].enrolled += 1
        found[entry.day].held_out += entry.arm is Arm.HOLDOUT
    for one in done.sendings:
        total = found[one.day]
        total.by_channel[one.channel] += 1
        total.segments += one.segments or 0
        total.cost += one.cost
    return list(found.values())


def drains(done: Rehearsal, policies: Policies, mode: Mode) -> list[Drain]:
    """Give, for each written channel that would be used, how long its busiest day drains."""
    found = []
    for channel in WRITTEN:
        amounts: Counter[date] = Counter()
        for one in done.sendings:
            if one.channel is channel:
                amounts[one.day] += one.segments or 1
        if amounts:
            busiest, amount = max(amounts.items(), key=lambda item: (item[1], item[0]))
            takes = drain_time(amount, pace_of(policies, channel, mode))
            late = done.put_off.get(channel, 0)
            found.append(Drain(channel, busiest, amount, takes, late))
    return found


def codes_by_offer(done: Rehearsal) -> dict[str, int]:
    """Give the codes by offer; the campaign's name stands before it where two have the offer."""
    campaigns = Counter(offer for _, offer in done.codes)
    return {
        offer if campaigns[offer] == 1 else f"{campaign}/{offer}": count
        for (campaign, offer), count in done.codes.items()
    }


def needs(done: Rehearsal, *, currency: str, policies: Policies, mode: Mode) -> Iterator[str]:
    """Say in sentences what the days would take: money, codes, associates, time."""
    written = sum(done.count(channel) for channel in WRITTEN)
    yield f"{written:,} messages, {done.cost:,.2f} {currency}"
    for offer, count in codes_by_offer(done).items():
        yield f"{count:,} codes of {offer}"
    for channel, name in ((Channel.CALL, "calls"), (Channel.LETTER, "letters")):
        if count := done.count(channel):
            yield f"{count:,} {name} for an associate"
    for channel, waiting in done.queued.items():
        yield f"{waiting:,} by {channel} still wait at the end"
    for drain in drains(done, policies, mode):
        if drain.takes:
            unit = "segments" if drain.channel is Channel.SMS else "mails"
            busiest = f"{drain.amount:,} {unit} on {drain.busiest}, the busiest day,"
            yield f"{busiest} leave in {drain.takes}"
            if drain.put_off:
                yield (
                    f"{drain.put_off:,} by {drain.channel} do not fit into their hours at this "
                    "pace, and leave on later days"
                )


Ids = Mapping[int, Mapping[str, Sequence[str]]]
"""Per customer, the ids by which each source knows them."""


def facts(
    done: Rehearsal, ids: Ids, *, currency: str, policies: Policies, mode: Mode
) -> dict[str, Any]:
    """Give the rehearsal as ``--json`` prints it."""
    return {
        "from": done.days[0],
        "until": done.days[-1],
        "days": len(done.days),
        "schedule": _schedule(done.schedule),
        "messages": [_message(one, ids) for one in done.sendings],
        "enrollments": [
            {"day": one.day, **_who(one.customer_id, ids), "campaign": one.campaign, "arm": one.arm}
            for one in done.entries
        ],
        "totals": [_total(one) for one in totals(done)],
        "cost": done.cost,
        "currency": currency,
        "codes": codes_by_offer(done),
        "calls": done.count(Channel.CALL),
        "letters": done.count(Channel.LETTER),
        "postponed": [{"why": one.why, "n": one.count} for one in done.postponed],
        "passed": [{"how": one.what, "why": one.why, "n": one.count} for one in done.passed],
        "still_waiting": {channel: done.queued.get(channel, 0) for channel in WRITTEN},
        "drains_in": {
            one.channel: {
                "busiest_day": one.busiest,
                "amount": one.amount,
                "seconds": int(one.takes.total_seconds()),
                "fits_in_a_day": not one.put_off,
                "put_off": one.put_off,
            }
            for one in drains(done, policies, mode)
        },
    }


def _schedule(schedule: Schedule) -> dict[str, Any]:
    at, every = schedule.day_at, schedule.send_every
    return {
        "day_at": None if at is None else f"{at:%H:%M}",
        "send_every_minutes": None if every is None else int(every.total_seconds() // 60),
        "day_by": None if schedule.day_by is None else schedule.day_by.says,
        "sends_by": None if schedule.sends_by is None else schedule.sends_by.says,
    }


def says_when(schedule: Schedule) -> str:
    """Say when winback is taken to run."""
    if schedule.day_at is not None:
        day = f"the day at {schedule.day_at:%H:%M}"
    else:
        day = f"the day by {schedule.day_by.says}" if schedule.day_by else "never the whole day"
    if schedule.send_every is not None:
        minutes = int(schedule.send_every.total_seconds() // 60)
        return f"{day}, and a send every {minutes} minutes"
    if schedule.sends_by is not None:
        return f"{day}, and sends by {schedule.sends_by.says}"
    return f"{day}, and nothing between"


def _message(one: Sending, ids: Ids) -> dict[str, Any]:
    return {
        "day": one.day,
        "at": one.at,
        **_who(one.customer_id, ids),
        "campaign": one.campaign,
        "arm": one.arm,
        "step": one.step,
        "channel": one.channel,
        "variant": one.variant or None,
        "is_answer": one.is_answer,
        "segments": one.segments,
        "cost": one.cost,
    }


def _who(customer_id: int, ids: Ids) -> dict[str, Any]:
    known = ids.get(customer_id, {})
    # As ``winback customer`` takes it.
    first = next((f"{source}:{listed[0]}" for source, listed in known.items() if listed), None)
    return {"customer": first, "ids": known}


def _total(one: Total) -> dict[str, Any]:
    return {
        "day": one.day,
        "enrolled": one.enrolled,
        "held_out": one.held_out,
        **{channel.value: count for channel, count in one.by_channel.items()},
        "segments": one.segments,
        "cost": one.cost,
    }
