"""``winback run`` as a person uses it: the whole day, twice, on both databases."""

import json
import sqlite3
from datetime import date
from pathlib import Path

import pytest

from tests.shop import make_shop, winback
from winback.states import EnrollmentState, MessageState

TODAY = date(2026, 3, 2)


@pytest.fixture
def shop(tmp_path: Path, database_url: str) -> Path:
    """Give a home folder with twenty lapsed customers, on each of the two servers."""
    return make_shop(tmp_path / "shop", customers=20, lapsed_on=TODAY, database_url=database_url)


def test_a_day_runs_once_and_a_second_run_sends_nothing(shop: Path) -> None:
    """The faces of run and status hold, and running twice is as good as once (P1)."""
    first = winback(shop, "run", "--as-of", "2026-03-02", "--json")
    again = winback(shop, "run", "--as-of", "2026-03-02", "--json")
    status = winback(shop, "status", "--json")

    assert (first.returncode, again.returncode, status.returncode) == (0, 0, 0), first.stderr
    told, repeated = json.loads(first.stdout), json.loads(again.stdout)
    assert told["by"] == "direct"
    assert told["stands_still"] == []
    assert told["pull"] == {"read": 40, "added": 40, "changed": 0, "rejected": 0}
    assert told["detect"]["enrolled"] == 20
    treated = 20 - told["detect"]["held_out"]
    assert told["send"]["accepted"] == treated
    assert repeated["pull"]["read"] == repeated["detect"]["enrolled"] == 0
    assert repeated["send"]["accepted"] == 0
    states = json.loads(status.stdout)
    assert set(states["enrollments"]) == {str(state) for state in EnrollmentState}
    assert set(states["messages"]) == {str(state) for state in MessageState}
    assert states["messages"]["delivered"] == treated
    with sqlite3.connect(shop / "var" / "sandbox.db") as record:
        tables = {name for (name,) in record.execute("SELECT name FROM sqlite_master")}
        assert "mails" in tables
        assert record.execute("SELECT count(*) FROM mails").fetchone() == (treated,)
    record.close()


def test_a_day_that_stands_still_says_so(shop: Path) -> None:
    """Whoever reads "nothing new" learns that it is meant, since when, why, and how it goes on."""
    at = ("--as-of", "2026-03-02T09:00")
    assert winback(shop, "pause", "--why", "stocktaking", *at).returncode == 0

    told = winback(shop, "run", "--as-of", "2026-03-02T10:00").stdout.splitlines()
    facts = winback(shop, "run", "--as-of", "2026-03-02T10:00", "--json").stdout

    says = "everything stands still (operator): stocktaking; go on with: winback resume"
    assert told[-2] == f"since 2026-03-02 09:00 UTC {says}"
    (still,) = json.loads(facts)["stands_still"]
    assert (still["says"], still["since"]) == (says, "2026-03-02T09:00:00Z")


def test_time_does_not_run_backwards(shop: Path) -> None:
    """A writing command takes no earlier as-of than the last one used, and says so."""
    assert winback(shop, "run", "--as-of", "2026-03-02").returncode == 0

    earlier = winback(shop, "run", "--as-of", "2026-03-01")

    assert earlier.returncode == 2
    assert "earlier than" in earlier.stderr
    assert "Traceback" not in earlier.stderr


def test_another_time_is_refused_where_people_are_real(shop: Path) -> None:
    """In mode live, without loopback URLs, no writing command takes ``--as-of``."""
    settings = shop / "config" / "winback.yaml"
    text = settings.read_text(encoding="utf-8").replace("mode: sandbox", "mode: live")
    settings.write_text(text, encoding="utf-8")

    refused = winback(shop, "run", "--as-of", "2026-03-02")

    assert refused.returncode == 2
    assert "--as-of is not for commands that write in mode live" in refused.stderr
