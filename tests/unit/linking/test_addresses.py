"""Addresses: normal form, lists in headers, ours or theirs, blocked."""

from __future__ import annotations

import unicodedata
from email.utils import formataddr, getaddresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.linking import addresses
from app.linking.addresses import (
    blocked_by,
    display_name,
    domain_of,
    is_blocked,
    is_entry,
    is_ours,
    make_ours,
    match_key,
    normalize,
    normalize_domain,
    parse_list,
    read_list,
    untagged,
    without_secret,
)
from app.model import Ours
from tests.unit.linking.timing import LINEAR, growth

LOCAL_PARTS = st.from_regex(r"[a-z0-9][a-z0-9._+-]{0,20}", fullmatch=True)
DOMAINS = st.from_regex(r"[a-z0-9]{1,12}(\.[a-z]{2,6}){1,2}", fullmatch=True)
ADDRESSES = st.builds("{}@{}".format, LOCAL_PARTS, DOMAINS)


# --- normal form ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Ayse.Yilmaz@Firma.COM.TR", "ayse.yilmaz@firma.com.tr"),
        ("  a@example.com ", "a@example.com"),
        ("a@example.com.", "a@example.com"),
        ("MAILTO:a@example.com", "a@example.com"),
        ("a@müller.de", "a@xn--mller-kva.de"),
        ("a@ışık.com.tr", "a@xn--k-ekaa7p.com.tr"),
        ("a@xn--mller-kva.de", "a@xn--mller-kva.de"),
        ("ayşe@example.com", "ayşe@example.com"),
        ("AYŞE@example.com", "ayşe@example.com"),
        (unicodedata.normalize("NFD", "ayşe@example.com"), "ayşe@example.com"),
        ('"john.doe"@example.com', "john.doe@example.com"),
        ("a@my_server.local", "a@my_server.local"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("a@[IPv6:2001:DB8::1]", "a@[ipv6:2001:db8::1]"),
        ("o'neil+x=y@example.com", "o'neil+x=y@example.com"),
        ("a" * 308 + "@example.com", "a" * 308 + "@example.com"),
    ],
)
def test_an_address_has_one_normal_form(written: str, normal: str) -> None:
    assert normalize(written) == normal


@pytest.mark.parametrize(
    "written",
    [
        "",
        "@",
        "a@",
        "@example.com",
        "a.example.com",
        "a@b@example.com",
        '"a@b"@example.com',
        "/O=EXCHANGELABS/OU=EXCHANGE/CN=RECIPIENTS/CN=AYSE",
        "a b@example.com",
        '"a b"@example.com',
        "a<b@example.com",
        "a@exa mple.com",
        "a@example..com",
        "a@.example.com",
        "a@example.com..",
        "a@[not-an-address]",
        "a\x00@example.com",
        "a\r\nBcc: b@example.com",
        "adm\u200bin@example.com",
        "\u202ea@example.com",
        "a\ud800@example.com",
        "a@exam\ud800ple.com",
        "a@" + "ü" * 300 + ".com",
        "a@-ü.com",
        "a@" + "x." * 150 + "com",
        "ş" * 309 + "@example.com",
        "a" * 309 + "@example.com",
        "a" * 100_000 + "@example.com",
    ],
)
def test_what_is_no_address_has_no_normal_form(written: str) -> None:
    assert normalize(written) is None


@given(st.one_of(st.text(), st.builds("{}@{}".format, st.text(max_size=30), st.text(max_size=30))))
def test_a_normal_form_is_its_own_normal_form(written: str) -> None:
    normal = normalize(written)
    assert normal is None or normalize(normal) == normal


@given(st.text(max_size=300))
def test_a_normal_domain_is_its_own_normal_form(written: str) -> None:
    normal = normalize_domain(written)
    assert normal is None or (normalize_domain(normal) == normal and normal.isascii())


# --- two spellings of one mailbox -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("a.y.s.e+crm@gmail.com", "ayse@gmail.com"),
        ("ayse@googlemail.com", "ayse@gmail.com"),
        ("a.y+crm@example.com", "a.y+crm@example.com"),
        ("+crm@gmail.com", "+crm@gmail.com"),
    ],
)
def test_only_gmail_ignores_dots_and_tags(address: str, key: str) -> None:
    assert match_key(address) == key


@pytest.mark.parametrize(
    ("address", "without"),
    [
        ("ayse+crm@example.com", "ayse@example.com"),
        ("a.yse@example.com", "a.yse@example.com"),
        ("+crm@example.com", "+crm@example.com"),
    ],
)
def test_a_tag_can_be_taken_off(address: str, without: str) -> None:
    assert untagged(address) == without


def test_the_domain_is_what_follows_the_at_sign() -> None:
    assert domain_of("ayse@example.com") == "example.com"


