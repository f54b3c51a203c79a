"""What is asked all day finds its rows by an index, on both servers (P12)."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    bindparam,
    delete,
    event,
    select,
    text,
    update,
)

from winback.database.many import insert_rows
from winback.database.tables import (
    CampaignVersion,
    ContactPoint,
    Customer,
    Enrollment,
    Event,
    Message,
    table_of,
)
from winback.delivery import (
    brakes,
    claiming,
    daily,
    doubting,
    due,
    looking,
    recording,
    seeking,
    warming,
)
from winback.enrollment import circumstances
from winback.outcomes import unknown
from winback.responses import matching, stopping
from winback.states import Arm, Channel, EnrollmentState, EventKind, EventState, MessageState

_PEOPLE = 2_000
_POINTS, _MESSAGES = table_of(ContactPoint), table_of(Message)

_BY_STATE = "ix_messages_state_due_at"
_BY_CLAIM = "ix_messages_channel_claimed_at"
_BY_CUSTOMER = "ix_messages_customer_id_claimed_at"
_BY_POINT = "ix_messages_contact_point_id"
_BY_ADDRESS = "ix_messages_address_hash"
_BY_PROVIDER = "ix_messages_provider_message_id"
_OF_COMPLAINTS = "ix_events_complaints"
_OF_STEP = ("uq_messages_one_per_step", "ix_messages_enrollment_id")

ASKED: Mapping[str, tuple[Executable, tuple[str, ...]]] = {
    "what is due": (due._DUE, (_BY_STATE,)),
    "rows of a claim": (claiming._QUEUED, ("PRIMARY KEY", "pk_messages")),
    "rows of results": (recording._CALLED, ("PRIMARY KEY", "pk_messages")),
    "caps of people": (looking._SENT_TO_PEOPLE, (_BY_CUSTOMER,)),
    "caps of addresses": (looking._SENT_TO_ADDRESSES, (_BY_ADDRESS,)),
    "claims of the dead": (doubting._OF_THE_DEAD, (_BY_STATE,)),
    "doubts given up": (doubting._GIVEN_UP, (_BY_STATE,)),
    "doubts to ask about": (seeking._IN_DOUBT, (_BY_STATE,)),
    "accepted and unheard of": (seeking._UNHEARD, (_BY_CLAIM, _BY_STATE)),
    "doubts to show": (unknown._IN_DOUBT, (_BY_STATE,)),
    "claims of a day": (daily._CLAIMS, (_BY_CLAIM,)),
    "the first claim": (daily._FIRST_CLAIM, (_BY_CLAIM,)),
    "the last mail": (brakes._LAST_CLAIM, (_BY_CLAIM,)),
    "bounces lately": (brakes._BOUNCED, (_BY_CLAIM, _BY_STATE)),
    "complaints lately": (brakes._COMPLAINED_OF, (_OF_COMPLAINTS,)),
    "mails of a day": (brakes._MAILED, (_BY_CLAIM,)),
    "whom a day's mails reached": (brakes._DELIVERED_TO, (_OF_COMPLAINTS,)),
    "mails queued": (warming._QUEUED_MAILS, (_BY_STATE,)),
    "steps on their way": (circumstances._ON_THEIR_WAY, _OF_STEP),
    "news by our id": (matching._BY_SEND_ID, ("sqlite_autoindex", "uq_messages_send_id")),
    "news by the provider's id": (matching._BY_PROVIDER_ID, (_BY_PROVIDER,)),
    "the last message": (matching._LAST, (_BY_CUSTOMER,)),
    "queued of a customer": (stopping._QUEUED, (_BY_CUSTOMER,)),
    "addresses that become one": (
        update(_MESSAGES)
        .where(_MESSAGES.c.contact_point_id == bindparam("point"))
        .values(contact_point_id=bindparam("other")),
        (_BY_POINT,),
    ),
    "whom a rehearsal copies": (
        select(Message.contact_point_id).where(Message.claimed_at >= bindparam("since")),
        (_BY_CLAIM,),
    ),
}


@pytest.fixture
def filled(engine: Engine, now: datetime) -> Iterator[Connection]:
    """Give a shop's past: nearly all was delivered long ago, the rest is under way."""
    with engine.begin() as connection:
        _fill(connection, now)
        if engine.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))
    with engine.connect() as connection:
        yield connection
        connection.rollback()


def _fill(connection: Connection, now: datetime) -> None:
    version = {"id": 1, "campaign": "c", "content_hash": "h", "content": {}, "first_used_at": now}
    insert_rows(connection, table_of(CampaignVersion), [version])
    ids = range(1, _PEOPLE + 1)
    customers = [{"id": id_, "first_seen_at": now, "changed_at": now} for id_ in ids]
    empty = {"tags": [], "interests": [], "purchase_count": 0, "spent": 0}
    insert_rows(connection, table_of(Customer), [one | empty for one in customers])
    insert_rows(connection, _POINTS, [_point(id_, now) for id_ in ids])
    insert_rows(connection, table_of(Enrollment), [_enrollment(id_, now) for id_ in ids])
    insert_rows(connection, _MESSAGES, [_message(id_, now) for id_ in ids])
    insert_rows(connection, table_of(Event), [_news(id_, now) for id_ in ids])


