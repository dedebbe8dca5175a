"""The words by which a conversation is found in the inbox of an account. Pure."""

from __future__ import annotations

import re
from collections import defaultdict

from app.linking.suggest import fold
from app.model import Conversation

MAX_MESSAGES = 50  # the newest: what is older is found by its subject and people all the same
MAX_WORDS = 300
MAX_WORD_CHARS = 40

_WORD = re.compile(r"\w+")


def words_of(conversation: Conversation) -> dict[int, str]:
    """Return, for each account, the folded words of what it holds: subjects, people, snippets, each word once.

    Copies that were deleted, and Bcc recipients on a colleague's copy, are found by nobody.
    """
    texts: dict[int, list[str]] = defaultdict(list)
    for message in reversed(conversation.messages[-MAX_MESSAGES:]):
        people = [text for person in message.participants for text in (person.name, person.address)]
        for copy in message.copies:
            if not copy.deleted:
                bcc = [text for person in copy.bcc for text in (person.name, person.address)]
                texts[copy.account_id] += [message.subject, *people, *bcc, copy.snippet]
    return {account_id: _words(found) for account_id, found in texts.items()}


def query_words(query: str) -> list[str]:
    """Return the folded words of what somebody searches for."""
    return [word[:MAX_WORD_CHARS] for word in _WORD.findall(fold(query))]


def _words(texts: list[str]) -> str:
    found: dict[str, None] = {}
    for text in dict.fromkeys(texts):
        for word in _WORD.findall(fold(text)):
            found[word[:MAX_WORD_CHARS]] = None
            if len(found) >= MAX_WORDS:
                return " ".join(found)
    return " ".join(found)
