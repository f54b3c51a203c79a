"""What the tests of this room share."""

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.sources.shops import CUSTOMERS, PURCHASES, Shop


@pytest.fixture
def shop(tmp_path: Path, engine: Engine, now: datetime) -> Shop:
    """Give a shop whose till writes two kinds of CSV files."""
    home = tmp_path / "home"
    home.mkdir()
    shop = Shop(home, engine, now)
    shop.configure(till={"kind": "files", "customers": CUSTOMERS, "purchases": PURCHASES})
    return shop
