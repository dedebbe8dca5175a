"""Text from outside, made fit to keep: charsets, RFC 2047 words, unstorable characters, HTML to plain text.

Everything here is linear in its input and never raises. Charsets come from a list of ours: a name from a mail never
reaches the codec registry, which would keep every unknown name for ever and knows codecs that are quadratic.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Sequence
from itertools import pairwise

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


def is_storable(value: str) -> bool:
    """Say whether PostgreSQL takes this text as it is."""
    return _UNSTORABLE.search(value) is None


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


# --- plain text ------------------------------------------------------------------------------------------------------

MAX_HTML_CHARS = 192 * 1024
_EXCERPT_READS_CHARS = 8 * 1024

# What comes before the quoted mail, in the languages of Outlook, Gmail, Apple Mail and Thunderbird.
_WROTE = "wrote|yazdı|schrieb|a écrit|escribió|ha scritto|schreef|skrev|escreveu|написал|пише|napisał"
_BEFORE_QUOTE = re.compile(
    rf"-{{2,}} ?[^\W\d_][^-]{{3,60}}-{{2,}}|_{{20,}}|-- ?\Z|.{{4,300}}\b(?:{_WROTE})(?:\(a\))?\b.{{0,100}}:\Z",
    re.IGNORECASE,
)
_HAS_DIGIT = re.compile(r"\d")
_HEADER_OF_QUOTE = re.compile(r"\*?(?:from|kimden|gönderen|von|de|da|van|från|fra|od|от)\*?: ?.*@", re.IGNORECASE)

_SKIPPED_ELEMENTS = {
    name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "svg", "template", "title")
}
_BREAKS_LINE = {
    "address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "h1", "h2", "h3", "h4", "h5", "h6",
    "header", "hr", "li", "ol", "p", "pre", "section", "table", "tr", "ul",
}  # fmt: skip
_MARKUP = re.compile(r"<(?=[a-z!?/])", re.IGNORECASE)
_TAG_NAME = re.compile(r"/?([a-z][a-z0-9]{0,15})", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
_BLANK_LINES = re.compile(r"\n{3,}")


def excerpt(content: str, max_chars: int) -> str:
    """Return the beginning of what the author of a mail wrote, as one line; quoted history and signature are left out.

    A mail that consists of quotes alone begins with them.
    """
    lines = [line.strip() for line in content[:_EXCERPT_READS_CHARS].splitlines()]
    written: list[str] = []
    missing = max_chars
    for line, following in pairwise([*lines, ""]):
        if missing <= 0 or _begins_quote(line, following) or (written and _HEADER_OF_QUOTE.match(line[:500])):
            break
        if line and not line.startswith(">"):
            written.append(line)
            missing -= len(line)
    return one_line(" ".join(written), max_chars) or one_line(" ".join(lines), max_chars)


def _begins_quote(line: str, following: str) -> bool:
    """Say whether quoted history begins here; "On 3 May Ayşe <a@example.com>" and "wrote:" are often two lines."""
    if _BEFORE_QUOTE.match(line[:500]):
        return True
    return _HAS_DIGIT.search(line) is not None and _BEFORE_QUOTE.match(f"{line} {following}"[:500]) is not None


def from_html(source: str) -> str:
    """Return the readable text of HTML, lines where its blocks are; at most 192 kB are read.

    Not `html.parser`, which is quadratic on unclosed constructs in the Pythons we support: here each character is
    looked at once, and what is never closed ends the text.
    """
    source = source[:MAX_HTML_CHARS]
    pieces: list[str] = []
    position = 0
    while markup := _MARKUP.search(source, position):
        start = markup.start()
        if start > position:
            pieces.append(_BLANKS.sub(" ", source[position:start]))
        position, mark = _after_markup(source, start)
        pieces.append(mark)
    pieces.append(_BLANKS.sub(" ", source[position:]))
    lines = _unescaped("".join(pieces)).split("\n")
    return _BLANK_LINES.sub("\n\n", "\n".join(line.strip() for line in lines)).strip()


def _after_markup(source: str, start: int) -> tuple[int, str]:
    """Return where the text goes on behind the `<` at start, and what stands for the markup."""
    if source.startswith("<!--", start):
        return _behind(source, "-->", start + 4), ""
    name = _TAG_NAME.match(source, start + 1)
    element = name[1].lower() if name else ""
    if element in _SKIPPED_ELEMENTS and source[start + 1] != "/":
        closing = _SKIPPED_ELEMENTS[element].search(source, start)
        return closing.start() if closing else len(source), ""
    return _behind(source, ">", start), "\n" if element in _BREAKS_LINE else ""


def _behind(source: str, sign: str, start: int) -> int:
    """Return the position behind the next sign, or the end when there is none."""
    found = source.find(sign, start)
    return len(source) if found < 0 else found + len(sign)


def _unescaped(source: str) -> str:
    try:
        return html.unescape(source)
    except ValueError:
        return source  # a character reference with thousands of digits: Python refuses to make a number of it


def fold(content: str) -> tuple[tuple[str, bool], ...]:
    """Take a mail's text apart into what its author wrote and what is quoted, in order: (text, is quoted).

    A quote that is marked line by line ends with its last mark, so that an answer between the lines stays to be seen;
    one that is not (Outlook), or a signature, goes to the end. A text of quotes alone is one piece, not quoted.
    """
    lines = content.splitlines()
    stripped = [line.strip() for line in lines]
    pieces: list[tuple[str, bool]] = []
    written: list[str] = []
    number, has_words = 0, False
    while number < len(lines):
        line = stripped[number]
        end = number
        if line.startswith(">"):
            end = _end_of_marked(stripped, number)
        elif _begins_quote(line, stripped[number + 1] if number + 1 < len(lines) else "") or (
            has_words and _HEADER_OF_QUOTE.match(line[:500])
        ):
            marked = next((at for at in range(number + 1, min(number + 4, len(lines))) if stripped[at][:1] == ">"), 0)
            end = _end_of_marked(stripped, marked) if marked else len(lines)
        if end == number:
            written.append(lines[number].rstrip())
            has_words = has_words or bool(line)
            number += 1
            continue
        pieces += _piece(written, is_quoted=False) + _piece(lines[number:end], is_quoted=True)
        written, number, has_words = [], end, False
    pieces += _piece(written, is_quoted=False)
    if all(is_quoted for _, is_quoted in pieces):
        return ((content.strip(), False),) if content.strip() else ()
    return tuple(pieces)


def _end_of_marked(stripped: Sequence[str], start: int) -> int:
    """Return the line behind the last one marked with ">"; blank lines in between belong to it."""
    end = at = start
    while at < len(stripped) and (not stripped[at] or stripped[at].startswith(">")):
        at += 1
        if stripped[at - 1]:
            end = at
    return end


def _piece(lines: Sequence[str], *, is_quoted: bool) -> list[tuple[str, bool]]:
    whole = "\n".join(lines).strip("\n")
    return [(whole, is_quoted)] if whole.strip() else []
