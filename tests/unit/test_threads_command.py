"""`threadlink threads PATH`: maildirs, mboxes, folders of .eml files."""

from __future__ import annotations

import mailbox
from email.message import EmailMessage
from pathlib import Path

import pytest

from app.threads_command import conversations_of

ADA, BEA, TOM = "ada@northwind.test", "bea@acme.test", "tom@brightwater.test"


def mail(
    key: str,
    *,
    at: int = 9,
    sender: str = BEA,
    to: str = ADA,
    subject: str = "Prices for the showroom",
    answers: str = "",
    text: str = "Hello",
) -> EmailMessage:
    message = EmailMessage()
    message["Date"] = f"Mon, 02 Mar 2026 {at:02d}:00:00 +0000"
    message["From"] = sender
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{key}@mail.test>"
    if answers:
        message["In-Reply-To"] = message["References"] = f"<{answers}@mail.test>"
    message.set_content(text)
    return message


def answer(key: str, to_key: str, at: int) -> EmailMessage:
    return mail(key, at=at, sender=ADA, to=BEA, subject="Re: Prices for the showroom", answers=to_key)


def write(path: Path, message: EmailMessage) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(message))


def grouped(path: Path, *ours: str) -> list[list[str]]:
    found = conversations_of(path, ours)
    assert found["unreadable"] == []
    return [
        [each.removesuffix("@mail.test>").removeprefix("<") for each in conversation["messages"]]
        for conversation in found["conversations"]
    ]


def test_a_folder_of_eml_files_is_read_with_its_sub_folders(tmp_path):
    write(tmp_path / "b.eml", mail("first"))
    write(tmp_path / "2026" / "March" / "a.EML", answer("second", "first", 10))
    write(tmp_path / "c.eml", mail("other", at=8, sender=TOM, subject="Dates in April"))
    (tmp_path / "notes.txt").write_text("no mail")

    assert grouped(tmp_path) == [["other"], ["first", "second"]]


def test_the_answer_has_the_shape_that_scripts_rely_on(tmp_path):
    write(tmp_path / "one.eml", mail("First"))
    (tmp_path / "two.eml").write_bytes(b"\x00\xff no header here")

    found = conversations_of(tmp_path)

    assert found["conversations"] == [{"messages": ["<First@mail.test>"]}]
    assert [sorted(entry) for entry in found["unreadable"]] == [["file", "why"]]
    assert found["unreadable"][0]["file"] == "two.eml"


def test_a_single_eml_file_is_one_conversation(tmp_path):
    write(tmp_path / "one.eml", mail("first"))

    assert grouped(tmp_path / "one.eml") == [["first"]]


def test_messages_are_in_the_order_of_their_time_not_of_their_files(tmp_path):
    write(tmp_path / "1.eml", answer("third", "second", 11))
    write(tmp_path / "2.eml", answer("second", "first", 10))
    write(tmp_path / "3.eml", mail("first"))

    assert grouped(tmp_path) == [["first", "second", "third"]]


def test_a_maildir_gives_what_is_in_cur_and_new_whatever_the_flags(tmp_path):
    for folder in ("cur", "new", "tmp"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "cur" / "1772442000.M1P1.host:2,RS", mail("first"))
    write(tmp_path / "new" / "1772445600.M2P2.host", answer("second", "first", 10))
    write(tmp_path / "tmp" / "1772445700.M3P3.host", mail("half-written"))
    (tmp_path / "cur" / ".DS_Store").write_bytes(b"x")

    assert grouped(tmp_path) == [["first", "second"]]


def test_the_folders_of_a_maildir_belong_to_it(tmp_path):
    box = mailbox.Maildir(tmp_path / "mail")
    box.add(bytes(mail("first")))
    box.add_folder("Sent").add(bytes(answer("second", "first", 10)))

    assert grouped(tmp_path / "mail") == [["first", "second"]]


def test_the_cur_folder_of_a_maildir_can_be_read_by_itself(tmp_path):
    write(tmp_path / "cur" / "1772442000.M1P1.host:2,S", mail("first"))

    assert grouped(tmp_path / "cur") == [["first"]]


