"""Where a campaign uses a template, and what that place asks of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from winback.campaign.references import messages_in
from winback.campaign.schema import Answer, Campaign, Step
from winback.states import Channel, Reason
from winback.yaml_files import Place


@dataclass(frozen=True, slots=True)
class Position:
    """One place of a campaign at which a template is used."""

    name: str
    """Of the step or answer."""
    channel: Channel
    is_first_touch: bool = False
    """The first step of all: concern, no price."""
    is_first_text: bool = False
    """The first text that a customer may get (FACTS.md LAW-31)."""
    has_offer: bool = False
    may_have_voucher: bool = False
    """It carries an offer, or reminds of an earlier voucher."""
    is_goodbye: bool = False


def positions_of(campaign: Campaign, template: str, channel: Channel) -> tuple[Position, ...]:
    """Give all places at which a campaign uses a template on a channel."""
    texts = [step.step for step in campaign.steps if Channel.SMS in step.channels]
    steps = [
        _at_step(campaign, step, channel, is_first_text=texts[:1] == [step.step])
        for step in campaign.steps
        if step.template == template and channel in step.channels
    ]
    answers = [
        _at_answer(name, answer, channel)
        for name, answer in campaign.answers.items()
        if answer.template == template and channel in answer.channels
    ]
    return (*steps, *answers)


def positions_in(written: Any, template: str, channel: Channel) -> tuple[Position, ...]:
    """Give the places that a campaign file names as far as it can be read, for one with mistakes.

    ``written`` is what the file says, unchecked; what has the wrong shape is passed over.
    """
    messages = list(messages_in(written))
    texts = [place for place, one in messages if place[0] == "steps" and Channel.SMS in _on(one)]
    return tuple(
        _drafted(place, message, channel, is_first_text=texts[:1] == [place])
        for place, message in messages
        if message.get("template") == template and channel in _on(message)
    )


def _on(message: Mapping[Any, Any]) -> tuple[Any, ...]:
    return (message.get("channel", Channel.EMAIL), message.get("otherwise"))


def _drafted(
    place: Place, message: Mapping[Any, Any], channel: Channel, *, is_first_text: bool
) -> Position:
    is_step = place[0] == "steps"
    has_offer = message.get("offer") is not None
    return Position(
        name=str(message.get("step", place[1]) if is_step else place[1]),
        channel=channel,
        is_first_touch=place == ("steps", 0),
        is_first_text=is_first_text and channel is Channel.SMS,
        has_offer=has_offer,
        may_have_voucher=has_offer or (is_step and message.get("before_expiry") is not None),
        is_goodbye=not is_step and place[1] == Reason.MOVED,
    )


def _at_step(campaign: Campaign, step: Step, channel: Channel, *, is_first_text: bool) -> Position:
    return Position(
        name=step.step,
        channel=channel,
        is_first_touch=step is campaign.steps[0],
        is_first_text=is_first_text and channel is Channel.SMS,
        has_offer=step.offer is not None,
        may_have_voucher=step.offer is not None or step.before_expiry is not None,
    )


def _at_answer(name: str, answer: Answer, channel: Channel) -> Position:
    return Position(
        name=name,
        channel=channel,
        has_offer=answer.offer is not None,
        may_have_voucher=answer.offer is not None,
        is_goodbye=name == Reason.MOVED,
    )
