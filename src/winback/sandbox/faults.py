"""What a stand-in does wrong on demand; by default nothing (FACTS.md DS-21).

A plan is a value that can be written as JSON, so that it reaches stand-ins in another process.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from random import Random
from typing import Any


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
    ACCEPT_LATE = "accept_late"
    """Say nothing for long, and only then accept and answer: a look-up meanwhile finds nothing."""


ACCEPTS = frozenset({Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.DELAY, Fault.ACCEPT_LATE})
"""The faults with which the message is accepted all the same."""


@dataclass(frozen=True, slots=True)
class AtCalls:
    """Chooses by the number of the call."""

    faults: Mapping[int, Fault] = field(default_factory=dict)

    def __call__(self, call: int) -> Fault | None:
        """Give what goes wrong with a call, None: nothing."""
        return self.faults.get(call)


@dataclass(frozen=True, slots=True)
class ByChance:
    """Chooses each fault for its share of the calls; the same seed replays (DS-22)."""

    seed: int
    shares: Mapping[Fault, float]

    def __call__(self, call: int) -> Fault | None:
        """Give what goes wrong with a call, None: nothing."""
        # Drawn from the number: calls at once are counted in any order, but none shifts another.
        drawn = Random(f"{self.seed}:{call}").random()  # noqa: S311 - replays
        for fault, share in self.shares.items():
            drawn -= share
            if drawn < 0:
                return fault
        return None


def at_calls(faults: Mapping[int, Fault]) -> AtCalls:
    """Choose by the number of the call."""
    return AtCalls(dict(faults))


def by_chance(rng: Random, share: float, *faults: Fault) -> ByChance:
    """Choose one of the faults for that share of calls; a seeded generator replays."""
    return ByChance(rng.getrandbits(63), {fault: share / len(faults) for fault in faults})


@dataclass(frozen=True, slots=True)
class SelfReports:
    """Webhooks that the stand-ins post by themselves after they accepted a message.

    Mails: processed and delivered. Texts: sent, then delivered.
    """

    delay_seconds: float = 0.0
    """Each report leaves up to that long after its cause, drawn for each."""
    every_seconds: float = 0.02
    """What is due is collected for that long and posted together."""


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """How the stand-ins answer and report, and what of it goes wrong.

    ``choose`` is asked once per call that sends, with its number from 1 on, mails and texts
    counted together. Shares are of 1 and drawn for each post; ``True`` means each.
    """

    choose: Callable[[int], Fault | None] = field(default_factory=AtCalls)
    latency_seconds: float = 0.0
    """How long each call that sends takes, from its arrival to its answer."""
    delay_seconds: float = 5.0
    """How much longer it takes with ``DELAY`` and ``ACCEPT_LATE``."""
    busy_seconds: int = 1
    has_logs: bool = True
    """Whether Email Logs were bought; without them ``/v3/logs`` answers 403 (SG-43)."""
    has_lists: bool = True
    """Whether the key may read suppression lists; without, they answer 403 (SG-40)."""
    duplicate_webhooks: float = 0.0
    """Share of posts that are made twice."""
    reorder_webhooks: float = 0.0
    """Share of the times when what is posted together is shuffled before."""
    forge_webhooks: float = 0.0
    """Share of posts before which the same is posted with a wrong signature."""
    lose_webhooks: float = 0.0
    """Share of Twilio's posts that are lost for good (TW-33)."""
    skew_seconds: float = 0.0
    """How far the times in SendGrid's events lie off at most, to either side."""
    webhook_batch: int = 500
    """How many SendGrid events go in one post at most (SG-21)."""
    reports_by_itself: SelfReports | None = None

    def as_json(self) -> dict[str, Any]:
        """Write the plan. Raises ValueError when ``choose`` is a function of the caller's own."""
        written = {one.name: getattr(self, one.name) for one in fields(self)}
        if not isinstance(self.choose, AtCalls | ByChance):
            raise ValueError("only AtCalls and ByChance reach stand-ins in another process")
        reports = self.reports_by_itself
        return written | {
            "choose": _written_choice(self.choose),
            "reports_by_itself": None if reports is None else asdict(reports),
        }


def _written_choice(choose: AtCalls | ByChance) -> dict[str, Any]:
    if isinstance(choose, AtCalls):
        return {"faults": [(call, fault.value) for call, fault in choose.faults.items()]}
    shares = {fault.value: share for fault, share in choose.shares.items()}
    return {"seed": choose.seed, "shares": shares}


def read_plan(written: Mapping[str, Any]) -> FaultPlan:
    """Read a plan that ``as_json`` wrote, or a person. Raises ValueError when it is none."""
    given = dict(written)
    try:
        chosen = given.pop("choose", None) or {"faults": []}
        reports = given.pop("reports_by_itself", None)
        return FaultPlan(
            choose=_read_choice(chosen),
            reports_by_itself=None if reports is None else SelfReports(**reports),
            **given,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no plan of faults: {error}") from error


def _read_choice(chosen: Mapping[str, Any]) -> AtCalls | ByChance:
    if "faults" in chosen:
        return AtCalls({int(call): Fault(fault) for call, fault in chosen["faults"]})
    shares = {Fault(fault): float(share) for fault, share in chosen["shares"].items()}
    return ByChance(int(chosen["seed"]), shares)
