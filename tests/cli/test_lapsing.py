"""``winback lapsed`` as others call it."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from tests.enrollment.shop import add_customer, add_purchase
from winback.cli import lapsing
from winback.errors import ConfigError

ROOT = Path(__file__).parents[2]
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, database_url: str) -> Run:
    """Give a way to call the command in a home of its own, on both databases."""
    home = tmp_path / "home"
    for folder in ("config", "templates"):
        shutil.copytree(ROOT / folder, home / folder)
    app = typer.Typer()
    lapsing.register(app)
    environment = {"WINBACK_HOME": str(home), "WINBACK_DATABASE_URL": database_url}

    def call(*args: str) -> Result:
        return CliRunner().invoke(app, args, env=environment)

    return call


@pytest.fixture
def customers(engine: Engine) -> dict[str, int]:
    """Give a lapsed, a lapsed without consent, and a customer who came back later."""
    with Session(engine) as session:
        made = {
            "lapsed": add_customer(session, [date(2025, 8, 31)], external_id="=1+1"),
            "silent": add_customer(session, [date(2025, 8, 1)], consents=(), external_id="7"),
            "back": add_customer(session, [date(2025, 8, 30), date(2026, 3, 1)], external_id="8"),
        }
        session.commit()
    return made


def _facts(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


@pytest.mark.usefixtures("customers")
def test_it_tells_who_has_lapsed(run: Run) -> None:
    """The keys of DESIGN.md, the newest lapse first, the day itself included."""
    facts = _facts(run("--as-of", "2026-02-28", "--json"))

    assert (facts["as_of"], facts["campaign"], facts["count"]) == (
        "2026-02-28T23:59:59.999999Z",
        "six-month",
        3,
    )
    assert facts["customers"][0] == {
        "source": "till",
        "external_id": "=1+1",
        "ids": {"till": ["=1+1"]},
        "last_purchased_at": "2025-08-31T11:00:00Z",
        "days_since_last_purchase": 181,
    }
    # Who came back on 1 March had not yet.
    assert [one["external_id"] for one in facts["customers"]] == ["=1+1", "8", "7"]


@pytest.mark.usefixtures("customers")
def test_a_day_earlier_one_had_not_lapsed(run: Run) -> None:
    """31 August and six months is 28 February, not the 27th."""
    assert _facts(run("--as-of", "2026-02-27", "--json"))["count"] == 1


@pytest.mark.usefixtures("customers")
def test_eligible_says_why_not(run: Run) -> None:
    """Whoever may not enter is still listed, with the reason."""
    facts = _facts(run("--as-of", "2026-03-02", "--eligible", "--json"))

    assert {one["external_id"]: (one["eligible"], one["reason"]) for one in facts["customers"]} == {
        "=1+1": (True, None),
        "7": (False, "no_consent"),
    }
    assert facts["eligible"] == 1
    assert facts["customers"][1]["why_not"] == "no consent to email or sms"


@pytest.mark.usefixtures("customers")
def test_csv_is_safe_for_spreadsheets(run: Run) -> None:
    """A cell that begins like a formula is made text (FACTS.md SEC-19)."""
    result = run("--as-of", "2026-03-02", "--csv")

    rows = list(csv.reader(io.StringIO(result.stdout)))
    assert rows[0] == ["source", "external_id", "last_purchased_at", "days_since_last_purchase"]
    assert rows[1] == ["till", "'=1+1", "2025-08-31T11:00:00Z", "183"]


@pytest.mark.usefixtures("customers")
def test_a_table_is_for_people(run: Run) -> None:
    """The default is a table and the count."""
    result = run("--as-of", "2026-03-02", "--eligible")

    assert "2 lapsed, by campaign six-month" in result.stdout
    assert "1 may enter" in result.stdout
    assert "1 no_consent" in result.stdout


def test_the_last_purchase_names_the_source(engine: Engine, run: Run) -> None:
    """``source`` and ``external_id`` are of the last purchase, not of the first source."""
    with Session(engine) as session:
        customer = add_customer(session, [date(2025, 8, 1)], external_id="1")
        add_purchase(session, customer, date(2025, 7, 1), source="shop")
        session.commit()

    facts = _facts(run("--as-of", "2026-03-02", "--json"))

    assert facts["customers"][0]["source"] == "till"


def test_an_unknown_campaign_names_those_that_exist(run: Run) -> None:
    """The sentence says what to write instead."""
    result = run("--campaign", "spring")

    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "there is no campaign spring; there are: six-month"
