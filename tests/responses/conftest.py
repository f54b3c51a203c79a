"""The shop of the send path's tests, with ears."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, create_engine

from tests.delivery.shop import make_business
from tests.responses.ears import Ears
from winback.business import Business
from winback.messages.shelf import load_shelf


@pytest.fixture(scope="session")
def shipped() -> Iterator[Business]:
    """Give the shipped example, read once, on a database that nobody uses."""
    nowhere = create_engine("sqlite://")
    yield make_business(nowhere)
    nowhere.dispose()


@pytest.fixture
def business(engine: Engine, shipped: Business) -> Business:
    """Give the shipped example on each of the two databases.

    The shelf is a new one: it remembers what it published, and where.
    """
    shelf = load_shelf(shipped.environment.home, shipped.campaigns, shipped.facts)
    return replace(shipped, engine=engine, shelf=shelf)


@pytest.fixture
def shop(business: Business) -> Ears:
    """Give the example's shop, with fake providers."""
    return Ears(business)
