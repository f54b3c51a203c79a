"""``status`` and ``report`` at the command line, in a home where nothing happened yet."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from winback.cli.reporting import register
from winback.errors import ConfigError
from winback.states import EnrollmentState, MessageState
from winback.town.founding import found_home


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """Give the two commands in a freshly founded home."""
    found_home(tmp_path / "home")
    monkeypatch.setenv("WINBACK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WINBACK_DATABASE_URL", raising=False)
    app = typer.Typer(rich_markup_mode=None)
    register(app)
    return app


def run(app: typer.Typer, *words: str) -> str:
    """Run one command that must succeed, and give what it printed."""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_status_lists_every_state_as_json(app: typer.Typer) -> None:
    """DESIGN.md section 6: every state listed, zeros too, on an empty database."""
    status = json.loads(run(app, "status", "--json"))

    assert status["enrollments"] == {state.value: 0 for state in EnrollmentState}
    assert status["messages"] == {state.value: 0 for state in MessageState}
    assert {"vouchers", "cases", "events"} <= status.keys()
    assert status["unknown"] == []


def test_status_is_readable(app: typer.Typer) -> None:
    """A person gets tables."""
    assert "Enrollments" in run(app, "status")


def test_status_stands_at_the_instant_that_is_asked_for(app: typer.Typer) -> None:
    """DESIGN.md section 6: commands that only read take --as-of in every mode."""
    status = json.loads(run(app, "status", "--as-of", "2026-03-02T10:00+00:00", "--json"))

    assert status["as_of"] == "2026-03-02T10:00:00Z"


def test_report_has_three_faces(app: typer.Typer, tmp_path: Path) -> None:
    """Terminal, JSON and one page say the same sentence."""
    page = tmp_path / "out" / "report.html"

    shown = run(app, "report")
    found = json.loads(run(app, "report", "--json", "--html", str(page)))

    sentence = found["campaigns"][0]["effect"]["verdict"]["sentence"]
    assert "too early to say" in sentence
    assert sentence in shown
    assert "Too early to say" in page.read_text(encoding="utf-8")


def test_the_account_has_two_faces(app: typer.Typer) -> None:
    """By day for a person, by hour and with every id as JSON; empty days are zeros."""
    found = json.loads(run(app, "report", "--account", "--days", "2", "--json"))

    assert [one["channel"] for one in found["days"]] == ["email", "sms"] * 2
    assert {one["accepted"] for one in found["days"]} == {0}
    assert {"as_of", "time_zone"} <= found.keys()
    assert "What was handed over, by day" in run(app, "report", "--account")


def test_an_unknown_campaign_is_a_clear_error(app: typer.Typer) -> None:
    """Wrong use is one sentence that names what is wrong."""
    with pytest.raises(ConfigError, match="no campaign 'summer'"):
        run(app, "report", "--campaign", "summer")
