"""Why a database refused: told from the words of its driver, of which only names are shown."""

import re
from typing import Final

_NAME: Final = r"[\"'`]?([\w.$]{1,128})[\"'`]?"
_WHY_NOT: Final = (
    (rf"no such column: {_NAME}|column {_NAME} does not exist|Unknown column {_NAME}", "column"),
    (rf"no such table: {_NAME}|relation {_NAME} does not exist|Table {_NAME} doesn't", "table"),
)
_REASONS: Final = (
    (
        r"readonly database|read-only transaction|READ ONLY transaction",
        "it wants to write, and a source is only read",
    ),
    (
        r"statement timeout|maximum statement execution time",
        "it takes too long; raise timeout_minutes or narrow it",
    ),
    (r"permission denied|command denied", "this user may not read that"),
    (r"required for bind parameter", "only :since is filled in; write \\: for a plain colon"),
    (r"syntax error|error in your SQL syntax", "this database does not understand it"),
)
_NO_ENTRY: Final = (
    (r"authentication failed|Access denied", "it refuses this user or password"),
    (r"database \"[^\"]+\" does not exist|Unknown database", "it knows no database of this name"),
    (r"unable to open database file", "there is no such file"),
    (r"refused|could not translate|resolve|Can't connect|timeout", "nothing answers there"),
)


def why_refused(error: Exception) -> str:
    """Say why a query was refused, with the column or table that is not there."""
    said = str(_first(error))
    for pattern, what in _WHY_NOT:
        if found := re.search(pattern, said):
            return f"there is no {what} {next(name for name in found.groups() if name)!r}"
    return _reason(said, _REASONS) or type(_first(error)).__name__


def why_no_entry(error: Exception) -> str:
    """Say why there is no connection; nothing of its address."""
    return _reason(str(_first(error)), _NO_ENTRY) or type(_first(error)).__name__


def _first(error: Exception) -> Exception:
    """Give what the driver said, where it was the driver."""
    first = getattr(error, "orig", None)
    return first if isinstance(first, Exception) else error


def _reason(said: str, reasons: tuple[tuple[str, str], ...]) -> str:
    return next((told for pattern, told in reasons if re.search(pattern, said)), "")
