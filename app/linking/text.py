"""Text from outside, made fit to keep: charsets, RFC 2047 words, unstorable characters, HTML to plain text.

Everything here is linear in its input and never raises. Charsets come from a list of ours: a name from a mail never
reaches the codec registry, which would keep every unknown name for ever and knows codecs that are quadratic.
"""

from __future__ import annotations

import binascii
import re

REPLACEMENT = "\ufffd"

# What mails call a charset -> the codec that reads it. As in browsers, the Windows superset reads its ISO name.
_CODECS: dict[str, str] = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "iso-8859-9": "cp1254",
    "latin5": "cp1254",
    "x-mac-turkish": "mac_turkish",
    "macintosh": "mac_roman",
    "ibm857": "cp857",
    "cp857": "cp857",
    "koi8-r": "koi8_r",
    "koi8-u": "koi8_u",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5",
    "shift-jis": "cp932",
    "iso-2022-jp": "iso2022_jp",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "ks-c-5601-1987": "cp949",
    "iso-8859-8-i": "iso8859_8",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    **{f"iso-8859-{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 11, 13, 14, 15, 16)},
    **{f"windows-{n}": f"cp{n}" for n in (874, *range(1250, 1259))},
    **{f"cp{n}": f"cp{n}" for n in (874, *range(1250, 1259))},
}
# Eight-bit text that is not UTF-8 and names no charset. Windows-1254 differs from 1252 in six letters: Turkish ones.
_LAST_RESORT = "cp1254"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL refuses NUL, UTF-8 refuses lone surrogates
# Controls, and the marks that reorder the text around them (U+202A-202E, U+2066-2069).
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ENCODED_WORD = re.compile(r"=\?([\w.:+-]{1,40})(?:\*[\w-]{0,20})?\?([bBqQ])\?([^?]*)\?=", re.ASCII)
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def storable(value: str) -> str:
    """Replace NUL and lone surrogates by U+FFFD; a value without them comes back as it is."""
    return _UNSTORABLE.sub(REPLACEMENT, value)


def one_line(value: str, max_chars: int) -> str:
    """Make one line of at most max_chars for a list or a heading: no controls, no marks that reorder text."""
    if not value.isprintable():
        value = storable(_NOT_IN_A_LINE.sub(" ", value))
    return " ".join(value.split())[:max_chars].rstrip()


def decode(raw: bytes, charset: str = "", *, is_cut: bool = False) -> str:
    """Decode bytes by the charset the mail names, else as UTF-8, else as Windows-1254.

    is_cut says that bytes are missing at the end, so that half a character there is no reason to doubt UTF-8.
    """
    codec = _CODECS.get(charset.strip(" \t\"'").lower().replace("_", "-"))
    if codec is not None:
        return raw.decode(codec, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if is_cut and len(raw) - error.start < 4 and error.reason == "unexpected end of data":
            return raw[: error.start].decode("utf-8")
    return raw.decode(_LAST_RESORT, "replace")


def decode_base64(raw: bytes) -> bytes:
    """Decode what can be read: foreign characters are skipped, a missing or misplaced padding is no reason to stop."""
    digits = raw.translate(None, _NOT_BASE64)
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def decode_words(value: str) -> str:
    """Decode RFC 2047 encoded words; anything else in value stays.

    Neighbours with the same charset are joined before decoding: many mailers cut a character in two.
    """
    if "=?" not in value:
        return value
    pieces: list[str] = []
    pending, pending_charset = b"", ""
    end = 0
    for word in _ENCODED_WORD.finditer(value):
        gap = value[end : word.start()]
        charset, encoding, payload = word[1].lower(), word[2], word[3].encode("utf-8", "replace")
        is_neighbour = bool(pending_charset) and not gap.strip()
        if not (is_neighbour and charset == pending_charset):
            pieces.append(decode(pending, pending_charset))
            pieces.append("" if is_neighbour else gap)
            pending, pending_charset = b"", charset
        if encoding in "bB":
            pending += decode_base64(payload)
        else:
            pending += binascii.a2b_qp(payload, header=True)
        end = word.end()
    pieces.append(decode(pending, pending_charset))
    pieces.append(value[end:])
    return "".join(pieces)
