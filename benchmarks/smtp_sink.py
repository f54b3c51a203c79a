"""A process that takes mails over SMTP and keeps nothing but their number.

Prints its port, serves until its standard input ends, then prints how many mails it took and its
processor seconds. As little work as the protocol allows, so that it slows nobody down.
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

_END = b"\r\n.\r\n"
_REPLIES = {b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}


class Taking(asyncio.Protocol):
    """One connection of a client."""

    taken = 0

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_data = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer each command, and each mail at its end."""
        self._buffer += data
        while self._step():
            pass

    def _step(self) -> bool:
        assert self._transport is not None
        end = _END if self._is_data else b"\r\n"
        at = self._buffer.find(end)
        if at < 0:
            return False
        word = bytes(self._buffer[:4]).upper()
        del self._buffer[: at + len(end)]
        if self._is_data:
            Taking.taken += 1
            self._is_data = False
            self._transport.write(b"250 taken\r\n")
            return True
        self._is_data = word == b"DATA"
        self._transport.write(_REPLIES.get(word, b"250 ok\r\n"))
        return True


async def main() -> None:
    """Serve until the standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Taking, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps({"taken": Taking.taken, "own": time.process_time()}), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
