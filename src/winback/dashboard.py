"""A Prefect server of our own, kept under ``var/prefect``: start it, wait for it, stop it.

Talks to Prefect's command line only, so nothing here costs the seconds that importing it takes.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from urllib.error import URLError
from urllib.request import urlopen

from winback.errors import WinbackError
from winback.processes import start_apart, stop

_PATIENCE_SECONDS = 120
_NOTE = "prefect-api-url"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A Prefect server that was started here."""

    url: str
    """Of the pages, without a closing slash; the API is under ``/api``."""
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def api_url(self) -> str:
        """What ``PREFECT_API_URL`` is set to."""
        return f"{self.url}/api"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process that talks to this server."""
        return server_environment(self.home, self.api_url)

    def wait(self) -> None:
        """Wait until it is healthy; raises WinbackError when it ends or takes two minutes."""
        deadline = monotonic() + _PATIENCE_SECONDS
        while not answers(self.api_url):
            if self.process.poll() is not None or monotonic() > deadline:
                raise WinbackError(
                    f"Prefect's server did not start; see {self.home / 'server.log'}"
                )
            sleep(0.2)


def answers(api_url: str) -> bool:
    """Say whether a Prefect server answers at this API address within two seconds."""
    with suppress(URLError, OSError, ValueError), urlopen(f"{api_url}/health", timeout=2) as reply:  # noqa: S310 - the address is the operator's own setting
        return bool(reply.status == 200)  # noqa: PLR2004 - HTTP's word for yes
    return False


@contextmanager
def noted(var: Path, api_url: str) -> Iterator[None]:
    """Note under ``var/`` which server the schedules are with, for as long as the block lasts.

    Other commands of the same home have not been told of it: what a rehearsal takes as running is
    what runs (P9).
    """
    (var / _NOTE).write_text(api_url, encoding="utf-8")
    try:
        yield
    finally:
        (var / _NOTE).unlink(missing_ok=True)


def noted_server(var: Path) -> str | None:
    """Give the API of the server that ``winback up`` noted; None where none answers there now."""
    with suppress(OSError, UnicodeDecodeError):
        url = (var / _NOTE).read_text(encoding="utf-8")
        return url if answers(url) else None
    return None


def server_environment(home: Path, api_url: str) -> dict[str, str]:
    """Give the settings a server of ours and its clients run with: nothing leaves this machine.

    A server counts in its database how many runs of a deployment there are, but by itself it keeps
    in its memory alone who they are: after a loss of power their places would be taken for ever.
    In files, under ``PREFECT_HOME``, they outlive it, and end five minutes after their runs.
    """
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }


def free_port() -> int:
    """Give a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Say whether nobody listens on this port of the machine."""
    with socket.socket() as probe, suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False


def run_prefect(words: list[str], environment: Mapping[str, str], folder: Path) -> None:
    """Run one command of Prefect's in a folder; raises WinbackError with what it said."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and arguments
        [sys.executable, "-m", "prefect", *words],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise WinbackError(f"prefect {' '.join(words)} failed: {said[-1] if said else 'no word'}")


def start_dashboard(home: Path, port: int) -> Dashboard:
    """Start a server, without waiting for it; its log is ``server.log`` under ``home``."""
    home.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}"
    # The pages call the port of the settings, not the one of the option: both are given.
    environment = server_environment(home, f"{url}/api") | {
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
    }
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    return Dashboard(url, home, start_apart(command, environment, log=home / "server.log"))


@contextmanager
def dashboard(home: Path, port: int | None = None) -> Iterator[Dashboard]:
    """Keep a healthy server for as long as the block lasts."""
    running = start_dashboard(home, port or free_port())
    try:
        running.wait()
        yield running
    finally:
        stop(running.process)
