"""The originals in forwards, as mail programs write them in many languages, and whatever else may come."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mail.smart_bcc.forwarded import MAX_ORIGINALS, in_text, originals

pytestmark = pytest.mark.smtp

# Program and language -> the text of a forward. Each shows Bea's mail "Rollout" to Ada.
FORWARDS = {
    "Gmail, English": """FYI

---------- Forwarded message ---------
From: Bea <bea@acme.test>
Date: Mon, Mar 2, 2026 at 9:14 AM
Subject: Rollout
To: Ada <ada@northwind.test>


When do we start?""",
    "Gmail, Turkish": """---------- Forwarded message ---------
Gönderen: Bea <bea@acme.test>
Tarih: 2 Mar 2026 Pzt, 09:14
Konu: Rollout
Kime: Ada <ada@northwind.test>

When do we start?""",
    "Apple Mail, German": """Anfang der weitergeleiteten Nachricht:

> Von: Bea <bea@acme.test>
> Betreff: Rollout
> Datum: 2. März 2026 um 09:14:00 MEZ
> An: Ada <ada@northwind.test>
>\u0020
> When do we start?""",
    "Apple Mail, Turkish": """İleti başlangıcı:

> Kimden: Bea <bea@acme.test>
> Konu: Rollout
> Tarih: 2 Mart 2026 09:14:00 GMT+3
> Kime: Ada <ada@northwind.test>

> When do we start?""",
    "Apple Mail, French": """Début du message réexpédié :

De: Bea <bea@acme.test>
Objet: Rollout
Date: 2 mars 2026 à 09:14:00 UTC+1
À: Ada <ada@northwind.test>

When do we start?""",
    "Outlook 365, Spanish": """Mira esto.
________________________________
De: Bea <bea@acme.test>
Enviado: lunes, 2 de marzo de 2026 9:14
Para: Ada <ada@northwind.test>
Asunto: Rollout

When do we start?""",
    "Outlook, Italian": """Guarda.

Da: Bea <bea@acme.test>
Inviato: lunedì 2 marzo 2026 09:14
A: Ada <ada@northwind.test>
Oggetto: Rollout

When do we start?""",
    "Outlook, Turkish": """Bilgine.

Kimden: Bea [mailto:bea@acme.test]
Gönderme Tarihi: 2 Mart 2026 Pazartesi 09:14
Kime: Ada <ada@northwind.test>
Konu: Rollout

When do we start?""",
    "Thunderbird, Dutch": """-------- Doorgestuurd bericht --------
Onderwerp: \tRollout
Datum: \tMon, 2 Mar 2026 09:14:00 +0100
Van: \tBea <bea@acme.test>
Aan: \tAda <ada@northwind.test>

When do we start?""",
    "Thunderbird, Portuguese": """-------- Mensagem encaminhada --------
Assunto: Rollout
Data: Mon, 2 Mar 2026 09:14:00 +0100
De: Bea <bea@acme.test>
Para: Ada <ada@northwind.test>

When do we start?""",
    "Yahoo, English": """----- Forwarded Message -----
From: "Bea" <bea@acme.test>
To: "Ada" <ada@northwind.test>
Sent: Monday, March 2, 2026 at 09:14:00 AM GMT+1
Subject: Rollout
When do we start?""".replace("Rollout\n", "Rollout\n\n"),
    "Thunderbird, Polish": """-------- Przekazana wiadomość --------
Temat: Rollout
Data: Mon, 2 Mar 2026 09:14:00 +0100
Nadawca: Bea <bea@acme.test>
Do: Ada <ada@northwind.test>

When do we start?""",
    "Mail.ru, Russian": """-------- Пересылаемое сообщение --------
От кого: x
От: Bea <bea@acme.test>
Кому: Ada <ada@northwind.test>
Тема: Rollout

When do we start?""",
    "Outlook, Japanese": """________________________________
差出人: Bea <bea@acme.test>
送信日時: 2026年3月2日 9:14
宛先: Ada <ada@northwind.test>
件名: Rollout

When do we start?""",
    "Outlook 365, bold and Swedish": """*Från:* Bea <bea@acme.test>
*Skickat:* den 2 mars 2026 09:14
*Till:* Ada <ada@northwind.test>
*Ämne:* Rollout

