"""The base subject of a mail: what is left without reply and forward prefixes, warning tags and list tags.

Pure text work on a decoded Subject. What a base subject is used for (identity, joining) lives in identity and threads.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

MAX_SUBJECT_CHARS = 1000  # NFKC grows some letters 18-fold, and the loop below reads what is left again and again

# What Outlook, Thunderbird, Apple Mail, Gmail and Lotus write in the languages they ship. VS is a reply in Finnish and
# a forward in Danish, so it counts as both.
_REPLY_PREFIXES = """re, r, aw, antw, antwort, sv, svar, vs, vá, válasz, odp, odpověď, rif, res, resp, ref, réf, ynt,
    yanıt, bls, απ, σχετ, отв, відп, atb, ats, השב, תגובה, رد, 回复, 答复, 回覆, 返信, 답장, 回"""
_FORWARD_PREFIXES = """fw, fwd, wg, tr, rv, enc, i, vl, vb, pd, vs, videresend, vidarebefordrat, doorst, fs, továbbítás,
    trs, redir, ilt, iletilen, переслать, пересл, 转发, 轉寄, 転送, 전달, הועבר, إعادة توجيه"""
# As often a country, a product or a word as a prefix: "TR: Ankara office", "R: the language".
_AMBIGUOUS_PREFIXES = "r, i, tr, rv, vl, vb, pd, fs"

_WARNING_TAGS = """external, ext, extern, external email, external sender, spam, suspected spam, harici, dış"""

_GENERIC_SUBJECTS = """hi, hello, hey, meeting, invoice, quote, offer, order, question, update, info, test, thanks,
    no subject, teklif, fatura, toplantı, merhaba, selam, bilgi, sipariş, ek, soru, teşekkürler, konu yok"""

# A prefix, its count ("Re[2]", "Re (3)") or blob (RFC 5256: "Re [list]") if it has one, and the colon.
_PREFIX = re.compile(r"([^\[\]():.]{1,20})\.?\s*(?:\[[^\[\]]{0,64}\]|\(\d{1,3}\))?\s*:\s*")
_LEADING_TAG = re.compile(r"\[([^\[\]]{1,64})\]\s*")
_FORWARD_WRAPPER = re.compile(r"\[fwd:(.*)\]")
_FORWARD_TRAILER = re.compile(r"\(fwd\)$")
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class BaseSubject:
    """A subject taken apart. `base` is folded for comparison, never for display."""

    base: str
    is_reply: bool
    is_forward: bool
    is_generic: bool


def base_subject(subject: str, list_ids: Iterable[str] = (), other_reply_sign: bool = False) -> BaseSubject:
    """Take a decoded subject apart.

    `list_ids` are the values of the List-Id headers: a leading tag goes only when it names such a list.
    `other_reply_sign` says that In-Reply-To or References exist: only then are prefixes that may be content
    ("TR:", "R:") prefixes. Cost is bounded by MAX_SUBJECT_CHARS, whatever the text.
    """
    rest = _fold(subject)
    lists = [_alphanumeric(_fold(list_id)) for list_id in list_ids]
    is_reply = is_forward = False
    before: str | None = None
    while rest != before:
        before = rest
        if word := _prefix(rest, other_reply_sign):
            is_reply = is_reply or word in _REPLY
            is_forward = is_forward or word in _FORWARD
            rest = rest.partition(":")[2].lstrip()
        elif (tag := _LEADING_TAG.match(rest)) and _is_removable(tag[1].strip(), lists):
            rest = rest[tag.end() :]
        elif forwarded := _FORWARD_WRAPPER.fullmatch(rest):
            is_forward = True
            rest = forwarded[1].strip()
        elif trailer := _FORWARD_TRAILER.search(rest):
            is_forward = True
            rest = rest[: trailer.start()].rstrip()
    return BaseSubject(rest, is_reply, is_forward, is_generic(rest))


@lru_cache(maxsize=4096)
def is_generic(base: str) -> bool:
    """Say whether a base subject is one that unrelated people use ("invoice", "merhaba", nothing at all)."""
    words = _NOT_ALPHANUMERIC.sub(" ", base).strip()
    return not words or words in _GENERIC


def without_short_reply_prefix(base: str) -> str | None:
    """Return what is left of a base subject that begins with a reply prefix that may be content ("R:"), else None.

    It is a prefix after all when what is left is the base subject of a known message.
    """
    word, colon, rest = base.partition(":")
    return rest.lstrip() if colon and word in _AMBIGUOUS and word in _REPLY else None


def _prefix(text: str, other_reply_sign: bool) -> str | None:
    match = _PREFIX.match(text)
    word = match[1].strip() if match else ""
    return word if word in _PREFIXES and (other_reply_sign or word not in _AMBIGUOUS) else None


def _is_removable(tag: str, lists: list[str]) -> bool:
    if tag in _TAGS:
        return True
    name = _alphanumeric(tag)
    return len(name) > 1 and any(name in list_id for list_id in lists)


def _fold(text: str) -> str:
    """Bring a text to a form in which case, width, Turkish dots, spacing and invisible marks make no difference."""
    text = text[:MAX_SUBJECT_CHARS]
    if not text.isascii():
        # casefold() turns the Turkish İ into two code points and leaves ı apart from i, so both become i first.
        text = unicodedata.normalize("NFKC", text).replace("İ", "i").replace("ı", "i")[:MAX_SUBJECT_CHARS]
        # U+0307 is the dot that is left of a decomposed İ; category Cf are direction marks and other invisible ones.
        text = "".join(char for char in text if char != "\u0307" and unicodedata.category(char) != "Cf")
    return " ".join(text.casefold().split())


def _alphanumeric(text: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", text)


def _words(text: str) -> frozenset[str]:
    return frozenset(_fold(word) for word in text.split(","))


_REPLY = _words(_REPLY_PREFIXES)
_FORWARD = _words(_FORWARD_PREFIXES)
_PREFIXES = _REPLY | _FORWARD
_AMBIGUOUS = _words(_AMBIGUOUS_PREFIXES)
_TAGS = _words(_WARNING_TAGS)
_GENERIC = _words(_GENERIC_SUBJECTS)
