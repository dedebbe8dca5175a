"""Secrets at rest: encrypted, bound to their row, rotatable.

A ciphertext says inside whose it is (team, owner, kind), and opening it checks that: copied to another row it does not
open (threats.md T11). Which key a database was filled with shows in a canary row, which a wrong key cannot read.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.errors import NotFound, SettingsError
from app.settings import Settings
from app.store import lookups
from app.store.database import Database

CANARY = "encryption_canary"
OWN = "installation"  # where the secret of the installation itself lies
OAUTH = "oauth"
# Somebody who waits for a lock on secrets waits for a refresh at the provider, which takes its time-outs.
_WAIT_FOR_REFRESH = sa.text(
    "SELECT set_config('lock_timeout', '20s', true), set_config('statement_timeout', '20s', true)"
)


class SecretBox:
    """Seals with the first key, opens with any; `key_id` names the first without giving it away."""

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise SettingsError(
                "THREADLINK_ENCRYPTION_KEYS holds a value that is not a key (32 bytes, urlsafe base64), or none."
            ) from None
        self.key_id = hashlib.sha256(keys[0].encode()).hexdigest()[:8]

    def seal(self, secrets: Mapping[str, Any], *, team_id: int, owner: str, kind: str) -> bytes:
        """Encrypt secrets for one row; `owner` names it, as `account/5`."""
        bound = {"team": team_id, "owner": owner, "kind": kind, "secrets": dict(secrets)}
        return self._fernet.encrypt(json.dumps(bound).encode())

    def open(self, ciphertext: bytes, *, team_id: int, owner: str, kind: str) -> dict[str, Any]:
        """Decrypt what was sealed for this very row. Raises SettingsError for another key or another row's secrets."""
        try:
            bound = json.loads(self._fernet.decrypt(bytes(ciphertext)))
        except InvalidToken:
            raise SettingsError(f"The secrets of {owner} were sealed with a key that is not configured.") from None
        if (bound["team"], bound["owner"], bound["kind"]) != (team_id, owner, kind):
            raise SettingsError(f"The secrets found at {owner} were sealed for another row.")
        secrets: dict[str, Any] = bound["secrets"]
        return secrets

    def reseal(self, ciphertext: bytes) -> bytes:
        """Encrypt again with the first key. Raises SettingsError when no key opens it."""
        try:
            return self._fernet.rotate(bytes(ciphertext))
        except InvalidToken:
            raise SettingsError("Some secrets were sealed with a key that is not configured.") from None

    def store_account(
        self, connection: sa.Connection, team_id: int, account_id: int, secrets: Mapping[str, Any]
    ) -> None:
        """Store the secrets of a mailbox that was connected, over what was there."""
        connection.execute(
            sa.text(
                """
                INSERT INTO account_credential (team_id, account_id, kind, ciphertext)
                VALUES (:team_id, :account_id, :kind, :ciphertext)
                ON CONFLICT (team_id, account_id, kind)
                DO UPDATE SET ciphertext = excluded.ciphertext, updated_at = now()
                """
            ),
            {
                "team_id": team_id,
                "account_id": account_id,
                "kind": OAUTH,
                "ciphertext": self.seal(secrets, team_id=team_id, owner=f"account/{account_id}", kind=OAUTH),
            },
        )

    def store_connection(
        self, connection: sa.Connection, team_id: int, connection_id: int, secrets: Mapping[str, Any]
    ) -> None:
        """Store the secrets of a CRM connection, over what was there."""
        sealed = self.seal(secrets, team_id=team_id, owner=f"crm_connection/{connection_id}", kind="crm")
        connection.execute(
            sa.text("UPDATE crm_connection SET ciphertext = :ciphertext WHERE id = :id"),
            {"id": connection_id, "ciphertext": sealed},
        )

    def forget_account(self, connection: sa.Connection, account_id: int) -> None:
        """Delete the secrets of a mailbox."""
        connection.execute(sa.text("DELETE FROM account_credential WHERE account_id = :id"), {"id": account_id})


