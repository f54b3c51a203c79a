"""The gate, pure: says whether this message may go, now, on this channel.

One gate serves planning, the last look in the claiming transaction, previews and rehearsals, so
that what is shown is what happens. What is never allowed is asked first, then what only has to
wait; the first reason found is the one that is told.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from winback.delivery.windows import Opening
from winback.states import Channel, EnrollmentState

WRITTEN_TO: Final = frozenset({Channel.EMAIL, Channel.SMS})
"""Channels that need a consent; calls and letters are an associate's."""

OUTSIDE_HOURS: Final = "outside the decent hours"


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


def _never(asked: GateInput) -> Never | None:
    return _never_for_person(asked) or _never_on_channel(asked)


def _never_for_person(asked: GateInput) -> Never | None:
    state = asked.enrollment_state
    said_no = asked.is_suppressed or state is EnrollmentState.SUPPRESSED
    is_over = not asked.is_answer and state is not EnrollmentState.ACTIVE
    waited = f": {asked.waited_for}" if asked.waited_for else ""
    reasons = (
        (said_no, "the customer said no"),
        (is_over, f"the enrollment is {state.value.replace('_', ' ')}"),
        (asked.has_purchased_since, "the customer has purchased since"),
        (asked.now >= asked.drop_at, f"stale, it could not leave in time{waited}"),
        (asked.has_lost_voucher, "its voucher is expired or used"),
        (asked.has_lost_condition, "its only_if no longer holds"),
    )
    return next((Never(why) for is_so, why in reasons if is_so), None)


def _never_on_channel(asked: GateInput) -> Never | None:
    channel = asked.channel.value
    if asked.channel not in WRITTEN_TO:
        return _never_by_hand(asked)
    reasons = (
        (not asked.is_offered, f"no {channel} is sent by this business"),
        (asked.is_channel_suppressed, f"suppressed for {channel}"),
        (not asked.has_address, f"no address to reach by {channel}"),
        (not asked.has_consent, f"no consent for {channel}"),
        (asked.shares_address, "the address belongs to another open enrollment"),
        (asked.keeps_hours and asked.opening is None, "no hour is decent in every zone"),
    )
    return next((Never(why, is_of_channel=True) for is_so, why in reasons if is_so), None)


def _never_by_hand(asked: GateInput) -> Never | None:
    """Refuse the associate who would call or write: a no stands, and a call needs a number."""
    channel = asked.channel.value
    is_mute = asked.channel is Channel.CALL and not asked.has_address
    reasons = (
        (not asked.has_consent, f"no {channel} is wanted any more"),
        (asked.is_channel_suppressed, f"suppressed for {channel}"),
        (is_mute, "no number to call"),
    )
    return next((Never(why, is_of_channel=True) for is_so, why in reasons if is_so), None)