# --- lists in headers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("a@example.com", [("", "a@example.com")]),
        ("Ayşe Yılmaz <ayse@example.com>", [("Ayşe Yılmaz", "ayse@example.com")]),
        ('"Yılmaz, Ayşe" <ayse@example.com>', [("Yılmaz, Ayşe", "ayse@example.com")]),
        (r'"a \"b\" \\ c" <a@example.com>', [(r'a "b" \ c', "a@example.com")]),
        ("a@example.com (Ayşe (Satış) Yılmaz)", [("Ayşe (Satış) Yılmaz", "a@example.com")]),
        (r"a@example.com (one \) two)", [(r"one \) two", "a@example.com")]),
        ("(before) <a@example.com> (after)", [("before after", "a@example.com")]),
        ("<a@example.com>", [("", "a@example.com")]),
        ("<mailto:a@example.com>", [("", "a@example.com")]),
        ("mailto:a@example.com", [("", "a@example.com")]),
        ('"john"@example.com', [("", "john@example.com")]),
        ("a@example.com, b@example.com", [("", "a@example.com"), ("", "b@example.com")]),
        ("a@example.com; b@example.com;", [("", "a@example.com"), ("", "b@example.com")]),
        (",, a@example.com,;,", [("", "a@example.com")]),
        ("Undisclosed recipients:;", []),
        ("Team: a@x.com, B <b@y.com>;, c@z.com", [("", "a@x.com"), ("B", "b@y.com"), ("", "c@z.com")]),
        ("/O=EXCHANGELABS/CN=AYSE, b@example.com", [("", "b@example.com")]),
        ('"Ayşe" </O=EXCHANGELABS/CN=AYSE>', []),
        ('"never closed <a@example.com>, b@example.com', [("never closed", "a@example.com"), ("", "b@example.com")]),
        ("Ayşe (Satış <a@example.com>, b@example.com", [("Ayşe  Satış", "a@example.com"), ("", "b@example.com")]),
        ("Ayşe <a@example.com, b@example.com", [("Ayşe", "a@example.com"), ("", "b@example.com")]),
    ],
)
def test_a_list_is_taken_apart(value: str, expected: list[tuple[str, str]]) -> None:
    assert parse_list(value) == [(" ".join(name.split()), address) for name, address in expected]


@pytest.mark.parametrize(
    "value",
    [
        "<victim@customer.com> <evil@evil.com>",
        "victim@customer.com <a@b.com> evil@evil.com",
        "<@relay.com,@other.com:user@example.com>",
        "alice@example.org)bob@example.com",
        "<a@example.com>evil@evil.com",
    ],
)
def test_an_ambiguous_mailbox_is_left_out(value: str) -> None:
    assert parse_list(value) == []


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("=?utf-8?B?QXnFn2U=?= <a@example.com>", "Ayşe"),
        ("=?iso-8859-9?Q?I=FE=FDk_Y=FDlmaz?= <a@example.com>", "Işık Yılmaz"),
        ('"=?windows-1254?Q?=DDstanbul?=" <a@example.com>', "İstanbul"),
        ("a@example.com (=?iso-8859-9?Q?=DDpek?=)", "İpek"),
    ],
)
def test_names_are_decoded(value: str, name: str) -> None:
    assert parse_list(value) == [(name, "a@example.com")]


def test_an_encoded_name_makes_no_further_mailbox() -> None:
    assert parse_list("=?utf-8?Q?a=2C_=3Cvictim=40customer.com=3E=2C?= <a@example.com>") == [
        ("a, <victim@customer.com>,", "a@example.com")
    ]


def test_a_name_is_one_line_without_marks_that_turn_the_text_around() -> None:
    assert display_name("Ayşe\r\n\x00\u202eYıl\ud800maz ") == "Ayşe Yıl\ufffdmaz"


def test_a_name_is_cut() -> None:
    assert len(display_name("x" * 10_000)) == 320


def test_over_two_thousand_mailboxes_the_rest_is_counted() -> None:
    read = read_list(", ".join(f"u{n}@example.com" for n in range(5_000)))
    assert (len(read.mailboxes), read.rest) == (2_000, 3_000)


def test_what_is_behind_256_kb_is_counted() -> None:
    read = read_list("x" * 300_000 + ", a@example.com")
    assert (read.mailboxes, read.rest) == ((), 1)


def test_reading_stops_after_too_many_pieces() -> None:
    read = read_list("x," * 50_000 + "a@example.com")
    assert (read.mailboxes, read.rest) == ((), 1)


def test_of_international_addresses_a_hundred_are_read_and_the_rest_is_counted() -> None:
    read = read_list(", ".join(f"a@ü{n}.com" for n in range(150)) + ", b@example.com")
    assert (len(read.mailboxes), read.rest) == (101, 50)


@given(st.text())
def test_any_text_gives_a_list_of_normal_addresses(value: str) -> None:
    assert all(normalize(address) == address for _, address in parse_list(value))


@given(st.text(alphabet='ab@.,;:<>()"\\ =?', max_size=60))
def test_any_mix_of_signs_gives_a_list_of_normal_addresses(value: str) -> None:
    assert all(normalize(address) == address for _, address in parse_list(value))


