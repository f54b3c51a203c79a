"""Count the segments of a text, as carriers bill them (FACTS.md TW-7, TW-8).

One segment holds 160 GSM-7 units or 70 UTF-16 units; a longer text is cut into parts of 153 or
67, and neither an escaped GSM character nor a surrogate pair is torn apart at a part's border.
"""

from dataclasses import dataclass
from typing import Final, Literal

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED: Final = frozenset("\f^{}\\[~]|€")
_LAST_OF_ONE_UNIT: Final = 0xFFFF
_PLAINER: Final = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201a": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u2013": "-",
        "\u2014": "-",
        "\u2212": "-",
        "\u2026": "...",
        "\u00a0": " ",
        "\u202f": " ",
        "\u2009": " ",
        "\u200b": None,
        "\ufeff": None,
    }
)


@dataclass(frozen=True, slots=True)
class Segments:
    """How a text is cut: ``units`` in the encoding's own unit, ``segments`` as billed."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    segments: int


def count_segments(text: str) -> Segments:
    """Count units and segments; an empty text has none."""
    if all(character in _BASIC or character in _ESCAPED for character in text):
        widths = [2 if character in _ESCAPED else 1 for character in text]
        return Segments("GSM-7", sum(widths), _parts(widths, whole=160, part=153))
    widths = [2 if ord(character) > _LAST_OF_ONE_UNIT else 1 for character in text]
    return Segments("UCS-2", sum(widths), _parts(widths, whole=70, part=67))


def plain_punctuation(text: str) -> str:
    """Write typographic quotes, dashes and spaces the plain way, so that GSM-7 can carry them."""
    return text.translate(_PLAINER)


def not_in_gsm(text: str) -> str:
    """Give the characters, each once and in order, that make a text UCS-2."""
    return "".join(dict.fromkeys(c for c in text if c not in _BASIC and c not in _ESCAPED))


def _parts(widths: list[int], *, whole: int, part: int) -> int:
    if sum(widths) <= whole:
        return 1 if widths else 0
    parts, used = 1, 0
    for width in widths:
        if used + width > part:
            parts, used = parts + 1, 0
        used += width
    return parts