def test_a_folder_called_tmp_that_is_no_part_of_a_maildir_is_read(tmp_path):
    write(tmp_path / "tmp" / "one.eml", mail("first"))

    assert grouped(tmp_path) == [["first"]]


def test_a_link_to_a_folder_is_not_followed(tmp_path):
    write(tmp_path / "one.eml", mail("first"))
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)

    assert grouped(tmp_path) == [["first"]]


@pytest.mark.parametrize("name", ["Inbox", "archive.mbox"])
def test_an_mbox_is_taken_apart(tmp_path, name):
    box = mailbox.mbox(tmp_path / name)
    for message in (mail("first", text="Hi\n\nFrom here on it is easy\n"), answer("second", "first", 10)):
        box.add(mailbox.mboxMessage(message))
    box.close()

    assert grouped(tmp_path / name) == [["first", "second"]]


def test_an_mbox_in_a_folder_is_found_by_its_ending(tmp_path):
    box = mailbox.mbox(tmp_path / "archive.mbox")
    box.add(mailbox.mboxMessage(mail("first")))
    box.close()
    write(tmp_path / "second.eml", answer("second", "first", 10))

    assert grouped(tmp_path) == [["first", "second"]]


def test_a_line_that_begins_with_from_does_not_split_a_mail(tmp_path):
    content = bytes(mail("first", text="Hi\n\nFrom Monday on we are closed\nuntil Friday\nFrom: nobody\n"))
    (tmp_path / "all.mbox").write_bytes(b"From bea@acme.test Mon Mar  2 09:00:00 2026\n" + content)

    assert grouped(tmp_path / "all.mbox") == [["first"]]


def test_an_mbox_with_windows_line_ends_is_taken_apart(tmp_path):
    mails = [mail("first"), answer("second", "first", 10)]
    content = b"".join(b"From - Mon Mar  2 09:00:00 2026\n" + bytes(each) + b"\n" for each in mails)
    (tmp_path / "all.mbox").write_bytes(content.replace(b"\n", b"\r\n"))

    assert grouped(tmp_path / "all.mbox") == [["first", "second"]]


def test_a_mail_of_an_mbox_that_cannot_be_read_is_named_by_its_number(tmp_path):
    box = b"From a Mon Mar  2 09:00:00 2026\n" + bytes(mail("first")) + b"\nFrom b Mon Mar  2 09:00:00 2026\nFrom c\n"
    (tmp_path / "all.mbox").write_bytes(box)

    found = conversations_of(tmp_path)

    assert [len(conversation["messages"]) for conversation in found["conversations"]] == [1]
    assert [entry["file"] for entry in found["unreadable"]] == ["all.mbox, message 2"]


def test_what_is_named_mbox_and_is_none_is_reported(tmp_path):
    (tmp_path / "all.mbox").write_bytes(b"once upon a time\n")

    (entry,) = conversations_of(tmp_path)["unreadable"]

    assert entry["file"] == "all.mbox"
    assert "no mbox" in entry["why"]


@pytest.mark.parametrize("name", ["empty.mbox", "folder"])
def test_nothing_in_it_gives_no_conversations(tmp_path, name):
    path = tmp_path / name
    path.touch() if path.suffix else path.mkdir()

    assert conversations_of(path) == {"conversations": [], "unreadable": []}


def test_an_eml_file_that_was_saved_with_its_mbox_line_is_one_mail(tmp_path):
    (tmp_path / "one.eml").write_bytes(b"From bea@acme.test Mon Mar  2 09:00:00 2026\n" + bytes(mail("first")))

    assert grouped(tmp_path / "one.eml") == [["first"]]


def test_an_empty_file_is_reported(tmp_path):
    (tmp_path / "one.eml").touch()

    (entry,) = conversations_of(tmp_path)["unreadable"]

    assert entry["file"] == "one.eml"
    assert entry["why"]


