"""Run the stand-ins as a process: ``python -m winback.sandbox --record FILE``.

Prints one line of JSON with the URL, the credentials and the token for orders, and serves until
its standard input ends.
"""

import argparse
import asyncio
import hmac
import json
import os
import signal
import ssl
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from random import SystemRandom

import orjson

from winback.clock import SystemClock
from winback.sandbox.credentials import letters
from winback.sandbox.faults import read_plan
from winback.sandbox.orders import ORDERS_PATH, Behave, read_order
from winback.sandbox.pair import Pair
from winback.sandbox.wire import Exchange
from winback.sandbox.within import new_loop


class OrderDesk:
    """Takes orders from who knows the token, and leaves all else to the providers' desk."""

    def __init__(self, pair: Pair, token: str) -> None:
        self._pair = pair
        self._token = f"Bearer {token}".encode()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, exchange: Exchange) -> None:
        """Answer a request, now or when its time has come."""
        if exchange.path != ORDERS_PATH:
            self._pair.desk.take(exchange)
            return
        given = exchange.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, self._token):
            exchange.answer(403, b'{"error":"no orders from strangers"}')
            return
        task = asyncio.get_running_loop().create_task(self._obey(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _obey(self, exchange: Exchange) -> None:
        try:
            answer = await self._pair.obey(read_order(exchange.body))
        except ValueError as mistake:
            exchange.answer(400, orjson.dumps({"error": str(mistake)}))
        else:
            exchange.answer(200, orjson.dumps({"answer": answer}))


def main() -> None:
    """Serve until the standard input ends."""
    given = _arguments()
    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_serve(given))
    finally:
        loop.close()


async def _serve(given: argparse.Namespace) -> None:
    pair = Pair(
        given.record,
        clock=SystemClock(),
        seed=given.seed,
        has_advanced_opt_out=given.advanced_opt_out,
    )
    token = letters(SystemRandom(), 32)
    url = await pair.open(OrderDesk(pair, token).take, given.port, tls=_tls(given.certificate))
    if given.faults:
        await pair.obey(Behave(read_plan(json.loads(_text(given.faults)))))
    told = {"url": url, "credentials": asdict(pair.credentials), "token": token}
    print(json.dumps(told), flush=True)  # noqa: T201 - who started this reads it
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_the_end() -> None:
        # Not through sys.stdin, whose lock would be held when the interpreter ends.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    for wish in (signal.SIGINT, signal.SIGTERM):
        # On a platform whose loops take no signals, the end of its input ends it.
        with suppress(NotImplementedError):
            loop.add_signal_handler(wish, ended.set)
    await ended.wait()
    await pair.close()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m winback.sandbox", description=__doc__)
    parser.add_argument("--record", type=Path, help="file to keep what is accepted in")
    parser.add_argument(
        "--port", type=int, default=0, help="loopback port; a free one unless given"
    )
    parser.add_argument("--seed", type=int, help="make secrets and ids the same each time")
    parser.add_argument("--faults", help="a plan of faults as JSON, or a file with one")
    parser.add_argument(
        "--certificate", type=Path, help="PEM file with key and certificate: serve over TLS"
    )
    parser.add_argument("--advanced-opt-out", action="store_true", help="name STOP and START")
    return parser.parse_args()


def _tls(certificate: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def _text(faults: str) -> str:
    return faults if faults.lstrip().startswith("{") else Path(faults).read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
