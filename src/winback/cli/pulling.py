"""``winback pull`` and ``winback rejects``: get the data in, and see what could not be taken."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from winback.cli.output import AsJson, AsOf, opened, print_json, print_table, say

if TYPE_CHECKING:
    from winback.sources.pulling import Progress, Reading


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("pull")(pull)
    app.command("rejects")(rejects)


def pull(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Only this source; default: all.")
    ] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Pull customers and purchases from the sources: what is new or changed.

    Example: winback pull till
    """
    from winback.sources.config import load_sources
    from winback.sources.pulling import PullCounts, pull_each

    with opened(as_of, writes=True) as (business, now), _progress() as progress:
        each = pull_each(
            business.engine,
            load_sources(business.environment.home),
            settings=business.settings,
            secret=business.secret,
            home=business.environment.home,
            now=now,
            only=source,
            progress=progress,
        )
    total = sum(each.values(), PullCounts())
    columns = ("read", "added", "changed", "rejected")
    if as_json:
        by_source = {
            name: {key: getattr(counts, key) for key in columns} for name, counts in each.items()
        }
        print_json({key: getattr(total, key) for key in columns} | {"sources": by_source})
        return
    if not each:
        say("There is no source yet: write config/sources.yaml (docs/sources.md).")
        return
    rows = [(name, *(getattr(counts, key) for key in columns)) for name, counts in each.items()]
    print_table("Pulled", ("source", *columns), rows)
    if total.rejected:
        say("See what was rejected, and why: winback rejects")


def rejects(
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="Only of this source; default: all.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")] = 100,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Show the rows that could not be taken, each with its place and reason.

    With --as-of only those that were rejected until then, and still are.

    Example: winback rejects till --limit 20
    """
    from sqlalchemy import func, select
    from sqlalchemy.orm import Session

    from winback.database.tables import RejectedRow

    wanted = select(RejectedRow)
    count = select(func.count()).select_from(RejectedRow)
    if source is not None:
        wanted = wanted.where(RejectedRow.source == source)
        count = count.where(RejectedRow.source == source)
    with (
        opened(as_of, writes=False, needs_files=False) as (business, now),
        Session(business.engine) as session,
    ):
        if as_of is not None:
            wanted = wanted.where(RejectedRow.rejected_at <= now)
            count = count.where(RejectedRow.rejected_at <= now)
        total = session.scalar(count) or 0
        rows = [
            {
                "source": row.source,
                "part": row.part,
                "place": row.place,
                "reason": row.reason,
                "row": row.row,
                "rejected_at": row.rejected_at,
            }
            for row in session.scalars(wanted.order_by(RejectedRow.id).limit(limit))
        ]
    if as_json:
        print_json({"count": total, "rejected": rows})
        return
    if not rows:
        say("Nothing is rejected.")
        return
    columns = ("source", "part", "place", "reason")
    table = [tuple(row[column] for column in columns) for row in rows]
    print_table(f"Rejected rows: {len(rows)} of {total}", columns, table)


@contextmanager
def _progress() -> "Iterator[Progress | None]":
    """Give what shows a progress bar, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    tasks: dict[tuple[str, str, str], TaskID] = {}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:

        def show(reading: "Reading") -> None:
            key = (reading.source, reading.part, reading.path)
            if key not in tasks:
                title = f"{reading.source} {reading.part} {reading.path}"
                tasks[key] = bar.add_task(title, total=reading.total or None, rows=0)
            bar.update(tasks[key], completed=reading.done, rows=reading.rows)

        yield show
