"""Whose word a sender's name is: the provider's verdict, and which way a message went."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.linking.addresses import make_ours
from app.linking.authenticity import MAX_RESULTS_CHARS, direction, message_verdict, sender, verdict
from app.model import Copy, Direction, Message, Participant, Role, Verdict
from tests.unit.linking.timing import LINEAR, growth

GMAIL = "mx.google.com"
SENDER = "john@customer.com"
OURS = make_ours(["ayse@firma.com"], ["firma.com"])


def judge(*results: str, senders: tuple[str, ...] = (SENDER,), authserv_id: str | None = GMAIL) -> Verdict:
    return verdict(results, senders, in_sent=False, authserv_id=authserv_id)


def gmail(dmarc: str) -> str:
    return (
        "mx.google.com; dkim=pass header.i=@mailer.example header.s=20230601 header.b=AbC; "
        f"spf=pass (google.com: domain of {SENDER} designates 192.0.2.1 as permitted sender) "
        f"smtp.mailfrom={SENDER}; {dmarc}"
    )


# --- verdict --------------------------------------------------------------------------------------------------------


def test_a_copy_in_sent_is_our_own_whatever_its_headers_say() -> None:
    assert verdict([gmail("dmarc=fail (p=REJECT)")], [SENDER], in_sent=True, authserv_id=GMAIL) == "own"


@pytest.mark.parametrize(
    ("dmarc", "expected"),
    [
        ("dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=customer.com", "pass"),
        ("dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=CUSTOMER.com.", "pass"),
        ("dmarc=pass", "pass"),
        ("DMARC=Pass header.from=customer.com", "pass"),
        ("dmarc = pass header.from=customer.com", "pass"),
        ("dmarc/1=pass header.from=customer.com", "pass"),
        ("dmarc=fail (p=NONE sp=NONE dis=NONE) header.from=customer.com", "weak"),
        ("dmarc=fail (p=none) header.from=customer.com", "weak"),
        ("dmarc=fail (p=QUARANTINE sp=NONE dis=QUARANTINE) header.from=customer.com", "fail"),
        ("dmarc=fail (p=REJECT sp=REJECT dis=NONE) header.from=customer.com", "fail"),
        ("dmarc=fail (p=NONE sp=QUARANTINE dis=QUARANTINE) header.from=customer.com", "fail"),
        ("dmarc=fail header.from=customer.com", "fail"),
        ("dmarc=fail policy.dmarc=none header.from=customer.com", "weak"),
        ("dmarc=fail policy.dmarc=reject header.from=customer.com", "fail"),
        ("dmarc=temperror header.from=customer.com", "none"),
        ("dmarc=none header.from=customer.com", "none"),
        ("", "none"),
        ("nonsense", "none"),
    ],
)
def test_gmails_verdict_is_its_dmarc_result_and_policy(dmarc: str, expected: Verdict) -> None:
    assert judge(gmail(dmarc)) == expected


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (
            (
                "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=customer.com; dkim=pass (signature was verified) "
                "header.d=customer.com;dmarc=pass action=none header.from=customer.com;compauth=pass reason=100"
            ),
            "pass",
        ),
        ("spf=fail smtp.mailfrom=x.com;dmarc=fail action=none header.from=customer.com;compauth=fail", "fail"),
        ("dmarc=pass action=none header.from=customer.com;compauth=fail reason=000", "fail"),
        ("dmarc=fail action=none header.from=customer.com", "weak"),
        ("dmarc=fail action=oreject header.from=customer.com", "fail"),
        ("dmarc=fail action=quarantine header.from=customer.com", "fail"),
        ("dmarc=fail action=oreject header.from=customer.com;compauth=pass reason=130", "weak"),
        ("dmarc=bestguesspass action=none header.from=customer.com;compauth=pass reason=109", "pass"),
        ("dkim=none (message not signed) header.d=none;dmarc=none action=none header.from=customer.com", "none"),
        ("mx.google.com; dmarc=pass header.from=customer.com", "none"),
        ("", "none"),
    ],
)
def test_exchanges_verdict_has_no_server_name_and_a_composite_one(results: str, expected: Verdict) -> None:
    assert judge(results, authserv_id="") == expected


@pytest.mark.parametrize("authserv_id", ["", GMAIL, None])
def test_without_the_header_there_is_no_verdict(authserv_id: str | None) -> None:
    assert judge(authserv_id=authserv_id) == "none"


def test_a_provider_without_verdicts_has_none_whatever_the_mail_says() -> None:
    assert judge(gmail("dmarc=pass header.from=customer.com"), authserv_id=None) == "none"


@pytest.mark.parametrize(
    "server", ["mx.google.com.evil.com", "evil.com", "google.com", "", "mx.google.com-x", "x mx.google.com"]
)
def test_what_another_server_wrote_is_the_senders_text(server: str) -> None:
    assert judge(f"{server}; dmarc=pass header.from=customer.com") == "none"


@pytest.mark.parametrize("name", ["mx.google.com", "MX.GOOGLE.COM", " mx.google.com 1 ", "mx.google.com (a; comment)"])
def test_the_servers_own_name_is_recognised(name: str) -> None:
    assert judge(f"{name}; dmarc=pass header.from=customer.com") == "pass"


def test_only_the_topmost_header_counts() -> None:
    passed, failed = gmail("dmarc=pass header.from=customer.com"), gmail("dmarc=fail (p=REJECT)")
    assert judge(failed, passed) == "fail"
    assert judge("evil.com; dmarc=pass", passed) == "none"


def test_a_header_too_long_to_be_read_is_no_way_around_the_verdict() -> None:
    assert judge(gmail("x" * MAX_RESULTS_CHARS + "; dmarc=fail (p=REJECT)")) == "fail"
    assert judge("evil.com; " + "x" * MAX_RESULTS_CHARS) == "none"


@pytest.mark.parametrize(
    "injected",
    [
        '"x);dmarc=pass header.from=customer.com;("@evil.com',
        "x(dmarc=pass header.from=customer.com)@evil.com",
        '"dmarc=pass header.from=customer.com"@evil.com',
        r'"a\";dmarc=pass header.from=customer.com"@evil.com',
        "x\\;dmarc=pass header.from=customer.com@evil.com",
    ],
)
@pytest.mark.parametrize("place", ["spf=pass (domain of {} is fine) smtp.mailfrom=x", "spf=pass smtp.mailfrom={}"])
def test_an_envelope_sender_brings_no_verdict_along(injected: str, place: str) -> None:
    assert judge(f"mx.google.com; {place.format(injected)}") == "none"


def test_of_two_results_the_failure_counts() -> None:
    results = "mx.google.com; dmarc=pass header.from=customer.com; dmarc=fail (p=REJECT) header.from=customer.com"
    assert judge(results) == "fail"


@pytest.mark.parametrize("senders", [("ceo@bank.com",), (SENDER, "ceo@bank.com"), ("john@sub.customer.com",)])
def test_a_pass_for_another_domain_than_from_shows_is_a_failure(senders: tuple[str, ...]) -> None:
    assert judge(gmail("dmarc=pass header.from=customer.com"), senders=senders) == "fail"


def test_a_pass_without_a_readable_sender_proves_nobody() -> None:
    assert judge(gmail("dmarc=pass header.from=customer.com"), senders=()) == "none"


def test_an_international_domain_is_compared_in_its_normal_form() -> None:
    assert judge(gmail("dmarc=pass header.from=müller.de"), senders=("a@xn--mller-kva.de",)) == "pass"


@pytest.mark.parametrize(
    ("dkim", "expected"),
    [
        ("dkim=pass header.i=@customer.com header.s=a header.b=b", "pass"),
        ("dkim=pass (signature was verified) header.d=customer.com", "pass"),
        ("dkim=fail header.i=@customer.com; dkim=pass header.i=@customer.com", "pass"),
        ("dkim=pass header.i=@evil.com", "none"),
        ("dkim=fail header.i=@customer.com", "none"),
        ("dkim=pass", "none"),
        ('dkim=pass header.i="a header.d=customer.com x"@evil.com header.b=@', "none"),
        ("dkim=pass header.i=@customer.com header.x=@evil.com", "none"),
    ],
)
def test_a_domain_without_dmarc_is_proved_by_its_own_signature(dkim: str, expected: Verdict) -> None:
    assert judge(f"mx.google.com; {dkim}") == expected


@given(
    st.text(alphabet='mx.google.com;dmarc=pass fail()"\\ header.from=,\n', max_size=120), st.sampled_from(["", GMAIL])
)
def test_any_header_gives_a_verdict(results: str, authserv_id: str) -> None:
    assert judge(results, authserv_id=authserv_id) in {"pass", "none", "weak", "fail"}


@given(st.text(max_size=120))
def test_text_of_the_sender_never_makes_a_pass(results: str) -> None:
    assert judge("evil.com; " + results) == "none"


@pytest.mark.parametrize("unit", ['"', '"\\', "(", ")", "()", ";", "a=b;", "a ", "a.b=", "\\", "dmarc=fail;"])
def test_the_cost_of_a_verdict_grows_with_the_header(unit: str) -> None:
    assert growth(lambda size: judge("mx.google.com;" + unit * (size // len(unit))), 4_000) < LINEAR


# --- a message over its copies ----------------------------------------------------------------------------------------


def copy(verdict: Verdict, *, bcc: tuple[str, ...] = (), genuine: bool = False) -> Copy:
    return Copy(
        id=0,
        account_id=1,
        provider_id="p",
        provider_thread_id="t",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        in_sent=verdict == "own",
        verdict=verdict,
        joined="founded",
        bcc=tuple(Participant(address, "bcc") for address in bcc),
        genuine=genuine,
    )


def message(*copies: Copy, **people: str) -> Message:
    roles: dict[str, Role] = {"author": "from", "sender": "sender", "to": "to", "cc": "cc", "reply_to": "reply_to"}
    return Message(
        id=0,
        internet_id="<a@b>",
        mid_hash=b"",
        fingerprint=b"",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        subject="",
        base_subject="",
        participants=tuple(Participant(people[name], role) for name, role in roles.items() if name in people),
        copies=copies,
    )


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["own", "fail"], "own"),
        (["fail", "pass"], "pass"),
        (["weak", "fail", "none"], "fail"),
        (["none", "weak"], "weak"),
        (["none"], "none"),
        ([], "none"),
    ],
)
def test_a_proof_counts_before_a_failure_and_a_failure_before_a_doubt(
    verdicts: list[Verdict], expected: Verdict
) -> None:
    assert message_verdict(message(*map(copy, verdicts))) == expected


def test_a_failure_that_somebody_called_genuine_is_none() -> None:
    assert message_verdict(message(copy("fail", genuine=True))) == "none"
    assert message_verdict(message(copy("fail", genuine=True), copy("fail"))) == "fail"


def test_the_sender_is_who_stands_in_from() -> None:
    sent = message(sender="s@x.com", author=SENDER, reply_to="r@x.com")
    assert sender(sent) == Participant(SENDER, "from")


def test_without_from_there_is_no_sender() -> None:
    assert sender(message(sender="s@x.com", to="a@firma.com")) is None


# --- direction --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (message(copy("pass"), author=SENDER, to="ayse@firma.com"), "inbound"),
        (message(copy("own"), author="ayse@firma.com", to=SENDER), "outbound"),
        (message(copy("own"), author="alias@elsewhere.com", to=SENDER), "outbound"),
        (message(copy("pass"), author="ayse@firma.com", to=SENDER), "outbound"),
        (message(copy("none"), author="ayse@firma.com", to=SENDER), "inbound"),
        (message(copy("fail"), author="ayse@firma.com", to=SENDER), "inbound"),
        (message(copy("none"), copy("own"), author="ayse@firma.com", to=SENDER), "outbound"),
        (message(copy("own"), author="ayse@firma.com", to="veli@firma.com"), "internal"),
        (message(copy("none"), author="ayse@firma.com", to="veli@firma.com"), "internal"),
        (message(copy("none"), author="ayse@firma.com", to="veli@firma.com", reply_to=SENDER), "internal"),
        (message(copy("own"), author="ayse@firma.com", to="veli@firma.com", cc=SENDER), "outbound"),
        (message(copy("own", bcc=(SENDER,)), author="ayse@firma.com", to="veli@firma.com"), "outbound"),
        (message(copy("none"), to=SENDER), "inbound"),
        (message(copy("own")), "outbound"),
        (message(copy("none")), "inbound"),
    ],
)
def test_a_message_has_a_direction(sent: Message, expected: Direction) -> None:
    assert direction(sent, OURS) == expected
