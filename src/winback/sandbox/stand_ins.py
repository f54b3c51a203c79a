"""Start, use and stop the stand-ins.

``with stand_ins(var / "sandbox.db", clock=clock) as stand:`` serves both APIs on a free loopback
port, in a thread with a loop of its own; ``with stand_ins_apart(...)`` does the same in a process
of its own, with a processor of its own. Everything here is plain, blocking and usable from any
thread; from a running loop call it with ``asyncio.to_thread``, above all when the receiver of the
webhooks lives in that loop.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from pydantic import SecretStr

from winback.clock import Clock, SystemClock
from winback.environment import Environment
from winback.sandbox.apart import Child
from winback.sandbox.credentials import Credentials
from winback.sandbox.faults import FaultPlan
from winback.sandbox.orders import (
    Behave,
    CountCalls,
    CountWaiting,
    DeliverTo,
    MailBack,
    MeasureWork,
    Order,
    Report,
    ReportTexts,
    TellTime,
    TextBack,
    TextEvent,
    news_of,
)
from winback.sandbox.record import Mail, Record
from winback.sandbox.within import Within

__all__ = ["MailEvent", "Sandbox", "TextEvent", "stand_ins", "stand_ins_apart"]


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


class Line(Protocol):
    """The way to a running pair of stand-ins, in this process or in another."""

    @property
    def url(self) -> str:
        """Where both APIs are served."""

    @property
    def credentials(self) -> Credentials:
        """What the account has."""

    def ask(self, order: Order) -> float:
        """Have an order obeyed; gives its number. Raises ValueError for a wrong order."""


class Sandbox:
    """A running pair of stand-ins; made by ``stand_ins`` and ``stand_ins_apart``."""

    def __init__(self, line: Line, record: Record, *, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self._plan = FaultPlan()
        self.record = record
        self.credentials = line.credentials
        self.url = line.url

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
        return self._plan

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self._line.ask(Behave(plan))
        self._plan = plan

    @property
    def calls(self) -> int:
        """How many right calls that send were made, those with faults among them."""
        return int(self._line.ask(CountCalls()))

    @property
    def reports_waiting(self) -> int:
        """How many reports of what was accepted have yet to be taken by the receiver.

        Nothing is counted that nobody asked for: see ``FaultPlan.reports_by_itself``.
        """
        return int(self._line.ask(CountWaiting()))

    def processor_seconds(self) -> float:
        """Give the processor time that the stand-ins used since they started."""
        return self._line.ask(MeasureWork())

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

    def tell_time(self, instant: datetime) -> None:
        """Let the stand-ins stand at that instant, which their clock need not know."""
        self._line.ask(TellTime(instant))

    def deliver_to(self, receiver_url: str, public_url: str | None = None) -> None:
        """Post webhooks to ``receiver_url``, signed for the public URL that it believes in.

        Without ``public_url`` the receiver believes in its own. Before this is called, SendGrid's
        events wait and Twilio's are lost.
        """
        url = receiver_url.rstrip("/")
        self._line.ask(DeliverTo(url, (public_url or url).rstrip("/")))

    def report(self, events: Sequence[MailEvent]) -> int:
        """Post SendGrid events in signed batches of at most 500; gives how many were taken.

        What is not taken waits and is posted first the next time, as SendGrid does.
        """
        now = self._clock.now()
        news = (
            news_of(one.mail, one.event, (one.at or now).timestamp(), one.fields) for one in events
        )
        return int(self._line.ask(Report(tuple(news))))

    def report_texts(self, events: Sequence[TextEvent]) -> int:
        """Post status callbacks in order of the list per text; gives how many were taken.

        Of one text only one status may stand in a list: callbacks of a list run at once.
        """
        return int(self._line.ask(ReportTexts(tuple(events))))

    def report_status(self, sid: str, status: str, error_code: int | None = None) -> bool:
        """Post one status callback; says whether it was taken."""
        return self.report_texts([TextEvent(sid, status, error_code)]) == 1

    def text_back(self, number: str, body: str, *, service: str | None = None) -> bool:
        """Let a person text us; STOP and START are noted as Twilio notes them.

        ``service`` is that of the last text to the number unless given. Says whether the webhook
        was taken. Twilio's automatic replies are not sent.
        """
        return self._line.ask(TextBack(number, body, service)) == 1

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
        said = MailBack(
            to=to,
            from_address=from_address,
            subject=subject,
            text=text,
            headers=headers or {},
            envelope_from=from_address if envelope_from is None else envelope_from,
        )
        return self._line.ask(said) == 1

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
    clock = clock or SystemClock()
    with Within(path, clock=clock, seed=seed, has_advanced_opt_out=has_advanced_opt_out) as within:
        yield Sandbox(within, within.record, clock=clock)


@contextmanager
def stand_ins_apart(
    path: Path | None = None,
    *,
    clock: Clock | None = None,
    seed: int | None = None,
    has_advanced_opt_out: bool = False,
    port: int = 0,
    certificate: Path | None = None,
) -> Iterator[Sandbox]:
    """Serve the stand-ins in a process of their own until the block ends.

    As ``stand_ins``, but they go on when threads, loops and other children of this process die,
    and end with this process. They stand at the instant that ``clock`` gives when they start; a
    clock that is set later is told to them by ``Sandbox.tell_time``, the machine's is their own.
    With ``certificate``, a PEM file of a key and its certificate, they serve over TLS only.
    Raises WinbackError when they do not start.
    """
    with TemporaryDirectory() as folder:
        file = path or Path(folder) / "sandbox.db"
        with Child(
            file,
            seed=seed,
            has_advanced_opt_out=has_advanced_opt_out,
            port=port,
            certificate=certificate,
        ) as child:
            record = Record(file, is_reader=True)
            try:
                sandbox = Sandbox(child, record, clock=clock or SystemClock())
                if clock is not None and not isinstance(clock, SystemClock):
                    sandbox.tell_time(clock.now())
                yield sandbox
            finally:
                record.close()
