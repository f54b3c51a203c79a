"""Who reads a page: the customer of the message that a token names, and nothing of their data."""

from dataclasses import dataclass

from sqlalchemy import select

from winback.database.tables import Customer, Message
from winback.messages.tokens import Purpose, read_token
from winback.responses.storing import StoredPage, store_page
from winback.states import EventKind
from winback.web.serving import Serving


@dataclass(frozen=True, slots=True)
class Reader:
    """The bearer of a token: one message's customer."""

    message_id: int
    enrollment_id: int
    customer_id: int
    locale: str | None


def find_reader(serving: Serving, purpose: Purpose, token: str) -> Reader | None:
    """Give who bears a token, or None for one that is forged, altered or for something else."""
    message_id = read_token(serving.business.secret, purpose, token)
    if message_id is None:
        return None
    with serving.reading() as session:
        row = session.execute(
            select(Message.enrollment_id, Message.customer_id, Customer.locale)
            .join(Customer, Customer.id == Message.customer_id)
            .where(Message.id == message_id)
        ).one_or_none()
    return Reader(message_id, row.enrollment_id, row.customer_id, row.locale) if row else None


def record_page(
    serving: Serving, reader: Reader, kind: EventKind, *, key: str, **said: str | None
) -> None:
    """Store what a person did on a page, commit it, and apply it before the page answers.

    It takes effect at once (FACTS.md LAW-3); where that fails, the respond stage does it.
    """
    with serving.writing() as session:
        ids = store_page(
            session,
            StoredPage(key=key, kind=kind, message_id=reader.message_id, said=said),
            serving.now(),
        )
    serving.applying.soon(ids)
