"""Understand what a person wrote: a no in any reasonable wording first, then what it is about.

Pure. Everybody's words go through one fold (Unicode, case, accents, punctuation), so that "STOP!",
"s t o p", "Arrêt" and "no más" need one entry each. In doubt the answer is DOUBTFUL, and a person
looks (FACTS.md LAW-24, LAW-27, TW-20).
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from winback.responses import words as speech

MAX_READ: Final = 4_000
"""Characters that are looked at: a no stands at the beginning, and patterns stay cheap."""
_SHORT: Final = 8
"""Words up to which a message that begins with STOP is one."""
_APOSTROPHE: Final = "['\u2018\u2019\u02bc`]"
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u2060\ufeff]")


class Meaning(StrEnum):
    """What winback does about a written message depends on this only."""

    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    HELP = "help"
    DOUBTFUL = "doubtful"
    REPLY = "reply"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Understood:
    """What a text means, and the label that its case gets."""

    meaning: Meaning
    label: str

    @property
    def suggestion(self) -> str:
        """What an associate may begin with."""
        return suggestion_for(self.label)


def suggestion_for(label: str) -> str:
    """Give what an associate may begin with when a case bears this label."""
    return speech.SUGGESTIONS.get(label, speech.SUGGESTIONS["reply"])


def fold(text: str) -> str:
    """Fold a text to lower-case words between single blanks: no accents, no punctuation."""
    plain = unicodedata.normalize("NFKD", text[:MAX_READ]).casefold()
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    plain = _INVISIBLE.sub("", plain)
    plain = re.sub(_APOSTROPHE, "", re.sub(rf"{_APOSTROPHE}ll\b", " will", plain))
    return " ".join(re.sub(r"[\W_]+", " ", plain).split())


def understand(text: str) -> Understood:
    """Understand a written message, already without the quoted one that it answers."""
    if not text.strip():
        return Understood(Meaning.NOTHING, "empty")
    words = fold(text)
    if _is_no(words):
        return Understood(Meaning.OPT_OUT, "no")
    if words in speech.OPT_IN_WORDS:
        return Understood(Meaning.OPT_IN, "yes" if words == "yes" else "opt in")
    if words in speech.HELP_WORDS:
        return Understood(Meaning.HELP, "help")
    label = _topic(words, text)
    if _is_maybe(words):
        if label not in ("a loss", "no longer needed"):
            label = "maybe a no"
        return Understood(Meaning.DOUBTFUL, label)
    return Understood(Meaning.REPLY, label)


def _is_no(words: str) -> bool:
    if words.replace(" ", "") in speech.OPT_OUT_WORDS:
        return True
    listed = words.split()
    if not listed or speech.PLEADED.search(words):
        return False
    core = [word for word in listed if word not in speech.FILLER]
    if core and all(word in speech.OPT_OUT_WORDS or word in ("opt", "out") for word in core):
        return True
    plain = speech.IDIOMS.sub(" ", words)
    if listed[0] in speech.FIRST_WORDS and len(listed) <= _SHORT and plain == words:
        return True
    return bool(speech.OPT_OUT_PHRASES.search(plain))


def _is_maybe(words: str) -> bool:
    return bool(
        words in speech.BARE_NO
        or speech.PLEADED.search(words)
        or speech.HINTS.search(speech.IDIOMS.sub(" ", words))
    )


def _topic(words: str, text: str) -> str:
    for label, pattern in speech.TOPICS:
        if pattern.search(words):
            return label
    return "question" if "?" in text else "reply"


def is_auto_reply(
    headers: Mapping[str, str], *, envelope_from: str | None = None, subject: str = ""
) -> bool:
    """Say whether a machine wrote it (FACTS.md SG-35); header names in lower case.

    ``envelope_from`` None means unknown; empty is the null sender of machines.
    """
    if headers.get("auto-submitted", "no").split(";")[0].strip().lower() != "no":
        return True
    if "x-auto-response-suppress" in headers:
        return True
    if headers.get("precedence", "").strip().lower() in ("bulk", "auto_reply", "junk"):
        return True
    if headers.get("return-path", "").strip() == "<>" or envelope_from in ("", "<>"):
        return True
    return bool(speech.AUTO_SUBJECTS.search(fold(subject)))
