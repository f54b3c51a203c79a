"""When winback is taken to run: the day, the sends between, and what prefect.yaml says."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from winback.rehearsal.deployed import AS_SHIPPED, deployed_schedule
from winback.rehearsal.schedule import Schedule, moments

LONDON = ZoneInfo("Europe/London")
HERE = Path(__file__).parent.parent.parent


def at(text: str) -> datetime:
    """Read an instant."""
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "first", "last"),
    [
        pytest.param("2026-03-02T08:00Z", "2026-03-02T10:00Z", "2026-03-04T10:00Z", id="before"),
        pytest.param("2026-03-02T10:00Z", "2026-03-02T10:00Z", "2026-03-04T10:00Z", id="at it"),
        pytest.param("2026-03-02T10:01Z", "2026-03-03T10:00Z", "2026-03-05T10:00Z", id="after"),
        pytest.param("2026-03-28T23:59Z", "2026-03-29T09:00Z", "2026-03-31T09:00Z", id="clock"),
    ],
)
def test_one_run_a_day(now: str, first: str, last: str) -> None:
    """The first day is the one whose run is still to come; ten o'clock is local."""
    played = [one.at for one in moments(Schedule(), now=at(now), days=3, zone=LONDON)]

    assert (len(played), played[0], played[-1]) == (3, at(first), at(last))


@pytest.mark.parametrize(
    ("day", "sends"),
    [
        pytest.param("2026-03-02", 95, id="24 hours"),
        pytest.param("2026-03-29", 91, id="23 hours"),
        pytest.param("2026-10-25", 99, id="25 hours"),
    ],
)
def test_sends_between_go_round_the_clock(day: str, sends: int) -> None:
    """Every quarter of an hour, whatever the clocks do; the day itself is no second send."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=LONDON).astimezone(UTC)

    played = list(moments(AS_SHIPPED, now=midnight, days=1, zone=LONDON))

    assert sum(not one.is_day for one in played) == sends
    ten = datetime.fromisoformat(f"{day}T10:00").replace(tzinfo=LONDON)
    assert [one.at for one in played if one.is_day] == [ten]
    gaps = {after.at - before.at for before, after in pairwise(played)}
    assert gaps == {timedelta(minutes=15)}


def test_a_day_that_is_half_over_counts_as_one() -> None:
    """With sends between, what is left of today is the first day."""
    now = at("2026-03-02T14:10Z")

    played = list(moments(AS_SHIPPED, now=now, days=2, zone=LONDON))

    assert played[0].at == at("2026-03-02T14:15Z")
    assert sum(one.is_day for one in played) == 1


def test_the_shipped_schedule_is_the_shipped_file() -> None:
    """What is taken where nothing can be read is what prefect.yaml says."""
    assert deployed_schedule(HERE) == AS_SHIPPED


@pytest.mark.parametrize(
    ("before", "after", "schedule"),
    [
        pytest.param('"0 10 * * *"', '"30 7 * * *"', Schedule(time(7, 30), AS_SHIPPED.send_every)),
        pytest.param('"*/15 * * * *"', '"*/5 * * * *"', Schedule(time(10), timedelta(minutes=5))),
        pytest.param("flows/send.py:send", "flows/other.py:other", Schedule(time(10))),
        pytest.param('- cron: "*/15', '- active: false\n    cron: "*/15', Schedule(time(10))),
        pytest.param('"0 10 * * *"', '"0 10 * * 1-5"', AS_SHIPPED),
        pytest.param("name: winback", "name: [winback", AS_SHIPPED),
    ],
)
def test_an_edited_file_is_followed(
    tmp_path: Path, before: str, after: str, schedule: Schedule
) -> None:
    """The hour of the day and the minutes between sends are the owner's; the rest is as shipped."""
    written = (HERE / "prefect.yaml").read_text(encoding="utf-8")
    assert before in written
    (tmp_path / "prefect.yaml").write_text(written.replace(before, after), encoding="utf-8")

    assert deployed_schedule(tmp_path) == schedule


def test_no_file_is_the_shipped_one(tmp_path: Path) -> None:
    """A folder without prefect.yaml is no reason to fail."""
    assert deployed_schedule(tmp_path) == AS_SHIPPED
