"""What both look-ups share: the reading of an answer, and the lack of one."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from winback.providers.lookups import CannotTell
from winback.providers.transport import Answer

_OK: Final = 200
_PASSING: Final = frozenset({408, 429})
_SERVER_ERROR: Final = 500


class NoAnswer(Exception):
    """A question got no answer that can be used; carries what a look-up says then."""

    def __init__(self, why: str, *, is_passing: bool = False) -> None:
        super().__init__(why)
        self.answer = CannotTell(why, is_passing)


def read_object(answer: Answer, who: str) -> Mapping[str, Any]:
    """Read the JSON object of a good answer; raises NoAnswer for any other one."""
    if answer.status in _PASSING or answer.status >= _SERVER_ERROR:
        raise NoAnswer(f"{who} answered {answer.status}", is_passing=True)
    if answer.status != _OK:
        raise NoAnswer(f"{who} answered {answer.status}")
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        raise other_shape(who)
    return said


def read_objects(said: Mapping[str, Any], name: str, who: str) -> list[Mapping[str, Any]]:
    """Give the objects of a list in an answer; raises NoAnswer where there is no list."""
    listed = said.get(name)
    if not isinstance(listed, list):
        raise other_shape(who)
    return [one for one in listed if isinstance(one, dict)]


def other_shape(who: str) -> NoAnswer:
    """Give the error for an answer that is not as the provider describes it."""
    return NoAnswer(f"{who} answered in another shape")
