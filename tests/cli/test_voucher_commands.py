"""``winback voucher``, ``check`` and ``campaign show`` as they are typed."""

import csv
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer
from sqlalchemy.orm import Session
from typer.testing import CliRunner, Result

from tests.vouchers.shop import enroll, seeded
from winback.campaign.loading import load_campaigns
from winback.cli import campaigns, checking, vouchers
from winback.database.engine import open_database
from winback.database.tables import Voucher
from winback.errors import ConfigError, FileMistakes
from winback.periods import Period
from winback.states import Mode
from winback.vouchers.reserving import issue, reserve
from winback.vouchers.stock import fill

HERE = Path(__file__).parents[2]
Typed = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of what is shipped, with a database of its own."""
    for folder in ("config", "templates"):
        shutil.copytree(HERE / folder, tmp_path / folder)
    monkeypatch.setenv("WINBACK_HOME", str(tmp_path))
    monkeypatch.setenv("WINBACK_DATABASE_URL", f"sqlite:///{tmp_path / 'winback.db'}")
    return tmp_path


@pytest.fixture
def typed(home: Path) -> Typed:  # noqa: ARG001 - the home must stand
    """Give what types a command of these groups."""
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    for group in (campaigns, checking, vouchers):
        group.register(app)
    return lambda *words: CliRunner().invoke(app, list(words))


def rows_of(file: Path) -> list[dict[str, str]]:
    """Read an exported file."""
    with file.open(encoding="utf-8", newline="") as source:
        return list(csv.DictReader(source))


def an_issued_code(home: Path, now: datetime) -> str:
    """Give a code that a customer holds."""
    (campaign,) = load_campaigns(home)
    engine = open_database(f"sqlite:///{home / 'winback.db'}", Mode.SANDBOX, now)
    with Session(engine) as session, session.begin():
        fill(session, campaign, now=now, rng=seeded(), home=home)
        (one,) = enroll(session, campaign, now)
        voucher = reserve(
            session,
            enrollment_id=one,
            campaign=campaign,
            offer="welcome-back",
            now=now,
            must_be_exported=False,
        )
        assert isinstance(voucher, int)
        days, zone = Period(days=21), ZoneInfo("Europe/London")
        issue(session, voucher, message_id=1, now=now, valid_for=days, zone=zone)
        code = session.get_one(Voucher, voucher).code
    engine.dispose()
    return code


def test_a_code_is_redeemed_once_with_one_sentence(home: Path, typed: Typed) -> None:
    """The first says what it gives, the second the same as for an unknown code (SEC-17)."""
    code = an_issued_code(home, datetime(2026, 3, 2, 10, tzinfo=UTC))

    first = typed("voucher", "redeem", code.lower(), "--as-of", "2026-03-10")
    second = typed("voucher", "redeem", code, "--as-of", "2026-03-10")
    unknown = typed("voucher", "redeem", "ABCD-EFGH-JKMNP", "--as-of", "2026-03-10")

    assert (first.exit_code, first.stdout) == (0, "Redeemed: 15% off from £30.\n")
    assert (second.exit_code, second.stderr) == (1, "This code is not valid.\n")
    assert (unknown.exit_code, unknown.output) == (second.exit_code, second.output)


def test_an_expired_code_is_not_valid(home: Path, typed: Typed) -> None:
    """After the last day of the voucher nothing is redeemed; --json says so too."""
    code = an_issued_code(home, datetime(2026, 3, 2, 10, tzinfo=UTC))

    late = typed("voucher", "redeem", code, "--as-of", "2026-03-24", "--json")

    assert late.exit_code == 1
    assert json.loads(late.stdout) == {"redeemed": False, "gives": None}


def test_codes_are_exported_to_a_file_of_ours_alone(home: Path, typed: Typed) -> None:
    """All codes up to the limits, in a file that others on the machine cannot read."""
    file = home / "codes.csv"

    assert typed("voucher", "export", str(file), "--offer", "comeback").exit_code == 0
    assert typed("voucher", "export", str(file), "--offer", "comeback", "--new").exit_code == 0
    assert rows_of(file) == []
    typed("voucher", "export", str(file), "--offer", "comeback")

    assert len(rows_of(file)) == 300
    assert file.stat().st_mode & 0o077 == 0
    assert not (home / "codes.csv.part").exists()


def test_an_export_that_cannot_be_written_marks_nothing(home: Path, typed: Typed) -> None:
    """What is in no file is not known to the shop."""
    failed = typed("voucher", "export", str(home / "nowhere" / "codes.csv"))

    assert isinstance(failed.exception, ConfigError)
    assert "cannot be written" in str(failed.exception)
    file = home / "codes.csv"
    typed("voucher", "export", str(file), "--new")
    assert len(rows_of(file)) == 2800


def test_a_pool_is_imported_and_listed(home: Path, typed: Typed) -> None:
    """New and known codes are counted; the stock shows them."""
    pool = home / "pool.txt"
    pool.write_text("A-1\nB-2\n", encoding="utf-8")
    words = ("voucher", "import", str(pool), "--campaign", "six-month", "--offer", "comeback")

    assert json.loads(typed(*words, "--json").stdout) == {"read": 2, "added": 2, "known": 0}
    assert typed(*words).stdout == "2 codes read, 0 new, 2 known already\n"

    listed = json.loads(typed("voucher", "--json").stdout)["vouchers"]
    assert {line["offer"]: line["free"] for line in listed}["comeback"] == 2


def test_an_unknown_offer_is_told_with_the_nearest(home: Path, typed: Typed) -> None:
    """Nothing is imported into a word that was mistyped."""
    pool = home / "pool.txt"
    pool.write_text("A-1\n", encoding="utf-8")

    wrong = typed("voucher", "import", str(pool), "--campaign", "six-month", "--offer", "comback")

    assert "did you mean comeback?" in str(wrong.exception)


def test_what_is_shipped_passes_the_check(typed: Typed) -> None:
    """A newcomer's first check is clean, with notes at most."""
    checked = typed("check", "--json")

    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout)["mistakes"] == []
    assert "all files are right" in typed("check").stdout


