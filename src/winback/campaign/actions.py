"""What a response makes winback do, as it is written in a campaign file: ``go to voucher``."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer

_WRITTEN: Final = re.compile(
    r"(?P<word>continue|part|hand over)"
    r"|go to (?P<step>\S+)"
    r"|sleep (?P<months>[1-9]\d?) months?"
)


class ActionKind(StrEnum):
    """What is done; ``go_to`` names a step, ``sleep`` a number of months."""

    CONTINUE = "continue"
    GO_TO = "go_to"
    SLEEP = "sleep"
    HAND_OVER = "hand_over"
    PART = "part"


@dataclass(frozen=True, slots=True)
class ResponseAction:
    """One action, with its step or its months."""

    kind: ActionKind
    step: str | None = None
    """Where ``go_to`` goes."""
    months: int | None = None
    """How long ``sleep`` sleeps."""

    def __str__(self) -> str:
        match self.kind:
            case ActionKind.GO_TO:
                return f"go to {self.step}"
            case ActionKind.SLEEP:
                return f"sleep {self.months} month{'' if self.months == 1 else 's'}"
            case ActionKind.HAND_OVER:
                return "hand over"
            case _:
                return self.kind.value


def read_action(written: object) -> ResponseAction:
    """Read ``go to voucher``; raises ValueError with what to write instead."""
    words = " ".join(written.split()) if isinstance(written, str) else ""
    found = _WRITTEN.fullmatch(words)
    if found is None:
        raise ValueError(
            f"{written!r} is no action: write continue, go to STEP, sleep 3 months, "
            "hand over or part"
        )
    if found["step"]:
        return ResponseAction(ActionKind.GO_TO, step=found["step"])
    if found["months"]:
        return ResponseAction(ActionKind.SLEEP, months=int(found["months"]))
    return ResponseAction(ActionKind(found["word"].replace(" ", "_")))


def _before(value: Any) -> Any:
    return value if isinstance(value, ResponseAction) else read_action(value)


ResponseActionField = Annotated[ResponseAction, BeforeValidator(_before), PlainSerializer(str)]
"""A pydantic field that is written as ``go to voucher``."""
