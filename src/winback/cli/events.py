"""``winback events``: what providers reported and could not be read, and reading it anew."""

from dataclasses import asdict
from typing import Annotated, Final

import typer

from winback.cli.output import AsJson, known_number, opened, print_json, print_table, say

_SHOWN: Final = 50
"""Events that the table lists; JSON lists all."""
events = typer.Typer()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(events, name="events")


@events.callback(invoke_without_command=True)
def bare(context: typer.Context, as_json: AsJson = False) -> None:
    """See what providers reported and could not be read. Alone: list it.

    Example: winback events
    """
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@events.command()
def replay(
    numbers: Annotated[
        list[int] | None,
        typer.Argument(
            metavar="[EVENT]...",
            help="Only these, by the numbers that winback events lists.",
            callback=known_number,
        ),
    ] = None,
    origin: Annotated[
        str | None, typer.Option("--origin", help="Only those of one origin, as twilio.inbound.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let what could not be read be applied anew by the next winback respond; may be repeated.

    Do so once the cause is mended, by a newer winback for example. What cannot be read still is
    kept again.

    Example: winback events replay --origin twilio.inbound
    """
    from functools import partial

    from winback.database.retrying import transacted
    from winback.responses.replaying import replay as set_back

    with opened(writes=True, needs_files=False) as (business, _):
        count = transacted(
            business.engine,
            "events.replay",
            partial(set_back, ids=sorted({*(numbers or ())}), origin=origin),
        )
    if as_json:
        print_json({"waiting": count})
    elif count:
        waits = "event waits" if count == 1 else "events wait"
        say(f"{count:,} {waits} to be applied anew; the next run does so, or: winback respond")
    else:
        say("no such event; winback events lists those that could not be read")


def _list(*, as_json: bool) -> None:
    from sqlalchemy.orm import Session

    from winback.responses.replaying import dead_events

    with opened(writes=False, needs_files=False) as (business, _):
        engine = business.engine.execution_options(winback_reads_only=True)
        with Session(engine) as session:
            found = dead_events(session)
    if as_json:
        print_json({"count": len(found), "events": [asdict(one) for one in found]})
        return
    if not found:
        say("every event could be read")
        return
    print_table(
        f"{len(found):,} could not be read, the oldest first",
        ["event", "origin", "received (UTC)", "why"],
        [[str(one.id), one.origin, one.received_at, one.why] for one in found[:_SHOWN]],
    )
    if len(found) > _SHOWN:
        say(f"and {len(found) - _SHOWN:,} more; see: winback events --json")
    say("once the cause is mended: winback events replay")
