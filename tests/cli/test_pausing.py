"""``winback pause`` and ``resume`` as an operator uses them: whatever they say is so."""

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from typer.testing import Result

from tests.enrollment.shop import add_customer, add_enrollment, make_campaign
from winback.delivery.closing import close_channel
from winback.enrollment.pausing import BRAKE, Pauses, PauseScope, pause, standing_pauses
from winback.errors import ConfigError
from winback.states import Channel

Run = Callable[..., Result]


def rename_campaign(home: Path) -> None:
    """Give the shipped campaign another name in its file, and in the folder of its templates."""
    path = home / "config" / "campaigns" / "six-month.yaml"
    written, count = re.subn(
        "^campaign: six-month",
        "campaign: silence",
        path.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    assert count == 1
    path.write_text(written, encoding="utf-8")
    (home / "templates" / "six-month").rename(home / "templates" / "silence")


@pytest.mark.parametrize(
    "words", [(), ("--channel", "sms"), ("--campaign", "six-month"), ("--country", "US")]
)
def test_what_a_pause_says_goes_on_with_does_let_it_go_on(
    run: Run, engine: Engine, words: tuple[str, ...]
) -> None:
    """The command that ``pause`` names ends this pause, and no other is needed."""
    paused = run("pause", *words)
    _, _, named = paused.stdout.strip().partition("go on with: winback ")

    went_on = run(*named.split())

    what = words[1] if words else "everything"
    assert paused.stdout == f"{what} stands still; go on with: winback {' '.join(named.split())}\n"
    assert went_on.stdout == f"{what} goes on\n"
    with Session(engine) as session:
        standing = standing_pauses(session)
    assert standing == Pauses()


def test_going_on_tells_what_still_stands_still(run: Run) -> None:
    """Nobody is told that everything goes on while texts do not."""
    run("pause", "--why", "stocktaking")
    run("pause", "--channel", "sms", "--why", "our number moves")

    texts, facts = run("resume", "--channel", "sms"), run("pause", "--channel", "sms", "--json")
    everything = run("resume", "--json")
    last = run("resume", "--channel", "sms")

    assert texts.stdout.splitlines() == [
        "the pause of sms is over; what still stands still:",
        "everything stands still (operator): stocktaking; go on with: winback resume",
    ]
    assert json.loads(facts.stdout)["was_paused"] is False
    told = json.loads(everything.stdout)
    assert told["was_paused"] is True
    assert [one.partition("; ")[2] for one in told["still_paused"]] == [
        "go on with: winback resume --channel sms"
    ]
    assert last.stdout == "sms goes on\n"


def test_a_second_pause_says_why_it_stood_still_already(run: Run, engine: Engine) -> None:
    """Nobody believes that a reason was kept which was not."""
    run("pause", "--why", "stocktaking")

    again, bare = run("pause", "--why", "wrong words"), run("pause")
    facts = json.loads(run("pause", "--why", "wrong words", "--json").stdout)

    assert again.stdout == (
        "everything stood still already: stocktaking; the reason given now is not kept\n"
    )
    assert bare.stdout == "everything stood still already: stocktaking\n"
    assert (facts["was_paused"], facts["why"]) == (True, "stocktaking")
    with Session(engine) as session:
        assert standing_pauses(session).all == "stocktaking"


def test_going_on_tells_of_a_channel_that_its_provider_refused(
    run: Run, engine: Engine, now: datetime
) -> None:
    """A closed channel is no pause of ours, and holds its messages all the same."""
    run("pause")
    with Session(engine) as session, session.begin():
        close_channel(session, Channel.SMS, why="20003 refused", now=now)

    told = run("resume").stdout

    assert told.splitlines()[0] == "the pause of everything is over; what still stands still:"
    assert "sms stands still: 20003 refused" in told


def test_a_campaign_that_was_renamed_can_go_on(run: Run, home: Path, engine: Engine) -> None:
    """What stands still goes on by the name under which it stands, whatever the file says now."""
    with Session(engine) as session, session.begin():
        pause(
            session,
            PauseScope.CAMPAIGN,
            "six-month",
            by=BRAKE,
            why="bounces",
            now=datetime.fromisoformat("2026-03-02T10:00Z"),
        )
    rename_campaign(home)

    told = run("status").stdout

    assert "winback resume --campaign six-month" in " ".join(told.split())
    assert run("resume", "--campaign", "six-month").stdout == "six-month goes on\n"
    again = run("resume", "--campaign", "six-month")
    assert isinstance(again.exception, ConfigError)
    assert "there is no campaign 'six-month': use one of silence" in str(again.exception)


def test_a_renamed_campaign_that_somebody_is_in_can_be_paused(
    run: Run, home: Path, engine: Engine, now: datetime
) -> None:
    """Those who entered go on under the old name, and the operator's switch reaches them."""
    with Session(engine) as session, session.begin():
        customer = add_customer(session, [date(2025, 9, 1)])
        add_enrollment(session, customer, make_campaign(), now=now)
    rename_campaign(home)

    paused = run("pause", "--campaign", "six-month")

    assert paused.stdout.startswith("six-month stands still; go on with: winback resume --campaign")
    assert run("resume", "--campaign", "six-month").stdout == "six-month goes on\n"
    unknown = run("pause", "--campaign", "seven-month")
    assert "did you mean six-month?" in str(unknown.exception)
