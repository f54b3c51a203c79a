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
    except BrokenPipeError:
        # The reader of our output went away (``| head``); that is no error of ours.
        sys.stderr.close()
        sys.exit(0)


def _start_quickly() -> None:
    """Leave out what costs a short-lived process a tenth of a second and gives it nothing."""
    # What a command loads makes many objects that all stay: cycles are looked for among them
    # after every 700 new ones otherwise.
    gc.set_threshold(50_000, 10, 10)
    # Pydantic asks every installed package for plugins otherwise, which then see each value.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
