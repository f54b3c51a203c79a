"""``/webhooks``: verify the raw body, store it raw and once, commit, answer, then apply.

Whatever is wrong with a request, the answer is the same bare 403 (FACTS.md SG-27, TW-28). What is
signed is kept and answered 2xx, whether we know such an event or not (SG-19, SG-32).
"""

from collections.abc import Callable, Sequence
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from winback.errors import CallbackRejected
from winback.providers.incoming import (
    RawEvent,
    split_sendgrid_events,
    split_sendgrid_inbound,
    split_twilio_inbound,
    split_twilio_status,
)
from winback.providers.signatures import verify_sendgrid, verify_twilio
from winback.responses.storing import store_events
from winback.web.serving import Served, Serving, read_body

router = APIRouter(prefix="/webhooks")

EVENTS_LIMIT: Final = 2 * 1024 * 1024
"""SendGrid posts a batch at 768 KB (FACTS.md SG-21)."""
INBOUND_LIMIT: Final = 30 * 1024 * 1024
"""SendGrid parses no larger mail (SG-32)."""
TWILIO_LIMIT: Final = 64 * 1024
NO_ANSWER: Final = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""TwiML that sends nothing back: Twilio answers STOP and HELP itself (TW-22)."""


@router.post("/sendgrid/events")
async def sendgrid_events(request: Request, serving: Served) -> Response:
    """Take a batch of events about mails."""
    body = await read_body(request, EVENTS_LIMIT)

    def take() -> Sequence[RawEvent]:
        verify_sendgrid(request.headers, body, keys=serving.keys.sendgrid_events, now=serving.now())
        return split_sendgrid_events(body)

    return await _store(request, serving, take=take, answer=Response(status_code=200))


@router.post("/sendgrid/inbound")
async def sendgrid_inbound(request: Request, serving: Served) -> Response:
    """Take a mail that a customer wrote back."""
    body = await read_body(request, INBOUND_LIMIT)

    def take() -> Sequence[RawEvent]:
        verify_sendgrid(request.headers, body, keys=serving.keys.sendgrid_parse, now=serving.now())
        return split_sendgrid_inbound(body, content_type=request.headers.get("content-type", ""))

    return await _store(request, serving, take=take, answer=Response(status_code=200))


@router.post("/twilio/status")
async def twilio_status(request: Request, serving: Served) -> Response:
    """Take the news of one text."""
    body = await read_body(request, TWILIO_LIMIT)
    url = _signed_url(request, serving)

    def take() -> Sequence[RawEvent]:
        verify_twilio(request.headers, body, url=url, tokens=serving.keys.twilio_tokens)
        return split_twilio_status(body, url=url)

    return await _store(request, serving, take=take, answer=Response(status_code=204))


@router.post("/twilio/inbound")
async def twilio_inbound(request: Request, serving: Served) -> Response:
    """Take a text that a customer wrote."""
    body = await read_body(request, TWILIO_LIMIT)
    url = _signed_url(request, serving)

    def take() -> Sequence[RawEvent]:
        verify_twilio(request.headers, body, url=url, tokens=serving.keys.twilio_tokens)
        return split_twilio_inbound(body)

    return await _store(
        request, serving, take=take, answer=Response(NO_ANSWER, media_type="text/xml")
    )


async def _store(
    request: Request,
    serving: Serving,
    *,
    take: Callable[[], Sequence[RawEvent]],
    answer: Response,
) -> Response:
    """Verify, split, store and commit off the event loop; apply after the answer is out."""
    try:
        ids = await run_in_threadpool(_take_and_keep, serving, take)
    except CallbackRejected as refused:
        # The path is one of the four above: nothing of the caller's is in it.
        serving.refusals.note(request.url.path, refused, now=serving.now())
        return Response(status_code=403)
    answer.background = BackgroundTask(serving.applying.soon, ids)
    return answer


def _take_and_keep(serving: Serving, take: Callable[[], Sequence[RawEvent]]) -> list[int]:
    raws = take()
    with serving.writing() as session:
        return store_events(session, raws, serving.now())


def _signed_url(request: Request, serving: Serving) -> str:
    """Give the URL that Twilio called: our public one, never what a Host header claims."""
    raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    path = raw_path.split(b"?")[0].decode("latin-1")
    query = request.scope["query_string"].decode("latin-1")
    return f"{serving.public_url}{path}" + (f"?{query}" if query else "")
