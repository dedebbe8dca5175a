"""Secrets at rest: bound to their row, locked while they are refreshed, rotated, and never opened by a wrong key."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from app.errors import NotFound, SettingsError
from app.ports import ConnectedMailbox
from app.settings import Settings
from app.store import accounts, connect_requests, crm, teams
from app.store.database import Database
from app.store.secrets import (
    AccountCredentials,
    ConnectionCredentials,
    SecretBox,
    check_canary,
    embedded_key,
    installation_secret,
    open_box,
    rotate,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLACE: dict[str, Any] = {"team_id": 1, "owner": "account/5", "kind": "oauth"}


KEY = Fernet.generate_key().decode()


@pytest.fixture
def box() -> SecretBox:
    return SecretBox([KEY])


@pytest.fixture
def connect(database: Database, box: SecretBox) -> Callable[..., int]:
    """Connect a mailbox with secrets; the call returns the account's id."""

    def add(team_id: int, mailbox: str = "anna", **secrets: str) -> int:
        connected = ConnectedMailbox(mailbox, mailbox, f"{mailbox}@acme.example", secrets)
        with database.for_team(team_id) as connection:
            account_id = accounts.add(
                connection,
                team_id,
                "gmail",
                "team",
                connected,
                owner_id=None,
                auto_link=True,
                history_from=None,
                now=NOW,
            )
            box.store_account(connection, team_id, account_id, secrets)
        return account_id

    return add


# --- the box ---


def test_what_is_sealed_opens_at_its_place_and_shows_nothing_before(box: SecretBox) -> None:
    sealed = box.seal({"refresh_token": "canary"}, **PLACE)
    assert box.open(sealed, **PLACE) == {"refresh_token": "canary"}
    assert b"canary" not in sealed


@pytest.mark.parametrize("other", [{"team_id": 2}, {"owner": "account/6"}, {"kind": "kept"}])
def test_secrets_do_not_open_at_another_place(box: SecretBox, other: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="another row"):
        box.open(box.seal({"a": "canary"}, **PLACE), **{**PLACE, **other})


@pytest.mark.parametrize("damaged", [b"", b"not sealed", b"gAAAAA"])
def test_what_no_key_sealed_does_not_open(box: SecretBox, damaged: bytes) -> None:
    with pytest.raises(SettingsError, match="account/5"):
        box.open(damaged, **PLACE)


def test_the_first_key_seals_and_any_opens() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = SecretBox([old]).seal({"a": "1"}, **PLACE)
    both = SecretBox([new, old])
    assert both.open(sealed, **PLACE) == {"a": "1"}
    assert SecretBox([new]).open(both.reseal(sealed), **PLACE) == {"a": "1"}
    with pytest.raises(SettingsError):
        SecretBox([new]).open(sealed, **PLACE)


