"""Keep Jinja tags safe while MJML and the CSS inliner work: each becomes a word of ours.

A tag between elements becomes a comment, one inside text or an attribute a word that neither
engine touches; both are put back afterwards. One that an engine dropped is reported.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

_TAG: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
WORD: Final = re.compile(r"WBJ(\d+)X")


class Form(Enum):
    """How a tag is written while it is protected."""

    WORD = "word"
    COMMENT = "comment"
    RAW_COMMENT = "raw comment"
    """A comment between MJML elements, where only ``mj-raw`` may stand."""


@dataclass(frozen=True, slots=True)
class Protected:
    """A text whose tags are words, and what the words stand for."""

    text: str
    tags: tuple[str, ...]

    def is_control(self, number: int) -> bool:
        """Say whether the tag shows nothing itself: a condition, a loop, a comment."""
        return not self.tags[number].startswith("{{")


def protect(text: str, *, keep_lines: bool = False) -> Protected:
    """Replace every tag by its word; ``keep_lines`` leaves the line breaks that tags hold."""
    tags: list[str] = []

    def replaced(found: re.Match[str]) -> str:
        tags.append(found[0])
        breaks = "\n" * found[0].count("\n") if keep_lines else ""
        return f"WBJ{len(tags) - 1}X{breaks}"

    return Protected(_TAG.sub(replaced, text), tuple(tags))


def in_form(protected: Protected, forms: Mapping[int, Form]) -> str:
    """Write every word in the form that suits where it stands."""

    def written(found: re.Match[str]) -> str:
        match forms.get(int(found[1]), Form.WORD):
            case Form.WORD:
                return found[0]
            case Form.COMMENT:
                return f"<!--{found[0]}-->"
            case Form.RAW_COMMENT:
                return f"<mj-raw><!--{found[0]}--></mj-raw>"

    return WORD.sub(written, protected.text)


def put_back(text: str, tags: tuple[str, ...]) -> str:
    """Put the tags back where their words and comments stand."""
    bare = re.sub(r"<!--(WBJ\d+X)-->", r"\1", text)
    return WORD.sub(lambda found: tags[int(found[1])], bare)


def lost(text: str, tags: tuple[str, ...]) -> tuple[int, ...]:
    """Give the numbers of the tags that are no longer in the text."""
    kept = {int(number) for number in WORD.findall(text)}
    return tuple(number for number in range(len(tags)) if number not in kept)


def drop_control_lines(text: str) -> str:
    """Let lines that hold only conditions, loops or comments leave no line behind."""
    alone = re.compile(
        r"^[ \t]*((?:(?:\{%(?:(?!%\}).)*%\}|\{#(?:(?!#\}).)*#\})[ \t]*)+)\n", re.MULTILINE
    )
    return alone.sub(lambda found: found[1].strip(), text)
