"""Start, use and stop the stand-ins.

``with stand_ins(var / "sandbox.db", clock=clock) as stand:`` serves both APIs on a free loopback
port, in a thread with a loop of its own. Everything here is plain, blocking and usable from any
thread; from a running loop call it with ``asyncio.to_thread``, above all when the receiver of the
webhooks lives in that loop.
"""

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import SecretStr

from winback.clock import Clock, SystemClock
from winback.environment import Environment
from winback.sandbox import text_desk
from winback.sandbox.credentials import Credentials, hexadecimal, letters, make_credentials
from winback.sandbox.faults import FaultPlan
from winback.sandbox.record import Mail, Record, Text
from winback.sandbox.server import Desk
from winback.sandbox.webhooks import TEXT_PATH, Courier, Receiver, path_of

_WAIT_SECONDS: Final = 120
_SENDER_NUMBER: Final = "+12025550100"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MailEvent:
    """Something to report of a mail, in SendGrid's words (delivered, bounce, open, click ...).

    ``at`` is the stand-ins' clock unless given; ``fields`` are added to the event (url, type,
    reason, sg_machine_open ...).
    """

    mail: Mail
    event: str
    at: datetime | None = None
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TextEvent:
    """Something to report of a text, in Twilio's words (sent, delivered, undelivered ...)."""

    sid: str
    status: str
    error_code: int | None = None


