"""A year in minutes: 365 days with faults, deaths, downtime, clock changes and hostile order.

``WINBACK_SEEDS=200`` plays as many years (``make soak``); ``WINBACK_SEED=17`` replays one.
"""

import os
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, aliased

from tests.simulation.promises import Promises
from tests.simulation.provider import UNCLEAR_ONLY
from tests.simulation.town import FIRST_DAY, MISHAPS, Town
from winback import day
from winback.database.engine import make_engine
from winback.database.tables import Customer, Enrollment, Message, Move
from winback.states import MessageState

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
    town.end_well(times=6)
    promises.check_at_rest()
    return promises


def _move_to(town: Town, on: date, hour: int) -> None:
    at = town.at(on, hour, town.rng.randrange(60))
    town.clock.set_to(max(at, town.now + timedelta(seconds=1)))
    town.let_happen()


@pytest.mark.parametrize("seed", seeds())
def test_a_year_keeps_every_promise(seed: int, tmp_path: Path, sqlite_engine: Engine) -> None:
    """P1 to P4, P6 to P8 and P10, whatever fails, dies, is late or comes twice (DS-22)."""
    town = Town(seed, tmp_path / "home", sqlite_engine)
    promises = play(town)
    accepted = sum(len(provider.taken) for provider in town.providers.values())
    # A year in which nothing happened would prove nothing; one may stand paused for long.
    assert accepted > 0
    assert len(promises.calls) >= accepted
    assert town.fate.deaths > 3


def test_a_month_of_lost_replies_breaks_no_promise(tmp_path: Path, sqlite_engine: Engine) -> None:
    """P2: what may have been sent and what surely was is not one thing, however bad the lines."""
    town = Town(1, tmp_path / "home", sqlite_engine, lapses_within=8)
    for provider in town.providers.values():
        provider.faults, provider.weights = 0.4, UNCLEAR_ONLY

    promises = play(town, days=30)

    there = {one.send_id for provider in town.providers.values() for one in provider.taken}
    with Session(sqlite_engine) as session:
        doubted = set(
            session.scalars(
                select(Message.send_id)
                .join(Move, (Move.thing == "message") & (Move.thing_id == Message.id))
                .where(Move.to_state == MessageState.UNCONFIRMED)
            )
        )
    # Both kinds happened: one that nobody got, and one that somebody did.
    assert doubted - there
    assert doubted & there
    assert doubted <= set(promises.calls)


@pytest.mark.parametrize("seed", [0, 9])
def test_two_who_turn_out_to_be_one_get_nothing_twice(
    seed: int, tmp_path: Path, sqlite_engine: Engine
) -> None:
    """P1, P2: of a merged person no step goes twice, and no enrollment waits for ever."""
    town = Town(seed, tmp_path / "home", sqlite_engine, people=8, accounts=4, lapses_within=5)

    play(town, days=75)

    first, second = aliased(Enrollment), aliased(Enrollment)
    with Session(sqlite_engine) as session:
        # Two who were both in the campaign by the same lapse became one: else nothing was asked.
        alike = session.scalars(
            select(first.id)
            .join(second, (second.lapsed_on == first.lapsed_on) & (second.id > first.id))
            .join(
                Customer, (Customer.id == second.customer_id) | (Customer.id == first.customer_id)
            )
            .where(Customer.merged_into.in_((first.customer_id, second.customer_id)))
        ).all()
    assert alike


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
