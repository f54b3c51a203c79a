"""A process that posts ready payloads: the bare floor, or a vendor's own client in threads.

    python benchmarks/posting.py floor|sendgrid|twilio FILE COUNT AT_ONCE

FILE holds payloads, one a line, as ``worker.py capture`` wrote them; they are taken in turn.
Nothing is rendered, claimed or recorded here. The stand-in's address and the keys come from the
environment, as winback's own.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import sendgrid
import uvloop
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from winback.providers.twilio import callback_with

ACCEPTED = 202
CREATED = 201


async def post_bare(bodies: Sequence[bytes], at_once: int) -> int:
    """Post each body over connections that are kept; gives how many were accepted."""
    headers = {
        "Authorization": f"Bearer {os.environ['SENDGRID_API_KEY']}",
        "Content-Type": "application/json",
    }
    url = os.environ["WINBACK_SENDGRID_URL"] + "/v3/mail/send"
    left, accepted = iter(bodies), 0
    connector = aiohttp.TCPConnector(limit=at_once)
    async with aiohttp.ClientSession(
        headers=headers, connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:

        async def post() -> None:
            nonlocal accepted
            for body in left:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    accepted += answer.status == ACCEPTED

        await asyncio.gather(*(post() for _ in range(at_once)))
    return accepted


def with_sendgrid() -> Callable[[dict[str, Any]], bool]:
    """Give the call of SendGrid's own client; it takes the payload as it is."""
    client = sendgrid.SendGridAPIClient(
        os.environ["SENDGRID_API_KEY"], host=os.environ["WINBACK_SENDGRID_URL"]
    )

    def send(payload: dict[str, Any]) -> bool:
        return bool(client.send(payload).status_code == ACCEPTED)

    return send


class Moved(TwilioHttpClient):  # type: ignore[misc]  # the package is untyped
    """Twilio's own HTTP client, led to the stand-in: the package has no setting for that."""

    def request(self, method: str, url: str, *rest: Any, **more: Any) -> Any:
        """Make the request there."""
        moved = os.environ["WINBACK_TWILIO_URL"] + urlsplit(url).path
        return super().request(method, moved, *rest, **more)


def with_twilio() -> Callable[[dict[str, Any]], bool]:
    """Give the call of Twilio's own client, with what winback would say."""
    client = Client(
        os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"], http_client=Moved()
    )

    def send(payload: dict[str, Any]) -> bool:
        made = client.messages.create(
            to=payload["to_number"],
            messaging_service_sid=payload["messaging_service"],
            body=payload["body"],
            status_callback=callback_with(payload["status_callback"], payload["send_id"]),
            validity_period=payload["valid_for_seconds"],
        )
        return bool(made.sid)

    return send


def post_in_threads(
    send: Callable[[dict[str, Any]], bool], payloads: Sequence[dict[str, Any]], threads: int
) -> int:
    """Let so many threads send; gives how many messages were accepted."""
    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(send, payloads))


def main() -> None:
    """Say that the payloads are read, wait for a line, post, and say what it took."""
    what, file, count, at_once = sys.argv[1:]
    lines = Path(file).read_bytes().split(b"\n")
    bodies = list(islice(cycle(lines), int(count)))
    payloads = [] if what == "floor" else [orjson.loads(body) for body in bodies]
    send = {"sendgrid": with_sendgrid, "twilio": with_twilio}.get(what, with_sendgrid)()
    print(json.dumps({"read": len(bodies)}), flush=True)
    sys.stdin.readline()
    wall, own = perf_counter(), process_time()
    if what == "floor":
        accepted = uvloop.run(post_bare(bodies, int(at_once)))
    else:
        accepted = post_in_threads(send, payloads, int(at_once))
    seconds, spent = perf_counter() - wall, process_time() - own
    print(json.dumps({"seconds": seconds, "own": spent, "accepted": accepted}), flush=True)


if __name__ == "__main__":
    main()
