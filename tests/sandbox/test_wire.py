"""The HTTP that the stand-ins speak: what clients may do, and what they may not."""

import asyncio
import re
from contextlib import closing
from socket import create_connection
from urllib.parse import urlsplit

import pytest

from winback.sandbox.stand_ins import Sandbox

SCOPES = b"GET /v3/scopes HTTP/1.1\r\nHost: x\r\n\r\n"


def exchange(stand: Sandbox, *parts: bytes, answers: int = 1) -> bytes:
    """Send bytes in parts; gives what comes back up to that many answers, or the end."""
    parsed = urlsplit(stand.url)
    with closing(create_connection((parsed.hostname, parsed.port), timeout=10)) as connection:
        for part in parts:
            connection.sendall(part)
        came = b""
        while came.count(b"HTTP/1.1") < answers or not came.endswith((b"}", b"\r\n\r\n")):
            more = connection.recv(65536)
            if not more:
                break
            came += more
    return came


def ends(stand: Sandbox, request: bytes) -> bool:
    """Say whether the connection is closed after the answer."""
    parsed = urlsplit(stand.url)
    with closing(create_connection((parsed.hostname, parsed.port), timeout=10)) as connection:
        connection.sendall(request)
        while connection.recv(65536):
            pass
    return True


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET v3 HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/2\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"POST /v3/mail/send HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /v3/mail/send HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /v3/mail/send HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000, b"431"),
    ],
    ids=["nonsense", "target", "version", "header", "length", "chunked", "large", "long head"],
)
def test_what_cannot_be_read_is_refused(stand: Sandbox, request_: bytes, status: bytes) -> None:
    """A client that speaks otherwise is told so, and hung up on."""
    assert exchange(stand, request_).startswith(b"HTTP/1.1 " + status)


def test_a_request_may_come_in_pieces(stand: Sandbox) -> None:
    """Networks cut where they like."""
    whole = exchange(stand, SCOPES)

    in_pieces = exchange(stand, *(SCOPES[at : at + 1] for at in range(len(SCOPES))))

    assert whole == in_pieces
    assert whole.startswith(b"HTTP/1.1 401 Unauthorized\r\n")


def test_requests_on_one_connection_are_answered_in_their_order(stand: Sandbox) -> None:
    """A client that does not wait for an answer gets each one in its turn."""
    other = b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n"

    came = exchange(stand, SCOPES + other + SCOPES, answers=3)

    assert re.findall(rb"HTTP/1.1 (\d+)", came) == [b"401", b"404", b"401"]


def test_a_client_may_ask_before_it_sends_a_body(stand: Sandbox) -> None:
    """Expect: 100-continue is granted."""
    head = b"POST /v3/mail/send HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"

    assert exchange(stand, head).startswith(b"HTTP/1.1 100 Continue")
    assert b"HTTP/1.1 401" in exchange(stand, head, b"{}", answers=2)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /v3/scopes HTTP/1.0\r\n\r\n",
        b"GET /v3/scopes HTTP/1.1\r\nConnection: close\r\n\r\n",
    ],
)
def test_a_connection_ends_when_the_client_wants_it(stand: Sandbox, request_: bytes) -> None:
    """The official clients open one connection per request and close it."""
    assert ends(stand, request_)


async def test_who_hangs_up_early_disturbs_nobody(stand: Sandbox) -> None:
    """Half a request and gone: the next client is served."""
    parsed = urlsplit(stand.url)
    _, writer = await asyncio.open_connection(parsed.hostname, parsed.port)
    writer.write(SCOPES[:10])
    writer.close()
    await writer.wait_closed()

    assert b"401" in await asyncio.to_thread(exchange, stand, SCOPES)