def _point(number: int, now: datetime) -> dict[str, Any]:
    return {
        "id": number,
        "customer_id": number,
        "channel": Channel.EMAIL,
        "address": f"{number}@example.com",
        "address_hash": f"hash-{number}",
        "is_current": True,
        "is_reachable": True,
        "seen_at": now,
    }


def _enrollment(number: int, now: datetime) -> dict[str, Any]:
    return {
        "id": number,
        "campaign": "c",
        "campaign_version_id": 1,
        "customer_id": number,
        "lapsed_on": now.date(),
        "arm": Arm.TREATED,
        "state": EnrollmentState.ACTIVE,
        "value": "normal",
        "enrolled_at": now,
        "enrolled_on": now.date(),
        "measure_until": now,
        "is_asleep": False,
        "sleeps": 0,
        "is_gentle": False,
        "is_left_out": False,
    }


def _message(number: int, now: datetime) -> dict[str, Any]:
    states = {2: MessageState.SENDING, 3: MessageState.UNCONFIRMED}
    state = states.get(number % 500, MessageState.DELIVERED)
    if number % 25 == 1:
        # Enough of them that whatever a claim names, their own keys are the shorter way.
        state = MessageState.QUEUED
    at = now - timedelta(days=number)
    is_claimed = state is not MessageState.QUEUED
    return {
        "id": number,
        "enrollment_id": number,
        "customer_id": number,
        "step": "first",
        "is_answer": False,
        "channel": Channel.EMAIL,
        "contact_point_id": number if is_claimed else None,
        "address_hash": f"hash-{number}" if is_claimed else None,
        "variant": "a",
        "state": state,
        "reason": "",
        "queued_at": at,
        "due_at": at,
        "drop_at": at,
        "send_id": f"send-{number}" if is_claimed else None,
        "claimed_at": at if is_claimed else None,
        "provider_message_id": f"id-{number}" if is_claimed else None,
        "accepted_at": at if state is MessageState.DELIVERED else None,
        "cost": 0,
    }


def _news(number: int, now: datetime) -> dict[str, Any]:
    return {
        "key": f"event-{number}",
        "origin": "sendgrid.events",
        "kind": EventKind.DELIVERED if number % 100 else EventKind.COMPLAINED,
        "body": {},
        "received_at": now - timedelta(days=number),
        "state": EventState.APPLIED,
        "error": "",
        "message_id": number,
    }


@pytest.mark.parametrize("what", ASKED)
def test_an_index_leads_to_the_messages(filled: Connection, what: str, now: datetime) -> None:
    """None of these reads all that was ever sent; a partial index serves only who implies it."""
    statement, wanted = ASKED[what]

    plan = _plan(filled, statement, now)

    assert any(index in plan for index in wanted), plan
    assert "SCAN messages\n" not in plan
    assert "Seq Scan on messages" not in plan


def test_an_address_goes_without_a_look_at_all_messages(filled: Connection, now: datetime) -> None:
    """The database checks that no message names it: by the index, too."""
    if filled.dialect.name != "sqlite":
        # The check is a query of the server's own, the same as for addresses that become one.
        return
    gone = delete(_POINTS).where(_POINTS.c.id == bindparam("point"))

    assert _BY_POINT in _plan(filled, gone, now)


def _plan(connection: Connection, statement: Executable, now: datetime) -> str:
    """Give how the database goes about a statement, as it is sent."""
    given: list[tuple[str, Any]] = []

    @event.listens_for(connection, "before_cursor_execute")
    def _note(_c: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
        given.append((sql, values))

    connection.execute(statement, _values(now))
    event.remove(connection, "before_cursor_execute", _note)
    (sql, values) = given[-1]
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()
        return "".join(f"{row[3]}\n" for row in rows)
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    return "\n".join(connection.exec_driver_sql(f"EXPLAIN {sql}", values).scalars())


def _values(now: datetime) -> dict[str, Any]:
    """Give all that any of the statements asks for."""
    return {
        "now": now,
        "since": now - timedelta(days=7),
        "until": now - timedelta(days=1),
        "first_look": now,
        "tomorrow": now + timedelta(days=1),
        "ids": [1, 2],
        "people": [2, 3],
        "hashes": ["hash-2", "hash-3"],
        "values": [2],
        "hashed": "hash-2",
        "campaign": "c",
        "channel": Channel.EMAIL,
        "channels": [Channel.EMAIL],
        "most": 10,
        "enrollment_id": 2,
        "customer_id": 2,
        "point": 1,
        "other": 3,
    }
