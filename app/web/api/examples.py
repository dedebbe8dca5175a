"""One example of each route, as the OpenAPI document and its pages show it: a request, and what it is answered.

A test holds every body, query and answer to the schema of its route. They tell one story: Bea asks Ada about prices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONVERSATION = "5d2cfe0a-6b0e-4f53-9d6e-0a4c1f6f7a11"
OTHER = "a9d0c5b4-13f7-4a86-9a32-7b1e8c2d4f55"
ACCOUNT = "0c9e1f6d-8a54-4f0b-b7a1-2d3c4e5f6a77"
ACTION = "e2b7a5c3-4d61-4b1c-8f0e-9a8b7c6d5e44"
WORK = "7f3a9b1c-2d4e-4c6f-a8b0-1c2d3e4f5a66"
OFFER = "c4d5e6f7-a8b9-4c0d-8e1f-2a3b4c5d6e88"
WEBHOOK = "91e8d7c6-b5a4-4392-8170-6f5e4d3c2b99"
DELIVERY = "3b2a1908-f7e6-4d5c-8b4a-39281706f5e3"
MESSAGE = "d8c7b6a5-9483-4726-b150-4f3e2d1c0baa"
PATHS: Mapping[str, str] = {
    "conversation": CONVERSATION, "account": ACCOUNT, "work": WORK, "offer": OFFER, "webhook": WEBHOOK,
    "kind": "deal", "item": "42",
}  # fmt: skip

PROBLEM = {
    "type": "about:blank",
    "status": 409,
    "title": "The conversation is already linked to “Rollout”. Change the link to move it.",
    "reason": "already_linked",
}

_ITEM = {"kind": "deal", "id": "42"}
_NAMED = {**_ITEM, "title": "Rollout"}
_LINK = {**_NAMED, "origin": "automatic"}
_OPEN = {**_NAMED, "state": "open"}
_SUGGESTION = {**_OPEN, "evidence": ["Bea Berg is the contact person.", "The subject names its title."]}
_DECISION = {
    "outcome": "link",
    "reason": "only_open_item",
    "sentence": "Linked: the only open item of Bea Berg.",
    "candidates": [{**_NAMED, "ruled_out": None, "why_not": None, "evidence": ["Bea Berg is the contact person."]}],
}
_EXPLAINED = {
    "id": CONVERSATION,
    "subject": "Prices for the rollout",
    "accounts": ["ada@northwind.example"],
    "providers": ["gmail"],
    "messages": [
        {
            "internet_id": "<m1@acme.example>",
            "sent_at": "2026-03-02T09:14:00Z",
            "direction": "inbound",
            "readable": "full",
        }
    ],
    "decision": _DECISION,
    "link": _LINK,
    "persons": [{"id": "7", "name": "Bea Berg"}],
    "organizations": [{"id": "3", "name": "Acme"}],
    "crm": {"writes": 1, "reads": 0},
    "action": None,
    "trigger": "<m1@acme.example>",
    "may_link": True,
    "dismissed": False,
    "claims": [],
    "merged": [],
    "notes": [{"item": "deal/42", "state": "written", "error": "", "written_at": "2026-03-02T09:14:09Z"}],
    "history": [
        {
            "at": "2026-03-02T09:14:05Z",
            "outcome": "link",
            "reason": "only_open_item",
            "sentence": "Linked: the only open item of Bea Berg.",
        }
    ],
}
_ROW = {
    "id": OTHER,
    "subject": "Refit and spa",
    "last_message_at": "2026-03-02T10:02:00Z",
    "state": "review",
    "people": ["Tom Tan"],
    "more_people": 0,
    "snippet": "Could we talk about the refit on Thursday?",
    "messages": 2,
    "accounts": [ACCOUNT],
    "link": None,
    "sentence": "Tom Tan has 2 open items. Choose one.",
}
_LINKED_ROW = {
    **_ROW,
    "id": CONVERSATION,
    "subject": "Prices for the rollout",
    "last_message_at": "2026-03-02T09:14:00Z",
    "state": "linked",
    "people": ["Bea Berg"],
    "snippet": "What would forty seats cost?",
    "messages": 1,
    "link": _LINK,
    "sentence": "",
}
_STEPS = [
    {"step": "sent", "at": "2026-03-02T09:14:00Z", "account": "", "reason": "", "sentence": ""},
    {
        "step": "decided",
        "at": "2026-03-02T09:14:05Z",
        "account": "",
        "reason": "only_open_item",
        "sentence": "Linked: the only open item of Bea Berg.",
    },
]
_POLICY = {
    "retroactive": "message",
    "blocklist": ["newsletter.example"],
    "blocklist_scope": "sole",
    "skip_automated": True,
    "max_counterparts": 25,
    "learned_auto_link": False,
    "sender_must_be_known": False,
    "smart_bcc_creates": "nobody",
}
_REPORT = {
    "id": WORK,
    "kind": "replay",
    "state": "ready",
    "done": 0,
    "total": 31,
    "counts": {"would_link": 1, "waiting": 0},
    "action": ACTION,
    "conversations": [
        {
            "id": OTHER,
            "subject": "Refit and spa",
            "outcome": "would_link",
            "reason": "only_open_item",
            "sentence": "Linked: the only open item of Tom Tan.",
            "linked_to": None,
            "item": {"kind": "deal", "id": "51", "title": "Refit"},
        }
    ],
    "next": None,
}
_DONE = {**_REPORT, "state": "done", "done": 1, "total": 1, "counts": {"done": 1}, "conversations": []}
_WEBHOOK = {
    "id": WEBHOOK,
    "url": "https://hooks.example.com/threadlink",
    "kinds": ["conversation.linked", "conversation.unlinked"],
    "state": "live",
    "state_reason": "",
    "created_at": "2026-03-02T08:00:00Z",
    "delivered_at": None,
}
_SECRET = "whsec_QkM0b1l1c2VkIGluIHRoZSBkb2N1bWVudGF0aW9uIQ=="  # noqa: S105 - made up, to be shown


def _acted(outcome: str) -> dict[str, Any]:
    return {"outcome": outcome, "action": ACTION}


@dataclass(frozen=True, slots=True)
class Example:
    """What is answered, to which query and body."""

    answer: Mapping[str, Any]
    body: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)


# By operation id.
EXAMPLES: Mapping[str, Example] = {
    "list_conversations": Example(
        {
            "conversations": [_ROW],
            "counts": {"review": 4, "unlinked": 12, "linked": 180, "dismissed": 2},
            "next": "gAAAAABpq0pE…",
        },
        query={"state": "review", "since": "2026-03-01", "limit": 1},
    ),
    "explain_conversation": Example(_EXPLAINED),
    "list_messages": Example(
        {
            "messages": [
                {
                    "id": MESSAGE,
                    "internet_id": "<m1@acme.example>",
                    "sent_at": "2026-03-02T09:14:00Z",
                    "direction": "inbound",
                    "readable": "full",
                    "from": {"address": "bea@acme.example", "name": "Bea Berg"},
                    "to": [{"address": "ada@northwind.example", "name": "Ada"}],
                    "bcc": [],
                    "subject": "Prices for the rollout",
                    "text": "What would forty seats cost?\n\nBea",
                    "attachments": [{"name": "seats.pdf", "size_bytes": 48211}],
                    "in_doubt": False,
                }
            ],
            "people": [
                {
                    "address": "bea@acme.example",
                    "name": "Bea Berg",
                    "is_ours": False,
                    "person": "Bea Berg",
                    "organization": "Acme",
                },
                {
                    "address": "ada@northwind.example",
                    "name": "Ada",
                    "is_ours": True,
                    "person": None,
                    "organization": None,
                },
            ],
        }
    ),
    "list_decisions": Example({"decisions": [{**_DECISION, "at": "2026-03-02T09:14:05Z", "is_current": True}]}),
    "suggest_items": Example({"suggestions": [_SUGGESTION]}),
    "link": Example(_acted("linked"), {"item": _ITEM, "move": False}),
    "unlink": Example(_acted("unlinked")),
    "dismiss": Example(_acted("dismissed")),
    "trust_sender": Example(_acted("trusted")),
    "set_visibility": Example(_acted("visibility_set"), {"level": "subject"}),
    "bulk_link": Example(
        {"linked": [CONVERSATION], "not_linked": {OTHER: "not_owner"}, "action": ACTION, "work": None},
        {"conversations": [CONVERSATION, OTHER], "item": _ITEM, "elsewhere": "skip"},
    ),
    "bulk_dismiss": Example(
        {"dismissed": [OTHER], "left": {CONVERSATION: "already_linked"}, "action": ACTION, "work": None},
        {"conversations": [CONVERSATION, OTHER]},
    ),
    "list_choices": Example(
        {
            "choices": [
                {
                    "id": OTHER,
                    "subject": "Refit and spa",
                    "last_message_at": "2026-03-02T10:02:00Z",
                    "reason": "several_open_items",
                    "sentence": "Tom Tan has 2 open items. Choose one.",
                    "suggestions": [_SUGGESTION],
                }
            ],
            "offers": [
                {
                    "id": OFFER,
                    "item": {"kind": "deal", "id": "77", "title": "Gatehouse"},
                    "made_at": "2026-03-02T11:00:00Z",
                    "conversations": [{"id": CONVERSATION, "subject": "Prices for the rollout"}],
                }
            ],
        }
    ),
    "accept_offer": Example({**_acted("accepted"), "linked": 3, "not_linked": 0}),
    "decline_offer": Example({"outcome": "declined"}),
    "trace": Example(
        {
            "conversations": [_EXPLAINED],
            "mails": [
                {
                    "conversation": CONVERSATION,
                    "message": MESSAGE,
                    "internet_id": "<m1@acme.example>",
                    "subject": "Prices for the rollout",
                    "link": "deal/42",
                    "steps": _STEPS,
                }
            ],
            "not_stored": [],
            "left_out": [],
        },
        query={"q": "<m1@acme.example>"},
    ),
    "undo": Example({"undone": [CONVERSATION], "work": None}, {"action": ACTION}),
    "search_items": Example({"items": [{**_OPEN, "organization": "Acme"}]}, query={"q": "roll", "kind": "deal"}),
    "get_item": Example(_OPEN),
    "list_conversations_of_item": Example({"linked": [_LINKED_ROW], "unlinked": []}),
    "create_item": Example(
        {
            "item": {"kind": "deal", "id": "78", "title": "Second rollout", "state": "open"},
            "linked": True,
            "not_linked": None,
            "action": ACTION,
        },
        {"kind": "deal", "title": "Second rollout", "person": "7", "organization": "3", "conversation": OTHER},
    ),
    "create_person": Example(
        {"id": "8", "name": "Cem Can", "addresses": ["cem@acme.example"]},
        {"name": "Cem Can", "addresses": ["cem@acme.example"], "organization": "3"},
    ),
    "list_accounts": Example(
        {
            "accounts": [
                {
                    "id": ACCOUNT,
                    "address": "ada@northwind.example",
                    "provider": "gmail",
                    "kind": "personal",
                    "state": "live",
                    "paused": False,
                    "auto_link": True,
                    "visibility": "full",
                    "is_mine": True,
                    "last_sync_at": "2026-03-02T09:14:06Z",
                    "pending": 0,
                    "parked": 0,
                }
            ]
        }
    ),
    "switch_auto_link": Example(_acted("auto_link_set"), {"auto_link": False}),
    "get_policy": Example(_POLICY),
    "set_policy": Example({**_POLICY, "max_counterparts": 10}, {"max_counterparts": 10}),
    "try_policy": Example({**_REPORT, "kind": "policy"}, {"blocklist": ["newsletter.example", "acme.example"]}),
    "replay": Example(_REPORT, {"days": 30, "policy": {"max_counterparts": 10}}),
    "get_work": Example(_REPORT),
    "begin_work": Example(_DONE, {"elsewhere": "skip"}),
    "list_webhooks": Example({"webhooks": [_WEBHOOK]}),
    "list_deliveries": Example(
        {
            "deliveries": [
                {
                    "id": DELIVERY,
                    "kind": "conversation.linked",
                    "conversation": CONVERSATION,
                    "at": "2026-03-02T09:14:05Z",
                    "state": "delivered",
                    "attempts": 1,
                    "answer": "204",
                    "next_at": None,
                }
            ]
        }
    ),
    "add_webhook": Example({**_WEBHOOK, "secret": _SECRET}, {"url": _WEBHOOK["url"], "kinds": _WEBHOOK["kinds"]}),
    "rotate_webhook_secret": Example({**_WEBHOOK, "secret": _SECRET}),
    "enable_webhook": Example(_WEBHOOK),
    "test_webhook": Example({"delivery": DELIVERY}),
    "remove_webhook": Example({"outcome": "removed"}),
}

# What webhooks are told, by kind.
EVENTS: Mapping[str, Mapping[str, Any]] = {
    "conversation.linked": {
        "type": "conversation.linked",
        "timestamp": "2026-03-02T09:14:05Z",
        "data": {"conversation": CONVERSATION, "reason": "only_open_item", "item": _ITEM},
    },
    "conversation.unlinked": {
        "type": "conversation.unlinked",
        "timestamp": "2026-03-02T09:20:00Z",
        "data": {"conversation": CONVERSATION, "reason": "unlinked", "item": _ITEM},
    },
    "conversation.needs_review": {
        "type": "conversation.needs_review",
        "timestamp": "2026-03-02T10:02:05Z",
        "data": {"conversation": OTHER, "reason": "several_open_items"},
    },
}
