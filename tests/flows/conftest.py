"""One Prefect server for all tests of flows: it takes a quarter of a minute to start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from winback.dashboard import Dashboard, free_port, start_dashboard
from winback.processes import stop


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Give a running server of its own, empty at the start."""
    home: Path = tmp_path_factory.mktemp("prefect")
    running = start_dashboard(home, free_port())
    try:
        running.wait()
        yield running
    finally:
        stop(running.process)
