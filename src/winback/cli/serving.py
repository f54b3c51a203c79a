"""``winback serve``: webhooks in and the public pages, and nothing else."""

import logging
import sys
from typing import Annotated

import typer

from winback.cli.output import opened, say


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8484,
) -> None:
    """Serve webhooks and the public pages until stopped; put a TLS proxy in front.

    Example: winback serve --host 0.0.0.0 --port 8484
    """
    from winback.listening import serve_web

    # Access logs would hold tokens; ours hold ids and counts (promise P11).
    logging.getLogger("winback").setLevel(logging.INFO)
    # Who unsubscribes does not wait until a mistake in a campaign is put right (promise P3).
    with opened(writes=False, needs_files=False) as (business, _):
        for mistake in business.mistakes:
            sys.stderr.write(f"{mistake}\n")
        name = business.settings.business.name
        serve_web(
            business,
            host=host,
            port=port,
            when_heard=lambda url: say(f"serving {name} on {url}; Ctrl-C stops"),
        )
