"""Both APIs: keys, calls that send, and what goes wrong with them; the rules are the desks'."""

import asyncio
import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from winback.clock import Clock
from winback.sandbox import list_desk, log_desk, mail_desk, text_desk
from winback.sandbox.credentials import Credentials, hexadecimal, letters
from winback.sandbox.faults import ACCEPTS, Fault, FaultPlan
from winback.sandbox.journal import Journal
from winback.sandbox.record import Mail, Record, Text
from winback.sandbox.wire import Exchange

_TOO_LARGE: Final = 413
_ACCOUNTS: Final = "/2010-04-01/Accounts/"
_DROPS: Final = frozenset({Fault.DROP_BEFORE, Fault.DROP_AFTER})
_ERRORS: Final = frozenset({Fault.ERROR_BEFORE, Fault.ERROR_AFTER})


@dataclass(frozen=True, slots=True)
class Send:
    """A right call that sends: what it asks for, and how it is answered when all goes well."""

    exchange: Exchange
    accept: Callable[[datetime], list[Mail] | list[Text]]
    reply: Callable[[], None]


class Desk:
    """Answers requests as SendGrid and Twilio do; ``plan`` may be changed at any time."""

    def __init__(
        self, credentials: Credentials, record: Record, *, clock: Clock, rng: Random
    ) -> None:
        self._credentials = credentials
        self._record = record
        self._clock = clock
        self._rng = rng
        self.calls = 0
        self.journal = Journal(record)
        self.plan = FaultPlan()
        login = f"{credentials.account_sid}:{credentials.auth_token}".encode()
        self._basic = b"Basic " + base64.b64encode(login)
        self._bearer = f"Bearer {credentials.api_key}".encode()

    def take(self, exchange: Exchange) -> None:
        """Answer a request, now or when its time has come."""
        if exchange.path.startswith("/v3/"):
            self._at_sendgrid(exchange)
        elif exchange.path.startswith(_ACCOUNTS):
            self._at_twilio(exchange)
        else:
            _answer(exchange, 404, mail_desk.error_body("not found"))

    def _at_sendgrid(self, exchange: Exchange) -> None:
        if not _is_same(exchange, self._bearer):
            said = "The provided authorization grant is invalid, expired, or revoked"
            _answer(exchange, 401, mail_desk.error_body(said))
            return
        call = (exchange.method, exchange.path)
        if call == ("POST", "/v3/mail/send"):
            self._send_mail(exchange)
        elif call == ("GET", "/v3/scopes"):
            _answer(exchange, 200, {"scopes": _scopes(self.plan)})
        elif exchange.path.startswith(log_desk.PATH):
            if self.plan.has_logs:
                status, body = log_desk.answer(*call, exchange.body, self._record)
                _answer(exchange, status, body)
            else:
                _answer(exchange, 403, mail_desk.error_body("access forbidden"))
        elif call in list_desk.CALLS:
            if self.plan.has_lists:
                query = dict(parse_qsl(exchange.query, keep_blank_values=True))
                status, told = list_desk.answer(exchange.path, query, self._record)
                exchange.answer(status, orjson.dumps(told))
            else:
                _answer(exchange, 403, mail_desk.error_body("access forbidden"))
        else:
            _answer(exchange, 404, mail_desk.error_body("not found"))

    def _send_mail(self, exchange: Exchange) -> None:
        if len(exchange.body) > mail_desk.MAX_BYTES:
            _answer(exchange, _TOO_LARGE, mail_desk.error_body("Payload Too Large"))
            return
        payload, mistakes = mail_desk.read(exchange.body)
        if mistakes is not None:
            _answer(exchange, 400, mistakes)
            return
        message_id = letters(self._rng, 22)

        def accept(now: datetime) -> list[Mail]:
            return mail_desk.accepted(payload, message_id=message_id, at=now)

        def reply() -> None:
            exchange.answer(202, headers={"X-Message-Id": message_id})

        self._run(Send(exchange, accept, reply))

    def _at_twilio(self, exchange: Exchange) -> None:
        if not _is_same(exchange, self._basic):
            _answer(exchange, 401, text_desk.error_body(401, 20003, "Authenticate"))
            return
        sid = self._credentials.account_sid
        account, _, rest = exchange.path.removeprefix(_ACCOUNTS).partition("/")
        call = (exchange.method, rest)
        if account == f"{sid}.json" and call == ("GET", ""):
            _answer(exchange, 200, {"sid": sid, "status": "active", "type": "Full"})
        elif account != sid:
            _answer(exchange, 404, _not_found(exchange))
        elif call == ("POST", "Messages.json"):
            self._send_text(exchange)
        elif call == ("GET", "Messages.json"):
            query = dict(parse_qsl(exchange.query, keep_blank_values=True))
            _answer(exchange, 200, text_desk.listed(self._record, query, sid))
        elif rest.startswith("Messages/") and rest.endswith(".json"):
            self._one_text(exchange, rest.removeprefix("Messages/").removesuffix(".json"))
        else:
            _answer(exchange, 404, _not_found(exchange))

    def _send_text(self, exchange: Exchange) -> None:
        form = _form(exchange)
        if mistake := text_desk.refuse(form, self._record):
            _answer(exchange, 400, mistake)
            return
        sid = "SM" + hexadecimal(self._rng, 32)
        shown: dict[str, Any] = {}

        def accept(now: datetime) -> list[Text]:
            text = text_desk.accepted(form, sid=sid, at=now)
            shown.update(text_desk.shown(text, self._credentials.account_sid))
            return [text]

        self._run(Send(exchange, accept, lambda: _answer(exchange, 201, shown)))

    def _one_text(self, exchange: Exchange, sid: str) -> None:
        account = self._credentials.account_sid
        text = self._record.text(sid)
        if text is None:
            _answer(exchange, 404, _not_found(exchange))
        elif exchange.method == "GET":
            _answer(exchange, 200, text_desk.shown(text, account))
        elif _form(exchange).get("Status") != "canceled":
            _answer(exchange, 400, text_desk.error_body(400, 20001, "Invalid parameter: Status"))
        elif text.status not in text_desk.CANCELABLE:
            said = "The message cannot be canceled"
            _answer(exchange, 400, text_desk.error_body(400, 30409, said))
        else:
            self._record.set_statuses([(sid, "canceled", None)])
            _answer(exchange, 200, text_desk.shown(self._record.text(sid) or text, account))

    def _run(self, send: Send) -> None:
        """Accept a right call and answer it, at the times and with the fault of the plan."""
        self.calls += 1
        plan, began_at = self.plan, asyncio.get_running_loop().time()
        fault = plan.choose(self.calls)
        answers_at = began_at + plan.latency_seconds
        if fault in {Fault.DELAY, Fault.ACCEPT_LATE}:
            answers_at += plan.delay_seconds

        def finish() -> None:
            _at(answers_at, lambda: self._finish(send, fault))

        def accept() -> None:
            self.journal.keep(send.accept(self._clock.now()), finish)

        if fault is not None and fault not in ACCEPTS:
            finish()
        elif fault is Fault.ACCEPT_LATE:
            _at(answers_at, accept)
        else:
            accept()

    def _finish(self, send: Send, fault: Fault | None) -> None:
        if fault in _DROPS:
            send.exchange.hang_up()
        elif fault in _ERRORS:
            page = b"<html>Internal Server Error</html>"
            send.exchange.answer(500, page, content_type="text/html")
        elif fault in {Fault.BUSY, Fault.BUSY_SILENT}:
            self._busy(send.exchange, is_silent=fault is Fault.BUSY_SILENT)
        else:
            send.reply()

    def _busy(self, exchange: Exchange, *, is_silent: bool) -> None:
        body = mail_desk.error_body("too many requests")
        if not exchange.path.startswith("/v3/"):
            body = text_desk.error_body(429, 20429, "Too Many Requests")
        headers = {}
        if not is_silent:
            reset = int(self._clock.now().timestamp()) + self.plan.busy_seconds
            headers = {
                "X-RateLimit-Limit": "500",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(reset),
            }
        exchange.answer(429, orjson.dumps(body), headers=headers)


def _scopes(plan: FaultPlan) -> list[str]:
    logs = ["messages.read"] if plan.has_logs else []
    lists = ["suppression.read", "asm.groups.read"] if plan.has_lists else []
    return ["mail.send", *logs, *lists]


def _at(when: float, call: Callable[[], None]) -> None:
    """Call at that time of the loop, at once if it is past."""
    loop = asyncio.get_running_loop()
    if when <= loop.time():
        call()
    else:
        loop.call_at(when, call)


def _is_same(exchange: Exchange, expected: bytes) -> bool:
    given = exchange.headers.get("authorization", "")
    return hmac.compare_digest(given.encode(), expected)


def _form(exchange: Exchange) -> dict[str, str]:
    return dict(parse_qsl(exchange.body.decode(errors="replace"), keep_blank_values=True))


def _not_found(exchange: Exchange) -> dict[str, Any]:
    said = f"The requested resource {exchange.path} was not found"
    return text_desk.error_body(404, 20404, said)


def _answer(exchange: Exchange, status: int, body: Mapping[str, Any]) -> None:
    exchange.answer(status, orjson.dumps(body))