def test_the_same_mail_in_several_files_is_listed_once(tmp_path):
    for name in ("inbox/one.eml", "all mail/one.eml", "sent.eml"):
        write(tmp_path / name, mail("first"))

    assert grouped(tmp_path) == [["first"]]


def test_a_reused_message_id_is_two_mails(tmp_path):
    write(tmp_path / "one.eml", mail("same"))
    write(tmp_path / "two.eml", mail("same", sender=TOM, subject="Dates in April"))

    assert grouped(tmp_path) == [["same"], ["same"]]


def test_a_mail_without_message_id_has_one_that_stays_the_same(tmp_path):
    message = mail("first")
    del message["Message-ID"]
    write(tmp_path / "one.eml", message)

    first, second = conversations_of(tmp_path), conversations_of(tmp_path)

    assert first == second
    assert first["conversations"][0]["messages"][0].startswith("<")


def test_a_reply_that_lost_its_references_is_joined_by_subject_and_people(tmp_path):
    write(tmp_path / "1.eml", mail("first"))
    write(tmp_path / "2.eml", mail("second", at=10, sender=ADA, to=BEA, subject="YNT: Prices for the showroom"))

    assert grouped(tmp_path, ADA) == [["first", "second"]]
    assert grouped(tmp_path, "northwind.test") == [["first", "second"]]


def test_the_owner_is_who_takes_part_in_most_mails(tmp_path):
    write(tmp_path / "1.eml", mail("first"))
    write(tmp_path / "2.eml", mail("second", at=10, sender=ADA, to=BEA, subject="Re: Prices for the showroom"))
    write(tmp_path / "3.eml", mail("third", at=11, sender=TOM, subject="Dates in April"))

    assert grouped(tmp_path) == [["first", "second"], ["third"]]


def test_nobody_is_the_owner_of_mails_of_many(tmp_path):
    write(tmp_path / "1.eml", mail("first", sender="a@a.test", to="b@b.test"))
    write(tmp_path / "2.eml", mail("second", at=10, sender="c@c.test", to="d@d.test", subject="Dates in April"))
    write(tmp_path / "3.eml", mail("third", at=11, sender="e@e.test", to="f@f.test", subject="Parking"))

    assert grouped(tmp_path) == [["first"], ["second"], ["third"]]


def test_more_merges_than_a_live_mailbox_may_see_in_an_hour_are_no_alarm(tmp_path):
    for number in range(30):
        customer, thread = f"p{number}@acme.test", tmp_path / str(number)
        one, other, both = f"one{number}", f"other{number}", f"both{number}"
        write(thread / "1.eml", mail(one, sender=customer))
        write(thread / "2.eml", mail(other, at=10, sender=customer, subject="Dates in April"))
        bridge = mail(both, at=11, sender=ADA, to=customer, subject="Re: Dates in April", answers=other)
        bridge.replace_header("References", f"<{one}@mail.test> <{other}@mail.test>")
        write(thread / "3.eml", bridge)

    conversations = grouped(tmp_path)

    assert [len(conversation) for conversation in conversations] == [3] * 30


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        conversations_of(tmp_path / "none")


def test_files_and_folders_that_may_not_be_read_are_reported(tmp_path, monkeypatch):
    write(tmp_path / "locked.eml", mail("first"))
    write(tmp_path / "closed" / "two.eml", mail("second"))
    write(tmp_path / "open.eml", mail("third"))
    real_open, real_iterdir = Path.open, Path.iterdir

    def refuse_open(path, *args, **kwargs):
        if path.name in ("locked.eml", "closed"):
            raise PermissionError(13, "Permission denied")
        return real_open(path, *args, **kwargs)

    def refuse_iterdir(path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real_iterdir(path)

    monkeypatch.setattr(Path, "open", refuse_open)
    monkeypatch.setattr(Path, "iterdir", refuse_iterdir)

    found = conversations_of(tmp_path)

    assert found == {
        "conversations": [{"messages": ["<third@mail.test>"]}],
        "unreadable": [
            {"file": "closed", "why": "Permission denied"},
            {"file": "locked.eml", "why": "Permission denied"},
        ],
    }
