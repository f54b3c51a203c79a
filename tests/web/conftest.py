"""The shop, served."""

from collections.abc import Iterator

import pytest

from tests.responses.conftest import business, shipped
from tests.web.served import Served, TestClient, serve
from winback.business import Business

__all__ = ["business", "client", "served", "shipped"]


@pytest.fixture
def served(business: Business) -> Served:
    """Give the shipped example, served, with keys that the test signs with."""
    return serve(business)


@pytest.fixture
def client(served: Served) -> Iterator[TestClient]:
    """Give a client that follows no redirect and keeps no cookie."""
    with TestClient(served.app, base_url="http://hidden", follow_redirects=False) as client:
        yield client
