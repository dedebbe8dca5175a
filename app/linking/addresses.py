"""Mail addresses: their normal form, lists of them in headers, ours or theirs, blocked.

Linear in the input and never raising. The standard library is not used for lists: `email.utils.getaddresses` has its
strict mode (CVE-2023-27043) only in late 3.11 releases, and both it and `email.headerregistry` recurse on comments.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import idna

from app.linking import text
from app.model import Ours

MAX_ADDRESS_CHARS = 320
_MAX_DOMAIN_CHARS = 255
MAX_LIST_CHARS = 256 * 1024
MAX_LIST_MAILBOXES = 2_000
_MAX_NAME_CHARS = 320
_REMEMBERED_CHARS = 500

# Domains on which anybody can have an address: one of ours there makes nobody else's ours.
_FREEMAIL = """
126.com 163.com aol.com att.net bk.ru bluewin.ch btinternet.com comcast.net cox.net duck.com fastmail.com
fastmail.fm foxmail.com free.fr freenet.de gmail.com gmx.at gmx.ch gmx.com gmx.de gmx.net googlemail.com
hey.com hotmail.co.uk hotmail.com hotmail.com.tr hotmail.de hotmail.es hotmail.fr hotmail.it hushmail.com
icloud.com inbox.ru interia.pl laposte.net libero.it list.ru live.co.uk live.com live.de live.fr live.it live.nl
mac.com mail.com mail.ee mail.ru mailbox.org me.com msn.com mynet.com mynet.com.tr naver.com o2.pl onet.pl
op.pl orange.fr outlook.com outlook.com.tr outlook.de outlook.es outlook.fr outlook.it passport.com pm.me
posteo.de proton.me protonmail.ch protonmail.com qq.com rambler.ru rediffmail.com rocketmail.com sbcglobal.net
seznam.cz sfr.fr sina.com superonline.com t-online.de tiscali.it ttmail.com ttnet.net.tr tuta.io tutanota.com
verizon.net virgilio.it wanadoo.fr web.de windowslive.com wp.pl xtra.co.nz ya.ru yaani.com yahoo.ca
yahoo.co.in yahoo.co.jp yahoo.co.uk yahoo.com yahoo.com.br yahoo.com.tr yahoo.de yahoo.es yahoo.fr yahoo.it
yandex.com yandex.com.tr yandex.ru yandex.ua ymail.com zoho.com zohomail.com
"""
FREEMAIL_DOMAINS = frozenset(_FREEMAIL.split())
_GMAIL_DOMAINS = frozenset({"gmail.com", "googlemail.com"})

_USUAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_ASCII_DOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_ADDRESS_LITERAL = re.compile(r"\[(?:ipv6:)?[0-9a-f.:]{2,45}\]")
_NOT_IN_LOCAL_PART = re.compile(r'[\s<>()\[\],;:"\\]')


def normalize(address: str) -> str | None:
    """Return the form in which addresses are stored and compared, or None when it is no address.

    Lower case, local part in NFC, domain as A-labels without a trailing dot, no mailto:. An Exchange DN (no @), a
    control or invisible character, several @ and more than 320 characters are no address.
    """
    if len(address) > MAX_ADDRESS_CHARS + 20:  # room for mailto: and blanks
        return None
    address = address.strip()
    if address[:7].lower() == "mailto:":
        address = address[7:]
    lowered = address.lower()
    if len(lowered) <= _MAX_DOMAIN_CHARS and _USUAL.fullmatch(lowered):
        return lowered
    if not address.isprintable() or address.count("@") != 1:
        return None
    local, _, domain = address.partition("@")
    if len(local) > 2 and local[0] == local[-1] == '"':
        local = local[1:-1]
    local = unicodedata.normalize("NFC", unicodedata.normalize("NFC", local).lower())
    normal_domain = normalize_domain(domain)
    if not local or normal_domain is None or _NOT_IN_LOCAL_PART.search(local):
        return None
    normal = f"{local}@{normal_domain}"
    return normal if len(normal) <= MAX_ADDRESS_CHARS else None


def normalize_domain(domain: str) -> str | None:
    """Return the domain in lower case as A-labels, without a trailing dot, or None when it is no domain."""
    if len(domain) > _MAX_DOMAIN_CHARS:
        return None
    domain = domain.strip().lower()
    if domain.startswith("["):
        return domain if _ADDRESS_LITERAL.fullmatch(domain) else None
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    domain = domain.removesuffix(".")
    return domain if _ASCII_DOMAIN.fullmatch(domain) else None


def match_key(address: str) -> str:
    """Return what two spellings of one mailbox share: Gmail ignores dots, +tags and the name of its domain.

    For every other provider this is the address itself: see `untagged` for a second look-up.
    """
    local, _, domain = address.rpartition("@")
    if domain not in _GMAIL_DOMAINS:
        return address
    name = local.partition("+")[0].replace(".", "")
    return f"{name or local}@gmail.com"


def untagged(address: str) -> str:
    """Return the address without its +tag; a second look-up only, since not every provider has tags."""
    local, _, domain = address.rpartition("@")
    name = local.partition("+")[0]
    return f"{name}@{domain}" if name else address


def domain_of(address: str) -> str:
    return address.rpartition("@")[2]


# --- lists in headers ---------------------------------------------------------------------------------------------

_MAX_TOKENS = 10_000  # five for each mailbox that is kept
_MAX_INTERNATIONAL = 100  # in one list: the IDNA library takes 0.1 ms for a domain, a hundred times the usual
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_IN_COMMENT = re.compile(r"\\.|\(+|\)+", re.DOTALL)
_ANGLE = re.compile(r"<[^<>,;]*+>?")
_SEPARATORS = re.compile(r"[,;][,;\s]*+")
_WORDS = re.compile(r'[^"(<,;:]+')

_TokenKind = Literal["words", "quoted", "comment", "angle", "end", "group"]
_BY_FIRST: dict[str, tuple[_TokenKind, re.Pattern[str]]] = {
    ",": ("end", _SEPARATORS),
    ";": ("end", _SEPARATORS),
    "<": ("angle", _ANGLE),
}


@dataclass(frozen=True, slots=True)
class AddressList:
    """The mailboxes of a header value, and about how many more it names than are kept."""

    mailboxes: tuple[tuple[str, str], ...]
    rest: int = 0


def parse_list(value: str) -> list[tuple[str, str]]:
    """Return (display name, normal address) of every mailbox in a header value, members of groups included.

    At most 256 kB are read and 2,000 mailboxes returned. What is ambiguous (two <addresses> in one mailbox) or no
    address is left out.
    """
    return list(read_list(value).mailboxes)


def read_list(value: str) -> AddressList:
    """Parse as `parse_list` does, and count what is over the limits."""
    return _read_short(value) if len(value) <= _REMEMBERED_CHARS else _read(value)


@lru_cache(maxsize=4096)
def _read_short(value: str) -> AddressList:
    """Parse a short list once: the same few people write and are written to all day."""
    return _read(value)


def _read(value: str) -> AddressList:
    mailboxes: list[tuple[str, str]] = []
    read_until = international = 0
    for name, spec, end in _entries(value[:MAX_LIST_CHARS]):
        read_until = end
        international += not spec.isascii()
        is_readable = "@" in spec and (spec.isascii() or international <= _MAX_INTERNATIONAL)
        address = normalize(spec) if is_readable else None
        if address is not None:
            mailboxes.append((display_name(name), address))
        if len(mailboxes) == MAX_LIST_MAILBOXES:
            break
    rest = value.count("@", read_until) + max(international - _MAX_INTERNATIONAL, 0)
    return AddressList(tuple(mailboxes), rest)


def display_name(name: str) -> str:
    """Return a name as a person reads it: encoded words decoded, one line, at most 320 characters.

    Decoded only after the list was taken apart, so an encoded comma or bracket never makes another mailbox.
    """
    return text.one_line(text.decode_words(name), _MAX_NAME_CHARS).strip("\"' ")


def _entries(value: str) -> Iterator[tuple[str, str, int]]:
    """Yield (name, address as written, where it ends) for each entry of a list."""
    parts: list[tuple[str, str]] = []
    for kind, content, end in _tokens(value):
        if kind == "group":
            parts.clear()  # the name of a group; its members follow as entries of their own
        elif kind != "end":
            parts.append((kind, content))
        elif parts:
            name, spec = _entry(parts)
            yield name, spec, end
            parts.clear()


def _entry(parts: list[tuple[str, str]]) -> tuple[str, str]:
    """Return (name, address as written); no address when it is open which one is meant."""
    kinds = [kind for kind, content in parts if kind != "comment" and not (kind == "words" and not content.strip())]
    comment = " ".join(content[1:-1] for kind, content in parts if kind == "comment")
    if "angle" not in kinds:
        return comment, "".join(content for kind, content in parts if kind != "comment").strip()
    if kinds.index("angle") != len(kinds) - 1:
        return "", ""
    name = " ".join(_unquoted(content) for kind, content in parts if kind in {"words", "quoted"})
    spec = next(content for kind, content in parts if kind == "angle")
    return name if name.strip() else comment, spec.strip("<> ")


def _unquoted(content: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", content[1:-1]) if content[0] == '"' else content


def _tokens(value: str) -> Iterator[tuple[_TokenKind, str, int]]:
    """Yield (kind, text, where it ends), at most `_MAX_TOKENS`, the last one an end.

    A quote or bracket that is never closed is blanked in the rest, so nothing is scanned twice and the addresses
    behind it survive.
    """
    position = 0
    for _ in range(_MAX_TOKENS):
        if position >= len(value):
            break
        kind, end = _token(value, position)
        if kind is None:
            value = value[:position] + value[position:].replace(value[position], " ")
            continue
        yield kind, value[position:end], end
        position = end
    yield "end", "", position


def _token(value: str, position: int) -> tuple[_TokenKind | None, int]:
    """Return the kind of the token at position and its end; None for a quote or bracket that is never closed."""
    first = value[position]
    if first == '"':
        quoted = _QUOTED.match(value, position)
        return ("quoted", quoted.end()) if quoted else (None, position)
    if first == "(":
        end = _comment_end(value, position)
        return ("comment", end) if end else (None, position)
    if first == ":":
        return "group", position + 1
    kind, pattern = _BY_FIRST.get(first, ("words", _WORDS))
    match = pattern.match(value, position)
    return kind, match.end() if match else position + 1


def _comment_end(value: str, position: int) -> int | None:
    """Return where the comment that opens at position ends; comments nest, to any depth."""
    depth = 0
    for sign in _IN_COMMENT.finditer(value, position):
        if sign[0][0] == "(":
            depth += len(sign[0])
        elif sign[0][0] == ")":
            if len(sign[0]) >= depth:
                return sign.start() + depth
            depth -= len(sign[0])
    return None


# --- whose ----------------------------------------------------------------------------------------------------------


def make_ours(addresses: Iterable[str], domains: Iterable[str]) -> Ours:
    """Build what makes an address ours; freemail domains never count, whatever a team says."""
    own = {normal for normal in map(normalize, addresses) if normal is not None}
    own |= {match_key(address) for address in own}
    own_domains = {normal for normal in map(normalize_domain, domains) if normal is not None}
    return Ours(frozenset(own), frozenset(own_domains - FREEMAIL_DOMAINS))


def is_ours(address: str, ours: Ours) -> bool:
    """Say whether an address in normal form is one of ours, in another spelling or with a +tag included.

    A sub-domain of an own domain is not ours: it may be a customer's.
    """
    return (
        address in ours.addresses
        or domain_of(address) in ours.domains
        or match_key(address) in ours.addresses
        or untagged(address) in ours.addresses
    )


def without_secret(address: str, ours: Ours) -> str:
    """Return one of our addresses without its +tag, for showing it: that of a Smart BCC address is a secret."""
    plain = untagged(address)
    return plain if address not in ours.addresses and plain in ours.addresses else address


def is_blocked(address: str, blocklist: frozenset[str]) -> bool:
    """Say whether an address in normal form is on the list, itself or by its domain or a domain above it (T3)."""
    if not blocklist:
        return False
    blocked = _normal_blocklist(blocklist)
    if address in blocked or match_key(address) in blocked:
        return True
    domain = domain_of(address)
    while domain:
        if domain in blocked:
            return True
        domain = domain.partition(".")[2]
    return False


def blocked_by(address: str, blocklist: frozenset[str]) -> str | None:
    """Return the entry of the list, as it was typed, that blocks an address in normal form; None when none does."""
    names = {address, match_key(address)}
    domain = domain_of(address)
    while domain:
        names.add(domain)
        domain = domain.partition(".")[2]
    return next((entry for entry in sorted(blocklist) if _normal_entry(entry) in names), None)


def is_entry(entry: str) -> bool:
    """Say whether a blocklist can hold this: an address, or a domain with or without an @ before it."""
    return _normal_entry(entry) is not None


@lru_cache(maxsize=256)
def _normal_blocklist(blocklist: frozenset[str]) -> frozenset[str]:
    return frozenset(normal for entry in blocklist if (normal := _normal_entry(entry)) is not None)


def _normal_entry(entry: str) -> str | None:
    """Bring an entry, which a person typed, into normal form; `@example.com` means the domain."""
    domain = entry.strip().removeprefix("@")
    return normalize(domain) if "@" in domain else normalize_domain(domain)
