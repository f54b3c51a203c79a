"""Run an app under uvicorn in a thread on loopback, for as long as a block lasts.

Used by the sandbox, which needs somewhere for its webhooks to go, and by tests.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import uvicorn

from winback.errors import WinbackError

_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver."""

    url: str


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@contextmanager
def receiving(make_app: Callable[[str], Any], *, port: int = 0) -> Iterator[Receiver]:
    """Serve ``make_app(url)`` on 127.0.0.1 until the block ends; port 0 takes a free one.

    The app is made once the address is known, since signatures cover it. Raises WinbackError when
    it does not come up.
    """
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = _Server(server_config(make_app(url)))
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, name="receiver", daemon=True
        )
        thread.start()
        try:
            if not server.listens.wait(_START_SECONDS):
                raise WinbackError("the receiver of webhooks did not start")
            yield Receiver(url)
        finally:
            server.should_exit = True
            thread.join(_STOP_SECONDS)


def server_config(app: Any, **options: Any) -> uvicorn.Config:
    """Give how we run uvicorn: no access log, since addresses carry tokens (promise P11)."""
    return uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=5,
        **options,
    )
