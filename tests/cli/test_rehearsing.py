"""``winback rehearse`` as a person uses it: what would happen, and that nothing did."""

import json
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from tests.rehearsal.played import fingerprint
from tests.shop import make_shop, winback
from winback.dashboard import noted, noted_server
from winback.database.engine import make_engine

TODAY = date(2026, 3, 2)


_ONE_IS_ENOUGH = pytest.mark.parametrize(
    "database_url",
    ["sqlite", pytest.param("postgresql", marks=pytest.mark.soak)],
    indirect=True,
)
"""What is read of files and told in words is the same on both; each process takes seconds."""


@pytest.fixture
def shop(tmp_path: Path, database_url: str) -> Path:
    """Give a home folder with twenty lapsed customers, on each of the two servers."""
    return make_shop(tmp_path / "shop", customers=20, lapsed_on=TODAY, database_url=database_url)


def test_the_next_days_are_told_and_nothing_is_written(shop: Path, database_url: str) -> None:
    """P9: who, when, which channel, cost, codes and calls; the database stays as it was."""
    winback(shop, "pull")
    engine = make_engine(database_url)
    before = fingerprint(engine)

    told = winback(
        shop, "rehearse", "--days", "14", "--send-every", "240", "--as-of", "2026-03-01", "--json"
    )

    assert told.returncode == 0, told.stderr
    assert fingerprint(engine) == before
    engine.dispose()
    facts = json.loads(told.stdout)
    assert (facts["from"], facts["until"], facts["days"]) == ("2026-03-02", "2026-03-15", 14)
    assert facts["schedule"] == {
        "day_at": "10:00",
        "send_every_minutes": 240,
        "day_by": None,
        "sends_by": None,
    }
    assert len(facts["enrollments"]) == 20
    treated = sum(one["arm"] == "treated" for one in facts["enrollments"])
    concern = [one for one in facts["messages"] if one["step"] == "concern"]
    assert len(concern) == treated
    assert {one["day"] for one in concern} == {"2026-03-02"}
    assert concern[0]["customer"] == f"till:{concern[0]['ids']['till'][0]}"
    assert facts["codes"] == {"welcome-back": treated}
    first = facts["totals"][0]
    assert (first["enrolled"], first["held_out"], first["email"]) == (20, 20 - treated, treated)
    assert len(facts["totals"]) == 14
    assert float(facts["cost"]) > 0
    assert facts["drains_in"]["email"]["amount"] == treated
    assert list((shop / "var").glob("rehearsal-*")) == []


@_ONE_IS_ENOUGH
def test_what_is_deployed_is_followed(shop: Path) -> None:
    """P9: with Prefect the schedules are those of prefect.yaml, unless the command says others."""
    winback(shop, "pull")
    path = shop / "prefect.yaml"
    written = path.read_text(encoding="utf-8")
    path.write_text(written.replace('"0 10 * * *"', '"0 10 * * 1-5"'), encoding="utf-8")
    rehearse = partial(
        winback,
        shop,
        "rehearse",
        "--days=3",
        "--as-of=2026-03-01",
        environment={"PREFECT_API_URL": "http://127.0.0.1:9/api"},
    )

    assert 'the day by cron "0 10 * * 1-5" (' in rehearse().stdout
    assert (
        "the day at 09:00, and a send every 60 minutes"
        in rehearse("--at=09:00", "--send-every=60").stdout
    )
    path.write_text("name: winback\ndeployments: [", encoding="utf-8")
    taken = rehearse("--days=1")
    assert taken.stderr.startswith("prefect.yaml:2: not YAML")
    assert "the schedules of the shipped file are taken" in taken.stderr
    assert taken.returncode == 0


def test_what_is_up_beside_it_is_followed(tmp_path: Path, httpserver: HTTPServer) -> None:
    """P9: ``winback up`` in another terminal sends each quarter of an hour, and so it is told."""
    home = make_shop(tmp_path / "shop", customers=0, lapsed_on=TODAY)
    (home / "var").mkdir()
    httpserver.expect_request("/api/health").respond_with_data("true")

    with noted(home / "var", url := httpserver.url_for("/api")):
        assert noted_server(home / "var") == url
        beside = winback(home, "rehearse", "--days=1")
        httpserver.clear()
        # Where it was killed, its note stays.
        assert noted_server(home / "var") is None

    assert "the day at 10:00, and a send every 15 minutes" in beside.stdout
    assert list((home / "var").glob("prefect*")) == []
    assert noted_server(home / "var") is None


@_ONE_IS_ENOUGH
def test_what_a_person_reads_names_nobody(shop: Path) -> None:
    """The table holds days and counts, and says when winback is taken to run."""
    winback(shop, "pull")

    told = winback(shop, "rehearse", "--days", "3", "--at", "09:30", "--as-of", "2026-03-01")

    assert told.returncode == 0, told.stderr
    assert "the day at 09:30, and nothing between" in told.stdout
    assert "Mon 2026-03-02" in told.stdout
    assert "Oakley" not in told.stdout
    assert "@" not in told.stdout


@_ONE_IS_ENOUGH
def test_a_time_that_the_database_has_passed_is_refused(shop: Path) -> None:
    """Days that are over cannot be rehearsed; the sentence says from when on."""
    assert winback(shop, "run", "--as-of", "2026-03-05").returncode == 0

    refused = winback(shop, "rehearse", "--as-of", "2026-03-01")

    assert refused.returncode == 2
    assert "with --as-of 2026-03-05" in refused.stderr
    assert "Traceback" not in refused.stderr
