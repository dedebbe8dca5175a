"""Which labels or folders of an account are read, as ids of the provider, and whether earlier mail is missing."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa


def set_folders(connection: sa.Connection, account_id: int, folders: Collection[str]) -> bool:
    """Say which folders are read (none: every one), and whether more is read by that; True when that changed."""
    changed = connection.execute(
        sa.text(
            """
            UPDATE account a SET folders = n.folders,
              folders_grew = folders_grew OR (cardinality(a.folders) > 0
                                              AND (cardinality(n.folders) = 0 OR NOT n.folders <@ a.folders))
            FROM (SELECT CAST(:folders AS text[]) AS folders) n
            WHERE a.id = :id AND a.folders <> n.folders
            """
        ),
        {"id": account_id, "folders": sorted(folders)},
    )
    return changed.rowcount > 0


def listed_again(connection: sa.Connection, account_id: int, folders: Collection[str]) -> None:
    """Record that the earlier mail of these folders was listed; where others were chosen meanwhile it still waits."""
    connection.execute(
        sa.text("UPDATE account SET folders_grew = false WHERE id = :id AND folders = CAST(:folders AS text[])"),
        {"id": account_id, "folders": sorted(folders)},
    )