When do we start?""",
}


@pytest.mark.parametrize("program", FORWARDS)
def test_the_original_is_taken_out_of_the_text(program: str) -> None:
    found = in_text(FORWARDS[program])
    assert found is not None
    headers = dict(found.headers)
    assert "bea@acme.test" in headers["From"]
    assert "ada@northwind.test" in headers["To"]
    assert headers["Subject"] == "Rollout"
    assert found.text == "When do we start?"
    assert found.is_dated == ("Thunderbird" in program)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Look.\n\nOn Mon, 2 Mar 2026 at 09:14, Bea <bea@acme.test> wrote:\n> When?", "bea@acme.test"),
        ("Am 02.03.2026 um 09:14 schrieb Bea <bea@acme.test>:", None),
        ("2 Mar 2026 Pzt, 09:14 tarihinde Bea <bea@acme.test>\nşunu yazdı:\n> When?", "bea@acme.test"),
        ("From: the beginning it was clear.\nTo: be or not to be.", None),
        ("Dear Ada,\nFrom: here on nothing else.\nBest, Bea", None),
        ("________________________________\nA signature", None),
        ("", None),
    ],
)
def test_what_introduces_a_quote_is_an_original_and_prose_is_none(text: str, address: str | None) -> None:
    found = in_text(text)
    assert (found is not None and address in dict(found.headers)["From"]) if address else found is None


def test_the_topmost_of_nested_forwards_counts_and_a_hidden_address_stays_a_name() -> None:
    inner = FORWARDS["Outlook, Italian"].replace("Bea <bea@acme.test>", "Tom <tom@else.test>")
    found = in_text(FORWARDS["Gmail, English"] + "\n\n" + inner)
    assert found is not None
    assert "bea@acme.test" in dict(found.headers)["From"]
    named = in_text(
        "________________________________\nFrom: Bea Lindqvist\nSent: Monday\nTo: Ada\nSubject: Rollout\n\nHi"
    )
    assert named is not None
    assert dict(named.headers)["From"] == "Bea Lindqvist"


def test_no_more_is_read_of_a_forward_than_is_bounded() -> None:
    forward = FORWARDS["Gmail, English"]
    assert in_text("x\n" * 99_000 + forward) is not None
    assert in_text("x\n" * 100_000 + forward) is None
    found = in_text(forward + "y" * 5_000)
    assert found is not None
    assert len(found.text) == 2_000


def test_what_a_forward_shows_makes_no_header_of_its_own() -> None:
    text = 'From: "Bea\\" <x@evil.test>" <bea@acme.test>\nSubject: a\nTo: Ada <ada@northwind.test>\n\nBcc: x@evil.test'
    found = in_text("________________________________\n" + text)
    assert found is not None
    assert all("\n" not in value and "\r" not in value for _, value in found.headers)
    assert {name for name, _ in found.headers} <= {"From", "To", "Cc", "Subject", "Date"}


def attached(*mails: bytes, media_type: str = "message/rfc822", name: str = "") -> bytes:
    head = b'From: ada@northwind.test\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    kind = f"Content-Type: {media_type}{f'; name={name}' if name else ''}\r\n\r\n".encode()
    return head + b"".join(b"--b\r\n" + kind + mail + b"\r\n" for mail in mails) + b"--b--\r\n"


def mail(subject: str, body: bytes = b"Text.") -> bytes:
    return f"From: bea@acme.test\r\nSubject: {subject}\r\nDate: Mon, 02 Mar 2026 08:00:00 +0000\r\n\r\n".encode() + body


def subjects(raw: bytes) -> list[str]:
    return [dict(found.headers).get("Subject", "") for found in originals(raw, "")]


def test_attached_mails_are_originals_however_the_program_calls_them() -> None:
    assert subjects(attached(mail("one"), mail("two"))) == ["one", "two"]
    assert subjects(attached(mail("one"), media_type="application/octet-stream", name="x.EML")) == ["one"]
    assert subjects(attached(mail("one"), media_type="application/vnd.ms-outlook", name="x.msg")) == []
    assert subjects(attached(b"no mail", media_type="message/rfc822")) == []
    assert all(found.is_attached and found.is_dated for found in originals(attached(mail("one")), ""))


def test_mails_in_attached_mails_are_found_to_a_depth_and_a_number() -> None:
    def nested(depth: int) -> bytes:
        if depth == 0:
            return mail("inmost")
        inner = nested(depth - 1)
        boundary = f"n{depth}".encode()
        head = b"Subject: level\r\nFrom: bea@acme.test\r\nContent-Type: multipart/mixed; boundary=" + boundary
        part = b"\r\n\r\n--" + boundary + b"\r\nContent-Type: message/rfc822\r\n\r\n" + inner
        return head + part + b"\r\n--" + boundary + b"--\r\n"

    assert subjects(nested(3))[-1] == "inmost"
    assert "inmost" not in subjects(nested(6))
    assert len(originals(attached(*[mail(str(n)) for n in range(50)]), "")) == MAX_ORIGINALS


LINES = st.sampled_from(
    [
        "From: Bea <bea@acme.test>",
        "Von:",
        "> ",
        "-----",
        "________________________________",
        "Subject: x",
        ":" * 50,
        "wrote:",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(LINES, st.text(max_size=80)), max_size=40))
def test_no_text_breaks_the_reading_of_forwards(lines: list[str]) -> None:
    found = in_text("\n".join(lines))
    if found is not None:
        assert all("\n" not in value for _, value in found.headers)
        assert dict(found.headers)["From"]


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=2_000), st.lists(st.sampled_from([b"--b\r\n", b"Content-Type: message/rfc822\r\n\r\n", b"\r\n"]))
)
def test_no_mime_breaks_the_reading_of_attached_mails(noise: bytes, pieces: list[bytes]) -> None:
    raw = attached(noise.join(pieces) + noise)
    assert len(originals(raw, "")) <= MAX_ORIGINALS
