"""The command line: one small module per group of commands.

Rooms are imported inside the commands, so that ``winback --help`` answers at once.
"""

import gc
import logging
import os
import sys

import typer

from winback.errors import WinbackError
from winback.logs import redact_logs


def make_app() -> typer.Typer:
    """Give the whole command line."""
    from winback.cli import (
        campaigns,
        checking,
        database,
        demo,
        desks,
        events,
        lapsing,
        pausing,
        people,
        previewing,
        pulling,
        rehearsing,
        reporting,
        running,
        serving,
        settling,
        up,
        vouchers,
    )

    app = typer.Typer(
        name="winback",
        help="Wins lapsed customers back, by itself, day after day.",
        epilog="Begin with: winback demo",
        no_args_is_help=True,
        add_completion=False,
        context_settings={"max_content_width": 110},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for group in (
        demo,
        checking,
        pulling,
        lapsing,
        rehearsing,
        running,
        serving,
        up,
        pausing,
        reporting,
        settling,
        previewing,
        campaigns,
        people,
        desks,
        vouchers,
        events,
        database,
    ):
        group.register(app)
    return app


def main() -> None:
    """Run one command; errors are one clear sentence on stderr, exit 2 for wrong use, 1 else."""
    _start_quickly()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    redact_logs()
    try:
        make_app()()
    except WinbackError as error:
        sys.stderr.write(f"winback: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except SystemExit as end:
        # The reader of our output went away (``| head``): that is no error of ours, as click and
        # Rich take it for one. What is still to be flushed goes nowhere, or the end fails of it.
        was_writing = isinstance(end.__context__, BrokenPipeError)
        if not was_writing and _is_flushed():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0 if was_writing else end.code)


def _is_flushed() -> bool:
    """Write out what stdout still holds; False where nobody reads it any more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return False
    return True


def _start_quickly() -> None:
    """Leave out what costs a short-lived process a tenth of a second and gives it nothing."""
    # What a command loads makes many objects that all stay: cycles are looked for among them
    # after every 700 new ones otherwise.
    gc.set_threshold(50_000, 10, 10)
    # Pydantic asks every installed package for plugins otherwise, which then see each value.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
