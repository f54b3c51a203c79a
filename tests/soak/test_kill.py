"""The kill test at the size of every day; ``make soak`` and ``make kill`` run it at full size."""

from pathlib import Path

import pytest

from tests.soak.kill import kill_test
from tests.soak.servers import fresh_database


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize(
    "kills", [pytest.param(5, id="5"), pytest.param(200, id="200", marks=pytest.mark.soak)]
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
