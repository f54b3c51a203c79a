"""What a person may ask: to know, to be forgotten, to be left alone."""

import json
from datetime import date, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.customers.people import (
    SECRET,
    add_consent,
    add_customer,
    add_enrollment,
    add_message,
    add_point,
    add_purchase,
    add_source,
    is_address_suppressed,
)
from winback.customers.identity import address_hash
from winback.customers.privacy import erase_customer, export_customer, suppress_customer
from winback.customers.suppression import is_suppressed
from winback.database.history import record_decision, record_move
from winback.database.tables import (
    Case,
    ContactPoint,
    Customer,
    Event,
    Message,
    Move,
    Purchase,
    RejectedRow,
    SourceCustomer,
    Suppression,
)
from winback.states import CaseKind, CaseState, Channel, EventState, MessageState

NAME, MAIL = "Adalbertine", "adalbertine@example.com"


def _person(session: Session, now: datetime) -> Customer:
    """Make a person with everything that can hold personal data."""
    ada = add_customer(session, now, family_name=NAME, tags=[NAME])
    add_source(session, ada, "till", "c1")
    add_point(session, ada, MAIL, now)
    add_consent(session, ada, Channel.EMAIL, now)
    add_purchase(session, ada, date(2025, 8, 1), "12")
    enrollment = add_enrollment(session, ada, now)
    message = add_message(
        session,
        enrollment,
        "concern",
        state=MessageState.DELIVERED,
        at=now,
        context={"customer": {"given_name": NAME}},
    )
    for key, body, message_id in (
        ("e1", {"text": f"I am {NAME}"}, message.id),
        ("dead", {"from": MAIL}, None),
    ):
        session.add(
            Event(
                key=key,
                origin="sendgrid.inbound",
                body=body,
                received_at=now,
                state=EventState.DEAD,
                message_id=message_id,
            )
        )
    session.add(
        Case(
            key="case",
            kind=CaseKind.REPLY,
            state=CaseState.OPEN,
            customer_id=ada.id,
            text=f"I am {NAME}",
            opened_at=now,
        )
    )
    session.add(
        RejectedRow(
            source="till",
            part="customers",
            place="customers.csv:2",
            row_hash="x",
            external_id="c1",
            reason="phone",
            row={"given_name": NAME},
            rejected_at=now,
        )
    )
    record_decision(session, ada.id, what="enrolled", why="lapsed for six months", at=now)
    session.flush()
    return ada


def test_the_export_tells_all_and_why(session: Session, now: datetime) -> None:
    """FACTS.md LAW-41: consents, messages, events, purchases, and why each step was taken."""
    ada = _person(session, now)

    told = export_customer(session, ada.id)

    assert told["customer"] == ada.id
    for part in ("sources", "contact_points", "consents", "purchases", "messages", "events"):
        assert told[part], part
    assert told["contact_points"][0]["address"] == MAIL
    assert told["decisions"][0]["why"] == "lapsed for six months"
    assert "row_hash" not in told["sources"][0]
    assert NAME in json.dumps(told, default=str)


def test_erasure_leaves_no_name_and_keeps_the_no(session: Session, now: datetime) -> None:
    """FACTS.md LAW-39: a keyed hash stays, so that nobody is contacted after a re-import."""
    ada = _person(session, now)

    erase_customer(session, ada.id, now=now, secret=SECRET)
    erase_customer(session, ada.id, now=now, secret=SECRET)
    session.expire_all()

    left: list[object] = [export_customer(session, ada.id)]
    left += [[dict(one.body), one.error] for one in session.scalars(select(Event))]
    left += [one.row for one in session.scalars(select(RejectedRow))]
    assert NAME.lower() not in json.dumps(left, default=str).lower()
    assert session.scalars(select(ContactPoint)).all() == []
    assert session.scalars(select(Message.context)).one() is None
    assert session.get_one(Customer, ada.id).erased_at == now
    hashed = address_hash(SECRET, Channel.EMAIL, MAIL)
    assert is_address_suppressed(session, hashed, Channel.EMAIL)
    assert is_suppressed(session, ada.id, Channel.SMS)
    # Numbers without a name stay: the books and the measurement need them.
    assert len(session.scalars(select(Purchase)).all()) == 1
    assert session.scalars(select(SourceCustomer.email)).one() is None


def test_erasure_takes_a_providers_words_that_name_the_address(
    session: Session, now: datetime
) -> None:
    """FACTS.md LAW-39: a refusal quotes the address, in any case, also in the history."""
    ada = _person(session, now)
    message = session.scalars(select(Message)).one()
    said = f"550 no mailbox <{MAIL.title()}> here"
    message.state, message.reason = MessageState.BOUNCED, said
    record_move(
        session,
        "message",
        message.id,
        from_state=MessageState.ACCEPTED,
        to_state=MessageState.BOUNCED,
        event="bounced",
        at=now,
        why=said,
    )
    session.add(
        Event(
            key="shouted",
            origin="sendgrid.inbound",
            body={"from": MAIL.upper()},
            received_at=now,
            state=EventState.DEAD,
        )
    )
    session.flush()

    erase_customer(session, ada.id, now=now, secret=SECRET)
    session.expire_all()

    told = json.dumps(
        [
            [message.reason],
            [*session.scalars(select(Move.why))],
            [dict(one) for one in session.scalars(select(Event.body))],
        ]
    )
    assert MAIL not in told.lower()


@pytest.mark.parametrize(
    ("address", "written"),
    [
        pytest.param("jürgen@example.com", "jürgen@example.com", id="as it is"),
        pytest.param("jürgen@example.com", "Jürgen <Jürgen@Example.COM>", id="capitals"),
        pytest.param("jürgen@example.com", "JÜRGEN@EXAMPLE.COM", id="shouted"),
        pytest.param("anna@bücher.example", "anna@xn--bcher-kva.example", id="domain in ASCII"),
        pytest.param("anna@bücher.example", "Anna@Bücher.Example", id="domain in Unicode"),
    ],
)
def test_erasure_finds_an_address_with_other_letters(
    session: Session, now: datetime, address: str, written: str
) -> None:
    """FACTS.md LAW-39: SQLite keeps them as numbers, and knows no capitals but those of ASCII."""
    ada = _person(session, now)
    add_point(session, ada, address, now)
    for key, body in (("hers", {"from": written}), ("another's", {"from": "jurgen@example.com"})):
        session.add(
            Event(
                key=key,
                origin="sendgrid.inbound",
                body=body,
                received_at=now,
                state=EventState.DEAD,
            )
        )
    message = session.scalars(select(Message)).one()
    message.reason = f"550 no mailbox <{written}> here"

    erase_customer(session, ada.id, now=now, secret=SECRET)
    session.expire_all()

    bodies = dict(session.execute(select(Event.key, Event.body)).tuples().all())
    assert bodies["hers"] == {}
    assert bodies["another's"] == {"from": "jurgen@example.com"}
    assert message.reason == ""


def test_an_associate_can_stop_all_marketing(session: Session, now: datetime) -> None:
    """P3: a button is a road of a no like any other."""
    ada = _person(session, now)

    assert suppress_customer(session, ada.id, now=now)
    assert not suppress_customer(session, ada.id, now=now)

    assert is_suppressed(session, ada.id, Channel.EMAIL)
    sources = set(session.scalars(select(Suppression.source)))
    assert sources == {"associate"}
