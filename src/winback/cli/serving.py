"""``winback serve``: webhooks in and the public pages, and nothing else."""

import logging
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
    import uvicorn

    from winback.clock import SystemClock
    from winback.web.app import make_app
    from winback.web.receiver import server_config
    from winback.web.serving import keys_of

    # Access logs would hold tokens; ours hold ids and counts (promise P11).
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with opened(writes=False) as (business, _):
        app = make_app(business, webhook_keys=keys_of(business.environment), clock=SystemClock())
        say(f"serving {business.settings.business.name} on http://{host}:{port}; Ctrl-C stops")
        uvicorn.Server(server_config(app, host=host, port=port)).run()
