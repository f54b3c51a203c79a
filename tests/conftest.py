"""What all tests share: two databases, a fixed instant, no network but loopback."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from tests.emptied import EmptiedDatabase
from tests.left_out import pytest_unconfigure  # noqa: F401 - pytest finds the hook here
from tests.soak.servers import postgres_server
from winback.database.engine import make_engine, open_database
from winback.states import Mode

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
"""A Monday morning in winter: London is on UTC."""


@pytest.fixture(scope="session")
def sqlite_template() -> Iterator[Path]:
    """Give a migrated SQLite file to copy."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        open_database(f"sqlite:///{path}", Mode.SANDBOX, NOW).dispose()
        yield path


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Give the URL of a PostgreSQL server: ``WINBACK_TEST_POSTGRES_URL``, else one of our own."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_database(postgres_url: str) -> Iterator[EmptiedDatabase]:
    """Give the PostgreSQL database of this process, which each test gets empty."""
    database = EmptiedDatabase(postgres_url, NOW)
    yield database
    database.drop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a fresh, migrated database in mode sandbox, on each of the two servers."""
    if request.param == "sqlite":
        path = tmp_path / "winback.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    database: EmptiedDatabase = request.getfixturevalue("postgres_database")
    yield database.renew()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Give an engine on a fresh database, on each of the two servers."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """Give a session on a fresh database; the test commits what it wants seen."""
    with Session(engine) as session:
        yield session


@pytest.fixture
def now() -> datetime:
    """Give the instant at which the test happens."""
    return NOW
