"""Whether somebody who was two customers is still in a campaign. Pure.

The older open enrollment goes on (DESIGN.md, section 7), unless the person has had the campaign
through the other one: as one customer they would never have entered it a second time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from winback.clock import local_date
from winback.periods import Period
from winback.states import EnrollmentState

_OF_THE_OTHER: Final = (EnrollmentState.UNREACHABLE, EnrollmentState.OBSERVED)
"""Ends that are of the other one's addresses or arm: an older enrollment need not mind them."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One enrollment of the person into the campaign."""

    lapsed_on: date
    enrolled_at: datetime
    state: EnrollmentState
    ended_at: datetime | None
    is_left_out: bool = False
    is_merged: bool = False
    """It ended only because two customers became one: another one went on instead."""


def how_it_was_over(
    goes_on: Passage, others: Iterable[Passage], *, cooldown: Period, today: date, zone: ZoneInfo
) -> EnrollmentState | None:
    """Give the end of the campaign that the person has had already; None where there is none.

    That is an end for the same lapse, or one whose cooldown is not over. What began later than
    the one that goes on, and ended by nothing that the person did or got, is no such end.
    """
    for one in others:
        if one.ended_at is None or one.is_merged:
            continue
        says_nothing = one.state in _OF_THE_OTHER or one.is_left_out
        if says_nothing and one.enrolled_at > goes_on.enrolled_at:
            continue
        cools_until = cooldown.after(local_date(one.ended_at, zone))
        if one.lapsed_on == goes_on.lapsed_on or cools_until > today:
            return one.state
    return None
