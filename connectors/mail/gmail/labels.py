"""Which labels a mailbox has that its owner may choose from.

Vendor page: developers.google.com/gmail/api/guides/labels
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.ports import Mailbox, MailFolder
from connectors.mail.gmail.api import Access, GmailApi, list_of_objects

MAX_LABELS = 10_000  # Gmail's own limit of a mailbox
# Of Gmail's own labels those that say which mail it is, with the word pages know each by. The others say what is never
# read (drafts, spam, trash, chats), what always is (sent mail), or nothing about which mail it is (unread).
OWN_LABELS: Mapping[str, str] = {
    "INBOX": "inbox",
    "IMPORTANT": "important",
    "STARRED": "starred",
    "CATEGORY_PERSONAL": "category_personal",
    "CATEGORY_SOCIAL": "category_social",
    "CATEGORY_UPDATES": "category_updates",
    "CATEGORY_FORUMS": "category_forums",
    "CATEGORY_PROMOTIONS": "category_promotions",
}


def list_labels(api: GmailApi, mailbox: Mailbox) -> Sequence[MailFolder]:
    """Return the labels to choose from: Gmail's own in a fixed order, then the owner's by name."""
    answer = api.call(Access.of(mailbox), "labels", lambda users: users.labels().list(userId="me"))
    entries = list_of_objects(answer, "labels")[:MAX_LABELS]
    named = {str(entry.get("id")): str(entry.get("name"))[:255] for entry in entries if entry.get("type") == "user"}
    there = {str(entry.get("id")) for entry in entries}
    own = [MailFolder(each, each, word) for each, word in OWN_LABELS.items() if each in there]
    return [*own, *(MailFolder(*each) for each in sorted(named.items(), key=lambda each: each[1].casefold()))]
