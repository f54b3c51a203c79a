"""``winback up``: everything on one machine, in one process to start and one Ctrl-C to stop."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winback.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Mapping


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""

    @app.command()
    def up(
        host: Annotated[str, typer.Option(help="Where the web part listens.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(help="The web part's port.", min=1, max=65535)] = 8484,
        dashboard_port: Annotated[
            int, typer.Option(help="The port of Prefect's pages.", min=1, max=65535)
        ] = 4200,
    ) -> None:
        """Keep everything up on this machine: Prefect's server, the schedules, the web part.

        Uses the server at PREFECT_API_URL instead, when that is set and answers. Ctrl-C stops
        all, also a run that sends: it gives back what has not left. What was missed meanwhile is
        done once, in order, when it is started again.

        Example: winback up
        """
        from winback.dashboard import noted
        from winback.house import open_business
        from winback.listening import serve_web
        from winback.processes import end_as_by_ctrl_c, start_apart, stop

        end_as_by_ctrl_c()
        with ExitStack() as stack:
            business, _ = stack.enter_context(open_business(writes=True))
            home, var = business.environment.home, business.environment.var
            url, environment = _server(
                stack, var, business.environment.prefect_api_url, dashboard_port
            )
            environment = {**environment, "WINBACK_HOME": str(home)}
            _deploy(home, environment)
            worker = start_apart(
                ["-m", "prefect", "worker", "start", "--pool", "winback", "--type", "process"],
                environment,
                log=var / "worker.log",
            )
            stack.callback(stop, worker)
            stack.enter_context(noted(var, environment["PREFECT_API_URL"]))
            say(f"dashboard  {url}/v2/dashboard")
            say(f"web        http://{host}:{port}")
            say("Ctrl-C stops both")
            serve_web(business, host=host, port=port)


def _server(
    stack: ExitStack, var: Path, given: str | None, port: int
) -> "tuple[str, Mapping[str, str]]":
    from winback.dashboard import answers, dashboard, is_free
    from winback.errors import ConfigError

    if given is not None and answers(given):
        return given.removesuffix("/api"), {"PREFECT_API_URL": given}
    if not is_free(port):
        raise ConfigError(
            f"port {port} is taken; stop what listens there, or give --dashboard-port another"
        )
    say("starting Prefect's server; the first time takes half a minute")
    running = stack.enter_context(dashboard(var / "prefect", port))
    return running.url, running.environment


def _deploy(home: Path, environment: "Mapping[str, str]") -> None:
    """Make the deployments of ``prefect.yaml``; Prefect keeps one of each name."""
    from winback.dashboard import run_prefect
    from winback.errors import ConfigError
    from winback.shipped import shipped

    if not (home / "prefect.yaml").exists():
        raise ConfigError(
            f"there is no prefect.yaml under {home}; copy it and flows of {shipped('prefect.yaml')}"
        )
    run_prefect(
        ["work-pool", "create", "winback", "--type", "process", "--overwrite"], environment, home
    )
    run_prefect(["--no-prompt", "deploy", "--all"], environment, home)
