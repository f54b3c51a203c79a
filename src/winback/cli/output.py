"""What the commands share: options, opening the business, and writing facts out."""

import getpass
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from winback.business import Business

_LARGEST = 2**63 - 1
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="WHEN",
        help="A date or a time to stand at, instead of now; without an offset, local time.",
    ),
]


@contextmanager
def opened(
    as_of: str | None = None, *, writes: bool, needs_files: bool = True
) -> "Iterator[tuple[Business, datetime]]":
    """Open the business of this folder, and give it with the instant the command stands at.

    A bare date in ``as_of`` means the end of that day to a command that only reads, and 10:00 to
    one that writes; one that writes takes ``as_of`` only where no real person can be reached, and
    never an earlier instant than the last one used. One that does without campaigns, facts and
    templates says so in ``needs_files``, and no mistake in these stops it. Raises ConfigError,
    FileMistakes, SchemaError.
    """
    from winback.house import open_business

    with open_business(as_of, writes=writes, needs_files=needs_files) as (business, now):
        yield business, now


def known_number(written: int | list[int] | None) -> int | list[int] | None:
    """Refuse a number that no row can have: a database would with an error of its own."""
    for number in written if isinstance(written, list) else (written,):
        if number is not None and not 0 < number <= _LARGEST:
            raise typer.BadParameter(f"nothing has the number {number}")
    return written


def print_json(value: Any) -> None:
    """Print one JSON document; dates and times in ISO 8601, amounts as numbers in text."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False, indent=2) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows for a person; numbers stand to the right, nothing is cut off when piped."""
    from rich.table import Table

    shown = [[_shown(cell) for cell in row] for row in rows]
    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        is_number = bool(shown) and all(_is_number(row[index]) for row in shown)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in shown:
        table.add_row(*row)
    make_console().print(table)


def make_console() -> "Console":
    """Give where tables are printed: as wide as the terminal, 160 characters when piped."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=160)


def say(text: str) -> None:
    """Print one line for a person, at once, piped or not."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def whoever(ask: Callable[[], str] = getpass.getuser) -> str:
    """Give the name of who types; the number where the machine knows no name, as in a container."""
    try:
        return ask()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case _:
            return str(value)


def _shown(cell: object) -> str:
    match cell:
        case None:
            return ""
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M}"
        case int() if not isinstance(cell, bool):
            return f"{cell:,}"
        case _:
            return str(cell)


def _is_number(shown: str) -> bool:
    return shown.replace(",", "").replace(".", "").replace("-", "").strip().isdigit()