class _Credentials:
    """Secrets in one row of a table, as ports.Credentials; a subclass says where."""

    _kind: str
    _owner: str  # the row's table, in the name it is sealed for
    _select: str
    _lock: str
    _update: str

    def __init__(self, database: Database, box: SecretBox, team_id: int, row_id: int) -> None:
        self._database = database
        self._box = box
        self._team_id = team_id
        self._row_id = row_id

    def read(self) -> dict[str, Any]:
        """Return the stored secrets; empty when there are none."""
        with self._database.for_team(self._team_id) as connection:
            return self._open(connection.execute(sa.text(self._select), {"id": self._row_id}).scalar())

    @contextmanager
    def locked(self) -> Iterator[_Locked]:
        """Hold the row's lock in a transaction of its own. Raises NotFound when the row is gone."""
        with self._database.for_team(self._team_id) as connection:
            connection.execute(_WAIT_FOR_REFRESH)
            row = connection.execute(sa.text(self._lock), {"id": self._row_id}).one_or_none()
            if row is None:
                raise NotFound
            yield _Locked(self, connection, self._open(row.ciphertext))

    def _open(self, ciphertext: bytes | None) -> dict[str, Any]:
        if ciphertext is None:
            return {}
        owner = f"{self._owner}/{self._row_id}"
        return self._box.open(ciphertext, team_id=self._team_id, owner=owner, kind=self._kind)

    def _store(self, connection: sa.Connection, secrets: Mapping[str, Any]) -> None:
        owner = f"{self._owner}/{self._row_id}"
        sealed = self._box.seal(secrets, team_id=self._team_id, owner=owner, kind=self._kind)
        connection.execute(sa.text(self._update), {"id": self._row_id, "ciphertext": sealed})


class AccountCredentials(_Credentials):
    """The secrets of a connected mailbox."""

    _kind = OAUTH
    _owner = "account"
    _select = "SELECT ciphertext FROM account_credential WHERE account_id = :id AND kind = 'oauth'"
    _lock = f"{_select} FOR UPDATE"
    _update = """
        UPDATE account_credential SET ciphertext = :ciphertext, updated_at = now()
        WHERE account_id = :id AND kind = 'oauth'
    """


class ConnectionCredentials(_Credentials):
    """The secrets of a CRM connection."""

    _kind = "crm"
    _owner = "crm_connection"
    _select = "SELECT ciphertext FROM crm_connection WHERE id = :id"
    _lock = f"{_select} FOR NO KEY UPDATE"  # rows that point at the connection go on being written
    _update = "UPDATE crm_connection SET ciphertext = :ciphertext WHERE id = :id"


@dataclass
class _Locked:
    """Secrets whose row is locked (ports.LockedCredentials)."""

    _credentials: _Credentials
    _connection: sa.Connection
    _secrets: dict[str, Any]

    def read(self) -> dict[str, Any]:
        """Return the secrets as they are now."""
        return dict(self._secrets)

    def write(self, secrets: Mapping[str, Any]) -> None:
        """Replace the secrets, with the end of the block."""
        self._credentials._store(self._connection, secrets)  # noqa: SLF001 - two halves of one thing
        self._secrets = dict(secrets)


# --- the keys of an installation ---


def open_box(settings: Settings, database: Database) -> SecretBox:
    """Return the box with the installation's keys. Raises SettingsError when the database was filled with another."""
    box = SecretBox(settings.encryption_keys or (embedded_key(settings.data_dir),))
    check_canary(database, box)
    return box


def embedded_key(data_dir: Path) -> str:
    """Return the key in the data directory, made on first use; nobody but its owner may read the file."""
    path = data_dir.expanduser() / "encryption.key"
    if not path.exists():
        descriptor, fresh = tempfile.mkstemp(prefix="encryption.key.", dir=path.parent)  # mode 0600
        with os.fdopen(descriptor, "w") as file:
            file.write(Fernet.generate_key().decode() + "\n")
        with suppress(FileExistsError):  # another process was first: its key counts
            path.hardlink_to(fresh)
        Path(fresh).unlink()
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path} can be read by others: it must have mode 0600.")
    return path.read_text().strip()


