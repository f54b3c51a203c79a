"""The stand-ins in a process of their own, and the way to tell them what to do.

Orders go over the same port as the providers' calls, below a path that neither provider uses,
with a token of their own. The child ends when its standard input does, so with its parent at the
latest, however that one dies.
"""

import http.client
import json
import ssl
import subprocess
import sys
import threading
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from winback.errors import WinbackError
from winback.sandbox.credentials import Credentials
from winback.sandbox.orders import ORDERS_PATH, Order, write_order

_WAIT_SECONDS: Final = 120
_STOP_SECONDS: Final = 10


class Child:
    """A pair of stand-ins in a child process, and the line to it; runs until the block ends."""

    def __init__(
        self,
        path: Path,
        *,
        seed: int | None,
        has_advanced_opt_out: bool,
        port: int = 0,
        certificate: Path | None = None,
    ) -> None:
        command = [sys.executable, "-m", "winback.sandbox", "--record", str(path)]
        command += ["--port", str(port)]
        command += [] if seed is None else ["--seed", str(seed)]
        command += ["--advanced-opt-out"] if has_advanced_opt_out else []
        command += [] if certificate is None else ["--certificate", str(certificate)]
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            told = json.loads(self._first_line())
        except ValueError:
            self._stop()
            raise WinbackError("the stand-ins did not start") from None
        self.url: str = told["url"]
        self.credentials = Credentials(**told["credentials"])
        self._token: str = told["token"]
        self._connection = _connection(urlsplit(self.url).netloc, certificate)

    def __enter__(self) -> Self:
        """Give the line."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it end."""
        self._connection.close()
        self._stop()

    def ask(self, order: Order) -> float:
        """Have an order obeyed; raises WinbackError when nobody is there to obey it."""
        headers, body = {"Authorization": f"Bearer {self._token}"}, write_order(order)
        try:
            with self._lock:
                self._connection.request("POST", ORDERS_PATH, body, headers)
                response = self._connection.getresponse()
                told = json.loads(response.read())
        except (OSError, http.client.HTTPException) as lost:
            self._connection.close()
            raise WinbackError("the stand-ins do not answer any more") from lost
        if response.status != HTTPStatus.OK:
            raise ValueError(told["error"])
        return float(told["answer"])

    def _first_line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        return self._process.stdout.readline()

    def _stop(self) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def _connection(address: str, certificate: Path | None) -> http.client.HTTPConnection:
    if certificate is None:
        return http.client.HTTPConnection(address, timeout=_WAIT_SECONDS)
    trusting = ssl.create_default_context(cafile=certificate)
    return http.client.HTTPSConnection(address, timeout=_WAIT_SECONDS, context=trusting)
