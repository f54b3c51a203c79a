"""The gate, pure: says whether this message may go, now, on this channel.

One gate serves planning, the last look in the claiming transaction, previews and rehearsals, so
that what is shown is what happens. What is never allowed is asked first, then what only has to
wait; the first reason found is the one that is told.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from winback.delivery.windows import Opening
from winback.states import Channel, EnrollmentState

WRITTEN_TO: Final = frozenset({Channel.EMAIL, Channel.SMS})
"""Channels that need a consent; calls and letters are an associate's."""

OUTSIDE_HOURS: Final = "outside the decent hours"
STALE: Final = "stale, it could not leave in time"


@dataclass(frozen=True, slots=True)
class Hold:
    """Something that makes a message wait, until when, and why."""

    until: datetime
    why: str


@dataclass(slots=True)
class GateInput:
    """All that the gate asks, filled in by its caller.

    What the caller does not know yet keeps its default.
    """

    channel: Channel
    now: datetime
    drop_at: datetime
    enrollment_state: EnrollmentState
    is_answer: bool = False
    is_given: bool = False
    """The person has this answer already, through another enrollment."""
    out_of_turn: str = ""
    """Why its step is not the one that the enrollment stands at (``out_of_turn``)."""
    is_suppressed: bool = False
    """The person, or any address of theirs, on all channels."""
    is_channel_suppressed: bool = False
    """This channel, or the address that would be written to."""
    is_offered: bool = True
    """Whether the business sends on this channel at all."""
    has_consent: bool = True
    """For calls and letters: it was not taken back."""
    has_address: bool = True
    """A current address that has not hard-bounced."""
    has_purchased_since: bool = False
    """A sale since the lapse, unless that sale is what an answer answers."""
    shares_address: bool = False
    """Another customer's older open enrollment of the campaign has the same address."""
    has_lost_voucher: bool = False
    """It carries a voucher that is expired, redeemed or voided."""
    has_lost_condition: bool = False
    """Its ``only_if`` no longer holds."""
    opening: Opening | None = None
    """The present or next decent span; only asked where ``keeps_hours``."""
    keeps_hours: bool = False
    waited_for: str = ""
    """Why it was postponed last; told when it turns stale."""
    holds: tuple[Hold, ...] = ()
    """Caps, daily limits, a paused channel, codes not exported yet."""


@dataclass(frozen=True, slots=True)
class Allow:
    """It may go now."""


@dataclass(frozen=True, slots=True)
class Postpone:
    """It may not go before ``until``; then the gate is asked again."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Never:
    """It will not go; ``is_of_channel`` says that another channel may still be asked."""

    why: str
    is_of_channel: bool = False
    is_out_of_turn: bool = False
    """It is canceled, not skipped: the step was passed otherwise, or stands for later."""


Verdict = Allow | Postpone | Never


def decide(asked: GateInput) -> Verdict:
    """Say whether a message may go now, later or never, and why."""
    refusal = _never(asked)
    if refusal is not None:
        return refusal
    waits = list(asked.holds)
    if asked.keeps_hours and asked.opening is not None and asked.opening.opens_at > asked.now:
        waits.append(Hold(asked.opening.opens_at, OUTSIDE_HOURS))
    if not waits:
        return Allow()
    longest = max(waits, key=lambda hold: hold.until)
    # Looked at again when it turns stale at the latest, so that it is dropped in time.
    return Postpone(min(longest.until, asked.drop_at), longest.why)


def out_of_turn(
    step: str, next_step: str | None, *, state: EnrollmentState, is_asleep: bool
) -> str:
    """Say why a step may not leave now, or no more; empty while the enrollment stands at it.

    The cursor stays at a step until its message was accepted, or will not go: what is queued for
    another one was overtaken by a wish, a merge, or whoever looked a moment before.
    """
    if state is not EnrollmentState.ACTIVE:
        return f"the enrollment is {state.value.replace('_', ' ')}"
    if next_step != step:
        return f"the timeline went on to {next_step or 'its end'}"
    return "the enrollment is asleep" if is_asleep else ""


def _never(asked: GateInput) -> Never | None:
    if asked.out_of_turn:
        return Never(asked.out_of_turn, is_out_of_turn=True)
    why = next(_against_person(asked), None)
    if why is not None:
        return Never(why)
    of_channel = _against_channel if asked.channel in WRITTEN_TO else _against_call
    why = next(of_channel(asked), None)
    return Never(why, is_of_channel=True) if why is not None else None


def _against_person(asked: GateInput) -> Iterator[str]:
    state = asked.enrollment_state
    if asked.is_suppressed or state is EnrollmentState.SUPPRESSED:
        yield "the customer said no"
    if not asked.is_answer and state is not EnrollmentState.ACTIVE:
        yield f"the enrollment is {state.value.replace('_', ' ')}"
    if asked.is_given:
        yield "the customer has this answer already"
    if asked.has_purchased_since:
        yield "the customer has purchased since"
    if asked.now >= asked.drop_at:
        waited = f": {asked.waited_for}" if asked.waited_for else ""
        yield f"{STALE}{waited}"
    if asked.has_lost_voucher:
        yield "its voucher is expired or used"
    if asked.has_lost_condition:
        yield "its only_if no longer holds"


def _against_channel(asked: GateInput) -> Iterator[str]:
    if not asked.is_offered:
        yield f"no {asked.channel} is sent by this business"
    if asked.is_channel_suppressed:
        yield f"suppressed for {asked.channel}"
    if not asked.has_address:
        yield f"no address to reach by {asked.channel}"
    if not asked.has_consent:
        yield f"no consent for {asked.channel}"
    if asked.shares_address:
        yield "the address belongs to another open enrollment"
    if asked.keeps_hours and asked.opening is None:
        yield "no hour is decent in every zone"


def _against_call(asked: GateInput) -> Iterator[str]:
    """Refuse the associate who would call or write: a no stands, and a call needs a number."""
    if not asked.has_consent:
        yield f"no {asked.channel} is wanted any more"
    if asked.is_channel_suppressed:
        yield f"suppressed for {asked.channel}"
    if asked.channel is Channel.CALL and not asked.has_address:
        yield "no number to call"
