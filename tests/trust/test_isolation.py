"""Goal S4 of threats.md: the isolation matrix, reader by reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from app.store.database import Database
from tests.trust import s04_isolation as matrix
from tests.trust.world import READERS, Reader, World, world

pytestmark = [pytest.mark.integration]


@pytest.fixture
def hidden(database: Database) -> Iterator[World]:
    with world(database) as made:
        yield made


@pytest.fixture
def configured(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("THREADLINK_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    monkeypatch.setattr("app.log.configure", lambda *_: None)


def test_every_route_and_command_has_a_row(hidden: World) -> None:
    assert matrix.uncovered(hidden) == []


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_reader_is_shown_and_changes_nothing_of_others(hidden: World, configured: None, reader: Reader) -> None:
    assert matrix.leaks(hidden, reader) == []
    assert matrix.command_leaks(hidden, reader) == []


def test_the_owner_is_shown_what_the_others_are_not(hidden: World, configured: None) -> None:
    assert matrix.blind(hidden) == []
    assert matrix.blind_commands(hidden) == []


def test_who_sees_and_does_not_own_changes_nothing(hidden: World) -> None:
    assert matrix.unowned(hidden) == []


def test_who_may_changes_what_the_others_must_not(hidden: World, configured: None) -> None:
    assert matrix.powerless(hidden) == []
