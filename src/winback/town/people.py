"""What the townspeople are like and what they do with a message; pure.

Every decision is drawn from a stable hash of (seed, customer, message, question), so that it
depends neither on the order of messages nor on what others do, and each run is the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from winback.states import Reason

_COME_BACK: Final = 0.085
"""Share of the town that lets itself be brought back."""
_MAILBOX_GONE: Final = 0.02
_MACHINE_OPENS: Final = 0.3
_USES_VOUCHER: Final = 0.8
_TEXTS_STOP: Final = 0.02
_MOVED_BY: Final = ((1, 0.25), (2, 0.17), (3, 0.43), (4, 0.15))
"""Which of the messages that reach them brings those back who let themselves be brought back."""
_REASONS: Final[Sequence[tuple[Reason, float]]] = (
    (Reason.FORGOT, 0.30),
    (Reason.PRICE, 0.22),
    (Reason.NOT_NOW, 0.15),
    (Reason.ANOTHER, 0.11),
    (Reason.SERVICE, 0.08),
    (Reason.MOVED, 0.08),
    (Reason.HOURS, 0.03),
    (Reason.HARD_TIME, 0.03),
)
_MAIL_REPLIES: Final = (
    "Thank you for asking. My last parcel came two weeks late, what happened there?",
    "Do you have the new live album in stock?",
    "I did not know you were still around! I will have a look at the weekend.",
    "My name is spelled wrong on your letters, could you put that right?",
)
_TEXT_REPLIES: Final = (
    "who is this?",
    "all good here, just no time",
    "is the offer for vinyl too?",
)
_NOS: Final = ("STOP", "Stop", "stop texting me please", "unsubscribe")


@dataclass(frozen=True, slots=True)
class Temperament:
    """What one customer is like; shares of messages that make them do something."""

    is_bouncing: bool
    """The mailbox is gone."""
    has_machine_opens: bool
    opens: float
    clicks: float
    taps: float
    replies: float
    says_no: float
    complains: float
    moved_by: int | None
    """The number of the message that brings them back; None: nothing does."""
    days_to_come: int
    uses_voucher: bool


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a customer does with one message; nothing is the rule."""

    bounces: bool = False
    opens_by_machine: bool = False
    opens: bool = False
    clicks: bool = False
    reason: Reason | None = None
    reply: str | None = None
    says_no: bool = False
    complains: bool = False
    comes_back_in: int | None = None
    """Days until the purchase that this message brings."""
    uses_voucher: bool = False


def draw(seed: int, *words: object) -> float:
    """Draw from [0, 1), the same for the same words."""
    key = "\x1f".join(map(str, (seed, *words))).encode()
    return int.from_bytes(blake2b(key, digest_size=7).digest(), "big") / 2**56


def pick(choices: Sequence[tuple[object, float]], drawn: float) -> int:
    """Give the place of the choice that a draw falls on; weights add up to about one."""
    for place, (_, weight) in enumerate(choices):
        drawn -= weight
        if drawn < 0:
            return place
    return len(choices) - 1


def temperament_of(seed: int, customer: str) -> Temperament:
    """Give what a customer is like."""

    def rolled(question: str) -> float:
        return draw(seed, customer, question)

    reads = rolled("reads")
    comes = rolled("comes back") < _COME_BACK
    return Temperament(
        is_bouncing=rolled("bounces") < _MAILBOX_GONE,
        has_machine_opens=rolled("machine opens") < _MACHINE_OPENS,
        opens=0.1 + 0.5 * reads,
        clicks=0.02 + 0.12 * reads * reads,
        taps=0.01 + 0.06 * reads,
        replies=0.012,
        says_no=0.018 * (1 - reads),
        complains=0.003 * (1 - reads),
        moved_by=_MOVED_BY[pick(_MOVED_BY, rolled("moved by"))][0] if comes else None,
        days_to_come=1 + int(9 * rolled("days to come")),
        uses_voucher=rolled("uses voucher") < _USES_VOUCHER,
    )


def react_to_mail(
    seed: int, customer: str, *, step: str, number: int, who: Temperament, has_reasons: bool
) -> Reaction:
    """Decide what a customer does with a mail; ``number`` counts what reached them, from 1."""
    if who.is_bouncing:
        return Reaction(bounces=True)
    rolled = _roller(seed, customer, f"mail:{step}")
    comes = who.moved_by == number
    opens = comes or rolled("opens") < who.opens
    reason = None
    if opens and not comes and has_reasons and rolled("taps") < who.taps / who.opens:
        reason = _REASONS[pick(_REASONS, rolled("reason"))][0]
    return Reaction(
        opens_by_machine=who.has_machine_opens,
        opens=opens,
        clicks=comes or (opens and rolled("clicks") < who.clicks / who.opens),
        reason=reason,
        reply=_words(_MAIL_REPLIES, rolled) if opens and rolled("replies") < who.replies else None,
        says_no=not comes and rolled("says no") < who.says_no,
        complains=not comes and rolled("complains") < who.complains,
        comes_back_in=who.days_to_come if comes else None,
        uses_voucher=who.uses_voucher,
    )


def react_to_text(
    seed: int, customer: str, *, which: int, number: int, who: Temperament
) -> Reaction:
    """Decide what a customer does with a text; ``which`` counts their texts, from 1."""
    rolled = _roller(seed, customer, f"text:{which}")
    comes = who.moved_by == number
    if not comes and rolled("says no") < _TEXTS_STOP:
        return Reaction(says_no=True, reply=_words(_NOS, rolled))
    return Reaction(
        clicks=comes or rolled("clicks") < who.clicks,
        reply=_words(_TEXT_REPLIES, rolled) if rolled("replies") < who.replies else None,
        comes_back_in=who.days_to_come if comes else None,
        uses_voucher=who.uses_voucher,
    )


def _roller(seed: int, customer: str, message: str) -> Callable[[str], float]:
    return lambda question: draw(seed, customer, message, question)


def _words(choices: Sequence[str], rolled: Callable[[str], float]) -> str:
    return choices[int(rolled("words") * len(choices))]