class Sandbox:
    """A running pair of stand-ins; make one with ``stand_ins``."""

    def __init__(
        self, path: Path | None, *, clock: Clock, seed: int | None, has_advanced_opt_out: bool
    ) -> None:
        self.record = Record(path)
        # Ids stay unique when a seeded run goes on with an older record.
        self._rng = SystemRandom() if seed is None else Random(f"{seed}:{self.record.count()}")  # noqa: S311 - replays
        self.credentials: Credentials = make_credentials(
            SystemRandom() if seed is None else Random(seed)  # noqa: S311 - replays
        )
        self._clock = clock
        self._has_advanced_opt_out = has_advanced_opt_out
        self._desk = Desk(self.credentials, self.record, clock=clock, rng=self._rng)
        self._courier = Courier(self.credentials, clock, self._rng)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="stand-ins", daemon=True
        )
        self._runner = web.AppRunner(
            self._desk.app(), access_log=None, handle_signals=False, shutdown_timeout=1
        )
        self.url = ""

    @property
    def sendgrid_url(self) -> str:
        """The base URL of the SendGrid stand-in."""
        return self.url

    @property
    def twilio_url(self) -> str:
        """The base URL of the Twilio stand-in."""
        return self.url

    @property
    def faults(self) -> FaultPlan:
        """What goes wrong; none by default, and may be set at any time."""
        return self._desk.faults

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self._desk.faults = plan

    def lend_to(self, environment: Environment) -> Environment:
        """Give the environment with the stand-ins' URLs and secrets in place of its own."""
        return replace(
            environment,
            sendgrid_url=self.sendgrid_url,
            twilio_url=self.twilio_url,
            sendgrid_api_key=SecretStr(self.credentials.api_key),
            twilio_account_sid=self.credentials.account_sid,
            twilio_auth_tokens=(SecretStr(self.credentials.auth_token),),
            sendgrid_webhook_keys=(self.credentials.webhook_key,),
            sendgrid_parse_keys=(self.credentials.parse_webhook_key,),
        )

    def deliver_to(self, receiver_url: str, public_url: str | None = None) -> None:
        """Post webhooks to ``receiver_url``, signed for the public URL that it believes in.

        Without ``public_url`` the receiver believes in its own. Before this is called, SendGrid's
        events wait and Twilio's are lost.
        """
        self._courier.receiver = Receiver(
            receiver_url.rstrip("/"), (public_url or receiver_url).rstrip("/")
        )

    def report(self, events: Sequence[MailEvent]) -> int:
        """Post SendGrid events in signed batches of at most 500; gives how many were taken.

        What is not taken waits and is posted first the next time, as SendGrid does.
        """
        now = self._clock.now()
        written = [
            self._courier.event(one.mail, one.event, (one.at or now).timestamp(), one.fields)
            for one in events
        ]
        taken = self._wait_for(self._courier.post_events(written, self.faults))
        # After the post: killed in between, they are reported again, which does no harm.
        self.record.mark_told([one.mail for one in events])
        return taken

    def report_texts(self, events: Sequence[TextEvent]) -> int:
        """Post status callbacks in order of the list per text; gives how many were taken.

        Of one text only one status may stand in a list: callbacks of a list run at once.
        """
        forms: list[tuple[str, Mapping[str, str]]] = []
        for one in events:
            text = self.record.text(one.sid)
            if text is None:
                raise ValueError("no text with that sid was accepted")
            self.record.set_status(one.sid, one.status, one.error_code)
            forms.append((path_of(text.callback), self._status_form(text, one)))
        return self._wait_for(self._courier.post_forms(forms, self.faults))

    def report_status(self, sid: str, status: str, error_code: int | None = None) -> bool:
        """Post one status callback; says whether it was taken."""
        return self.report_texts([TextEvent(sid, status, error_code)]) == 1

    def text_back(self, number: str, body: str, *, service: str | None = None) -> bool:
        """Let a person text us; STOP and START are noted as Twilio notes them.

        ``service`` is that of the last text to the number unless given. Says whether the webhook
        was taken. Twilio's automatic replies are not sent.
        """
        word = text_desk.keyword(body)
        if word in {"STOP", "START"}:
            self.record.set_stopped(number, self._clock.now(), is_stopped=word == "STOP")
        earlier = self.record.texts_to(number)
        sid = "SM" + hexadecimal(self._rng, 32)
        form = {
            "ToCountry": "US",
            "MessageSid": sid,
            "SmsSid": sid,
            "SmsMessageSid": sid,
            "SmsStatus": "received",
            "AccountSid": self.credentials.account_sid,
            "MessagingServiceSid": service or (earlier[-1].service if earlier else ""),
            "From": number,
            "To": _SENDER_NUMBER,
            "Body": body,
            "NumMedia": "0",
            "NumSegments": "1",
            "ApiVersion": "2010-04-01",
        }
        if word is not None and self._has_advanced_opt_out:
            form["OptOutType"] = word
        return self._wait_for(self._courier.post_forms([(TEXT_PATH, form)], self.faults)) == 1

    def mail_back(
        self,
        *,
        to: str,
        from_address: str,
        subject: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        envelope_from: str | None = None,
    ) -> bool:
        """Let a person mail us, as an Inbound Parse post; says whether it was taken.

        ``headers`` are added to the mail's own, such as ``Auto-Submitted``; an automatic mail has
        an empty ``envelope_from``.
        """
        sender = from_address if envelope_from is None else envelope_from
        written = {
            "From": from_address,
            "To": to,
            "Subject": subject,
            "Message-ID": f"<{letters(self._rng, 22)}@stand-in.example.com>",
            **(headers or {}),
        }
        fields = {
            "headers": "".join(f"{name}: {value}\n" for name, value in written.items()),
            "from": from_address,
            "to": to,
            "subject": subject,
            "text": text,
            "envelope": json.dumps({"to": [to], "from": sender}),
            "charsets": json.dumps(dict.fromkeys(("to", "from", "subject", "text"), "UTF-8")),
            "attachments": "0",
            "spam_score": "0.1",
        }
        return self._wait_for(self._courier.post_mail(fields, self.faults))

    def flush(self) -> int:
        """Report of all that nothing was reported of yet; gives how many reports were taken.

        Mails: processed and delivered. Texts: sent, then delivered. For plain runs without
        simulated people; whoever simulates reports by itself.
        """
        mails = self.record.untold_mails()
        taken = self.report(
            [MailEvent(mail, word) for mail in mails for word in ("processed", "delivered")]
        )
        texts = self.record.untold_texts()
        for status in ("sent", "delivered"):
            taken += self.report_texts([TextEvent(text.sid, status) for text in texts])
        return taken

    def start(self) -> None:
        """Begin to serve on a free loopback port."""
        self._thread.start()
        self.url = self._wait_for(self._serve())

    def close(self) -> None:
        """Stop serving and close everything."""
        self._wait_for(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.record.close()

    async def _serve(self) -> str:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def _stop(self) -> None:
        await self._courier.close()
        await self._runner.cleanup()

    def _status_form(self, text: Text, event: TextEvent) -> dict[str, str]:
        form = {
            "MessageSid": text.sid,
            "SmsSid": text.sid,
            "MessageStatus": event.status,
            "SmsStatus": event.status,
            "AccountSid": self.credentials.account_sid,
            "MessagingServiceSid": text.service,
            "From": _SENDER_NUMBER,
            "To": text.to_number,
            "ApiVersion": "2010-04-01",
        }
        if event.error_code is not None:
            form["ErrorCode"] = str(event.error_code)
        return form

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT_SECONDS)


@contextmanager
def stand_ins(
    path: Path | None = None,
    *,
    clock: Clock | None = None,
    seed: int | None = None,
    has_advanced_opt_out: bool = False,
) -> Iterator[Sandbox]:
    """Serve stand-ins for both providers until the block ends.

    ``path`` is where the record is kept (in memory unless given; an older record goes on),
    ``clock`` dates what happens, ``seed`` makes secrets and ids the same each time.
    """
    sandbox = Sandbox(
        path, clock=clock or SystemClock(), seed=seed, has_advanced_opt_out=has_advanced_opt_out
    )
    sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.close()
