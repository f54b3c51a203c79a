"""One person over several sources: joined by e-mail only, consent and suppression minded."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.customers.people import add_enrollment, add_message, is_address_suppressed
from tests.locks import in_each_others_way
from tests.sources.shops import SECRET, Shop, settings
from winback.customers.consent import record_consent
from winback.customers.privacy import erase_customer
from winback.customers.suppression import is_suppressed, suppress
from winback.database.tables import (
    Consent,
    ContactPoint,
    Customer,
    Enrollment,
    Message,
    Purchase,
    SourceCustomer,
)
from winback.sources.pulling import PullCounts
from winback.states import (
    Channel,
    ConsentState,
    EnrollmentState,
    MessageState,
    Mode,
    SuppressionReason,
)

DAY = timedelta(days=1)
HEADER = "id,first,email,phone,news,texts"
COLUMNS = {
    "external_id": "id",
    "given_name": "first",
    "email": "email",
    "phone": "phone",
    "email_consent": "news",
    "sms_consent": "texts",
}


def _source(name: str, **more: Any) -> dict[str, Any]:
    return {"kind": "files", "customers": {"path": f"{name}.csv", "columns": COLUMNS} | more}


@pytest.fixture
def two(shop: Shop) -> Shop:
    """Give a business with a till and a web shop."""
    shop.configure(till=_source("till"), web=_source("web"))
    shop.write("web.csv", HEADER)
    return shop


def _customer_of(shop: Shop) -> dict[str, int]:
    rows = shop.all(SourceCustomer, "source", "external_id", "customer_id")
    return {f"{source}:{external_id}": customer for source, external_id, customer in rows}


def test_two_sources_are_joined_on_the_same_address(two: Shop) -> None:
    """Equal normalized e-mail makes one customer; nothing known is emptied by the second."""
    two.write("till.csv", HEADER, "1,Ada,Ada@Example.com,,yes,", "2,Bob,,07400 123456,,")
    two.write("web.csv", HEADER, "a,,ada@example.com,07400 123457,,", "b,Bob,,07400 123456,,")

    assert two.pull() == PullCounts(read=4, added=4)

    who = _customer_of(two)
    assert who["till:1"] == who["web:a"]
    assert who["till:2"] != who["web:b"], "never by phone alone"
    ada = next(one for one in two.all(Customer) if one.id == who["till:1"])
    assert ada.given_name == "Ada"
    points = [one.address for one in two.all(ContactPoint) if one.customer_id == ada.id]
    assert points == ["ada@example.com", "+447400123457"]


def test_an_address_that_occurs_twice_in_one_source_joins_nothing(two: Shop) -> None:
    """A family's shared address is not one person."""
    two.write("till.csv", HEADER, "1,Ada,home@example.com,,,", "2,Bob,home@example.com,,,")
    two.write("web.csv", HEADER, "a,Ada,home@example.com,,,")
    two.pull()
    assert len(set(_customer_of(two).values())) == 3

    two.write("till.csv", HEADER, "1,Ada,home@example.com,,,", "2,Bob,bob@example.com,,,")
    two.pull()

    who = _customer_of(two)
    assert who["till:1"] == who["web:a"] != who["till:2"], "joined once the address is single"


def test_a_join_found_late_merges_purchases_and_enrollments(two: Shop) -> None:
    """Both existed before: one goes into the other, the older open enrollment stays."""
    till = _source("till") | {
        "purchases": {
            "path": "orders.csv",
            "columns": {"customer": "customer", "purchased_at": "date", "amount": "total"},
        }
    }
    two.configure(till=till, web=_source("web"))
    two.write("till.csv", HEADER, "1,Ada,,,,")
    two.write("orders.csv", "customer,date,total", "1,2025-08-01,12")
    two.write("web.csv", HEADER, "a,Ada,ada@example.com,,,")
    two.pull()
    before = _customer_of(two)
    with Session(two.engine) as session:
        for key, days in (("till:1", 3), ("web:a", 5)):
            customer = session.get_one(Customer, before[key])
            add_enrollment(session, customer, two.now - timedelta(days=days))
        session.commit()

    two.write("till.csv", HEADER, "1,Ada,ada@example.com,,,")
    assert two.pull() == PullCounts(read=1, changed=1)

    who = _customer_of(two)
    assert who["till:1"] == who["web:a"] == before["web:a"], "who has the older enrollment stays"
    kept, gone = (
        next(one for one in two.all(Customer) if one.id == before[key])
        for key in ("web:a", "till:1")
    )
    assert gone.merged_into == kept.id
    assert (kept.purchase_count, gone.purchase_count) == (1, 0)
    assert [one.customer_id for one in two.all(Purchase)] == [kept.id]
    states = {one.customer_id: one.state for one in two.all(Enrollment)}
    assert states[kept.id] is EnrollmentState.ACTIVE
    assert states[gone.id] is EnrollmentState.CANCELED


