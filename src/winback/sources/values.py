"""What other written values mean: yes and no, lists; and how a typed value would be written.

Pure. What can be read in two ways is refused, never guessed. Reasons are for the person who
mends the file.
"""

import json
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Final

_YES: Final = frozenset(
    re.split(" ", "yes y true t 1 on ja j oui o si sì sí sim s tak subscribed opted_in given")
)
_NO: Final = frozenset(
    re.split(" ", "no n false f 0 off nein non nej nee não nie unsubscribed opted_out opt-out")
)


def read_yes(written: str) -> bool | None:
    """Read yes or no in common words; None for nothing. Raises ValueError for anything else."""
    word = written.strip().lower()
    if not word:
        return None
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError("is neither yes nor no")


def read_list(written: str) -> list[str]:
    """Read a list: a JSON array, or words parted by semicolons or commas."""
    text = written.strip()
    if text.startswith("["):
        try:
            parts = [str(part) for part in json.loads(text)]
        except ValueError:
            raise ValueError("is no list; part the words by commas") from None
    else:
        parts = re.split(r"[;,]", text)
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def to_text(value: object) -> str:  # noqa: PLR0911 - one line for each type
    """Give a value of a database, JSON or Parquet as the text that a file would hold."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case float():
            return format(Decimal(repr(value)), "f") if value == value else ""  # noqa: PLR0124
        case Decimal():
            return format(value, "f")
        case datetime() | date():
            return value.isoformat()
        case list() | tuple() | dict():
            return json.dumps(value, ensure_ascii=False, default=str)
        case bytes():
            return value.decode("utf-8", "replace")
        case _:
            return str(value)
