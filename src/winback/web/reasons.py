"""``/why/TOKEN``: eight reasons, one tap each; nothing happens before a button is pressed."""

import uuid
from datetime import date
from typing import Final

from babel.dates import format_skeleton
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from winback.clock import local_date
from winback.responses.months import months_to_choose, read_month
from winback.states import EventKind, Reason
from winback.web.page import language_of
from winback.web.reader import Reader, find_reader, record_page
from winback.web.serving import Served, Serving, read_form

router = APIRouter()
_ORDER: Final = tuple(Reason)


@router.api_route("/why/{token}", methods=["GET", "HEAD"])
def show_reasons(token: str, serving: Served, reason: str = "") -> HTMLResponse:
    """Show the reasons, or the chosen one with one button; changes nothing."""
    reader = find_reader(serving, "why", token)
    if reader is None:
        return serving.pages.show("unknown", status=404)
    return _page(serving, reader, chosen=_known(reason), done=None)


@router.post("/why/{token}")
async def give_reason(token: str, request: Request, serving: Served) -> HTMLResponse:
    """Act on a reason; one that is not ours, or not now without a month, shows the page again."""
    form = await read_form(request)
    return await run_in_threadpool(_give, serving, token, form)


def _give(serving: Serving, token: str, form: dict[str, str]) -> HTMLResponse:
    reader = find_reader(serving, "why", token)
    if reader is None:
        return serving.pages.show("unknown", status=404)
    reason = _known(form.get("reason", ""))
    if reason is None:
        return _page(serving, reader, chosen=None, done=None, status=422)
    month: str | None = None
    if reason is Reason.NOT_NOW:
        month = form.get("month", "")
        if read_month(month, _today(serving)) is None:
            return _page(serving, reader, chosen=reason, done=None, status=422)
    # Each press is a fact of its own; whether it says anything new is for the response to see.
    record_page(
        serving,
        reader,
        EventKind.REASON_GIVEN,
        key=f"page:reason:{uuid.uuid4().hex}",
        reason=reason.value,
        month=month,
    )
    return _page(serving, reader, chosen=reason, done=reason)


def _page(
    serving: Serving,
    reader: Reader,
    *,
    chosen: Reason | None,
    done: Reason | None,
    status: int = 200,
) -> HTMLResponse:
    language = language_of(reader.locale)
    months = [
        (f"{day:%Y-%m}", format_skeleton("yMMMM", day, locale=language))
        for day in months_to_choose(_today(serving))
    ]
    return serving.pages.show(
        "why",
        locale=reader.locale,
        status=status,
        reasons=[reason.value for reason in _ORDER],
        chosen=chosen.value if chosen else None,
        done=done.value if done else None,
        months=months,
    )


def _today(serving: Serving) -> date:
    return local_date(serving.now(), serving.business.zone)


def _known(word: str) -> Reason | None:
    return Reason(word) if word in _ORDER else None
