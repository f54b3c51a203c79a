"""Both APIs over HTTP: routes, keys, faults; the rules are the desks'."""

import asyncio
import base64
import hmac
import json
from collections.abc import Mapping
from random import Random
from typing import Any, Final

from aiohttp import web

from winback.clock import Clock
from winback.sandbox import mail_desk, text_desk
from winback.sandbox.credentials import Credentials, hexadecimal, letters
from winback.sandbox.faults import ACCEPTS, Fault, FaultPlan
from winback.sandbox.record import Record, Text

_MESSAGES: Final = "/2010-04-01/Accounts/{account}/Messages"
_TOO_LARGE: Final = 413
_PAGE_SIZE: Final = 50
_LARGEST_PAGE: Final = 1000


class Desk:
    """Answers requests as SendGrid and Twilio do; ``faults`` may be changed at any time."""

    def __init__(
        self, credentials: Credentials, record: Record, *, clock: Clock, rng: Random
    ) -> None:
        self._credentials = credentials
        self._record = record
        self._clock = clock
        self._rng = rng
        self._calls = 0
        self.faults = FaultPlan()
        login = f"{credentials.account_sid}:{credentials.auth_token}".encode()
        self._basic = "Basic " + base64.b64encode(login).decode()
        self._bearer = f"Bearer {credentials.api_key}"

    def app(self) -> web.Application:
        """Make the web application of both APIs."""
        # A little above SendGrid's limit, so that its own answer is seen.
        app = web.Application(client_max_size=mail_desk.MAX_BYTES + 1024 * 1024)
        app.add_routes(
            [
                web.post("/v3/mail/send", self._send_mail),
                web.get("/v3/scopes", self._scopes),
                web.get("/2010-04-01/Accounts/{account}.json", self._account),
                web.post(_MESSAGES + ".json", self._send_text),
                web.get(_MESSAGES + ".json", self._list_texts),
                web.get(_MESSAGES + "/{sid}.json", self._show_text),
                web.post(_MESSAGES + "/{sid}.json", self._change_text),
            ]
        )
        return app

    async def _send_mail(self, request: web.Request) -> web.Response:
        if refusal := self._refuse_key(request):
            return refusal
        body = await request.read()
        if len(body) > mail_desk.MAX_BYTES:
            return _json(mail_desk.error_body("Payload Too Large"), _TOO_LARGE)
        try:
            payload = json.loads(body)
        except ValueError:
            return _json(mail_desk.error_body("Bad Request"), 400)
        try:
            mistakes = mail_desk.refuse(payload)
        except (AttributeError, TypeError, ValueError):
            # A field of another kind than documented.
            mistakes = mail_desk.error_body("Bad Request")
        if mistakes is not None:
            return _json(mistakes, 400)
        fault = self._next_fault()
        message_id = letters(self._rng, 22)
        if fault is None or fault in ACCEPTS:
            now = self._clock.now()
            self._record.add_mails(mail_desk.accepted(payload, message_id=message_id, at=now))
        answer = web.Response(status=202, headers={"X-Message-Id": message_id})
        return await self._with_fault(request, answer, fault)

    async def _send_text(self, request: web.Request) -> web.Response:
        if refusal := self._refuse_login(request):
            return refusal
        form = {name: str(value) for name, value in (await request.post()).items()}
        if mistake := text_desk.refuse(form, self._record):
            return _json(mistake, 400)
        fault = self._next_fault()
        text = text_desk.accepted(form, sid="SM" + hexadecimal(self._rng, 32), at=self._clock.now())
        if fault is None or fault in ACCEPTS:
            self._record.add_text(text)
        return await self._with_fault(request, _json(self._shown(text), 201), fault)

    def _next_fault(self) -> Fault | None:
        self._calls += 1
        return self.faults.choose(self._calls)

    async def _with_fault(
        self, request: web.Request, answer: web.Response, fault: Fault | None
    ) -> web.Response:
        if fault in {Fault.DROP_BEFORE, Fault.DROP_AFTER}:
            if request.transport is not None:
                request.transport.abort()
            return answer
        if fault in {Fault.ERROR_BEFORE, Fault.ERROR_AFTER}:
            return web.Response(status=500, text="<html>Internal Server Error</html>")
        if fault in {Fault.BUSY, Fault.BUSY_SILENT}:
            return self._busy(is_silent=fault is Fault.BUSY_SILENT, path=request.path)
        if fault is Fault.DELAY:
            await asyncio.sleep(self.faults.delay_seconds)
        return answer

    def _busy(self, *, is_silent: bool, path: str) -> web.Response:
        body = mail_desk.error_body("too many requests")
        if not path.startswith("/v3/"):
            body = text_desk.error_body(429, 20429, "Too Many Requests")
        response = _json(body, 429)
        if not is_silent:
            reset = int(self._clock.now().timestamp()) + self.faults.busy_seconds
            response.headers["X-RateLimit-Limit"] = "500"
            response.headers["X-RateLimit-Remaining"] = "0"
            response.headers["X-RateLimit-Reset"] = str(reset)
        return response

    async def _scopes(self, request: web.Request) -> web.Response:
        return self._refuse_key(request) or _json({"scopes": ["mail.send"]}, 200)

    async def _account(self, request: web.Request) -> web.Response:
        account = {"sid": self._credentials.account_sid, "status": "active", "type": "Full"}
        return self._refuse_login(request) or _json(account, 200)

    async def _show_text(self, request: web.Request) -> web.Response:
        if refusal := self._refuse_login(request):
            return refusal
        text = self._record.text(request.match_info["sid"])
        return _json(self._shown(text), 200) if text else _not_found(request)

    async def _list_texts(self, request: web.Request) -> web.Response:
        if refusal := self._refuse_login(request):
            return refusal
        query = request.query
        texts = self._record.texts_to(query["To"]) if "To" in query else self._record.texts()
        # Newest first, as Twilio lists them.
        found = text_desk.chosen(texts, query)[::-1]
        size = min(_whole(query.get("PageSize"), _PAGE_SIZE), _LARGEST_PAGE)
        page = _whole(query.get("Page"), 0)
        has_more = len(found) > (page + 1) * size
        after = request.rel_url.update_query(Page=str(page + 1), PageSize=str(size))
        return _json(
            {
                "messages": [self._shown(text) for text in found[page * size : (page + 1) * size]],
                "page": page,
                "page_size": size,
                "uri": str(request.rel_url),
                "next_page_uri": str(after) if has_more else None,
            },
            200,
        )

    async def _change_text(self, request: web.Request) -> web.Response:
        if refusal := self._refuse_login(request):
            return refusal
        text = self._record.text(request.match_info["sid"])
        if text is None:
            return _not_found(request)
        form = await request.post()
        if form.get("Status") != "canceled":
            return _json(text_desk.error_body(400, 20001, "Invalid parameter: Status"), 400)
        if text.status not in text_desk.CANCELABLE:
            mistake = text_desk.error_body(400, 30409, "The message cannot be canceled")
            return _json(mistake, 400)
        self._record.set_status(text.sid, "canceled")
        changed = self._record.text(text.sid) or text
        return _json(self._shown(changed), 200)

    def _shown(self, text: Text) -> dict[str, Any]:
        return text_desk.shown(text, self._credentials.account_sid)

    def _refuse_key(self, request: web.Request) -> web.Response | None:
        if _is_same(request.headers.get("Authorization"), self._bearer):
            return None
        said = "The provided authorization grant is invalid, expired, or revoked"
        return _json(mail_desk.error_body(said), 401)

    def _refuse_login(self, request: web.Request) -> web.Response | None:
        if not _is_same(request.headers.get("Authorization"), self._basic):
            return _json(text_desk.error_body(401, 20003, "Authenticate"), 401)
        if request.match_info["account"] != self._credentials.account_sid:
            return _not_found(request)
        return None


def _is_same(given: str | None, expected: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), expected.encode())


def _not_found(request: web.Request) -> web.Response:
    said = f"The requested resource {request.path} was not found"
    return _json(text_desk.error_body(404, 20404, said), 404)


def _whole(written: str | None, otherwise: int) -> int:
    return int(written) if written is not None and written.isdecimal() else otherwise


def _json(body: Mapping[str, Any], status: int) -> web.Response:
    return web.json_response(body, status=status)
