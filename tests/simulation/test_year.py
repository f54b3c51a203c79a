"""A year in minutes: 365 days with faults, deaths, downtime, clock changes and hostile order.

``WINBACK_SEEDS=200`` plays as many years (``make soak``); ``WINBACK_SEED=17`` replays one.
"""

import os
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.simulation.promises import Promises
from tests.simulation.town import FIRST_DAY, MISHAPS, Town
from winback import day
from winback.database.engine import make_engine

DAYS = 365
HOURS = (2, 7, 13, 16, 19, 21)
"""When schedules fire besides the daily run: at night and at the borders of decent hours, too."""


def seeds() -> list[int]:
    """Give the years to play."""
    if chosen := os.environ.get("WINBACK_SEED"):
        return [int(chosen)]
    return list(range(int(os.environ.get("WINBACK_SEEDS", "5"))))


def play(town: Town, *, days: int = DAYS) -> Promises:
    """Play the year, or its first days; every promise is asked after every step."""
    promises = Promises(town)
    town.run_to_rest(may_die=True)
    promises.check()
    on = FIRST_DAY
    while (on := on + timedelta(days=1)) < FIRST_DAY + timedelta(days=days):
        if town.rng.random() < MISHAPS:
            on += town.mishap()
        for hour in sorted(town.rng.sample(HOURS, town.rng.choice((0, 0, 1, 2)))):
            _move_to(town, on, hour)
            town.run(town.rng.choice((day.send, day.respond)), dies_after=town.fate.draw())
        if town.rng.random() < 0.97:
            _move_to(town, on, 10)
            town.run_to_rest(may_die=True)
        town.react()
        promises.check()
    _come_to_rest(town)
    promises.check()
    promises.check_at_rest()
    return promises


def _move_to(town: Town, on: date, hour: int) -> None:
    at = town.at(on, hour, town.rng.randrange(60))
    town.clock.set_to(max(at, town.now + timedelta(seconds=1)))
    town.let_happen()


def _come_to_rest(town: Town) -> None:
    """Let all news arrive and all evidence be asked for, with providers that work."""
    for provider in town.providers.values():
        provider.faults = 0
    for _ in range(6):
        town.clock.set_to(town.now + timedelta(days=2))
        town.let_happen()
        town.react()
        town.run_to_rest(may_die=False)


@pytest.mark.parametrize("seed", seeds())
def test_a_year_keeps_every_promise(seed: int, tmp_path: Path, sqlite_engine: Engine) -> None:
    """P1 to P4, P6, P8 and P10, whatever fails, dies, is late or comes twice (DS-22)."""
    town = Town(seed, tmp_path / "home", sqlite_engine)
    promises = play(town)
    accepted = sum(len(provider.taken) for provider in town.providers.values())
    # A year in which nothing happened would prove nothing; one may stand paused for long.
    assert accepted > 0
    assert len(promises.calls) >= accepted
    assert town.fate.deaths > 3


def test_a_seed_replays_exactly(tmp_path: Path, sqlite_template: Path) -> None:
    """DS-22: what failed once can be watched again, to the second."""
    played = []
    for copy in ("first", "second"):
        shutil.copy(sqlite_template, tmp_path / f"{copy}.db")
        engine = make_engine(f"sqlite:///{tmp_path / copy}.db")
        town = Town(7, tmp_path / copy, engine, lapses_within=20)
        play(town, days=40)
        engine.dispose()
        sent = [
            (one.send_id, one.at) for channel in town.providers.values() for one in channel.taken
        ]
        played.append((town.told, sorted(sent), town.fate.deaths))

    assert played[0][1]
    assert played[0] == played[1]
