"""A campaign as a dated strip: what comes when, if nobody responds and every condition holds.

Pure: the same arithmetic of days as the timeline of an enrollment, without an enrollment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from winback.campaign.schema import Answer, Campaign, Step
from winback.states import Channel

_SHAPES: Final = {
    Channel.EMAIL: ("[", "]"),
    Channel.SMS: ("(", ")"),
    Channel.CALL: ("{{", "}}"),
    Channel.LETTER: ("[/", "/]"),
}


@dataclass(frozen=True, slots=True)
class Position:
    """One step of the strip."""

    step: str
    earliest_on: date | None
    """None: it would be passed, for it would come too late to remind of a voucher."""
    day: int | None
    """Days since enrollment."""
    when: str
    """As the file writes it: ``5 days`` or ``4 days before expiry``."""
    channel: str
    """With the other channel, as ``sms, else email``."""
    template: str
    offer: str | None
    only_if: str | None


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """One answer, off the timeline."""

    answer: str
    channel: str
    template: str
    offer: str | None
    then: str | None


@dataclass(frozen=True, slots=True)
class Strip:
    """A whole campaign from the day of enrollment."""

    campaign: str
    begins_on: date
    exhausted_on: date
    """When the rest after the last step is over."""
    steps: tuple[Position, ...]
    answers: tuple[AnswerLine, ...]
    responses: dict[str, str]


def make_strip(campaign: Campaign, begins_on: date) -> Strip:
    """Lay the steps of a campaign out on days, the first from ``begins_on``."""
    positions: list[Position] = []
    done_on = begins_on
    last_days: list[date] = []
    for step in campaign.steps:
        due_on = _due(step, done_on, last_days)
        if due_on is not None:
            done_on = due_on
            if step.offer is not None and step.offer in campaign.offers:
                last_days.append(campaign.offers[step.offer].valid_for.after(due_on))
        positions.append(_position(step, due_on, begins_on))
    return Strip(
        campaign=campaign.campaign,
        begins_on=begins_on,
        exhausted_on=campaign.rest.after(done_on),
        steps=tuple(positions),
        answers=tuple(_answer(name, answer) for name, answer in campaign.answers.items()),
        responses={reason.value: str(action) for reason, action in campaign.responses.items()},
    )


def mermaid(campaign: Campaign, begins_on: date) -> str:
    """Give the strip as Mermaid text, for a page or a pull request."""
    strip = make_strip(campaign, begins_on)
    names = {position.step: f"s{index}" for index, position in enumerate(strip.steps)}
    lines = ["flowchart TD", f'  start(["lapsed for {campaign.lapse.after}"])']
    before = "start"
    for position, step in zip(strip.steps, campaign.steps, strict=True):
        opens, closes = _SHAPES[step.channel]
        label = "<br/>".join(_quoted(text) for text in _label(position))
        lines.append(f'  {names[position.step]}{opens}"{label}"{closes}')
        arrow = f'-- "{_quoted(position.when)}" -->'
        lines.append(f"  {before} {arrow} {names[position.step]}")
        before = names[position.step]
    lines.append('  rest(["exhausted"])')
    lines.append(f'  {before} -- "rest {campaign.rest}" --> rest')
    for index, answer in enumerate(strip.answers):
        told = [answer.template, *([answer.offer] if answer.offer else []), answer.channel]
        label = "<br/>".join(_quoted(text) for text in told)
        lines.append(f'  a{index}[["{label}"]]')
        lines.append(f'  r{index}>"{_quoted(answer.answer)}"] -.-> a{index}')
    for index, (reason, action) in enumerate(strip.responses.items()):
        target = action.removeprefix("go to ")
        if target in names and action.startswith("go to "):
            lines.append(f'  g{index}>"{_quoted(reason)}"] -.-> {names[target]}')
    return "\n".join(lines) + "\n"


def _due(step: Step, done_on: date, last_days: Sequence[date]) -> date | None:
    if step.before_expiry is None:
        return step.wait.after(done_on) if step.wait is not None else done_on
    open_day = next((day for day in reversed(last_days) if day >= done_on), None)
    if open_day is None:
        return None
    due_on = step.before_expiry.latest_start(open_day)
    return due_on if due_on >= done_on else None


def _position(step: Step, due_on: date | None, begins_on: date) -> Position:
    return Position(
        step=step.step,
        earliest_on=due_on,
        day=None if due_on is None else (due_on - begins_on).days,
        when=f"{step.before_expiry} before expiry" if step.before_expiry else str(step.wait),
        channel=_channel(step),
        template=step.template,
        offer=step.offer,
        only_if=step.only_if,
    )


def _answer(name: str, answer: Answer) -> AnswerLine:
    return AnswerLine(
        answer=name,
        channel=_channel(answer),
        template=answer.template,
        offer=answer.offer,
        then=str(answer.then) if answer.then else None,
    )


def _channel(message: Step | Answer) -> str:
    return f"{message.channel}, else {message.otherwise}" if message.otherwise else message.channel


def _label(position: Position) -> list[str]:
    label = [position.step, position.channel]
    if position.offer:
        label.append(position.offer)
    if position.only_if:
        label.append(f"if {position.only_if}")
    label.append("passed" if position.day is None else f"day {position.day}")
    return label


def _quoted(text: str) -> str:
    # Mermaid knows no backslash in labels; entities are its way.
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;")
