"""Who sent a mail: SPF, DKIM, ARC and DMARC against a DNS in memory, and what the core makes of it."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from app.linking.authenticity import verdict
from connectors.mail.smart_bcc.authenticity import Checked, Envelope, check, organizational
from connectors.mail.smart_bcc.dns_lookup import LookupFailed
from tests.integration.smart_bcc.post_office import FakeDns

pytestmark = pytest.mark.smtp

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
RECORD = f"v=DKIM1; k=rsa; p={base64.b64encode(PUBLIC).decode()}"
AUTHOR, PEER, SERVER = "ada@north-wind.test", "192.0.2.1", "in.threadlink.test"


def mail(author: str = AUTHOR) -> bytes:
    return f"From: Ada <{author}>\r\nTo: bea@acme.test\r\nSubject: Prices\r\n\r\nHere.\r\n".encode()


def signed(raw: bytes, domain: str = "north-wind.test", **more: object) -> bytes:
    return bytes(dkim.sign(raw, b"s", domain.encode(), PEM, include_headers=[b"from", b"subject"], **more)) + raw


def zone(*records: tuple[str, str], **more: str) -> FakeDns:
    return FakeDns({(name, "TXT"): [text] for name, text in (*records, *more.items())})


def checked(raw: bytes, dns: FakeDns, mail_from: str = AUTHOR, peer: str = PEER, author: str = AUTHOR) -> Checked:
    return check(raw, author, Envelope(mail_from, peer, "mx.test"), authserv_id=SERVER, dns=dns)


def judged(found: Checked, author: str = AUTHOR) -> str:
    return verdict([found.results], [author], in_sent=False, authserv_id=SERVER)


DMARC, SPF, DKIM = "_dmarc.north-wind.test", "north-wind.test", "s._domainkey.north-wind.test"
REJECT = (DMARC, "v=DMARC1; p=reject")


@pytest.mark.parametrize(
    ("records", "is_signed", "proven", "judgement"),
    [
        ([REJECT, (SPF, f"v=spf1 ip4:{PEER} -all")], False, True, "pass"),
        ([REJECT, (SPF, "v=spf1 -all"), (DKIM, RECORD)], True, True, "pass"),
        ([(DKIM, RECORD)], True, True, "pass"),
        ([(SPF, f"v=spf1 ip4:{PEER} -all")], False, True, "none"),  # aligned, and no DMARC to say so
        ([REJECT, (SPF, "v=spf1 -all")], False, False, "fail"),
        ([(DMARC, "v=DMARC1; p=none"), (SPF, "v=spf1 -all")], False, False, "weak"),
        ([(DMARC, "v=DMARC1; p=reject; sp=none"), (SPF, "v=spf1 -all")], False, False, "fail"),
        ([REJECT, (DKIM, "v=DKIM1; p=")], True, False, "fail"),  # the key was withdrawn
        ([(DMARC, "v=DMARC1; p=everything")], False, False, "none"),
        ([], False, False, "none"),
    ],
)
def test_the_table_of_proofs(records: list[tuple[str, str]], is_signed: bool, proven: bool, judgement: str) -> None:
    found = checked(signed(mail()) if is_signed else mail(), zone(*records))
    assert (found.is_proven, judged(found)) == (proven, judgement)


def test_two_dmarc_records_count_as_none() -> None:
    dns = FakeDns({(DMARC, "TXT"): ["v=DMARC1; p=reject", "v=DMARC1; p=none"]})
    assert judged(checked(mail(), dns)) == "none"


def test_the_domain_above_speaks_for_a_sub_domain() -> None:
    author = "ada@mail.north-wind.test"
    dns = zone((DMARC, "v=DMARC1; p=none; sp=reject"), ("mail.north-wind.test", "v=spf1 -all"))
    assert judged(checked(mail(author), dns, author=author, mail_from=author), author) == "fail"


def test_somebody_elses_proof_is_no_proof() -> None:
    evil = ("evil.test", f"v=spf1 ip4:{PEER} -all"), ("s._domainkey.evil.test", RECORD)
    found = checked(signed(mail(), "evil.test"), zone(REJECT, *evil), mail_from="x@evil.test")
    assert (found.is_proven, judged(found)) == (False, "fail")
    # Two domains that begin alike up to a hyphen, and two below a suffix that no list knows.
    alike = zone(REJECT, ("north-evil.test", f"v=spf1 ip4:{PEER} -all"))
    assert not checked(mail(), alike, mail_from="x@north-evil.test").is_proven
    assert organizational("a.b.co.uk") == "b.co.uk"
    assert organizational("mail.north-wind.test") == "north-wind.test"


def test_strict_alignment_wants_the_very_domain() -> None:
    below = ("mail.north-wind.test", f"v=spf1 ip4:{PEER} -all")
    relaxed = checked(mail(), zone(REJECT, below), mail_from="ada@mail.north-wind.test")
    strict = checked(mail(), zone((DMARC, "v=DMARC1; p=reject; aspf=s"), below), mail_from="ada@mail.north-wind.test")
    assert (relaxed.is_proven, strict.is_proven) == (True, False)


def test_a_signature_over_part_of_the_body_or_of_a_changed_mail_proves_nothing() -> None:
    dns = zone(REJECT, (DKIM, RECORD))
    assert checked(signed(mail()), dns).is_proven
    assert not checked(signed(mail()).replace(b"Here.", b"Pay here."), dns).is_proven
    assert not checked(signed(mail(), length=True) + b"Pay here.\r\n", dns).is_proven
    assert not checked(b"DKIM-Signature: v=1; a=rsa-sha256; d=north-wind.test; s=s\r\n" + mail(), dns).is_proven


def test_every_signature_is_looked_at() -> None:
    twice = signed(signed(mail()), "list.test")
    assert checked(twice, zone(REJECT, (DKIM, RECORD), ("s._domainkey.list.test", RECORD))).is_proven


def test_a_chain_that_holds_names_who_sealed_it() -> None:
    received = b"Authentication-Results: mx.google.com; dmarc=pass header.from=acme.test\r\n" + mail()
    seal = dkim.arc_sign(received, b"s", b"google.com", PEM, b"mx.google.com", include_headers=[b"from", b"subject"])
    dns = zone(("s._domainkey.google.com", RECORD))
    assert checked(b"".join(seal) + received, dns).sealed_by == "google.com"
    assert checked(b"".join(seal) + received.replace(b"Here.", b"Pay."), dns).sealed_by == ""
    assert checked(mail(), dns).sealed_by == ""


@pytest.mark.parametrize("name", [SPF, DMARC, DKIM])
def test_a_dns_that_does_not_answer_is_no_verdict(name: str) -> None:
    dns = zone(REJECT, (SPF, "v=spf1 -all"), (DKIM, RECORD))
    dns.failing.add(name)
    with pytest.raises(LookupFailed):
        checked(signed(mail()), dns)


def test_an_spf_record_that_asks_too_much_or_is_none_proves_nothing() -> None:
    circle = zone((SPF, "v=spf1 include:north-wind.test -all"))
    assert not checked(mail(), circle).is_proven
    assert not checked(mail(), zone((SPF, "v=spf1 ip4:nonsense -all"))).is_proven
    assert not checked(mail(), zone(), peer="").is_proven