@pytest.mark.parametrize("keys", [[], ["not a key"], [""]])
def test_keys_that_are_none_are_refused_without_being_repeated(keys: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        SecretBox(keys)
    assert "not a key (" in str(refused.value)


# --- rows ---


def test_an_accounts_secrets_are_read_and_replaced(
    database: Database, team: Callable[..., int], box: SecretBox, connect: Callable[..., int]
) -> None:
    credentials = AccountCredentials(database, box, team_id := team(), connect(team_id, token="old"))
    with credentials.locked() as locked:
        assert locked.read() == {"token": "old"}
        locked.write({"token": "new"})
        assert locked.read() == {"token": "new"}
    assert credentials.read() == {"token": "new"}


def test_a_crm_connections_secrets_are_read_and_replaced(
    database: Database, team: Callable[..., int], box: SecretBox
) -> None:
    with database.for_team(team_id := team()) as connection:
        connection_id = crm.add_connection(connection, team_id, "embedded", "acme")
    credentials = ConnectionCredentials(database, box, team_id, connection_id)
    assert credentials.read() == {}
    with credentials.locked() as locked:
        locked.write({"token": "new"})
    assert credentials.read() == {"token": "new"}


def test_forgotten_secrets_are_gone(
    database: Database, team: Callable[..., int], box: SecretBox, connect: Callable[..., int]
) -> None:
    credentials = AccountCredentials(database, box, team_id := team(), account_id := connect(team_id, token="old"))
    with database.for_team(team_id) as connection:
        box.forget_account(connection, account_id)
    assert credentials.read() == {}
    with pytest.raises(NotFound), credentials.locked():
        pass


def test_secrets_copied_to_another_account_do_not_open(
    database: Database, team: Callable[..., int], box: SecretBox, connect: Callable[..., int]
) -> None:
    team_id = team()
    connect(team_id, "anna", token="hers")
    thief = AccountCredentials(database, box, team_id, connect(team_id, "thief", token="his"))
    with database.for_team(team_id) as connection:
        connection.execute(
            sa.text("UPDATE account_credential SET ciphertext = (SELECT ciphertext FROM account_credential LIMIT 1)")
        )
    with pytest.raises(SettingsError, match="another row"):
        thief.read()


def test_another_team_reads_no_secrets(
    database: Database, team: Callable[..., int], box: SecretBox, connect: Callable[..., int]
) -> None:
    account_id = connect(team(), token="old")
    assert AccountCredentials(database, box, team(), account_id).read() == {}


def test_a_failed_refresh_changes_nothing(
    database: Database, team: Callable[..., int], box: SecretBox, connect: Callable[..., int]
) -> None:
    credentials = AccountCredentials(database, box, team_id := team(), connect(team_id, token="old"))
    with pytest.raises(ZeroDivisionError), credentials.locked() as locked:
        locked.write({"token": str(1 / 0)})
    assert credentials.read() == {"token": "old"}


def test_two_processes_never_refresh_at_once(
    database: Database, team: Callable[..., int], box: SecretBox, connect: Callable[..., int]
) -> None:
    credentials = AccountCredentials(database, box, team_id := team(), connect(team_id, count="0"))

    def refresh(_: int) -> None:
        with credentials.locked() as locked:
            count = int(locked.read()["count"])
            time.sleep(0.02)
            locked.write({"count": str(count + 1)})

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(refresh, range(6)))
    assert credentials.read() == {"count": "6"}


def test_a_second_refresh_waits_longer_than_other_locks_do(
    database_url: str, team: Callable[..., int], box: SecretBox, connect: Callable[..., int]
) -> None:
    impatient = Database(database_url, lock_timeout_s=0.05, statement_timeout_s=0.1)
    credentials = AccountCredentials(impatient, box, team_id := team(), connect(team_id, token="old"))

    def refresh(_: int) -> None:
        with credentials.locked() as locked:
            time.sleep(0.3)
            locked.write({"token": "new"})

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(refresh, range(2)))
    impatient.close()


def test_rows_may_point_at_a_crm_connection_while_its_secrets_are_refreshed(
    database: Database, team: Callable[..., int], box: SecretBox
) -> None:
    with database.for_team(team_id := team()) as connection:
        connection_id = crm.add_connection(connection, team_id, "embedded", "acme")
    with (
        ConnectionCredentials(database, box, team_id, connection_id).locked(),
        database.for_team(team_id) as connection,
    ):
        connection.execute(
            sa.text("INSERT INTO mirror_cursor (team_id, connection_id) VALUES (:team_id, :id)"),
            {"team_id": team_id, "id": connection_id},
        )


# --- keys of an installation ---


def test_the_key_of_a_filled_database_is_asked_for(database: Database, box: SecretBox) -> None:
    check_canary(database, box)
    check_canary(database, box)
    stranger = SecretBox([Fernet.generate_key().decode()])
    for _ in range(2):  # nothing was overwritten
        with pytest.raises(SettingsError, match=f"key {box.key_id}.*first is {stranger.key_id}"):
            check_canary(database, stranger)
    check_canary(database, box)


