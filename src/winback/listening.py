"""What listens: the web part, and in the sandbox the stand-ins with a receiver for their news.

Apart from ``house.py``, and loaded by it only when a message is sent: FastAPI, uvicorn and aiohttp
take half a second to load, and a day on which nothing is due needs none of them.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import uvicorn
from fastapi import FastAPI

from winback.business import Business
from winback.clock import Clock, SystemClock
from winback.environment import Environment
from winback.errors import ConfigError
from winback.sandbox.stand_ins import Sandbox, stand_ins, stand_ins_apart
from winback.watching import look_after
from winback.web.app import make_app
from winback.web.receiver import receiving, server_config
from winback.web.serving import WebhookKeys

_log = logging.getLogger(__name__)

_WATCH_SECONDS = 600


def serve_web(
    business: Business, *, host: str, port: int, when_heard: Callable[[str], None] | None = None
) -> None:
    """Serve webhooks and public pages in this thread, until a signal stops it.

    ``when_heard`` is told the address once somebody who calls there is heard; port 0 takes a free
    one. Raises ConfigError where nobody can listen there, and where a webhook would stand open in
    mode live.
    """
    clock = SystemClock()
    app = make_app(business, webhook_keys=_webhook_keys(business.environment), clock=clock)
    with _listening(host, port) as listening:
        if when_heard is not None:
            shown = f"[{host}]" if ":" in host else host
            when_heard(f"http://{shown}:{listening.getsockname()[1]}")
        with watching(business, clock, every_seconds=_WATCH_SECONDS):
            uvicorn.Server(server_config(app)).run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as refused:
        raise ConfigError(
            f"nobody can listen on port {port} of {host}: {refused.strerror}; stop what listens "
            "there, or give another --port or --host"
        ) from None


@contextmanager
def watching(business: Business, clock: Clock, *, every_seconds: float) -> Iterator[None]:
    """Look after the business in a thread meanwhile: who tells, when nothing runs, is this one."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(every_seconds):
            try:
                now = clock.now()
                look_after(business, now=now, at=now, knows_files=False)
            except Exception as broken:  # noqa: BLE001 - the edge of a thread that must live
                # What it says itself may hold an address of the database.
                _log.error("could not look after the business: %s", type(broken).__name__)

    thread = threading.Thread(target=watch, name="winback-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@dataclass(frozen=True, slots=True)
class Sandboxed:
    """A business whose providers are the stand-ins, with a receiver for what they report."""

    business: Business
    stand_ins: Sandbox
    receiver_url: str

    async def deliver_news(self) -> None:
        """Let the stand-ins report what became of messages that nobody acts on."""
        await asyncio.to_thread(self.stand_ins.flush)


@contextmanager
def open_sandbox(
    business: Business,
    clock: Clock,
    *,
    seed: int | None = None,
    applies_at_once: bool = True,
    is_apart: bool = False,
) -> Iterator[Sandboxed]:
    """Run the stand-ins and a receiver on free loopback ports; URLs that were given win.

    With ``applies_at_once`` false, what the receiver stored waits for the respond stage. With
    ``is_apart`` the stand-ins have a process of their own, and are told each new instant of a
    clock that is set.
    """
    given = business.environment
    serve = stand_ins_apart if is_apart else stand_ins
    with serve(given.var / "sandbox.db", clock=clock, seed=seed) as stand:
        lent = stand.lend_to(given)
        if given.sendgrid_url is not None:
            key = given.sendgrid_api_key
            lent = replace(lent, sendgrid_url=given.sendgrid_url, sendgrid_api_key=key)
        if given.twilio_url is not None:
            lent = replace(
                lent,
                twilio_url=given.twilio_url,
                twilio_account_sid=given.twilio_account_sid,
                twilio_auth_tokens=given.twilio_auth_tokens,
            )
        within = replace(business, environment=lent)
        keys = _webhook_keys(lent)

        def app(_url: str) -> FastAPI:
            return make_app(within, webhook_keys=keys, clock=clock, applies_at_once=applies_at_once)

        with receiving(app) as receiver:
            stand.deliver_to(receiver.url, business.settings.base_url)
            yield Sandboxed(within, stand, receiver.url)


def _webhook_keys(environment: Environment) -> WebhookKeys:
    return WebhookKeys(
        sendgrid_events=environment.sendgrid_webhook_keys,
        sendgrid_parse=environment.sendgrid_parse_keys,
        twilio_tokens=tuple(token.get_secret_value() for token in environment.twilio_auth_tokens),
    )
