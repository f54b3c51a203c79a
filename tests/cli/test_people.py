"""``winback customer`` as others call it."""

import json
import shutil
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
import typer
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from tests.enrollment.shop import (
    add_customer,
    add_enrollment,
    add_message,
    add_voucher,
    make_campaign,
)
from winback.cli import people
from winback.database.history import record_decision
from winback.database.tables import ContactPoint, Enrollment, SourceCustomer, Suppression
from winback.errors import ConfigError
from winback.states import EnrollmentState

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, database_url: str) -> Run:
    """Give a way to call the commands in a home of its own, on both databases."""
    home = tmp_path / "home"
    for folder in ("config", "templates"):
        shutil.copytree(ROOT / folder, home / folder)
    app = typer.Typer()
    app.callback()(lambda: None)
    people.register(app)
    environment = {
        "WINBACK_HOME": str(home),
        "WINBACK_DATABASE_URL": database_url,
        "WINBACK_SECRET": "made up",
    }

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, ["customer", *args], env=environment)

    return call


@pytest.fixture
def enrollment(engine: Engine, now: datetime) -> int:
    """Give the open enrollment of customer 1042."""
    with Session(engine) as session:
        customer = add_customer(
            session, [date(2025, 9, 1)], external_id="1042", given_name="Mia", family_name="Ray"
        )
        enrollment = add_enrollment(session, customer, make_campaign(), now=now)
        add_message(session, enrollment, "concern", now=now)
        add_voucher(session, enrollment)
        record_decision(session, customer, what="enrolled", why="no purchase", at=now)
        session.commit()
    return enrollment


@pytest.mark.usefixtures("enrollment")
def test_it_tells_all_about_one_person(run: Run) -> None:
    """The keys of DESIGN.md, and everything else that helps."""
    result = run("1042", "--json", "--as-of", "2026-03-02")

    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["ids"] == {"till": ["1042"]}
    one = facts["enrollments"][0]
    assert (one["campaign"], one["arm"], one["state"]) == ("six-month", "treated", "active")
    message = one["messages"][0]
    assert (message["step"], message["channel"], message["state"]) == ("concern", "email", "queued")
    assert message["at"] == "2026-03-02T10:00:00Z"
    decision = facts["decisions"][0]
    assert (decision["at"], decision["what"], decision["why"]) == (
        "2026-03-02T10:00:00Z",
        "enrolled",
        "no purchase",
    )
    assert facts["purchases"]["days_since_last_purchase"] == 182


@pytest.mark.usefixtures("enrollment")
def test_a_person_can_read_it(run: Run) -> None:
    """Name, last purchase, code and history stand in the terminal's text."""
    result = run("till:1042", "--as-of", "2026-03-02")

    assert "Mia Ray  (till:1042)" in result.stdout
    assert "182 days ago" in result.stdout
    assert "(welcome-back): reserved" in result.stdout
    assert "no purchase" in result.stdout


@pytest.mark.usefixtures("enrollment")
def test_one_is_no_plural(run: Run) -> None:
    """One purchase yesterday reads as a person would say it."""
    result = run("till:1042", "--as-of", "2025-09-02")

    assert "1 purchase, " in result.stdout
    assert "the last on 2025-09-01, 1 day ago" in result.stdout


def test_an_ambiguous_id_names_the_sources(engine: Engine, run: Run) -> None:
    """Two people with one id in two sources: say which."""
    with Session(engine) as session:
        first = add_customer(session, external_id="1")
        second = add_customer(session, external_id="2")
        session.execute(
            insert(SourceCustomer).values(
                source="shop",
                external_id="1",
                customer_id=second,
                row_hash="",
                pulled_at=datetime.fromisoformat("2026-01-01T00:00Z"),
            )
        )
        session.commit()

    result = run("1")

    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "several people have the id 1; write shop:1 or till:1"
    assert json.loads(run("shop:1", "--json").stdout)["customer"] == second
    assert json.loads(run("till:1", "--json").stdout)["customer"] == first


def test_an_unknown_id_is_a_sentence(run: Run) -> None:
    """Nobody is found: say how ids are written."""
    result = run("nobody")

    assert isinstance(result.exception, ConfigError)
    assert "no source knows a customer nobody" in str(result.exception)


def test_suppress_ends_what_is_open(engine: Engine, run: Run, enrollment: int) -> None:
    """An associate's no is a no (promise P3); a repeat says so."""
    assert "now left alone" in run("suppress", "1042").stdout
    assert "already left alone" in run("suppress", "1042").stdout

    with Session(engine) as session:
        assert session.get_one(Enrollment, enrollment).state is EnrollmentState.SUPPRESSED
        assert session.scalars(select(Suppression.reason).distinct()).all() == ["associate"]


def test_erase_forgets_and_ends(engine: Engine, run: Run, enrollment: int) -> None:
    """Addresses go, the enrollment ends, the suppression stays (FACTS.md LAW-39)."""
    assert run("erase", "1042").exit_code == 1  # asked, and nobody said yes

    assert "forgotten" in run("erase", "1042", "--yes").stdout

    with Session(engine) as session:
        assert session.get_one(Enrollment, enrollment).state is EnrollmentState.SUPPRESSED
        assert session.scalars(select(ContactPoint)).all() == []
        assert session.scalars(select(Suppression)).all() != []


@pytest.mark.usefixtures("enrollment")
def test_export_is_json(run: Run) -> None:
    """What is held about a person can be handed to them."""
    assert json.loads(run("export", "1042").stdout)["customers"][0]["given_name"] == "Mia"
