"""What a person must be able to do while an edited file has a mistake: stop, settle, look."""

import json
import socket
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from typer.testing import Result

from tests.cli.conftest import Run
from tests.enrollment.shop import add_customer, add_enrollment, add_message, make_campaign
from winback.database.tables import Case, Enrollment, Message
from winback.enrollment.pausing import standing_pauses
from winback.errors import FileMistakes, SchemaError
from winback.states import CaseKind, CaseState, EnrollmentState, MessageState

SETTINGS, CAMPAIGN, FACTS = "winback.yaml", "campaigns/six-month.yaml", "facts.yaml"


@pytest.fixture
def message(engine: Engine, now: datetime) -> int:
    """Give a message in doubt; its customer, 1042, also wrote back, which is case 1."""
    with Session(engine) as session:
        customer = add_customer(session, [date(2025, 9, 1)], external_id="1042")
        enrollment = add_enrollment(session, customer, make_campaign(), now=now)
        message = add_message(
            session, enrollment, "concern", state=MessageState.UNCONFIRMED, now=now
        )
        session.add(
            Case(
                key="a reply",
                customer_id=customer,
                enrollment_id=enrollment,
                kind=CaseKind.REPLY,
                state=CaseState.OPEN,
                opened_at=now,
                text="please stop",
            )
        )
        session.commit()
    return message


def spoil(home: Path, *files: str) -> None:
    """Mistype a key of files that people edit."""
    for name in files:
        path = home / "config" / name
        path.write_text(f"holdouts: 15%\n{path.read_text(encoding='utf-8')}", encoding="utf-8")


def done(result: Result) -> str:
    """Give what a command said that did what it was told."""
    assert result.exit_code == 0, f"{result.output}{result.exception}"
    return result.stdout


@pytest.mark.parametrize(
    "words", [(), ("--channel", "sms"), ("--country", "US"), ("--campaign", "six-month")]
)
def test_no_mistake_in_any_file_keeps_a_pause_waiting(
    run: Run, home: Path, engine: Engine, words: tuple[str, ...]
) -> None:
    """The wrong words are going out, and somebody is just mending them: stop comes first."""
    spoil(home, SETTINGS, CAMPAIGN, FACTS)

    assert "stands still" in done(run("pause", *words, "--why", "wrong words"))

    with Session(engine) as session:
        standing = standing_pauses(session)
    assert "wrong words" in str(standing)


def test_a_pause_of_another_mode_is_refused(run: Run, home: Path) -> None:
    """Where the settings can be read, nobody believes to have stopped another database's sends."""
    path = home / "config" / SETTINGS
    written = path.read_text(encoding="utf-8")
    path.write_text(written.replace("mode: sandbox", "mode: live"), encoding="utf-8")

    assert isinstance(run("pause").exception, SchemaError)


@pytest.mark.usefixtures("message")
def test_no_mistake_in_any_file_keeps_a_no_waiting(run: Run, home: Path, engine: Engine) -> None:
    """An associate's no holds at once (P3), whatever a marketer is editing."""
    spoil(home, SETTINGS, CAMPAIGN, FACTS)

    assert done(run("customer", "suppress", "1042")) == "customer 1042 is now left alone\n"

    with Session(engine) as session:
        assert session.scalars(select(Enrollment.state)).one() is EnrollmentState.SUPPRESSED


def test_another_time_is_not_read_without_settings(run: Run, home: Path) -> None:
    """The time zone of ``--as-of``, and whether it may be used, stand in the settings."""
    spoil(home, SETTINGS)

    assert isinstance(run("pause", "--as-of", "2026-03-02").exception, FileMistakes)


def test_what_is_done_by_hand_needs_no_campaign_file(
    run: Run, home: Path, engine: Engine, message: int
) -> None:
    """Doubts are settled, cases closed and pauses ended while a file has a mistake."""
    spoil(home, CAMPAIGN, FACTS)

    assert "please stop" in done(run("desk", "show", "1"))
    done(run("settle", str(message), "--not-sent"))
    done(run("desk", "outcome", "1", "do-not-contact"))
    done(run("pause"))
    assert done(run("resume")) == "everything goes on\n"

    with Session(engine) as session:
        assert session.scalars(select(Message.state)).one() is MessageState.FAILED
        assert session.scalars(select(Enrollment.state)).one() is EnrollmentState.SUPPRESSED
        assert session.scalars(select(Case.state)).one() is CaseState.CLOSED


@pytest.mark.usefixtures("message")
def test_status_stands_and_says_that_a_file_has_a_mistake(run: Run, home: Path) -> None:
    """Who looks why nothing runs is told, and sees all the rest as ever."""
    spoil(home, CAMPAIGN, FACTS)

    told = json.loads(done(run("status", "--json")))

    assert told["messages"]["unconfirmed"] == 1
    says = [need["says"] for need in told["needs_a_person"]]
    assert (
        "2 mistakes keep every run from beginning, first config/campaigns/six-month.yaml:1; "
        "run: winback check"
    ) in says


def test_the_web_part_serves_while_a_file_has_a_mistake(run: Run, home: Path) -> None:
    """After a restart, too, whoever unsubscribes is heard (P3); the mistake is told."""
    spoil(home, CAMPAIGN, FACTS)

    with socket.create_server(("127.0.0.1", 0)) as other:
        result = run("serve", "--port", str(other.getsockname()[1]))

    # It came as far as the port, which somebody else has.
    assert "nobody can listen" in str(result.exception)
    assert "config/campaigns/six-month.yaml:1: unknown key 'holdouts'" in result.stderr


def test_what_sends_still_needs_every_file(run: Run, home: Path) -> None:
    """A run in spite of a mistake would send by half of what was written."""
    spoil(home, CAMPAIGN, FACTS)

    mistaken = run("send").exception

    assert isinstance(mistaken, FileMistakes)
    assert [one.file for one in mistaken.mistakes] == [
        "config/campaigns/six-month.yaml",
        "config/facts.yaml",
    ]
