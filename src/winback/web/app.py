"""Make the web part: webhooks in, public pages out, every answer with the headers of SEC-14."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from winback.business import Business
from winback.clock import Clock
from winback.errors import ConfigError
from winback.states import Mode
from winback.web import clicks, preferences, reasons, voucher, webhooks
from winback.web.applying import Applying
from winback.web.page import Pages
from winback.web.refusing import Refusals
from winback.web.serving import Serving, WebhookKeys

__all__ = ["WebhookKeys", "make_app"]

_STATIC: Final = Path(__file__).parent / "static"
_SAFE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def make_app(
    business: Business,
    *,
    webhook_keys: WebhookKeys,
    clock: Clock,
    public_url: str | None = None,
    applies_at_once: bool = True,
) -> FastAPI:
    """Make the app of one business.

    ``public_url`` is the address that providers call and sign; the settings' own unless given
    (the sandbox's receiver stands elsewhere). With ``applies_at_once`` false, stored events wait
    for the respond stage. Raises ConfigError where a webhook would stand open in mode live.
    """
    _refuse_open_doors(business, webhook_keys)
    serving = Serving(
        business=business,
        keys=webhook_keys,
        clock=clock,
        public_url=(public_url or business.settings.base_url).rstrip("/"),
        applying=Applying(business, clock, at_once=applies_at_once),
        pages=Pages(business),
        refusals=Refusals(),
    )
    # No schema and no docs pages: nobody but providers and mail readers comes here.
    app = FastAPI(title="winback", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.serving = serving
    for room in (webhooks, preferences, reasons, voucher, clicks):
        app.include_router(room.router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.get("/health")(_health)
    app.add_middleware(SafeHeaders)
    app.exception_handler(HTTPException)(_kind_error)
    return app


def _refuse_open_doors(business: Business, keys: WebhookKeys) -> None:
    """Refuse to start where a webhook could not be verified (FACTS.md SEC-1, SG-33)."""
    if business.settings.mode is not Mode.LIVE:
        return
    settings = business.settings
    needed = {
        "SENDGRID_WEBHOOK_KEYS": (True, keys.sendgrid_events),
        "SENDGRID_PARSE_KEYS": (settings.sender.email.reply_domain, keys.sendgrid_parse),
        "TWILIO_AUTH_TOKEN": (settings.sender.sms, keys.twilio_tokens),
    }
    if missing := [name for name, (is_used, given) in needed.items() if is_used and not given]:
        raise ConfigError(
            f"mode live does not serve webhooks that nobody can verify; set {', '.join(missing)}"
        )


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the web part can do its work."""

    database: str
    version: str


async def _health(request: Request) -> JSONResponse:
    serving: Serving = request.app.state.serving
    is_well = await run_in_threadpool(_database_answers, serving.business)
    health = {"database": "ok" if is_well else "unreachable", "version": version("winback")}
    return JSONResponse(health, status_code=200 if is_well else 503)


def _database_answers(business: Business) -> bool:
    engine = business.engine.execution_options(winback_reads_only=True)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


class SafeHeaders:
    """Gives every answer the headers of SEC-14; plain ASGI, which hands the answer on as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/static/"):
                    headers["Cache-Control"] = "public, max-age=3600"
            await send(message)

        await self._app(scope, receive, send_safely)


async def _kind_error(request: Request, error: Exception) -> Response:
    """Answer an unknown address kindly; a webhook's caller gets the bare status."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = getattr(error, "headers", None)
    if request.url.path.startswith("/webhooks/"):
        return Response(status_code=status, headers=headers)
    serving: Serving = request.app.state.serving
    return serving.pages.show("unknown", status=status, headers=headers)
