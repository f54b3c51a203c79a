"""What the stand-ins are told to do, as values that travel to another process as JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from winback.sandbox.faults import FaultPlan, read_plan
from winback.sandbox.record import Mail

ORDERS_PATH: Final = "/stand-ins/orders"
"""Where orders are taken: a path that neither provider uses."""


@dataclass(frozen=True, slots=True)
class MailNews:
    """One event to report of a mail, with all that the event says; ``at`` in epoch seconds."""

    mail_id: int
    message_id: str
    full_id: str
    to_address: str
    categories: tuple[str, ...]
    arguments: Mapping[str, str]
    event: str
    at: float
    fields: Mapping[str, object] = field(default_factory=dict)


def news_of(
    mail: Mail, event: str, at: float, fields: Mapping[str, object] | None = None
) -> MailNews:
    """Give one event of a mail, its bodies left behind."""
    return MailNews(
        mail_id=mail.id,
        message_id=mail.message_id,
        full_id=mail.full_id,
        to_address=mail.to_address,
        categories=mail.categories,
        arguments=mail.arguments or ({"wb_send_id": mail.send_id} if mail.send_id else {}),
        event=event,
        at=at,
        fields=fields or {},
    )


@dataclass(frozen=True, slots=True)
class TextEvent:
    """Something to report of a text, in Twilio's words (sent, delivered, undelivered ...)."""

    sid: str
    status: str
    error_code: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Post SendGrid events."""

    news: tuple[MailNews, ...]


@dataclass(frozen=True, slots=True)
class ReportTexts:
    """Post status callbacks."""

    events: tuple[TextEvent, ...]


@dataclass(frozen=True, slots=True)
class TextBack:
    """Let a person text us."""

    number: str
    body: str
    service: str | None


@dataclass(frozen=True, slots=True)
class MailBack:
    """Let a person mail us; an automatic mail has an empty ``envelope_from``."""

    to: str
    from_address: str
    subject: str
    text: str
    headers: Mapping[str, str]
    envelope_from: str


@dataclass(frozen=True, slots=True)
class DeliverTo:
    """Post webhooks there from now on, signed for the public URL."""

    url: str
    public_url: str


@dataclass(frozen=True, slots=True)
class Behave:
    """Answer and report by that plan from now on."""

    plan: FaultPlan


@dataclass(frozen=True, slots=True)
class TellTime:
    """Take that for the present instant until told another one."""

    at: datetime


@dataclass(frozen=True, slots=True)
class CountWaiting:
    """Say how many reports have yet to be taken."""


@dataclass(frozen=True, slots=True)
class CountCalls:
    """Say how many right calls that send were made, faults among them."""


@dataclass(frozen=True, slots=True)
class MeasureWork:
    """Say how much processor time went into it all, in seconds."""


Order = (
    Report
    | ReportTexts
    | TextBack
    | MailBack
    | DeliverTo
    | Behave
    | TellTime
    | CountWaiting
    | CountCalls
    | MeasureWork
)


def write_order(order: Order) -> bytes:
    """Write an order. Raises ValueError for a plan that cannot be written."""
    told = {"plan": order.plan.as_json()} if isinstance(order, Behave) else order
    return orjson.dumps({"order": type(order).__name__, "with": told})


def read_order(written: bytes) -> Order:
    """Read an order that ``write_order`` wrote. Raises ValueError when it is none."""
    try:
        told = orjson.loads(written)
        return _READERS[told["order"]](told["with"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"no order to a stand-in: {error}") from error


def _read_report(told: dict[str, Any]) -> Report:
    return Report(
        tuple(MailNews(**{**one, "categories": tuple(one["categories"])}) for one in told["news"])
    )


_READERS: Final[Mapping[str, Callable[[dict[str, Any]], Order]]] = {
    "Report": _read_report,
    "ReportTexts": lambda told: ReportTexts(tuple(TextEvent(**one) for one in told["events"])),
    "TextBack": lambda told: TextBack(**told),
    "MailBack": lambda told: MailBack(**told),
    "DeliverTo": lambda told: DeliverTo(**told),
    "Behave": lambda told: Behave(read_plan(told["plan"])),
    "TellTime": lambda told: TellTime(datetime.fromisoformat(told["at"])),
    "CountWaiting": lambda _told: CountWaiting(),
    "CountCalls": lambda _told: CountCalls(),
    "MeasureWork": lambda _told: MeasureWork(),
}
