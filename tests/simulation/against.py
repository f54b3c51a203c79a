"""What speaks against a call, by the town's own record: a no, a halt, a purchase, and the rest.

Nothing here asks our rows but for what a message is of: its step, its campaign and lapse.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tests.simulation.record import Fact, Record, What
from winback.clock import local_date
from winback.periods import add_months
from winback.states import Channel

ZONE: Final = ZoneInfo("Europe/London")
FRESH_FOR: Final = timedelta(days=7)
"""How long each of the campaign's steps may be postponed."""
PURCHASE: Final = "purchase"
"""The answer to a purchase, which alone may follow it."""
VALID_FOR: Final = {"voucher": 21, "comeback": 14, "service": 60}
"""Days for which the codes of a step's or answer's offer are good."""
_CODE: Final = re.compile(r"\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{5}\b")


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as it was made."""

    send_id: str
    at: datetime
    run_began: datetime
    """What was taken up by then binds the run."""
    number: int
    """Of whose address it was made to."""
    group: frozenset[int]
    """By whom else that person was known to be."""
    channel: Channel
    campaign: str
    lapsed_on: date
    step: str
    is_answer: bool
    enrollment_id: int
    customer_id: int
    body: str = field(repr=False)

    @property
    def passage(self) -> tuple[str, date, str]:
        """What it was for, whoever it was for."""
        return self.campaign, self.lapsed_on, self.step

    @property
    def today(self) -> date:
        """The business's local date."""
        return local_date(self.at, ZONE)


def against(call: Call, record: Record, before: Sequence[Call]) -> Iterator[str]:
    """Say what must have stopped a call; ``before`` are those that were made earlier."""
    by, group = call.run_began, call.group
    if record.of(group, What.NO, by):
        yield "said no (P3)"
    if not record.wants(group, call.channel, by):
        yield "has given no consent (P3)"
    if any(one.end is None and one.covers(call.campaign, call.channel) for one in record.halts):
        yield "stands still by an operator's hand (DS-15)"
    yield from _bought(call, record.of(group, What.BOUGHT, by))
    if not call.is_answer:
        yield from _waits(call, record, before)


def _bought(call: Call, sales: Sequence[Fact]) -> Iterator[str]:
    """Somebody who bought is thanked, and nothing else; a used code is not sent again."""
    days = [one.on for one in sales if one.on is not None and one.on <= call.today]
    last = max(days, default=date.min)
    if last > call.lapsed_on and call.step != PURCHASE:
        yield "has bought since"
    if not call.is_answer and (not days or add_months(last, 6) > call.today):
        yield "has not lapsed"
    codes = codes_in(call.body)
    if any(one.code in codes for one in sales):
        yield "has used the voucher (P6)"


def _waits(call: Call, record: Record, before: Sequence[Call]) -> Iterator[str]:
    """No step goes to whom an associate answers, or who parted, since its passage began."""
    began = [
        one.at for one in before if one.number in call.group and one.lapsed_on == call.lapsed_on
    ]
    if not began:
        return
    by = call.run_began
    since = [one for one in record.known(by) if one.number in call.group and one.at >= min(began)]
    for one in since:
        if one.what is What.PARTED:
            yield "has parted"
        elif one.what in (What.WROTE, What.COMPLAINED_OF_SERVICE):
            # No associate of this town gives anybody back to the timeline.
            yield "waits for an associate (P7)"


def codes_in(body: str) -> frozenset[str]:
    """Give the vouchers that a message tells of."""
    return frozenset(_CODE.findall(body))


def untrue_vouchers(call: Call, issued: Mapping[str, Sequence[Call]]) -> Iterator[str]:
    """P5, P6: a code is good until the end of the day that its message names, and always was.

    ``issued`` has the calls that carried each code, with this one: the first of them that counted
    fixed the day.
    """
    for code in codes_in(call.body):
        calls = issued[code]
        if len({one.campaign for one in calls}) > 1:
            yield "a code belongs to one campaign (P6)"
        ends = {
            one.today + timedelta(days=VALID_FOR[one.step])
            for one in calls
            if one.step in VALID_FOR
        }
        told = [end for end in ends if _is_told(end, call.body)]
        if not told:
            yield f"names no day on which its voucher ends: {sorted(ends)} (P5)"
        elif max(told) < call.today:
            yield "its voucher has expired (P6)"


def _is_told(day: date, body: str) -> bool:
    month = f"{day:%B}"
    return bool(re.search(rf"\b({day.day} {month}|{month} {day.day})\b", body))
