"""The shop that is rehearsed."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.delivery.shop import Shop, make_business


@pytest.fixture
def shop(engine: Engine, tmp_path: Path) -> Shop:
    """Give the shipped example on each of the two databases, with a folder to rehearse in."""
    business = make_business(engine)
    environment = replace(business.environment, home=tmp_path)
    return Shop(replace(business, environment=environment))
