"""The shop of the send path's tests, with ears."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, create_engine

from tests.delivery.shop import make_business
from tests.responses.ears import Ears
from winback.business import Business


@pytest.fixture(scope="session")
def shipped() -> Iterator[Business]:
    """Give the shipped example, read once, on a database that nobody uses."""
    nowhere = create_engine("sqlite://")
    yield make_business(nowhere)
    nowhere.dispose()


@pytest.fixture
def shop(engine: Engine, shipped: Business) -> Ears:
    """Give the shipped example on each of the two databases, with fake providers."""
    return Ears(replace(shipped, engine=engine))
