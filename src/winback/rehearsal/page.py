"""The rehearsal as a Markdown page for Prefect's dashboard: days and counts, never a person."""

from collections.abc import Iterable, Sequence
from typing import Final

from winback.policies import Policies
from winback.rehearsal.results import Rehearsal
from winback.rehearsal.telling import needs, says_when, totals
from winback.states import Channel, Mode

_COLUMNS: Final = ("day", "enrolled", "of them held out", *Channel, "segments", "cost")


def rehearsal_page(done: Rehearsal, *, currency: str, policies: Policies, mode: Mode) -> str:
    """Give the page: what each day would bring, what it takes, what would wait and why."""
    rows = [
        (
            f"{one.day:%a} {one.day}",
            f"{one.enrolled:,}",
            f"{one.held_out:,}",
            *(f"{one.by_channel[channel]:,}" for channel in Channel),
            f"{one.segments:,}",
            f"{one.cost:,.2f}",
        )
        for one in totals(done)
    ]
    parts = [
        f"# What the days to come would bring, from {done.days[0]}\n",
        f"If nobody responds or buys, and winback runs so: {says_when(done.schedule)}.\n",
        _table(_COLUMNS, rows),
        *(f"- {says}" for says in needs(done, currency=currency, policies=policies, mode=mode)),
    ]
    waits = [(one.what, one.why, f"{one.count:,}") for one in (*done.postponed, *done.passed)]
    if waits:
        parts += ["\n## What would wait, and what nobody would get\n"]
        parts += [_table(("what", "why", "messages"), waits)]
    return "\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
