"""The words that templates must not say, or only under a condition (FACTS.md LAW-7, DESIGN P5)."""

import re
from typing import Final

_I: Final = re.IGNORECASE

PRICE: Final = re.compile(
    r"\b(?:discounts?|vouchers?|coupons?|bargains?|cheap(?:er)?|pric(?:e|es|ing)|"
    r"(?<!feel )free|on sale|special offers?|deals?|money off|save \d+|"
    r"rabatt\w*|gutschein\w*|preis\w*|angebot\w*|remise|promo\w*|prix|descuento\w*)\b"
    r"|\d+\s?%|[£$€¥]\s?\d|\d+(?:[.,]\d+)?\s?(?:[£€]|GBP|USD|EUR)\b",
    _I,
)
"""What speaks of money: never in a first touch."""

REPLY_SUBJECT: Final = re.compile(r"^\s*(?:re|fwd?|aw|wg|tr|sv|vs)\s*:", _I)
URGENT: Final = re.compile(
    r"\b(?:hurry|last chance|act (?:now|fast)|don.?t miss|limited time|ends? (?:soon|today|tonight|"
    r"tomorrow)|expir(?:es|ing|e)|final (?:hours|days|call)|running out|only today|before it.?s "
    r"too late|nur heute|letzte chance|läuft ab|beeil\w*)\b",
    _I,
)
CLAIM: Final = re.compile(
    r"\bwe(?:.ve| have)?(?: now| also| since)* (?:changed|improved|fixed|repaired|solved|mended)\b"
    r"|\bwe(?:.ve| have)(?: now| also| since)* put (?:it|that|this) right\b"
    r"|\bwir haben .{0,40}(?:verbessert|geändert|behoben)\b",
    _I,
)
REPLY_INVITED: Final = re.compile(
    r"\b(?:repl(?:y|ies)|write back|write to me|answer me|antwort\w*|répond\w*|responde\w*)\b", _I
)
SHORTENER: Final = re.compile(
    r"\b(?:bit\.ly|tinyurl\.com|goo\.gl|t\.co|ow\.ly|is\.gd|buff\.ly|rebrand\.ly|cutt\.ly|"
    r"shorturl\.at|rb\.gy|tiny\.cc|t\.ly|lnkd\.in)\b",
    _I,
)
FETCHED: Final = re.compile(
    r"""(?:\bsrc|\bbackground(?:-url)?|\bsrcset)\s*=\s*["']?\s*(?:https?:)?//"""
    r"""|url\(\s*["']?\s*(?:https?:)?//|@import\b|<link\b""",
    _I,
)
UNSAFE_LINK: Final = re.compile(r"""\bhref\s*=\s*["']?\s*(?:http:|javascript:|data:|//)""", _I)
EMPTY_GREETING: Final = re.compile(r"\b(?:hi|hello|dear|hey|hallo|bonjour|hola) +[,!.]", _I)
NOTHING_SHOWN: Final = re.compile(r"\b(?:None|Undefined)\b")
STOP: Final = re.compile(r"\bSTOP\b")
RATES: Final = re.compile(r"rates may apply", _I)
HELP: Final = re.compile(r"\bHELP\b")

_MARKUP: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<!--.*?-->|<[^>]*>", re.DOTALL)
_STYLE: Final = re.compile(r"<(mj-style|style)\b.*?</\1>", re.DOTALL | _I)


def words_only(text: str) -> str:
    """Blank out markup and Jinja, each character by a space, so that places stay the same."""
    return _MARKUP.sub(_blanked, _STYLE.sub(_blanked, text))


def _blanked(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])