@given(st.lists(st.tuples(st.text(alphabet='abc çğış,.()<>"\\', max_size=12), ADDRESSES), max_size=6))
def test_a_well_formed_list_reads_as_the_standard_library_reads_it(people: list[tuple[str, str]]) -> None:
    value = ", ".join(
        f'"{name.translate({34: chr(92) + chr(34), 92: chr(92) * 2})}" <{address}>' for name, address in people
    )
    assert [address for _, address in parse_list(value)] == [address for _, address in getaddresses([value]) if address]
    assert [name for name, _ in parse_list(value)] == [display_name(name) for name, _ in people]


@given(st.text(alphabet="abc çğış", max_size=12), ADDRESSES)
def test_an_encoded_mailbox_comes_back(name: str, address: str) -> None:
    assert parse_list(formataddr((name, address))) == [(" ".join(name.split()), address)]


@pytest.mark.parametrize(
    "unit", ['"', "(", "()", '"\\', '"\\"', "<", "<>", ",a", "a@b.com,", ":;", "=?a?q?", "@", "\\", " ", "((\\"]
)
def test_the_cost_of_a_list_grows_with_its_length(unit: str) -> None:
    assert growth(lambda size: read_list(unit * (size // len(unit))), 50_000) < LINEAR


# --- whose ----------------------------------------------------------------------------------------------------------


def test_addresses_and_domains_make_ours() -> None:
    ours = make_ours(["Ayse@Firma.com", "no address"], ["FIRMA.com", "müller.de", "", "not a domain"])
    assert ours == Ours(frozenset({"ayse@firma.com"}), frozenset({"firma.com", "xn--mller-kva.de"}))


@pytest.mark.parametrize("domain", ["gmail.com", "Outlook.com", "mynet.com", "yandex.com.tr", "web.de", "proton.me"])
def test_a_freemail_domain_is_nobodys_own(domain: str) -> None:
    assert not make_ours([], [domain]).domains


def test_every_freemail_domain_is_written_in_normal_form() -> None:
    assert all(normalize_domain(domain) == domain for domain in addresses.FREEMAIL_DOMAINS)


@pytest.mark.parametrize(
    "address",
    ["ayse@firma.com", "anybody@firma.com", "ayse.crm@gmail.com", "aysecrm+x@googlemail.com", "me+tag@outlook.com"],
)
def test_ours_are_addresses_in_any_spelling_and_domains(address: str) -> None:
    assert is_ours(address, make_ours(["Ayse.CRM@gmail.com", "me@outlook.com"], ["firma.com"]))


@pytest.mark.parametrize("address", ["a@sub.firma.com", "a@firma.com.evil.com", "b@gmail.com", "x+me@outlook.com"])
def test_a_sub_domain_or_a_look_alike_is_not_ours(address: str) -> None:
    assert not is_ours(address, make_ours(["a@gmail.com", "me@outlook.com"], ["firma.com"]))


@pytest.mark.parametrize(
    ("address", "blocklist"),
    [
        ("a@example.com", {"A@Example.com"}),
        ("a@example.com", {"example.com"}),
        ("a@mail.example.com", {"EXAMPLE.com"}),
        ("a@mail.example.com", {"com"}),
        ("a@example.com", {" @example.com "}),
        ("a@xn--mller-kva.de", {"müller.de"}),
        ("a.b+c@gmail.com", {"ab@gmail.com"}),
    ],
)
def test_an_address_is_blocked_by_itself_or_a_domain_above_it(address: str, blocklist: set[str]) -> None:
    assert is_blocked(address, frozenset(blocklist))


@pytest.mark.parametrize("blocklist", [set(), {"b@example.com"}, {"ample.com"}, {"sub.example.com"}, {"not a domain"}])
def test_nothing_else_is_blocked(blocklist: set[str]) -> None:
    assert not is_blocked("a@example.com", frozenset(blocklist))


@pytest.mark.parametrize(
    ("address", "entry"),
    [
        ("dan@pushy.test", "@Pushy.test"),
        ("dan@mail.pushy.test", "@Pushy.test"),
        ("eve@spam.test", "Eve@spam.test"),
        ("other@spam.test", None),
        ("dan@notpushy.test", None),
    ],
)
def test_the_entry_that_blocks_an_address_is_named_as_it_was_typed(address: str, entry: str | None) -> None:
    assert blocked_by(address, frozenset({"@Pushy.test", "Eve@spam.test"})) == entry


def test_a_blocklist_holds_addresses_and_domains() -> None:
    assert all(is_entry(entry) for entry in ("pushy.test", "@pushy.test", "dan@pushy.test"))
    assert not is_entry("no domain at all")


def test_an_address_of_ours_is_shown_without_the_secret_in_it() -> None:
    ours = make_ours(["northwind@in.test", "sales+eu@northwind.test", "sales@northwind.test"], ["northwind.test"])
    assert without_secret("northwind+abcdefgh234567ab@in.test", ours) == "northwind@in.test"
    assert without_secret("sales+eu@northwind.test", ours) == "sales+eu@northwind.test"
    assert without_secret("bea+crm@acme.test", ours) == "bea+crm@acme.test"