def test_every_mistake_of_all_files_is_told_with_exit_2(home: Path, typed: Typed) -> None:
    """Settings, sources, campaign, templates and pools in one run."""
    for file, before, after in (
        ("config/winback.yaml", "currency: GBP", "curency: GBP"),
        ("config/sources.yaml", "kind: files", "kind: filez"),
        ("config/campaigns/six-month.yaml", "codes: 300", "codes_from: config/pool.csv"),
        ("templates/six-month/check-in.sms", "", "{{ custommer.given_name }} "),
    ):
        path = home / file
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(before, after, 1), encoding="utf-8")

    checked = typed("check")
    told = json.loads(typed("check", "--json").stdout)["mistakes"]

    assert checked.exit_code == 2
    assert {mistake["file"] for mistake in told} == {
        "config/winback.yaml",
        "config/sources.yaml",
        "config/pool.csv",
        "templates/six-month/check-in.sms",
    }
    assert checked.stderr.count("\n") == len(told) + 1


def test_a_campaign_is_shown_as_a_dated_strip(typed: Typed) -> None:
    """Table, JSON and Mermaid text from one day on."""
    shown = typed("campaign", "show", "--as-of", "2026-03-02")
    facts = json.loads(typed("campaign", "show", "--json", "--as-of", "2026-03-02").stdout)
    drawn = typed("campaign", "show", "six-month", "--mermaid")

    assert "Tue 2026-03-31" in shown.stdout
    assert "15% off from £30" in shown.stdout
    assert facts["steps"][3]["earliest_on"] == "2026-03-31"
    assert drawn.stdout.startswith("flowchart TD")
    assert "did you mean six-month?" in str(typed("campaign", "show", "sixmonth").exception)


def test_a_campaign_with_mistakes_is_not_shown(home: Path, typed: Typed) -> None:
    """The mistakes are told instead."""
    path = home / "config/campaigns/six-month.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "more: 1\n", encoding="utf-8")

    assert isinstance(typed("campaign", "show").exception, FileMistakes)
