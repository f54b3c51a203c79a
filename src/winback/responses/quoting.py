"""Take the new words out of a mail reply: a footer of ours in the quoted part is no answer.

Our own patterns, line by line and linear in length: the library for it, mail-parser-reply 1.36,
takes minutes for a crafted mail of 6,000 characters, and anybody may write to us.
"""

import re
from collections.abc import Sequence
from typing import Final

MAX_LENGTH: Final = 20_000
"""Characters of a mail that are looked at."""
_LONGEST_LINE: Final = 400
"""Characters of a line in which the beginning of a quote is looked for."""
_HEADER_LINES: Final = 3
"""Lines over which "On Monday ... wrote:" may be wrapped."""

_WROTE: Final = re.compile(
    r"(?:on|am|le|el|il|op|em|den|dne|w dniu)\b.{1,300}?\b(?:wrote|schrieb|a écrit|escribió"
    r"|ha scritto|schreef|escreveu|skrev|napsal|napisał)\b.{0,120}:\s*",
    re.IGNORECASE | re.DOTALL,
)
_SEPARATOR: Final = re.compile(
    r"(?:-{2,}\s*(?:original message|forwarded message|ursprüngliche nachricht|message d.origine"
    r"|mensaje original|messaggio originale|oorspronkelijk bericht)\b.*|_{8,}\s*|-- )",
    re.IGNORECASE,
)
_FROM: Final = re.compile(r"\W{0,3}(?:from|von|de|da|van|fra|från)\W{0,3}:", re.IGNORECASE)
_FIELD: Final = re.compile(
    r"\W{0,3}(?:sent|date|to|subject|gesendet|datum|an|betreff|envoyé|à|objet|enviado|para|asunto"
    r"|inviato|oggetto|verzonden|aan|onderwerp|skickat|till|ämne)\W{0,3}:",
    re.IGNORECASE,
)
_SENT_FROM: Final = re.compile(
    r"\s*(?:sent from my|sent from \w{1,20} for|get outlook for|von meinem \w{1,20} gesendet"
    r"|envoyé de mon|enviado desde mi|inviato da|verzonden vanaf mijn)\b.*",
    re.IGNORECASE,
)


def new_words(text: str) -> str:
    """Give what the person wrote this time, without quotes, signature and "Sent from my phone".

    Words below a quote that is marked with ``>`` are kept: some people answer at the end.
    """
    lines = text[:MAX_LENGTH].replace("\r\n", "\n").split("\n")
    kept: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at][:_LONGEST_LINE]
        if line.lstrip().startswith(">") or _SENT_FROM.fullmatch(line):
            at += 1
        elif header := _header_length(lines, at):
            if not _is_marked(lines, at + header):
                break
            at += header
        elif _SEPARATOR.fullmatch(line) or _is_block(lines, at):
            break
        else:
            kept.append(lines[at])
            at += 1
    return "\n".join(kept).strip()


def _header_length(lines: Sequence[str], at: int) -> int:
    """Give over how many lines "On Monday Anna wrote:" stands here; 0 when it does not."""
    for count in range(1, _HEADER_LINES + 1):
        joined = " ".join(line[:_LONGEST_LINE].strip() for line in lines[at : at + count])
        if _WROTE.fullmatch(joined[:_LONGEST_LINE]):
            return count
    return 0


def _is_marked(lines: Sequence[str], at: int) -> bool:
    following = next((line for line in lines[at : at + _HEADER_LINES] if line.strip()), "")
    return following.lstrip().startswith(">")


def _is_block(lines: Sequence[str], at: int) -> bool:
    """Say whether Outlook's block of From, Sent, To, Subject begins here."""
    if not _FROM.match(lines[at]):
        return False
    return any(_FIELD.match(line) for line in lines[at + 1 : at + 4])
