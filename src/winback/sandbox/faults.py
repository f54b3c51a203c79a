"""What a stand-in does wrong on demand; by default nothing (FACTS.md DS-21)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """One thing that goes wrong with a call that sends."""

    DROP_BEFORE = "drop_before"
    """Hang up without an answer, nothing accepted."""
    DROP_AFTER = "drop_after"
    """Accept, then hang up without an answer."""
    ERROR_BEFORE = "error_before"
    """Answer 500, nothing accepted."""
    ERROR_AFTER = "error_after"
    """Accept, then answer 500."""
    BUSY = "busy"
    """Answer 429 with headers that say how long to wait, nothing accepted."""
    BUSY_SILENT = "busy_silent"
    """Answer 429 without such headers, nothing accepted."""
    DELAY = "delay"
    """Accept, and answer late."""


ACCEPTS = frozenset({Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.DELAY})
"""The faults with which the message is accepted all the same."""


def _never(_call: int) -> Fault | None:
    return None


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What goes wrong, and when.

    ``choose`` is asked once per call that sends, with its number from 1 on, mails and texts
    counted together. ``duplicate_webhooks`` posts each webhook twice; ``reorder_webhooks`` shuffles
    what is posted together.
    """

    choose: Callable[[int], Fault | None] = _never
    delay_seconds: float = 5.0
    busy_seconds: int = 1
    duplicate_webhooks: bool = False
    reorder_webhooks: bool = False


def at_calls(faults: Mapping[int, Fault]) -> Callable[[int], Fault | None]:
    """Choose by the number of the call."""
    return faults.get


def by_chance(rng: Random, share: float, *faults: Fault) -> Callable[[int], Fault | None]:
    """Choose one of the faults for that share of calls; a seeded generator replays."""

    def choose(_call: int) -> Fault | None:
        return rng.choice(faults) if rng.random() < share else None

    return choose
