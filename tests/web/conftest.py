"""The shop, served."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from tests.responses.conftest import shipped
from tests.web.served import Served, TestClient, serve
from winback.business import Business

__all__ = ["client", "served", "shipped"]


@pytest.fixture
def served(engine: Engine, shipped: Business) -> Served:
    """Give the shipped example, served, with keys that the test signs with."""
    return serve(replace(shipped, engine=engine))


@pytest.fixture
def client(served: Served) -> Iterator[TestClient]:
    """Give a client that follows no redirect and keeps no cookie."""
    with TestClient(served.app, base_url="http://hidden", follow_redirects=False) as client:
        yield client
