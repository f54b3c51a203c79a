"""Draw the arm: a stable hash decides who is left alone, on any machine, in any release.

Pure. Drawn after eligibility, ranking and the daily limit, stored with the enrollment, never
drawn again (FACTS.md MEA-1, MEA-2).
"""

from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Final

from winback.states import Arm

_RANGE: Final = 2**64


def draw_arm(
    salt: str, campaign: str, customer_id: int, lapsed_on: date, *, holdout: Decimal
) -> Arm:
    """Give the arm of one lapse in one campaign; ``holdout`` is the share left alone."""
    key = f"{salt}|{campaign}|{customer_id}|{lapsed_on.isoformat()}"
    drawn = int.from_bytes(sha256(key.encode()).digest()[:8], "big")
    return Arm.HOLDOUT if drawn < int(holdout * _RANGE) else Arm.TREATED
