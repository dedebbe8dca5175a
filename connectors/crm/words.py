"""Text of a CRM: words to search by, and names fit to show. Shared by the adapters; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_NAME_CHARS = 500
MAX_QUERY_CHARS = 200
MAX_WORDS = 8

# Controls, lone surrogates, line separators, and the marks that reorder the text around them.
_NOT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Letters that no decomposition turns into a Latin base letter.
_BASE_LETTERS = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th"})
_NOT_A_WORD = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Return the words of a text without case and marks, so that isik, IŞIK and ışık are one."""
    folded = unicodedata.normalize("NFKD", text.casefold().translate(_BASE_LETTERS))
    bare = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return _NOT_A_WORD.sub(" ", bare).strip()


def words(query: str) -> list[str]:
    """Return the folded words of a search, at most MAX_WORDS."""
    return fold(query[:MAX_QUERY_CHARS]).split()[:MAX_WORDS]


def line(text: str, max_chars: int = MAX_NAME_CHARS) -> str:
    """Make one line without controls and without marks that reorder text."""
    return " ".join(_NOT_IN_A_LINE.sub(" ", text).split())[:max_chars].rstrip()


def addresses_of(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return addresses as they are stored and looked up: lower case, in order, each once."""
    return tuple(dict.fromkeys(filter(None, (line(address.lower()) for address in addresses))))
