"""The language of a campaign file: what each key may hold.

A file is written as ``config/campaigns/six-month.yaml`` and explained in
``docs/campaign-file.md``. What one key alone can get wrong is refused here; what keys say about
each other is looked at in ``references``.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from winback.campaign.actions import ResponseActionField
from winback.campaign.conditions import compile_condition
from winback.campaign.offers import Offer
from winback.periods import Period, PeriodField
from winback.settings import Share
from winback.states import Channel, Reason
from winback.yaml_files import Strict, nearest

PURCHASE: Final = "purchase"
"""The answer that thanks for coming back; the other answers are named as the reasons."""

NOS: Final = frozenset(
    {"no", "unsubscribe", "unsubscribed", "stop", "stopped", "complaint", "complained", "spam"}
    | {"spam complaint", "opt_out", "opt-out"}
)
"""Keys by which somebody might try to change what a no does (DESIGN.md, P3)."""


def check_name(name: str) -> str:
    """Refuse what is no plain name; names become parts of paths, keys and diagrams."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise ValueError(
            f"{name!r} is no name: write up to 64 lower-case letters, digits and dashes"
        )
    return name


def _checked_condition(text: str) -> str:
    compile_condition(text)
    return text


def _more_than_nothing(period: Period) -> Period:
    if period.is_nothing:
        raise ValueError("no time at all: write 1 day or more")
    return period


def _answer_key(written: Any) -> Any:
    known = [PURCHASE, *(reason.value for reason in Reason)]
    if written not in known:
        raise ValueError(f"{written!r} is nothing to answer: {nearest(str(written), known)}")
    return str(written)


def _reason_key(written: Any) -> Any:
    # YAML 1.1 reads a bare ``no`` as false.
    if written is False or str(written).lower() in NOS:
        raise ValueError("what a no does cannot be changed: remove this line")
    return written


def _off(written: Any) -> Any:
    # YAML 1.1 reads a bare ``off`` as false.
    return "off" if written is False else written


Name = Annotated[str, AfterValidator(check_name)]
Some = Annotated[PeriodField, AfterValidator(_more_than_nothing)]
ConditionText = Annotated[str, AfterValidator(_checked_condition)]
AnswerKey = Annotated[str, BeforeValidator(_answer_key)]
ReasonKey = Annotated[Reason, BeforeValidator(_reason_key)]


class LapseRule(Strict):
    """Who has lapsed: no purchase for ``after``, and for less than ``not_after``."""

    after: Some = Period(months=6)
    not_after: Some | None = None
    """From this long on a customer is too long gone; None has no such end."""
    rhythm: Annotated[Literal["off"], BeforeValidator(_off)] = "off"


class Audience(Strict):
    """Who of the lapsed enters, and how many a day."""

    where: ConditionText = "purchases >= 1"
    rank_by: Literal["value"] = "value"
    daily_limit: Annotated[int, Field(ge=0)] = 500
    """Enrollments of one local day, holdouts included."""


class Step(Strict):
    """One position on the timeline."""

    step: Name
    channel: Channel
    template: Name
    wait: PeriodField | None = None
    """Local days after the step before; exactly one of ``wait`` and ``before_expiry`` is set."""
    before_expiry: Some | None = None
    otherwise: Channel | None = None
    offer: Name | None = None
    only_if: ConditionText | None = None
    fresh_for: Some = Period(days=7)

    @model_validator(mode="after")
    def _due_in_one_way(self) -> "Step":
        if (self.wait is None) == (self.before_expiry is None):
            raise ValueError(
                f"step {self.step!r} needs exactly one of wait and before_expiry: "
                "write wait: 5 days"
            )
        return self

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channel, and the other one where it may fall to it."""
        return (self.channel, self.otherwise) if self.otherwise else (self.channel,)


class Answer(Strict):
    """One message off the timeline, sent because of a response, at most once per enrollment."""

    template: Name
    channel: Channel = Channel.EMAIL
    otherwise: Channel | None = None
    offer: Name | None = None
    then: ResponseActionField | None = None
    fresh_for: Some = Period(days=7)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channel, and the other one where it may fall to it."""
        return (self.channel, self.otherwise) if self.otherwise else (self.channel,)


class Campaign(Strict):
    """One campaign file, checked."""

    campaign: Name
    priority: Annotated[int, Field(ge=1)] = 1
    lapse: LapseRule = LapseRule()
    audience: Audience = Audience()
    holdout: Annotated[Share, Field(lt=1)] = Decimal("0.15")
    measure_for: Some = Period(days=90)
    cooldown: PeriodField = Period(months=12)
    rest: PeriodField = Period(days=14)
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    answers: dict[AnswerKey, Answer] = Field(default_factory=dict)
    offers: dict[Name, Offer] = Field(default_factory=dict)
    responses: dict[ReasonKey, ResponseActionField] = Field(default_factory=dict)

    @field_validator("answers", "offers", "responses", mode="before")
    @classmethod
    def _nothing_is_none(cls, written: Any) -> Any:
        """Read a key with nothing below it as empty."""
        return {} if written is None else written

    def step(self, name: str) -> Step:
        """Give the step of a name; raises KeyError when there is none."""
        return self.steps[self.position(name)]

    def position(self, name: str) -> int:
        """Give the place of a step on the timeline, from 0; raises KeyError."""
        for position, step in enumerate(self.steps):
            if step.step == name:
                return position
        raise KeyError(name)

    def has_step(self, name: str) -> bool:
        """Say whether a step of this name stands on the timeline."""
        return any(step.step == name for step in self.steps)

    def message_names(self) -> tuple[str, ...]:
        """Give the names of all steps, in order, then of all answers."""
        return (*(step.step for step in self.steps), *self.answers)

    def message(self, name: str) -> Step | Answer:
        """Give the step or answer of a name; raises KeyError when there is none."""
        return self.answers[name] if name in self.answers else self.step(name)
