"""``winback desk``: what waits for a person, and what came of it."""

from dataclasses import asdict
from typing import Annotated

import typer

from winback.cli.output import (
    AsJson,
    AsOf,
    known_number,
    opened,
    print_json,
    print_table,
    say,
    whoever,
)

_SHOWN = 60
"""Characters of a reply that the list shows."""
CaseId = Annotated[
    int, typer.Argument(metavar="CASE", help="The number of the case.", callback=known_number)
]
desk = typer.Typer()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(desk, name="desk")


@desk.callback(invoke_without_command=True)
def bare(context: typer.Context, as_json: AsJson = False, as_of: AsOf = None) -> None:
    """Cases that wait for a person: replies, calls, letters, repairs. Alone: list them.

    Example: winback desk
    """
    if context.invoked_subcommand is None:
        _list(as_json, as_of)


@desk.command("list")
def list_cases(as_json: AsJson = False, as_of: AsOf = None) -> None:
    """List what waits, the oldest first.

    Example: winback desk list --json
    """
    _list(as_json, as_of)


@desk.command()
def show(case: CaseId, as_json: AsJson = False, as_of: AsOf = None) -> None:
    """Show one case: who it is, what they wrote, what we promised, what was sent before.

    Example: winback desk show 12
    """
    from sqlalchemy.orm import Session

    from winback.errors import ConfigError
    from winback.responses.waiting import waiting_cases

    with (
        opened(as_of, writes=False, needs_files=False) as (business, now),
        Session(business.engine) as session,
    ):
        found = waiting_cases(session, business, now=now, case_id=case)
    if not found:
        raise ConfigError(f"there is no case {case}; winback desk lists those that wait")
    view = found[0]
    if as_json:
        print_json(asdict(view))
        return
    say(f"Case {view.id}: {view.kind}, {view.state}, since {view.opened_at:%Y-%m-%d %H:%M} UTC")
    say(f"Customer: {view.customer}  {'  '.join(view.contacts.values())}")
    say(f"About: {view.label or view.kind}\n\n{view.text or '(nothing written)'}\n")
    say(f"Suggestion: {view.suggestion}")
    for promise in view.promises:
        say(
            f"Promised: {promise.says}, code {promise.code}, until {promise.last_day}, "
            f"{promise.state}"
        )
    for said in view.history:
        say(f"Sent: {said.at:%Y-%m-%d} {said.step} by {said.channel}, {said.state}")
    if view.note:
        say(f"Notes:\n{view.note}")


@desk.command()
def take(
    case: CaseId,
    by: Annotated[str | None, typer.Option("--by", help="Who takes it; you, if left out.")] = None,
) -> None:
    """Take a case, so that nobody else works on it.

    Example: winback desk take 12 --by Anna
    """
    from sqlalchemy.orm import Session

    from winback.failpoints import committing
    from winback.responses.desk import take as take_case

    with (
        opened(writes=True, needs_files=False) as (business, now),
        Session(business.engine) as session,
        committing(session.begin(), "desk.case"),
    ):
        who = by or whoever()
        take_case(session, case, by=who, now=now)
    say(f"case {case} is {who}'s")


@desk.command()
def note(case: CaseId, text: Annotated[str, typer.Argument(help="What to remember.")]) -> None:
    """Add a dated line to a case.

    Example: winback desk note 12 "called, asked to ring again on Friday"
    """
    from sqlalchemy.orm import Session

    from winback.failpoints import committing
    from winback.responses.desk import note as note_case

    with (
        opened(writes=True, needs_files=False) as (business, now),
        Session(business.engine) as session,
        committing(session.begin(), "desk.case"),
    ):
        note_case(session, case, text, now=now)
    say(f"noted on case {case}")


@desk.command()
def outcome(
    *,
    case: CaseId,
    result: Annotated[
        str,
        typer.Argument(
            help="resolved, came-back, not-interested, do-not-contact, unreachable or no-answer."
        ),
    ],
    text: Annotated[str, typer.Option("--note", help="A line to remember.")] = "",
    step: Annotated[
        str | None, typer.Option("--step", help="With resolved: the step to go on at.")
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Note what came of a case, and do what follows: go on, part, or stop for good.

    Example: winback desk outcome 12 resolved --note "sent a new pair"
    """
    from winback.errors import ConfigError
    from winback.responses.results import Result

    if result not in list(Result):
        raise ConfigError(f"{result!r} is no result: write one of {', '.join(Result)}")
    _close(case, result, text=text, step=step, as_of=as_of)


@desk.command()
def resume(
    case: CaseId,
    step: Annotated[
        str | None, typer.Argument(help="The step to go on at; where it stood, if left out.")
    ] = None,
    as_of: AsOf = None,
) -> None:
    """Close a case as resolved and give the customer back to the timeline.

    Example: winback desk resume 12 comeback
    """
    _close(case, "resolved", text="", step=step, as_of=as_of)


def _close(case: int, result: str, *, text: str, step: str | None, as_of: str | None) -> None:
    from sqlalchemy.orm import Session

    from winback.database.retrying import transacted
    from winback.responses.desk import close
    from winback.responses.desk import note as note_case
    from winback.responses.results import Result

    with opened(as_of, writes=True, needs_files=False) as (business, now):

        def note_and_close(session: Session) -> str:
            if text:
                note_case(session, case, text, now=now)
            return close(session, business, case, Result(result), now=now, step=step)

        told = transacted(business.engine, "desk.case", note_and_close)
    say(told)


def _list(as_json: bool, as_of: str | None) -> None:
    from sqlalchemy.orm import Session

    from winback.responses.waiting import waiting_cases

    with (
        opened(as_of, writes=False, needs_files=False) as (business, now),
        Session(business.engine) as session,
    ):
        views = waiting_cases(session, business, now=now)
    if as_json:
        print_json({"as_of": now, "count": len(views), "cases": [asdict(view) for view in views]})
        return
    if not views:
        say("nobody waits for a person")
        return
    print_table(
        f"{len(views)} waiting, the oldest first",
        ["case", "since", "kind", "customer", "about", "wrote", "promised", "taken by"],
        [
            [
                str(view.id),
                view.opened_at,
                view.kind,
                view.customer,
                view.label,
                _first_line(view.text),
                "; ".join(f"{p.says} until {p.last_day}" for p in view.promises),
                view.taken_by,
            ]
            for view in views
        ],
    )
    say("winback desk show CASE tells all about one; winback desk outcome CASE RESULT ends it")


def _first_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
