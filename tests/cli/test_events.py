"""``winback events`` as an operator uses it: what could not be read, and reading it anew."""

import json
from datetime import datetime

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.cli.conftest import Run
from winback.database.tables import Event
from winback.states import EventState


@pytest.fixture
def dead(engine: Engine, now: datetime) -> list[int]:
    """Give two reports that could not be read; one quotes a person in its error."""
    with Session(engine) as session:
        found = [
            Event(
                key=origin,
                origin=origin,
                body={"name": "Ann Oakley"},
                received_at=now,
                state=EventState.DEAD,
                error="KeyError: 'Ann Oakley'",
                applied_at=now,
            )
            for origin in ("sendgrid.events", "twilio.inbound")
        ]
        session.add_all(found)
        session.commit()
        return [one.id for one in found]


def test_what_could_not_be_read_is_listed_without_personal_data(run: Run, dead: list[int]) -> None:
    """Number, origin, when and why; nothing of what stands in an event (FACTS.md DS-13)."""
    facts, told = json.loads(run("events", "--json").stdout), run("events").stdout

    assert facts["count"] == 2
    assert facts["events"][0] == {
        "id": dead[0],
        "origin": "sendgrid.events",
        "received_at": "2026-03-02T10:00:00Z",
        "why": "KeyError",
    }
    assert "twilio.inbound" in told
    assert "once the cause is mended: winback events replay" in told
    assert "Oakley" not in told


def test_replay_says_how_many_wait_and_may_be_repeated(run: Run, dead: list[int]) -> None:
    """By number, by origin or all; what waits already is not counted again."""
    one = run("events", "replay", str(dead[1]))
    again = run("events", "replay", str(dead[1]))
    rest = json.loads(run("events", "replay", "--json").stdout)

    assert one.stdout.startswith("1 event waits to be applied anew")
    assert again.stdout.startswith("no such event")
    assert rest == {"waiting": 1}
    assert run("events").stdout == "every event could be read\n"
    assert json.loads(run("status", "--json").stdout)["events"]["received"] == 2


@pytest.mark.usefixtures("dead")
def test_status_names_the_command(run: Run) -> None:
    """Who reads that events could not be read learns what to do about it."""
    needs = json.loads(run("status", "--json").stdout)["needs_a_person"]

    assert [one["says"] for one in needs] == [
        "2 events could not be read and are kept; see: winback events"
    ]
