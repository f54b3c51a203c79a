"""The day's budget of text segments, which a brand has over all its numbers and providers.

Carriers cap the segments of a brand a day, not its messages (FACTS.md TW-19b). How many segments
a text has is known only when it is rendered, so a business with a budget renders its texts inside
the claim, with the voucher and the links that they will leave with; one without it does nothing
here. What is counted is what we count, in GSM-7 or UCS-2: a carrier that counts otherwise, and
texts that other systems send for the brand, must be left room for in the number itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from winback.delivery.composing import Claimed, write
from winback.delivery.daily import segments_today
from winback.delivery.gate import Hold
from winback.delivery.run import Run
from winback.delivery.windows import tomorrow_start
from winback.errors import TemplateError
from winback.states import Channel

SPENT = "the day's budget of text segments is spent"


@dataclass(slots=True)
class Budget:
    """What is left of today's segments; ``over`` are the messages that did not fit in."""

    left: int
    spent: int = 0
    over: set[int] = field(default_factory=set)

    def keep(self, run: Run, claimed: Sequence[Claimed]) -> list[Claimed]:
        """Give what fits, in order, each text with its segments; a mail always fits."""
        kept: list[Claimed] = []
        for one in claimed:
            segments = _segments(run, one) if one.channel is Channel.SMS else 0
            if segments > self.left:
                self.over.add(one.message_id)
                continue
            self.left -= segments
            self.spent += segments
            kept.append(replace(one, segments=segments) if segments else one)
        return kept

    def holds(self, run: Run) -> list[Hold]:
        """Give what holds every text back, once nothing is left; it saves rendering them."""
        return [Hold(tomorrow_start(run.now, run.zone), SPENT)] if self.left <= 0 else []


def budget_of(session: Session, run: Run) -> Budget | None:
    """Give what is left of today's budget; None where no budget is set.

    Call it after ``daily.left_today``: the counters are ours then until the commit.
    """
    most = run.business.settings.policies.daily_limits.sms_segments
    return None if most is None else Budget(most - segments_today(session, run))


def _segments(run: Run, claimed: Claimed) -> int:
    try:
        return write(run, claimed).segments or 0
    except TemplateError:
        # The call finds the same, and fails the message for it; nothing leaves.
        return 0
