"""As much HTTP/1.1 on loopback as the providers' clients speak, at a small price.

A stand-in shares the processors with what is measured against it. A request costs about 15
microseconds here and six times as much in aiohttp's server, so this one is our own: bodies with a
length, kept connections, one request at a time on each. No chunked bodies.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final, cast
from urllib.parse import unquote

MAX_BYTES: Final = 31 * 1024 * 1024
"""A little above SendGrid's limit, so that its own answer is seen."""
_MAX_HEAD: Final = 64 * 1024
_END: Final = b"\r\n\r\n"
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_JSON: Final = "application/json"


class Exchange:
    """One request, to be answered once, now or later; names of headers are in lower case."""

    __slots__ = ("_connection", "_keeps", "body", "headers", "method", "path", "query", "target")

    def __init__(
        self,
        connection: "Connection",
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        keeps: bool,
    ) -> None:
        self._connection = connection
        self._keeps = keeps
        self.method = method
        self.target = target
        path, _, self.query = target.partition("?")
        self.path = unquote(path) if "%" in path else path
        self.headers = headers
        self.body = body

    def answer(
        self,
        status: int,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str = _JSON,
    ) -> None:
        """Answer; who hung up meanwhile misses it."""
        lines = [f"HTTP/1.1 {status} {_PHRASES[status]}", f"Content-Length: {len(body)}"]
        if body:
            lines.append(f"Content-Type: {content_type}")
        if headers:
            lines += [f"{name}: {value}" for name, value in headers.items()]
        if not self._keeps:
            lines.append("Connection: close")
        written = "\r\n".join(lines).encode("latin-1") + _END + body
        self._connection.done(written, keeps=self._keeps)

    def hang_up(self) -> None:
        """End the connection without an answer."""
        self._connection.abort()


class _Malformed(Exception):
    """The request cannot be read; ``status`` is the answer to it."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Connection(asyncio.Protocol):
    """One connection of a client: reads requests and hands them on, one at a time."""

    def __init__(self, take: Callable[[Exchange], None], all_of_them: set["Connection"]) -> None:
        self._take = take
        self._all = all_of_them
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str], bool] | None = None
        self._body_at = self._body_length = 0
        self._is_busy = self._is_reading = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way back."""
        # What uvloop gives is none by its class.
        self._transport = cast(asyncio.Transport, transport)
        self._all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop's face
        """Forget the way back."""
        self._transport = None
        self._all.discard(self)

    def data_received(self, data: bytes) -> None:
        """Read what came."""
        self._buffer += data
        self._read_on()

    def done(self, written: bytes, *, keeps: bool) -> None:
        """Write an answer, and go on with what came meanwhile."""
        self._is_busy = False
        if self._transport is None:
            return
        self._transport.write(written)
        if not keeps:
            self._transport.close()
        elif self._buffer and not self._is_reading:
            self._read_on()

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _read_on(self) -> None:
        self._is_reading = True
        try:
            while not self._is_busy and self._transport is not None:
                exchange = self._next()
                if exchange is None:
                    return
                self._is_busy = True
                self._take(exchange)
        except _Malformed as mistake:
            if self._transport is not None:
                line = f"HTTP/1.1 {mistake.status.value} {mistake.status.phrase}\r\n"
                self._transport.write(
                    line.encode() + b"Content-Length: 0\r\nConnection: close" + _END
                )
                self._transport.close()
        finally:
            self._is_reading = False

    def _next(self) -> Exchange | None:
        """Take the next whole request off the buffer, None while it is not there."""
        if self._head is None and not self._read_head():
            return None
        ends_at = self._body_at + self._body_length
        if self._head is None or len(self._buffer) < ends_at:
            return None
        body = bytes(memoryview(self._buffer)[self._body_at : ends_at])
        del self._buffer[:ends_at]
        method, target, headers, keeps = self._head
        self._head = None
        return Exchange(self, method, target, headers=headers, body=body, keeps=keeps)

    def _read_head(self) -> bool:
        ends_at = self._buffer.find(_END)
        if ends_at < 0:
            if len(self._buffer) > _MAX_HEAD:
                raise _Malformed(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return False
        first, *lines = self._buffer[:ends_at].decode("latin-1").split("\r\n")
        headers = dict(_headers(lines))
        method, _, rest = first.partition(" ")
        target, _, version = rest.partition(" ")
        if version not in {"HTTP/1.1", "HTTP/1.0"} or not target.startswith("/"):
            raise _Malformed(HTTPStatus.BAD_REQUEST)
        if "transfer-encoding" in headers:
            raise _Malformed(HTTPStatus.LENGTH_REQUIRED)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            raise _Malformed(HTTPStatus.BAD_REQUEST)
        if int(length) > MAX_BYTES:
            raise _Malformed(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        keeps = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        self._head = (method, target, headers, keeps)
        self._body_at, self._body_length = ends_at + len(_END), int(length)
        if headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue" + _END)
        return True


def _headers(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise _Malformed(HTTPStatus.BAD_REQUEST)
        yield name.lower(), value.strip()


class Wire:
    """Serves on a free or a given loopback port, in the loop that runs."""

    def __init__(self, take: Callable[[Exchange], None]) -> None:
        self._take = take
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def open(self, port: int = 0, tls: ssl.SSLContext | None = None) -> str:
        """Begin to serve, in the clear unless ``tls`` is given; gives the URL.

        Raises OSError when the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self._take, self._connections),
            "127.0.0.1",
            port,
            backlog=1024,
            ssl=tls,
        )
        host, taken = self._server.sockets[0].getsockname()[:2]
        return f"{'http' if tls is None else 'https'}://{host}:{taken}"

    def close(self) -> None:
        """Stop serving and hang up on everybody."""
        if self._server is not None:
            with suppress(RuntimeError):
                self._server.close()
        for connection in list(self._connections):
            connection.abort()
