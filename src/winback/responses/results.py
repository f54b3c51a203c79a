"""What an associate may note on a case, and what that does to the enrollment. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from winback.enrollment.machine import EnrollmentEvent
from winback.states import CaseState


class Result(StrEnum):
    """The results of a case."""

    RESOLVED = "resolved"
    """Answered or put right: the timeline goes on where it stood, or at a chosen step."""
    CAME_BACK = "came-back"
    """Bought, by phone or at the till, whatever the data say yet."""
    NOT_INTERESTED = "not-interested"
    """Does not want or need us: parted, without a hard word."""
    DO_NOT_CONTACT = "do-not-contact"
    """A no, said to a person."""
    UNREACHABLE = "unreachable"
    """Wrong number, moved house, nobody there."""
    NO_ANSWER = "no-answer"
    """Not reached this time: the case stays open, for another try."""


@dataclass(frozen=True, slots=True)
class Consequence:
    """What a result does; ``event`` None moves nothing."""

    says: str
    event: EnrollmentEvent | None
    case_state: CaseState = CaseState.CLOSED


CONSEQUENCES: Final[dict[Result, Consequence]] = {
    Result.RESOLVED: Consequence("a person answered: we go on", EnrollmentEvent.RESUMED),
    Result.CAME_BACK: Consequence("came back, an associate says", EnrollmentEvent.PURCHASED),
    Result.NOT_INTERESTED: Consequence("told a person no, kindly: parted", EnrollmentEvent.PARTED),
    Result.DO_NOT_CONTACT: Consequence("told a person that we shall stop", None),
    Result.UNREACHABLE: Consequence("a person could not reach them", EnrollmentEvent.CONTACT_LOST),
    Result.NO_ANSWER: Consequence("no answer this time", None, CaseState.OPEN),
}
"""Each result; a no goes the road of every other no."""
