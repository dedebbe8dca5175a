"""Whether the database is as new as this code."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory


@cache
def _older_revisions() -> frozenset[str]:
    """Return the revisions that this code knows and that are not its newest."""
    scripts = ScriptDirectory(str(Path(__file__).parent / "migrations"))
    heads = set(scripts.get_heads())
    return frozenset(script.revision for script in scripts.walk_revisions() if script.revision not in heads)


def is_current(connection: sa.Connection) -> bool:
    """Say whether every revision of this code ran; a database that is ahead of it (a new release starts) is fine."""
    found = set(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())
    return bool(found) and not found & _older_revisions()