def test_rotation_reseals_every_secret_of_every_team(
    database: Database, team: Callable[..., int], connect: Callable[..., int], box: SecretBox
) -> None:
    check_canary(database, box)
    new = Fernet.generate_key().decode()
    after = SecretBox([new])
    both = SecretBox([new, KEY])
    teams_ids = team("One"), team("Two")
    stored = [(team_id, connect(team_id, token=f"of {team_id}")) for team_id in teams_ids]
    with database.for_team(teams_ids[0]) as connection:
        crm_id = crm.add_connection(connection, teams_ids[0], "embedded", "acme")
        member_id = teams.add_member(connection, teams_ids[0], "Ann", "ann@acme.example")
        request_id = connect_requests.add(
            connection,
            teams_ids[0],
            token_hash=b"t",
            member_id=member_id,
            provider="gmail",
            kind="personal",
            address="",
            collaborators=[],
            history_from=None,
            expires_at=NOW + timedelta(hours=1),
        )
        kept = box.seal({"verifier": "v"}, team_id=teams_ids[0], owner=f"connect_request/{request_id}", kind="kept")
        connection.execute(sa.text("UPDATE connect_request SET kept = :kept"), {"kept": kept})
    with ConnectionCredentials(database, box, teams_ids[0], crm_id).locked() as locked:
        locked.write({"token": "crm"})

    assert rotate(database, both) == 4

    check_canary(database, after)
    for team_id, account_id in stored:
        assert AccountCredentials(database, after, team_id, account_id).read() == {"token": f"of {team_id}"}
    assert ConnectionCredentials(database, after, teams_ids[0], crm_id).read() == {"token": "crm"}
    with database.for_team(teams_ids[0]) as connection:
        sealed = connection.execute(sa.text("SELECT kept FROM connect_request")).scalar_one()
    owner = f"connect_request/{request_id}"
    assert after.open(sealed, team_id=teams_ids[0], owner=owner, kind="kept") == {"verifier": "v"}
    with pytest.raises(SettingsError):
        check_canary(database, box)


def test_the_secret_of_the_installation_is_the_same_in_every_process_and_after_a_rotation(database: Database) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    check_canary(database, SecretBox([old]))
    made = installation_secret(database, SecretBox([old]))
    assert len(made) == 32
    assert installation_secret(database, SecretBox([old])) == made
    rotate(database, SecretBox([new, old]))
    assert installation_secret(database, SecretBox([new])) == made
    with database.without_team() as connection:
        values = "".join(connection.execute(sa.text("SELECT value FROM installation")).scalars())
    assert made.hex() not in values


def test_every_column_that_holds_sealed_bytes_is_rotated(database: Database) -> None:
    """A new one must be added to secrets._PLACES, or rotation would leave it behind."""
    from app.store import schema, secrets

    hashes = {"token_hash", "browser_hash", "state_hash", "mid_hash", "fingerprint", "key", "digest", "counterparts"}
    hashes |= {"key_hash", "idempotency_hash", "request_digest"}
    sealed = {
        (table.name, column.name)
        for table in schema.metadata.tables.values()
        for column in table.c
        if isinstance(column.type, sa.LargeBinary)
        and column.name not in hashes | {"content_digest", "raw"}  # raw: a mail as it came
    }
    assert {(table, column) for table, column, _ in (*secrets._PLACES, *secrets._PLACES_OF_NO_TEAM)} == sealed


def test_rotation_refuses_what_no_key_opens_and_changes_nothing(
    database: Database, team: Callable[..., int], connect: Callable[..., int], box: SecretBox
) -> None:
    credentials = AccountCredentials(database, box, team_id := team(), connect(team_id, token="old"))
    with pytest.raises(SettingsError):
        rotate(database, SecretBox([Fernet.generate_key().decode()]))
    assert credentials.read() == {"token": "old"}


def test_the_embedded_key_is_made_once_and_private(tmp_path: Path) -> None:
    key = embedded_key(tmp_path)
    assert Fernet(key)
    assert embedded_key(tmp_path) == key
    assert [path.name for path in tmp_path.iterdir()] == ["encryption.key"]
    assert (tmp_path / "encryption.key").stat().st_mode & 0o777 == 0o600


def test_whoever_starts_at_the_same_time_gets_the_same_embedded_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = set(threads.map(embedded_key, [tmp_path] * 50))
    assert len(keys) == 1


def test_an_embedded_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    embedded_key(tmp_path)
    (tmp_path / "encryption.key").chmod(0o640)
    with pytest.raises(SettingsError, match="0600"):
        embedded_key(tmp_path)


def test_an_installation_uses_its_configured_keys_or_the_embedded_one(database: Database, tmp_path: Path) -> None:
    configured = Fernet.generate_key().decode()
    sealed = open_box(_settings(tmp_path, configured), database).seal({"a": "1"}, **PLACE)
    assert SecretBox([configured]).open(sealed, **PLACE) == {"a": "1"}
    with pytest.raises(SettingsError, match="sealed with the key"):
        open_box(_settings(tmp_path), database)


def _settings(data_dir: Path, *keys: str) -> Settings:
    return Settings(data_dir=data_dir, encryption_keys=keys, _env_file=None)
