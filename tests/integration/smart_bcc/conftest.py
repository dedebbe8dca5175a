from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.store.database import Database
from tests.integration.office import open_office
from tests.integration.smart_bcc.post_office import DOMAIN, PostOffice, opened


@pytest.fixture
def post(database: Database, team: Callable[..., int], tmp_path: Path) -> Iterator[PostOffice]:
    """An office with a running mail server."""
    office = open_office(database, team, mail_domain=DOMAIN, mirror_max_age_s=0)
    office.sync()  # from now on its mailbox tells of new mail
    office.forget_jobs()
    with opened(office, tmp_path / "spool") as post_office:
        yield post_office
