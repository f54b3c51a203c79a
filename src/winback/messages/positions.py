"""Where a campaign uses a template, and what that place asks of it."""

from dataclasses import dataclass

from winback.campaign.schema import Answer, Campaign, Step
from winback.states import Channel, Reason


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
