"""The API under /api/v1: what a member may do, for programs, with one of that member's keys.

frame.py: who calls, repeated writes, problems. asked.py, answered.py, answered_conversations.py: what goes in and out.
openapi.py, examples.py, docs.py: the OpenAPI document and its pages. The other modules hold the routes; like every view
they only turn HTTP into calls of the core.
"""

from __future__ import annotations

from flask import Blueprint

from app.installation import Installation
from app.web.api import accounts, choices, conversations, items, policy, webhooks, work
from app.web.api.frame import Frame


def blueprint(installation: Installation) -> Blueprint:
    """Build every route of the API, its OpenAPI 3.1 document and the pages that describe it."""
    frame = Frame(installation)
    conversations.add(frame)
    choices.add(frame)
    items.add(frame)
    accounts.add(frame)
    webhooks.add(frame)
    policy.add(frame)
    work.add(frame)
    return frame.routes
