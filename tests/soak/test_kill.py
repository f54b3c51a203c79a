"""The kill test at the size of every day; ``make soak`` and ``make kill`` run it at full size."""

from pathlib import Path
from typing import Any

import pytest

from tests.soak.judging import Ours, Told, judge
from tests.soak.kill import kill_test
from tests.soak.servers import fresh_database
from winback.states import MessageState

HEARD = [("a", 0), ("b", 1)]
ACCEPTED = [
    Ours(0, "a", MessageState.ACCEPTED, ""),
    Ours(1, "b", MessageState.DELIVERED, ""),
]
DOUBTED = Ours(2, "c", MessageState.UNCONFIRMED, "the reply was lost")


def judged(heard: list[tuple[str, int]], rows: list[Ours]) -> Told:
    """Judge a send of three messages."""
    told = Told("none", messages=3, kills=1, in_the_send=1)
    judge(told, heard, rows)
    return told


def test_what_is_accepted_or_listed_in_doubt_is_well() -> None:
    """P2: a doubt that is told with its reason is no loss."""
    told = judged(HEARD, [*ACCEPTED, DOUBTED])

    assert told.is_well
    assert (told.accepted, told.unknown) == (2, 1)


@pytest.mark.parametrize(
    ("heard", "row", "wrong"),
    [
        pytest.param([], Ours(2, "c", MessageState.ACCEPTED, ""), (0, 1, 1, 0), id="untrue"),
        pytest.param([], Ours(2, "c", MessageState.UNCONFIRMED, ""), (0, 1, 0, 0), id="no reason"),
        pytest.param([], Ours(2, None, MessageState.QUEUED, ""), (0, 1, 0, 0), id="queued"),
        pytest.param([("c", 2)], DOUBTED, (0, 0, 0, 1), id="not settled"),
        pytest.param([("d", 1)], DOUBTED, (1, 0, 0, 1), id="on two channels"),
        pytest.param([("b", 1)], DOUBTED, (1, 0, 0, 0), id="by one send id"),
    ],
)
def test_the_judge_goes_by_the_record_of_the_providers(
    heard: list[tuple[str, int]], row: Ours, wrong: tuple[int, int, int, int]
) -> None:
    """P1, P2: twice, lost, untrue and unresolved are found whatever our own rows say."""
    told = judged(HEARD + heard, [*ACCEPTED, row])

    assert (told.twice, told.lost, told.untrue, told.unresolved) == wrong
    assert not told.is_well


@pytest.mark.parametrize(
    ("told", "is_well"),
    [
        pytest.param({"kills": 5, "in_the_send": 5, "orphans": 1}, True, id="few"),
        pytest.param({"kills": 5, "in_the_send": 4, "orphans": 1}, True, id="one elsewhere"),
        pytest.param({"kills": 4, "in_the_send": 4}, True, id="too few to be sure"),
        pytest.param({}, False, id="no kill"),
        pytest.param({"kills": 5, "in_the_send": 3, "orphans": 1}, False, id="too late"),
        pytest.param({"kills": 5, "in_the_send": 5}, False, id="nothing was claimed"),
        pytest.param(
            {"kills": 200, "in_the_send": 190, "orphans": 300, "stopped": 1}, True, id="many"
        ),
        pytest.param(
            {"kills": 200, "in_the_send": 190, "orphans": 300}, False, id="none stood still"
        ),
        pytest.param(
            {"kills": 5, "in_the_send": 5, "orphans": 1, "failures": ["a worker ended with 1"]},
            False,
            id="a worker failed",
        ),
        pytest.param({"kills": 5, "in_the_send": 5, "orphans": 1, "unread": 1}, False, id="unread"),
    ],
)
def test_kills_that_could_break_nothing_prove_nothing(
    told: dict[str, Any],
    is_well: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """P1, P2: a kill test whose kills missed the send is not content, however well all went."""
    assert Told("none", messages=125, **told).is_well is is_well


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(5, id="5", marks=pytest.mark.soak),
        pytest.param(200, id="200", marks=pytest.mark.soak),
    ],
)
def test_workers_killed_at_any_instant_send_nothing_twice_and_lose_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, database: str, kills: int
) -> None:
    """P1 and P2 by the stand-ins' record: 0 twice, 0 lost, every doubt listed, then settled."""
    server = request.getfixturevalue("postgres_url") if database == "postgresql" else None

    with fresh_database(tmp_path, server) as url:
        told = kill_test(url, kills=kills, seed=kills, name=database)

    assert told.kills == kills, told
    assert told.is_well, told