def check_canary(database: Database, box: SecretBox) -> None:
    """Leave a canary in a new database; in an old one, refuse keys that do not open it. Nothing is overwritten."""
    with database.without_team() as connection:
        connection.execute(
            sa.text("INSERT INTO installation (key, value) VALUES (:key, :value) ON CONFLICT DO NOTHING"),
            {"key": CANARY, "value": _canary(box)},
        )
        key_id, _, sealed = _installation_value(connection, CANARY).partition(" ")
    try:
        box.open(sealed.encode(), team_id=0, owner=CANARY, kind=CANARY)
    except SettingsError:
        raise SettingsError(
            f"This database's secrets were sealed with the key {key_id}, which is not among the configured ones "
            f"(the first is {box.key_id}): bring that key back into THREADLINK_ENCRYPTION_KEYS or the data directory."
        ) from None


def installation_secret(database: Database, box: SecretBox) -> bytes:
    """Return what only this installation knows: made once, sealed, the same in every process and after a rotation."""
    fresh = box.seal({"secret": os.urandom(32).hex()}, team_id=0, owner=OWN, kind=OWN).decode()
    with database.without_team() as connection:
        connection.execute(
            sa.text("INSERT INTO installation (key, value) VALUES (:key, :value) ON CONFLICT DO NOTHING"),
            {"key": OWN, "value": fresh},
        )
        sealed = _installation_value(connection, OWN)
    return bytes.fromhex(box.open(sealed.encode(), team_id=0, owner=OWN, kind=OWN)["secret"])


def rotate(database: Database, box: SecretBox) -> int:
    """Encrypt every secret of the installation again with the first key; return how many.

    Processes may go on meanwhile, as long as they know the first key already. Afterwards the others may be removed.
    """
    count = 0
    with database.without_team() as connection:
        teams = [team.id for team in lookups.all_teams(connection)]
    for team_id in teams:
        with database.for_team(team_id) as connection:
            count += sum(_reseal(connection, box, *place) for place in _PLACES)
    with database.without_team() as connection:
        count += sum(_reseal(connection, box, *place) for place in _PLACES_OF_NO_TEAM)
        _set_installation_value(connection, CANARY, _canary(box))
        sealed = connection.execute(_VALUE, {"key": OWN}).scalar()
        if sealed is not None:
            _set_installation_value(connection, OWN, box.reseal(sealed.encode()).decode())
    return count


# Each table and column that holds a sealed secret, and what names a row within the team.
_PLACES = (
    ("account_credential", "ciphertext", ("account_id", "kind")),
    ("crm_connection", "ciphertext", ("id",)),
    ("connect_request", "kept", ("id",)),
    ("webhook", "ciphertext", ("id",)),
)
_PLACES_OF_NO_TEAM = (("sign_in_attempt", "kept", ("state_hash",)),)


def _reseal(connection: sa.Connection, box: SecretBox, table: str, column: str, key: tuple[str, ...]) -> int:
    rows = connection.execute(
        sa.text(
            f"SELECT {', '.join(key)}, {column} AS sealed FROM {table} WHERE {column} IS NOT NULL"
            f" ORDER BY {', '.join(key)} FOR NO KEY UPDATE"
        )
    ).mappings()
    resealed = [{**row, "sealed": box.reseal(row["sealed"])} for row in rows]
    if resealed:
        this_row = " AND ".join(f"{name} = :{name}" for name in key)
        connection.execute(sa.text(f"UPDATE {table} SET {column} = :sealed WHERE {this_row}"), resealed)
    return len(resealed)


def _canary(box: SecretBox) -> str:
    return f"{box.key_id} {box.seal({}, team_id=0, owner=CANARY, kind=CANARY).decode()}"


_VALUE = sa.text("SELECT value FROM installation WHERE key = :key")


def _installation_value(connection: sa.Connection, key: str) -> str:
    return str(connection.execute(_VALUE, {"key": key}).scalar_one())


def _set_installation_value(connection: sa.Connection, key: str, value: str) -> None:
    connection.execute(sa.text("UPDATE installation SET value = :value WHERE key = :key"), {"key": key, "value": value})
