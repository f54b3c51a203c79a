"""Codes: unguessable, easy to read out, forgiving when typed.

Thirteen characters of Crockford's base32 carry 65 bits; the alphabet has no I, L, O and U, and
what is typed instead of 0 and 1 is understood (FACTS.md SEC-15).
"""

from collections.abc import Sequence
from typing import Final, Protocol

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 13
LONGEST: Final = 64
"""Characters of the longest code that a shop's own pool may hold."""
REPLACED: Final = (("-", ""), (" ", ""), ("O", "0"), ("I", "1"), ("L", "1"))
"""What is typed, and what it is compared as."""
_GROUPS: Final = ((0, 4), (4, 8), (8, LENGTH))


class Rng(Protocol):
    """What draws at random: ``secrets.SystemRandom()`` in production, seeded in the demo."""

    def choice(self, seq: Sequence[str], /) -> str:
        """Give one of the elements."""


def make_code(rng: Rng) -> str:
    """Make one code as it is printed: ``ABCD-EFGH-JKMNP``."""
    drawn = "".join(rng.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(drawn[start:end] for start, end in _GROUPS)


def normalize_code(text: str) -> str:
    """Give a typed code as it is compared: capitals, no dashes and spaces, 0 for O, 1 for I and L.

    The shop's own codes are compared in the same way. Anything may be typed; what is no code is
    simply never found.
    """
    key = "".join(text.split()).upper()
    for written, meant in REPLACED:
        key = key.replace(written, meant)
    return key
