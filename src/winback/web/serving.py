"""What every request needs, and how a body is read: raw, once, and never too much of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from winback.business import Business
from winback.clock import Clock
from winback.failpoints import committing
from winback.web.applying import Applying
from winback.web.page import Pages
from winback.web.refusing import Refusals

FORM_LIMIT = 64 * 1024
"""Bytes of a form of ours; the one-click form has 26."""


@dataclass(frozen=True, slots=True)
class WebhookKeys:
    """What webhooks are verified with; several of each during a rotation (SG-28, TW-29)."""

    sendgrid_events: tuple[str, ...] = ()
    sendgrid_parse: tuple[str, ...] = ()
    twilio_tokens: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "WebhookKeys(***)"


@dataclass(frozen=True, slots=True)
class Serving:
    """One business as the web serves it."""

    business: Business
    keys: WebhookKeys
    clock: Clock
    public_url: str
    applying: Applying
    pages: Pages
    refusals: Refusals

    def now(self) -> datetime:
        """Give the present instant."""
        return self.clock.now()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that only reads, so that it waits for no writer."""
        engine = self.business.engine.execution_options(winback_reads_only=True)
        with Session(engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Give a session that is committed at the end."""
        with Session(self.business.engine) as session, committing(session.begin(), "web.keep"):
            yield session


async def _serving(request: Request) -> Serving:
    # Async, though it awaits nothing: FastAPI sends other functions through a thread.
    serving: Serving = request.app.state.serving
    return serving


Served = Annotated[Serving, Depends(_serving)]


async def read_body(request: Request, limit: int) -> bytes:
    """Read the raw body; more than ``limit`` bytes are refused with 413 as soon as seen."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise HTTPException(413)
        chunks.append(chunk)
    return b"".join(chunks)


async def read_form(request: Request, limit: int = FORM_LIMIT) -> dict[str, str]:
    """Read a form in either encoding; files and broken bodies give no fields.

    Mail providers post the one-click form as they like (FACTS.md LAW-13); a body that cannot be
    read is still a POST.
    """
    body = await read_body(request, limit)
    try:
        form = await form_of(request, body)
    except HTTPException:
        return {}
    return {name: value.strip() for name, value in form.items() if isinstance(value, str)}


async def form_of(request: Request, body: bytes) -> FormData:
    """Parse a body that was already read; raises HTTPException for one that is broken."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return await Request(request.scope, receive).form(max_files=50, max_fields=200)
