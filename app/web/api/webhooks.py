"""A team's webhooks, for its administrators: which addresses are told what, and how that went."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, jsonify

from app import outgoing_webhooks as rules
from app.acting import Acting
from app.linking.reasons import utc
from app.store.outgoing_webhooks import Delivery, Webhook
from app.web.api.answered import Deliveries, WebhookMade, WebhookOut, WebhookRemoved, Webhooks, WebhookTested
from app.web.api.asked import WebhookIn
from app.web.api.frame import Frame

_TAG = "webhooks"


def add(frame: Frame) -> None:
    """Add the routes."""
    _add_reading(frame)
    _add_changes(frame)


def _add_reading(frame: Frame) -> None:
    @frame.route("GET", "/webhooks", Webhooks, _TAG)
    def list_webhooks() -> Response:
        """List the team's webhooks."""
        with frame.reading() as (connection, member):
            found = rules.listed(connection, member)
        return jsonify({"webhooks": [_told(each) for each in found]})

    @frame.route("GET", "/webhooks/<uuid:webhook>/deliveries", Deliveries, _TAG)
    def list_deliveries(webhook: UUID) -> Response:
        """List what a webhook was or will be told."""
        with frame.reading() as (connection, member):
            found = rules.last_deliveries(connection, member, str(webhook))
        return jsonify({"deliveries": [_told_delivery(each) for each in found]})


def _add_changes(frame: Frame) -> None:
    @frame.route("POST", "/webhooks", WebhookMade, _TAG)
    def add_webhook(json: WebhookIn) -> Response:
        """Have an address told what happens from now on."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            made, secret = rules.add(frame.installation, connection, acting, json.url, json.kinds)
            return {**_told(made), "secret": secret}

        return frame.writing(work, told_once=("secret",))

    @frame.route("POST", "/webhooks/<uuid:webhook>/rotate", WebhookMade, _TAG)
    def rotate_webhook_secret(webhook: UUID) -> Response:
        """Sign with a new secret; for a day with the old one as well."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            changed, secret = rules.rotate(frame.installation, connection, acting, str(webhook))
            return {**_told(changed), "secret": secret}

        return frame.writing(work, told_once=("secret",))

    @frame.route("POST", "/webhooks/<uuid:webhook>/enable", WebhookOut, _TAG)
    def enable_webhook(webhook: UUID) -> Response:
        """Turn a webhook on again; from now on it acts for the caller."""
        return frame.writing(lambda connection, acting: _told(rules.enable(connection, acting, str(webhook))))

    @frame.route("POST", "/webhooks/<uuid:webhook>/test", WebhookTested, _TAG)
    def test_webhook(webhook: UUID) -> Response:
        """Tell a webhook that this is a test; its deliveries say how that went."""
        return frame.writing(lambda connection, acting: {"delivery": rules.send_test(connection, acting, str(webhook))})

    @frame.route("POST", "/webhooks/<uuid:webhook>/remove", WebhookRemoved, _TAG)
    def remove_webhook(webhook: UUID) -> Response:
        """Remove a webhook, with what it is still owed."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            rules.remove(connection, acting, str(webhook))
            return {"outcome": "removed"}

        return frame.writing(work)


def _told(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.public_id,
        "url": webhook.url,
        "kinds": list(webhook.kinds),
        "state": webhook.state,
        "state_reason": webhook.state_reason,
        "created_at": utc(webhook.created_at),
        "delivered_at": utc(webhook.delivered_at) if webhook.delivered_at else None,
    }


def _told_delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.public_id,
        "kind": delivery.kind,
        "conversation": delivery.conversation,
        "at": utc(delivery.at),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "answer": delivery.answer,
        "next_at": utc(delivery.next_at) if delivery.next_at else None,
    }
