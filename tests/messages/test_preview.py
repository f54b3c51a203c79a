"""``winback preview``: as that customer would get it, burning nothing."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import typer
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from winback.cli import previewing
from winback.database.tables import Customer, Message, SourceCustomer, TemplateVersion, Voucher
from winback.errors import ConfigError

from .kit import ROOT

Run = Callable[..., Result]
AS_OF = "2026-03-02"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a home folder with the shipped files."""
    for folder in ("config", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / "home" / folder)
    return tmp_path / "home"


@pytest.fixture
def run(home: Path, database_url: str, engine: Engine) -> Run:
    """Give a way to call the command for a customer of two sources, on both databases."""
    bought = datetime(2025, 8, 31, 12, tzinfo=UTC)
    with Session(engine) as session:
        customer = Customer(
            given_name="Grace",
            country="US",
            locale="en-US",
            tags=[],
            interests=[],
            first_seen_at=bought,
            changed_at=bought,
            purchase_count=2,
            last_purchased_at=bought,
            last_purchased_on=date(2025, 8, 31),
        )
        session.add(customer)
        session.flush()
        for source, external_id in (("till", "7"), ("shop", "g:7")):
            session.add(
                SourceCustomer(
                    source=source,
                    external_id=external_id,
                    customer_id=customer.id,
                    row_hash="",
                    pulled_at=bought,
                )
            )
        session.commit()
    app = typer.Typer()
    previewing.register(app)
    environment = {"WINBACK_HOME": str(home), "WINBACK_DATABASE_URL": database_url}

    def call(template: str, *args: str, customer: str = "7") -> Result:
        words = [template, "--customer", customer, "--as-of", AS_OF, *args]
        return CliRunner().invoke(app, words, env=environment)

    return call


def test_a_voucher_is_shown_with_a_sample_code(run: Run, engine: Engine) -> None:
    """P6: a preview burns no voucher; the code says that it is none, words and expiry are true."""
    shown = run("voucher")

    assert shown.exit_code == 0, shown.output
    assert "Hello Grace," in shown.stdout
    assert "SAMPLE-0000-CODE" in shown.stdout
    assert "until the end of Monday, March 23, 2026" in shown.stdout
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in shown.stdout
    assert "no voucher was used" in shown.stdout
    with Session(engine) as session:
        for table in (Voucher, Message, TemplateVersion):
            assert session.scalar(select(func.count()).select_from(table)) == 0


def test_links_are_samples_and_said_to_be(run: Run) -> None:
    """Whoever taps a link of a preview meets an error page; they are told before."""
    shown = run("voucher")
    told = json.loads(run("voucher", "--json").stdout)
    notes = json.loads(run("call", "--channel", "call", "--json").stdout)

    assert "the links are samples: they lead nowhere" in shown.stdout
    assert told["has_sample_links"] is True
    assert notes["has_sample_links"] is False


def test_a_text_shows_its_segments(run: Run) -> None:
    """FACTS.md TW-7: what a text costs is seen before it is sent."""
    facts = json.loads(run("check-in", "--json").stdout)

    assert facts["channel"] == "sms"
    assert facts["segments"] == 2
    assert facts["encoding"] == "GSM-7"
    assert "Msg & data rates may apply" in facts["text"]
    assert facts["mistakes"] == []


def test_a_step_and_a_channel_can_be_named(run: Run) -> None:
    """An answer is named by its key, the other channel by an option."""
    answer = json.loads(run("service", "--json", customer="till:7").stdout)
    mail = json.loads(run("check-in", "--channel", "email", "--json", customer="g:7").stdout)

    assert (answer["file"], answer["step"]) == ("templates/six-month/apology.mjml", "service")
    assert mail["file"] == "templates/six-month/check-in.mjml"


def test_html_is_written(run: Run, tmp_path: Path) -> None:
    """The mail can be looked at in a browser."""
    path = tmp_path / "mail.html"

    assert run("concern", "--html", str(path)).exit_code == 0
    assert "Hello Grace," in path.read_text(encoding="utf-8")


def test_an_edit_that_cannot_go_live_is_shown_with_its_reason(run: Run, home: Path) -> None:
    """A marketer sees the newest edit, and what keeps it."""
    path = home / "templates/six-month/thanks.mjml"
    path.write_text(path.read_text("utf-8").replace("Thank you.", "Hurry!", 1), encoding="utf-8")

    shown = run("thanks")

    assert shown.exit_code == 0
    assert "Hurry" in json.loads(run("thanks", "--json").stdout)["mistakes"][0]
    assert "cannot go live: templates/six-month/thanks.mjml" in shown.stderr


@pytest.mark.parametrize(
    ("template", "options", "what"),
    [
        ("vouchr", {}, "did you mean voucher?"),
        ("voucher", {"customer": "nobody"}, "no source knows a customer"),
        ("call", {"args": ("--html", "x.html")}, "has no HTML"),
        ("concern", {"args": ("--channel", "fax")}, "is no channel"),
        ("concern", {"args": ("--channel", "sms")}, "has no such file"),
        ("concern", {"args": ("--campaign", "six")}, "no campaign is called"),
        ("concern", {"args": ("--send-to", "nobody")}, "--send-to"),
        ("call", {"args": ("--send-to", "a@b.example")}, "cannot be sent"),
    ],
)
def test_wrong_use_is_one_clear_sentence(
    run: Run, template: str, options: dict[str, str | tuple[str, ...]], what: str
) -> None:
    """Wrong names are answered with the nearest right one."""
    args, customer = options.get("args", ()), options.get("customer", "7")
    assert isinstance(args, tuple)
    assert isinstance(customer, str)

    refused = run(template, *args, customer=customer)

    assert isinstance(refused.exception, ConfigError)
    assert what in str(refused.exception)


def test_sends_to_an_address_of_ones_own(run: Run, home: Path) -> None:
    """``--send-to`` goes through the configured provider and burns nothing."""
    sent = run("voucher", "--send-to", "anna@example.com")

    assert sent.exit_code == 0, sent.output
    assert "sent in mode sandbox" in sent.stdout
    assert (home / "var/sandbox.db").exists()
