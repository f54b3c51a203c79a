"""``/l/ID``: lead to the stored target of a link, and to no other (FACTS.md SEC-13)."""

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from winback.database.tables import Link
from winback.responses.storing import StoredPage, store_page
from winback.states import EventKind
from winback.web.serving import Served, Serving

router = APIRouter()
_KEPT_OF_USER_AGENT = 300


@router.api_route("/l/{link_id}", methods=["GET", "HEAD"])
async def follow(link_id: str, request: Request, serving: Served) -> Response:
    """Redirect, and note the click; an unknown id is an unknown page. HEAD notes nothing."""
    agent = request.headers.get("user-agent", "")[:_KEPT_OF_USER_AGENT]
    return await run_in_threadpool(
        _follow, serving, link_id, agent, is_click=request.method == "GET"
    )


def _follow(serving: Serving, link_id: str, agent: str, *, is_click: bool) -> Response:
    with serving.reading() as session:
        link = session.get(Link, link_id)
    if link is None or not is_plain_target(link.url):
        return serving.pages.show("unknown", status=404)
    if is_click:
        now = serving.now()
        with serving.writing() as session:
            # One a minute: a reader that taps twice, or a script that hammers, is one row.
            stored = StoredPage(
                key=f"click:{link.id}:{now:%Y%m%d%H%M}",
                kind=EventKind.CLICKED,
                message_id=link.message_id,
                said={"url": link.url, "user_agent": agent},
                origin="click",
            )
            ids = store_page(session, stored, now)
        serving.applying.soon(ids)
    return RedirectResponse(link.url, status_code=302)


def is_plain_target(url: str) -> bool:
    """Say whether a stored target is a plain web address: no script, no user part, no tricks."""
    if "\\" in url or any(sign <= " " for sign in url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
