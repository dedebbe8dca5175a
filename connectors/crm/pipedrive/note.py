"""A conversation as the HTML of a Pipedrive note or activity, in the team's language. Pure; all of it is escaped.

The marker that finds a note again is the fragment of its link back: Pipedrive's sanitizer drops comments and attributes
but keeps links.
"""

from __future__ import annotations

import html
from dataclasses import replace

from app.model import ConversationNote
from connectors.crm import note as plain

MAX_CHARS = 95_000  # Pipedrive takes 100,000; the rest is for what its sanitizer writes longer
_OPEN = {"en": "Open the conversation in threadlink", "tr": "Konuşmayı threadlink'te aç"}


def content(note: ConversationNote, home: str) -> str:
    """Return the HTML; the oldest messages are left out when it would be too long, and the note says how many.

    `home` is where threadlink lives, for a note without a link of its own.
    """
    shown = min(len(note.messages), plain.MAX_MESSAGES)
    while True:
        written = _written(note, home, shown)
        if len(written) <= MAX_CHARS or shown == 0:
            return written
        shown //= 2


def subject(note: ConversationNote) -> str:
    """Return one line that names the conversation, for an activity."""
    return plain.text(replace(note, people=(), messages=(), url=None)).splitlines()[0][:255]


def has_marker(written: object, marker: str) -> bool:
    """Whether this HTML is the note with the marker."""
    return isinstance(written, str) and bool(marker) and f"#{marker}" in written


def _written(note: ConversationNote, home: str, shown: int) -> str:
    blocks = plain.text(replace(note, url=None), max_messages=shown).split("\n\n")
    head, *messages = [html.escape(block, quote=False).replace("\n", "<br>") for block in blocks]
    first, _, rest = head.partition("<br>")
    address = html.escape(f"{note.url or home}#{note.marker}")
    back = f'<a href="{address}">{_OPEN.get(note.locale, _OPEN["en"])}</a>'
    return "".join(
        [f"<p><b>{first}</b><br>{rest}</p>", *(f"<p>{message}</p>" for message in messages), f"<p>{back}</p>"]
    )