def test_a_join_found_late_ends_what_the_person_has_had(two: Shop) -> None:
    """P1, DS-1: who had the campaign as the till's customer does not have it again as the web's."""
    two.write("till.csv", HEADER, "1,Ada,,,,")
    two.write("web.csv", HEADER, "a,Ada,ada@example.com,,,")
    two.pull()
    before = _customer_of(two)
    with Session(two.engine) as session:
        had = add_enrollment(
            session,
            session.get_one(Customer, before["till:1"]),
            two.now - 5 * DAY,
            state=EnrollmentState.EXHAUSTED,
        )
        had.ended_at = two.now - 3 * DAY
        add_message(session, had, "concern", state=MessageState.ACCEPTED, at=two.now - 5 * DAY)
        second = add_enrollment(session, session.get_one(Customer, before["web:a"]), two.now - DAY)
        add_message(session, second, "concern", state=MessageState.QUEUED, at=two.now - DAY)
        session.commit()

    two.write("till.csv", HEADER, "1,Ada,ada@example.com,,,")
    two.pull()

    assert len(set(_customer_of(two).values())) == 1
    states = {one.state for one in two.all(Enrollment)}
    assert states == {EnrollmentState.EXHAUSTED, EnrollmentState.CANCELED}
    assert {one.state for one in two.all(Message)} == {
        MessageState.ACCEPTED,
        MessageState.CANCELED,
    }


def test_a_mapped_no_withdraws_and_a_mapped_yes_is_evidence(two: Shop) -> None:
    """DESIGN.md, section 7: appended when changed, with source and row; the newest holds."""
    two.write("till.csv", HEADER, "1,Ada,ada@example.com,,yes,yes")
    two.pull()
    two.write("till.csv", HEADER, "1,Ada,ada@example.com,,no,yes")
    two.pull(now=two.now + timedelta(days=1))

    said = [(one.channel, one.state, one.superseded_at is None) for one in two.all(Consent)]
    assert said == [
        (Channel.EMAIL, ConsentState.GIVEN, False),
        (Channel.SMS, ConsentState.GIVEN, True),
        (Channel.EMAIL, ConsentState.WITHDRAWN, True),
    ]


def test_a_standing_yes_does_not_undo_what_the_person_withdrew(two: Shop) -> None:
    """P3: re-import of the same row gives nothing back, nor does a yes of another source."""
    two.write("till.csv", HEADER, "1,Ada,ada@example.com,,yes,")
    two.pull()
    with Session(two.engine) as session:
        (ada,) = session.scalars(select(Customer.id))
        record_consent(
            session,
            ada,
            Channel.EMAIL,
            state=ConsentState.WITHDRAWN,
            source="page",
            now=two.now + timedelta(hours=1),
        )
        session.commit()

    two.write("till.csv", HEADER, "1,Ada Mary,ada@example.com,,yes,")
    two.write("web.csv", HEADER, "a,Ada,ada@example.com,,yes,")
    two.pull(now=two.now + timedelta(days=1))

    current = [one.state for one in two.all(Consent) if one.superseded_at is None]
    assert current == [ConsentState.WITHDRAWN]


