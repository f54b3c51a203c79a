"""``/u/TOKEN``: stop everything with one button, or only texts or only mails.

The same address takes the one-click POST of mail providers (RFC 8058; FACTS.md LAW-10, LAW-12 to
LAW-15): no cookie, no login, no redirect, 200, as often as they like.
"""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from winback.states import EventKind
from winback.web.reader import find_reader, record_page
from winback.web.serving import Served, Serving, read_form

router = APIRouter()
CHOICES: Final = ("all", "sms", "email")
"""What may be stopped, as the form says it."""


@router.api_route("/u/{token}", methods=["GET", "HEAD"])
def show_choices(token: str, serving: Served) -> HTMLResponse:
    """Show the button; changes nothing, however often a scanner fetches it (LAW-14)."""
    reader = find_reader(serving, "unsubscribe", token)
    if reader is None:
        return serving.pages.show("unknown", status=404)
    return serving.pages.show("unsubscribe", locale=reader.locale, done=None)


@router.post("/u/{token}")
async def stop(token: str, request: Request, serving: Served) -> HTMLResponse:
    """Stop what the form says; a one-click or an empty form stops everything."""
    form = await read_form(request)
    choice = form.get("choice", "all")
    # Suppress on doubt: whatever was posted here, it was no wish for more (LAW-27).
    return await run_in_threadpool(_stop, serving, token, choice if choice in CHOICES else "all")


def _stop(serving: Serving, token: str, choice: str) -> HTMLResponse:
    reader = find_reader(serving, "unsubscribe", token)
    if reader is None:
        return serving.pages.show("unknown", status=404)
    record_page(
        serving,
        reader,
        EventKind.UNSUBSCRIBED,
        key=f"page:no:{reader.message_id}:{choice}",
        choice=choice,
    )
    return serving.pages.show("unsubscribe", locale=reader.locale, done=choice)
