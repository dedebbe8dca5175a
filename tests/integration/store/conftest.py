from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from app.store import embedded
from tests.conftest import Server


@pytest.fixture
def superuser(server: Server) -> Iterator[psycopg.Connection[object]]:
    """Connect to the test database as somebody who may do anything there."""
    url = server.url
    if server.data_dir is not None:
        home = embedded._Home(server.data_dir / "postgres", None)
        url = embedded._url(home, "postgres", embedded.DATABASE)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
