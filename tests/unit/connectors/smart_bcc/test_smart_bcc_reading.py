"""What a received mail is: the table of mail-connectors.md 5.4, row by row."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.model import ProviderMessage
from connectors.mail.smart_bcc.authenticity import Checked
from connectors.mail.smart_bcc.reading import Held, Known, Received, interpret
from tests.integration.smart_bcc.post_office import ADA, BEA, BOB, DOMAIN, letter
from tests.unit.connectors.smart_bcc.test_smart_bcc_spool import AT

pytestmark = pytest.mark.smtp

HOME = "ada@gmail.test"
BOX = f"northwind+abcdefgh234567ab@{DOMAIN}"
KNOWN = Known({ADA: False, HOME: True}, DOMAIN)
PROVEN, NOT = Checked("us; dmarc=pass", is_proven=True), Checked("us; dmarc=fail", is_proven=False)
SEALED = replace(NOT, sealed_by="google.com")


def read(raw: bytes, checked: Checked, *, mail_from: str = BEA, **told: bool) -> ProviderMessage | Held:
    answers_known = told.pop("answers_known", False)
    mail = Received(1, "p", raw, mail_from, "192.0.2.1", "mx", AT, **told)  # type: ignore[arg-type]  # flags alone
    return interpret(mail, KNOWN, checked, answers_known=answers_known)


@pytest.mark.parametrize(
    ("author", "checked", "told", "held"),
    [
        (ADA, PROVEN, {}, ""),
        (ADA, NOT, {}, "not_proven"),
        (ADA, NOT, {"is_released": True}, ""),
        (ADA, NOT, {"answers_known": True}, "not_proven"),  # a known thread proves no author
        (HOME, NOT, {}, ""),  # its domain signs nothing, and the member said so
        (HOME, NOT, {"needs_proof": True}, "not_proven"),
        (BEA, PROVEN, {}, "unknown_sender"),
        (BEA, NOT, {"answers_known": True}, ""),
        (BEA, NOT, {"is_released": True}, ""),
    ],
)
def test_who_sent_it_and_what_proves_it(author: str, checked: Checked, told: dict[str, bool], held: str) -> None:
    found = read(letter(sender=author), checked, **told)
    assert (found.why if isinstance(found, Held) else "") == held
    if isinstance(found, ProviderMessage):
        assert found.folder == ("inbox" if author == BEA else "sent")


@pytest.mark.parametrize(
    ("mail_from", "headers", "checked", "is_taken"),
    [
        (f"ada+caf_={BOX.replace('@', '=')}@northwind.test", {}, NOT, True),
        (f"eve+caf_={BOX.replace('@', '=')}@northwind.test", {}, NOT, False),
        ("ada+SRS=a1b2=C3=acme.test=bea@northwind.test", {}, NOT, True),
        (ADA, {}, SEALED, True),
        (ADA, {}, replace(SEALED, sealed_by="evil.test"), False),
        (BEA, {}, SEALED, False),
        (BEA, {"X_Forwarded_For": f"{ADA} {BOX}", "X_Forwarded_To": BOX}, NOT, True),
        (BEA, {"Resent_From": f"Ada <{ADA}>"}, NOT, True),
        (BEA, {"X_Forwarded_For": f"eve@northwind.test {BOX}"}, NOT, False),
        (BEA, {}, PROVEN, False),
    ],
)
def test_what_a_filter_of_the_members_sent_on_is_the_mail_itself(
    mail_from: str, headers: dict[str, str], checked: Checked, is_taken: bool
) -> None:
    found = read(letter(sender=f"Bea <{BEA}>", to=ADA, **headers), checked, mail_from=mail_from)
    assert isinstance(found, ProviderMessage) == is_taken
    if isinstance(found, ProviderMessage):
        assert (found.folder, found.namespace, found.quoted) == ("inbox", "", ())


def test_a_verdict_that_the_sender_wrote_is_thrown_away() -> None:
    theirs = {"Authentication_Results": f"{DOMAIN}; dmarc=pass header.from=acme.test"}
    found = read(letter(sender=BEA, **theirs), NOT, answers_known=True)
    assert isinstance(found, ProviderMessage)
    assert [value for name, value in found.headers if name == "Authentication-Results"] == [NOT.results]


@pytest.mark.parametrize(
    ("to", "is_forward"), [(BOX, True), (f"{BOX}, {DOMAIN}@{DOMAIN}", True), (f"{BOX}, {BEA}", False), (BEA, False)]
)
def test_what_goes_to_our_addresses_alone_is_a_forward(to: str, is_forward: bool) -> None:
    found = read(letter("From: Bea <bea@acme.test>\nTo: Ada\nSubject: x\n\nHi", sender=ADA, to=to), PROVEN)
    assert isinstance(found, ProviderMessage)
    assert (bool(found.namespace), len(found.quoted)) == (is_forward, is_forward)
    assert ("address_shown" in found.flags) == (to == f"{BOX}, {BEA}")


@pytest.mark.parametrize(("author", "folder"), [(BEA, "inbox"), (ADA, "sent"), (HOME, "sent"), (BOB, "inbox")])
def test_the_way_of_a_forwarded_mail_is_that_of_its_author(author: str, folder: str) -> None:
    found = read(letter(f"From: X <{author}>\nTo: Y <y@acme.test>\nSubject: x\n\nHi", sender=ADA, to=BOX), PROVEN)
    assert isinstance(found, ProviderMessage)
    (quoted,) = found.quoted
    assert (quoted.folder, quoted.at < found.at) == (folder, True)


def test_a_hidden_address_leaves_a_name() -> None:
    text = "________________________________\nFrom: Bea  Lindqvist\nSent: Monday\nTo: Ada\nSubject: Rollout\n\nHi"
    found = read(letter(text, sender=ADA, to=BOX), PROVEN)
    assert isinstance(found, ProviderMessage)
    assert found.quoted[0].flags == ("quoted", f"forwarded_by:{ADA}", "date_estimated", "named:Bea Lindqvist")
