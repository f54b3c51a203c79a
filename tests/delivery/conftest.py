"""The shop of the send path's tests."""

import pytest
from sqlalchemy import Engine

from tests.delivery.shop import Shop, make_business


@pytest.fixture
def shop(engine: Engine) -> Shop:
    """Give the shipped example on each of the two databases, with fake providers."""
    return Shop(make_business(engine))
