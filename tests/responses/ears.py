"""What providers and people report to the tests' shop."""

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.delivery.shop import SECRET, Shop
from winback.customers.suppression import is_suppressed
from winback.database.tables import Case, Customer, Event, Message
from winback.messages.tokens import make_token
from winback.providers.incoming import RawEvent
from winback.responses.applying import RespondCounts, respond
from winback.responses.storing import StoredPage, store_events, store_page
from winback.states import Channel, EventKind

HUMAN = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"


@dataclass(slots=True)
class Ears(Shop):
    """The shop, and what it hears."""

    _count: Any = field(default_factory=lambda: itertools.count(1))

    def written(self, **fields: Any) -> tuple[int, Message]:
        """Enroll somebody and send the first step; gives the enrollment and its message."""
        enrollment_id = self.enroll(**fields)
        self.send()
        self.now += timedelta(hours=1)
        return enrollment_id, self.messages(enrollment_id)[-1]

    def report(self, message: Message, event: str, **fields: Any) -> RawEvent:
        """Give one event of SendGrid about a message."""
        number = next(self._count)
        body = {
            "event": event,
            "sg_event_id": f"e{number}",
            "sg_message_id": f"{message.provider_message_id}.recv-1.2",
            "wb_send_id": message.send_id,
            "email": "ann1@example.com",
            "timestamp": int(self.now.timestamp()),
            "useragent": HUMAN,
        } | fields
        return RawEvent(f"sendgrid.events:{body['sg_event_id']}", "sendgrid.events", body)

    def text_back(self, text: str, **fields: Any) -> RawEvent:
        """Give one inbound text from the first customer's phone."""
        sid = f"SM{next(self._count):032d}"
        body = {"MessageSid": sid, "From": "+447911100001", "Body": text} | fields
        return RawEvent(f"twilio.inbound:{sid}", "twilio.inbound", body)

    def mail_back(self, message: Message | None, text: str, **fields: Any) -> RawEvent:
        """Give one inbound mail, to the reply address of a message."""
        to = "help@example.com"
        if message is not None:
            to = f"REPLY+{make_token(SECRET, 'reply', message.id)}@reply.example.com"
        number = next(self._count)
        body = {
            "from": "Ann <ann1@example.com>",
            "subject": "Re: hello",
            "text": text,
            "headers": "",
            "envelope": f'{{"to": ["{to}"], "from": "ann1@example.com"}}',
        } | fields
        return RawEvent(f"sendgrid.inbound:{number}", "sendgrid.inbound", body)

    def hear(self, *raws: RawEvent) -> RespondCounts:
        """Store and apply."""
        with Session(self.engine) as session, session.begin():
            store_events(session, raws, self.now)
        return self.respond()

    def tap(self, message: Message, reason: str, month: str | None = None) -> RespondCounts:
        """Press the button of a reason."""
        return self._page(message, EventKind.REASON_GIVEN, {"reason": reason, "month": month})

    def stop(self, message: Message, choice: str = "all") -> RespondCounts:
        """Press the button of the unsubscribe page."""
        return self._page(message, EventKind.UNSUBSCRIBED, {"choice": choice})

    def follow(self, message: Message, url: str = "https://shop.example.com/") -> RespondCounts:
        """Follow a short link of ours."""
        said = {"url": url, "user_agent": HUMAN}
        return self._page(message, EventKind.CLICKED, said, origin="click")

    def _page(
        self, message: Message, kind: EventKind, said: dict[str, Any], origin: str = "page"
    ) -> RespondCounts:
        stored = StoredPage(f"{origin}:{next(self._count)}", kind, message.id, said, origin)
        with Session(self.engine) as session, session.begin():
            store_page(session, stored, self.now)
        return self.respond()

    def respond(self) -> RespondCounts:
        """Run the respond stage."""
        return respond(self.business, self.now)

    def state(self, enrollment_id: int) -> str:
        """Give the state of an enrollment."""
        return self.enrollment(enrollment_id).state.value

    def cases(self) -> list[Case]:
        """Read all cases."""
        with Session(self.engine) as session:
            return list(session.scalars(select(Case).order_by(Case.id)))

    def events(self) -> list[Event]:
        """Read all events."""
        with Session(self.engine) as session:
            return list(session.scalars(select(Event).order_by(Event.id)))

    def is_silenced(self, enrollment_id: int, channel: Channel) -> bool:
        """Say whether the enrollment's customer is suppressed on a channel."""
        customer_id = self.enrollment(enrollment_id).customer_id
        with Session(self.engine) as session:
            return is_suppressed(session, customer_id, channel)

    def customer(self, enrollment_id: int) -> Customer:
        """Read the enrollment's customer."""
        with Session(self.engine) as session:
            customer = session.get(Customer, self.enrollment(enrollment_id).customer_id)
        assert customer is not None
        return customer
