"""Any interleaving of plan, claim, send, event, no, purchase, merge and erasure (DS-24).

Hypothesis looks for the shortest story in which a promise breaks. ``WINBACK_STORIES=300`` lets it
look for longer (``make soak``).
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.simulation.promises import Promises
from tests.simulation.town import Town
from winback import day
from winback.database.engine import make_engine
from winback.day import Day
from winback.states import Channel

STAGES = st.sampled_from((day.pull, day.detect, day.send, day.respond, day.measure))
PEOPLE = 6
WHO = st.integers(0, PEOPLE - 1)


class Story(RuleBasedStateMachine):
    """One story of the town; every step may be followed by any other."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(self.template, self.folder / "town.db")
        self.engine = make_engine(f"sqlite:///{self.folder / 'town.db'}")
        home = self.folder / "home"
        self.town = Town(1, home, self.engine, people=PEOPLE, accounts=2, lapses_within=20)
        self.promises = Promises(self.town)
        self.town.run_to_rest(may_die=False)

    def teardown(self) -> None:
        """Bring it to rest, ask the last promise, and leave nothing behind."""
        self.town.end_well(times=4)
        self.promises.check_at_rest()
        self.engine.dispose()
        shutil.rmtree(self.folder)

    @rule(hours=st.integers(1, 120))
    def pass_time(self, hours: int) -> None:
        """Let time pass, and what falls due in it happen."""
        self.town.clock.set_to(self.town.now + timedelta(hours=hours))
        self.town.let_happen()

    @rule(stage=STAGES, dies_after=st.one_of(st.none(), st.integers(1, 25)))
    def run(self, stage: Callable[[Day], Any], dies_after: int | None) -> None:
        """Run one stage, perhaps only until it dies."""
        self.town.run(stage, dies_after=dies_after)

    @rule()
    def run_all(self) -> None:
        """Run the day."""
        self.town.run_to_rest(may_die=False)

    @rule()
    def react(self) -> None:
        """Let providers report and people answer, later."""
        self.town.react()

    @rule(who=WHO, by=st.sampled_from(("text", "keyword", "reply", "page", "complaint")))
    def say_no(self, who: int, by: str) -> None:
        """Let somebody say no, by one of the roads."""
        self.town.say_no(self.town.persons[who], by)

    @rule(who=WHO)
    def write(self, who: int) -> None:
        """Let somebody write what a person must answer."""
        self.town.write(self.town.persons[who], "Are you open on Sunday?")

    @rule(who=WHO, channel=st.sampled_from((Channel.EMAIL, Channel.SMS)))
    def withdraw(self, who: int, channel: Channel) -> None:
        """Let a source's file take back a consent."""
        self.town.withdraw(self.town.persons[who], channel)

    @rule(who=WHO, days_ago=st.integers(0, 60))
    def purchase(self, who: int, days_ago: int) -> None:
        """Let a purchase come in, late perhaps."""
        on = self.town.now.date() - timedelta(days=days_ago)
        self.town.buy(self.town.persons[who], on)

    @rule(who=WHO)
    def merge(self, who: int) -> None:
        """Let the web shop learn the address of somebody, whom it knew by another one perhaps."""
        self.town.merge(self.town.persons[who])

    @rule(who=WHO)
    def erase(self, who: int) -> None:
        """Forget somebody, who may be re-imported the next day."""
        self.town.erase(self.town.persons[who])

    @rule()
    def pause_or_resume(self) -> None:
        """Stop something, or let it go on."""
        self.town.toggle_pause()

    @rule()
    def settle(self) -> None:
        """Settle the oldest doubt by hand, truly."""
        self.town.settle_a_doubt()

    @invariant()
    def promises_hold(self) -> None:
        """Ask every promise after every step."""
        self.promises.check()


def test_no_story_breaks_a_promise(sqlite_template: Path) -> None:
    """P1 to P4, P6 to P8 and P10 in any order of events."""
    Story.template = sqlite_template
    stories = int(os.environ.get("WINBACK_STORIES", "10"))
    run_state_machine_as_test(
        Story,
        settings=settings(
            max_examples=stories,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