@pytest.mark.parametrize(
    ("mode", "more", "is_written"),
    [
        pytest.param(Mode.SANDBOX, {}, True, id="sandbox assumes it"),
        pytest.param(Mode.LIVE, {}, False, id="live does not"),
        pytest.param(Mode.LIVE, {"sms_consent_is": "written"}, True, id="the source says so"),
    ],
)
def test_text_consent_is_written_only_where_it_is_said(
    shop: Shop, mode: Mode, more: dict[str, str], *, is_written: bool
) -> None:
    """FACTS.md LAW-22: no text without written consent; e-mail consent does not enable texts."""
    shop.settings = settings(mode)
    shop.configure(till=_source("till", **more))
    shop.write("till.csv", HEADER, "1,Ada,ada@example.com,07400 123456,yes,yes")

    shop.pull()

    written = {one.channel: one.is_written for one in shop.all(Consent)}
    assert written == {Channel.EMAIL: False, Channel.SMS: is_written}


def test_a_mapped_yes_never_lifts_a_suppression(two: Shop) -> None:
    """P3: nor does a new address of the same person."""
    two.write("till.csv", HEADER, "1,Ada,ada@example.com,,no,")
    two.pull()
    with Session(two.engine) as session:
        (ada,) = session.scalars(select(Customer.id))
        suppress(
            session,
            key="stop",
            reason=SuppressionReason.STOPPED,
            source="sms",
            at=two.now,
            customer_id=ada,
        )
        session.commit()

    two.write("till.csv", HEADER, "1,Ada,new@example.com,,yes,yes")
    two.pull()

    with Session(two.engine) as session:
        assert is_suppressed(session, ada, Channel.EMAIL)
        for point in session.scalars(select(ContactPoint)):
            assert is_address_suppressed(session, point.address_hash, Channel.EMAIL)
            assert point.is_current == (point.address == "new@example.com")


def test_who_was_erased_is_not_known_again_by_a_pull(two: Shop) -> None:
    """FACTS.md LAW-39: the row stands in the source still; nothing personal comes back."""
    two.write("till.csv", HEADER, "1,Ada,ada@example.com,,yes,")
    two.pull()
    with Session(two.engine) as session:
        (ada,) = session.scalars(select(Customer.id))
        erase_customer(session, ada, now=two.now, secret=SECRET)
        session.commit()

    two.write("till.csv", HEADER, "1,Ada Again,ada@example.com,07400 123456,yes,yes")
    two.write("web.csv", HEADER, "a,Ada,ada@example.com,,yes,")
    two.pull()

    erased, again = two.all(Customer)
    assert erased.given_name is None
    with Session(two.engine) as session:
        points = session.scalars(select(ContactPoint)).all()
        assert [point.customer_id for point in points] == [again.id]
        assert is_address_suppressed(session, points[0].address_hash, Channel.EMAIL)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_merge_that_is_ended_for_another_transaction_begins_again(two: Shop) -> None:
    """Somebody works at a mail of one of them: the pull takes its part all the same (DS-11)."""
    two.write("till.csv", HEADER, "1,Ada,,,,")
    two.write("web.csv", HEADER, "a,Ada,ada@example.com,,,")
    two.pull()
    before = _customer_of(two)
    with Session(two.engine) as session:
        add_enrollment(session, session.get_one(Customer, before["web:a"]), two.now - 5 * DAY)
        customer = session.get_one(Customer, before["till:1"])
        ends = add_enrollment(session, customer, two.now - 3 * DAY)
        mail = add_message(session, ends, "concern", state=MessageState.QUEUED, at=two.now)
        session.commit()
        ends_id, mail_id = ends.id, mail.id
    two.write("till.csv", HEADER, "1,Ada,ada@example.com,,,", ",Nobody,,,,")

    counts = in_each_others_way(
        two.engine,
        select(Enrollment.id).where(Enrollment.id == ends_id),
        select(Message.id).where(Message.id == mail_id),
        two.pull,
    )

    assert counts == PullCounts(read=2, changed=1, rejected=1)
    assert [reason for _, reason in two.reasons()] == ["has no external_id"]
    who = _customer_of(two)
    assert who["till:1"] == who["web:a"] == before["web:a"]
    states = {one.id: one.state for one in two.all(Enrollment)}
    assert states[ends_id] is EnrollmentState.CANCELED
    assert two.pull() == PullCounts()
