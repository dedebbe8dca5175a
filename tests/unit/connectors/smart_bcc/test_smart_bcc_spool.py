"""The spool: nothing that was acknowledged is lost, nobody else reads it, and it says when it is full."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import DatabaseUnreachable, SettingsError
from app.model import ItemRef
from app.reception import ReceivedMail, Recipient
from connectors.mail.smart_bcc.server import Carrier
from connectors.mail.smart_bcc.spool import Spool, SpoolFull

pytestmark = pytest.mark.smtp

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
STEPS = ["smtp.spool_opened", "smtp.spool_written", "smtp.spool_synced", "smtp.spool_named", "smtp.spool_kept"]


def mail(raw: bytes = b"Subject: x\r\n\r\n", item: ItemRef | None = None) -> ReceivedMail:
    return ReceivedMail(Recipient(1, 2, 3, item), 3, raw, "ada@northwind.test", "192.0.2.1", "mx", AT)


def spool(path: Path, most: int = 1000, steps: list[str] | None = None) -> Spool:
    return Spool(str(path / "spool"), most, (steps if steps is not None else []).append)


def test_what_is_kept_is_read_back_whole_and_is_its_owners_alone(tmp_path: Path) -> None:
    steps: list[str] = []
    kept = spool(tmp_path, steps=steps)
    mails = [mail(b"A: b\r\n\r\n\x00\xff\n"), mail(b"A: b\r\n\r\n\x00\xff\n", ItemRef("deal", "d1", 9))]
    kept.keep(mails)
    (path,) = kept.waiting()
    assert kept.read(path) == mails
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert len(path.stem) == 32
    assert steps == STEPS


@pytest.mark.parametrize("step", STEPS[:3])
def test_who_dies_before_the_file_has_its_name_leaves_nothing(tmp_path: Path, step: str) -> None:
    def die(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt  # nothing of ours catches it, as nothing catches a SIGKILL

    with pytest.raises(KeyboardInterrupt):
        Spool(str(tmp_path / "spool"), 1000, die).keep([mail()])
    again = spool(tmp_path)
    assert list(again.waiting()) == []
    assert list((tmp_path / "spool").iterdir()) == []


def test_the_file_is_synced_before_it_is_named_and_the_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().suffix)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    spool(tmp_path).keep([mail()])
    assert synced == [".part", ""]


def test_a_full_spool_takes_nothing_and_has_room_again_when_it_was_carried(tmp_path: Path) -> None:
    small = spool(tmp_path, most=600)
    small.keep([mail(b"x" * 100)])
    with pytest.raises(SpoolFull):
        small.keep([mail(b"x" * 400)])
    (path,) = small.waiting()
    small.forget(path)
    small.keep([mail(b"x" * 100)])


def test_a_full_disk_is_a_full_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = spool(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(SpoolFull):
            kept.keep([mail()])
    assert list((tmp_path / "spool").iterdir()) == []
    kept.keep([mail()])


def test_a_spool_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(SettingsError):
        spool(tmp_path)


def test_the_carrier_goes_on_where_the_database_was_away_and_sets_aside_what_is_no_mail(tmp_path: Path) -> None:
    kept = spool(tmp_path, most=10_000)
    for number in range(3):
        kept.keep([mail(b"%d" % number)])
    (tmp_path / "spool" / "0.mail").write_bytes(b"{broken")
    taken: list[bytes] = []
    is_away = True

    def take(received: ReceivedMail) -> None:
        if is_away and len(taken) == 1:
            raise DatabaseUnreachable
        taken.append(received.raw)

    carrier = Carrier(kept, take)
    assert not carrier.carry()
    assert len(list(kept.waiting())) == 3
    is_away = False
    assert carrier.carry()
    assert sorted(taken) == [b"0", b"1", b"2"]
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["0.broken"]


def test_one_mail_that_cannot_be_taken_holds_up_no_other(tmp_path: Path) -> None:
    kept = spool(tmp_path, most=10_000)
    kept.keep([mail(b"bad")])
    kept.keep([mail(b"good")])
    taken: list[bytes] = []

    def take(received: ReceivedMail) -> None:
        if received.raw == b"bad":
            raise RuntimeError
        taken.append(received.raw)

    assert Carrier(kept, take).carry()
    assert taken == [b"good"]
    assert len(list(kept.waiting())) == 1


def test_a_disk_that_gives_nothing_now_is_asked_again(tmp_path: Path) -> None:
    kept = spool(tmp_path, most=10_000)
    kept.keep([mail(b"good")])
    (tmp_path / "spool" / "0.mail").mkdir()  # reading it fails, as from a disk that fails
    taken: list[bytes] = []
    carrier = Carrier(kept, lambda received: taken.append(received.raw))
    assert carrier.carry()
    assert taken == [b"good"]
    (tmp_path / "spool" / "1.mail").symlink_to("nowhere")
    assert not carrier.carry()
