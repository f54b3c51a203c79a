"""When winback is taken to run: the day, the sends between, and what prefect.yaml says."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from winback.errors import ConfigError
from winback.orchestration import scheduled_dates
from winback.rehearsal.deployed import AS_SHIPPED, deployed_schedule, deployment_mistakes
from winback.rehearsal.schedule import Schedule, Times, dates_played, moments
from winback.rehearsal.telling import says_when

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


async def follow(home: Path, *, now: str, days: int, zone: ZoneInfo = LONDON) -> Schedule:
    """Read a home folder's schedule, with Prefect's own reckoning."""
    return await deployed_schedule(home, now=at(now), days=days, zone=zone, dates=scheduled_dates)


def edit(home: Path, *edits: tuple[str, str]) -> Path:
    """Write the shipped prefect.yaml into a home folder, edited."""
    written = (HERE / "prefect.yaml").read_text(encoding="utf-8")
    for before, after in edits:
        assert before in written
        written = written.replace(before, after, 1)
    (home / "prefect.yaml").write_text(written, encoding="utf-8")
    return home


async def test_the_shipped_schedule_is_the_shipped_file() -> None:
    """What is taken where nothing can be read is what prefect.yaml says."""
    read = await follow(HERE, now="2026-03-02T08:00Z", days=7)

    assert says_when(read) == says_when(AS_SHIPPED)
    for schedule in (read, AS_SHIPPED):
        played = list(moments(schedule, now=at("2026-03-02T08:00Z"), days=7, zone=LONDON))
        assert len(played) == 7 * 24 * 4 - 8 * 4
        assert sum(one.is_day for one in played) == 7


DAY, SENDS = (
    '"0 10 * * *"\n    timezone: Europe/London',
    '"*/15 * * * *"\n    timezone: Europe/London',
)
SENDS_ARE = "entrypoint: flows/send.py:send"
FRIDAY = "2026-03-06T08:00Z"


@pytest.mark.parametrize(
    ("edits", "days", "sends", "says"),
    [
        pytest.param(
            [(DAY, DAY.replace("0 10", "30 7"))],
            ["03-07T07:30", "03-08T07:30"],
            16 * 4 + 95 + 95,
            "the day at 07:30, and a send every 15 minutes",
            id="another hour",
        ),
        pytest.param(
            [(DAY, DAY.replace("* * *", "* * 1-5")), (SENDS, SENDS.replace("*/15 *", "0 8-18"))],
            ["03-06T10:00"],
            # The send at ten on Friday is the day's.
            10 + 11 + 11,
            'the day by cron "0 10 * * 1-5" (Europe/London), and sends by cron "0 8-18 * * *" '
            "(Europe/London)",
            id="weekdays, and sends by day",
        ),
        pytest.param(
            [
                (DAY, DAY.replace("Europe/London", "America/New_York")),
                (SENDS, SENDS + "\n    active: false"),
            ],
            # New York's clocks change on the eighth, London's do not yet.
            ["03-06T15:00", "03-07T15:00", "03-08T14:00"],
            0,
            'the day by cron "0 10 * * *" (America/New_York), and nothing between',
            id="another zone",
        ),
        pytest.param(
            [(DAY, DAY + "\n    active: false"), ("cron: " + SENDS, "interval: 21600")],
            [],
            2 + 4 + 4,
            'never the whole day, and sends by interval "21600" (UTC)',
            id="no day, an interval",
        ),
        pytest.param(
            [(SENDS_ARE, "paused: true\n  " + SENDS_ARE)],
            ["03-06T10:00", "03-07T10:00", "03-08T10:00"],
            0,
            "the day at 10:00, and nothing between",
            id="sends are paused",
        ),
        pytest.param(
            [("cron: " + DAY, 'rrule: "FREQ=WEEKLY;BYDAY=SU;BYHOUR=9;BYMINUTE=0;BYSECOND=0"')],
            ["03-08T09:00"],
            3 * 96 - 8 * 4 - 1,
            'the day by rrule "FREQ=WEEKLY;BYDAY=SU;BYHOUR=9;BYMINUTE=0;BYSECOND=0" (UTC), '
            "and a send every 15 minutes",
            id="a rule",
        ),
    ],
)
async def test_an_edited_file_is_followed(  # noqa: PLR0917 - pytest names them
    tmp_path: Path, edits: list[tuple[str, str]], days: list[str], sends: int, says: str
) -> None:
    """P9: whatever prefect.yaml says, in its own zones, is what is rehearsed, and is told."""
    schedule = await follow(edit(tmp_path, *edits), now=FRIDAY, days=3)

    played = list(moments(schedule, now=at(FRIDAY), days=3, zone=LONDON))

    assert [f"{one.at:%m-%dT%H:%M}" for one in played if one.is_day] == days
    assert sum(not one.is_day for one in played) == sends
    assert says_when(schedule) == says


async def test_the_clocks_of_a_schedule_change_as_prefect_changes_them(tmp_path: Path) -> None:
    """When the clocks go back, a cron waits for the hour that it already had."""
    now = "2026-10-25T00:00+01:00"
    schedule = await follow(edit(tmp_path), now=now, days=1)

    played = [one.at for one in moments(schedule, now=at(now), days=1, zone=LONDON)]

    assert len(played) == 96
    assert max(after - before for before, after in pairwise(played)) == timedelta(minutes=75)


async def test_a_year_is_followed_to_its_end(tmp_path: Path) -> None:
    """Prefect gives so many dates at once; a long rehearsal asks on."""
    schedule = await follow(edit(tmp_path), now=FRIDAY, days=30)

    played = list(moments(schedule, now=at(FRIDAY), days=30, zone=LONDON))

    assert sum(one.is_day for one in played) == 30
    assert played[-1].at == at("2026-04-04T22:45Z")


@pytest.mark.parametrize("cron", ['"0 10 * * 1-99"', '""'])
async def test_a_schedule_that_cannot_be_deployed_is_told(tmp_path: Path, cron: str) -> None:
    """Nothing is rehearsed in its stead: neither would Prefect run it."""
    home = edit(tmp_path, ('"0 10 * * *"', cron))

    with pytest.raises(ConfigError, match=r"flows/reactivate.py:reactivate cannot be followed"):
        await follow(home, now=FRIDAY, days=3)


@pytest.mark.parametrize("written", [None, "name: [winback"])
async def test_no_file_is_the_shipped_one(tmp_path: Path, written: str | None) -> None:
    """A folder without a readable prefect.yaml is no reason to fail."""
    if written is not None:
        (tmp_path / "prefect.yaml").write_text(written, encoding="utf-8")

    assert await follow(tmp_path, now=FRIDAY, days=3) == AS_SHIPPED


@pytest.mark.parametrize(
    ("written", "line", "what"),
    [
        ("", 0, ""),
        ("name: winback", 0, ""),
        ("deployments:", 0, ""),
        ("name: [winback", 1, "not YAML"),
        ("- name: winback", 1, "this has no keys"),
        ("name: winback\ndeployments: daily", 2, "no list stands here"),
        ("deployments:\n- name: daily\n- daily", 3, "this has no keys"),
        ("deployments:\n- schedules:\n    cron: 0 10 * * *", 3, "no list stands here"),
        ("deployments:\n- schedules:\n  - daily", 3, "this has no keys"),
        ("name: winback\nsince: 2026-02-30", 2, "not YAML"),
    ],
)
def test_a_file_that_cannot_be_followed_says_where(
    tmp_path: Path, written: str, line: int, what: str
) -> None:
    """``winback check`` tells the line, and a rehearsal does not go by another plan in silence."""
    (tmp_path / "prefect.yaml").write_text(written, encoding="utf-8")

    told = deployment_mistakes(tmp_path)

    assert [one.line for one in told] == ([line] if line else [])
    assert all(what in one.what for one in told)


def test_days_on_which_nothing_runs_count() -> None:
    """A rehearsal of three days has three, also over a weekend without a run."""
    monday = Times("on Monday", [at("2026-03-09T10:00Z")])
    schedule = Schedule(None, day_by=monday)

    days = dates_played(schedule, now=at(FRIDAY), days=3, zone=LONDON)

    assert [str(day) for day in days] == ["2026-03-07", "2026-03-08", "2026-03-09"]
    assert list(moments(schedule, now=at(FRIDAY), days=2, zone=LONDON)) == []
