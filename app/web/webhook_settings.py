"""The team's webhooks, for its administrators: which addresses are told what, and how that went."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import outgoing_webhooks as rules
from app.acting import Acting
from app.installation import Installation
from app.store import teams
from app.store.outgoing_webhooks import KINDS
from app.web.settings_frame import administrators_only, settings_page
from app.web.signed_in import Browser, who


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages."""
    pages = Blueprint("webhook_settings", __name__)

    def acting() -> Acting:
        return Acting(who().team.id, who().member, installation.clock.now())

    def act(webhook: UUID, done: str, work: Callable[[sa.Connection, Acting, str], object]) -> WerkzeugResponse:
        with installation.database.for_team(who().team.id) as connection:
            work(connection, acting(), str(webhook))
        place = "" if done == "webhook_removed" else f"/{webhook}"
        return redirect(f"/settings/webhooks{place}?done={done}", 303)

    def page_of_one(connection: sa.Connection, webhook: str, secret: str = "") -> Response:
        found = rules.found(connection, who().member, webhook)
        reader = teams.member_by_id(connection, found.member_id)
        return settings_page(
            "webhook.html",
            webhook=found,
            deliveries=rules.last_deliveries(connection, who().member, webhook),
            acts_for=reader.name if reader else "–",
            secret=secret,
        )

    @pages.get("/settings/webhooks")
    @browser.members_only
    @administrators_only
    def show() -> Response:
        with installation.database.for_team(who().team.id) as connection:
            known = rules.listed(connection, who().member)
        return settings_page("webhooks.html", known=known, kinds=KINDS)

    @pages.post("/settings/webhooks")
    @browser.members_only
    @administrators_only
    def add() -> Response:
        """Answer with the page itself: a secret must stand in no address."""
        kinds = [kind for kind in KINDS if kind in request.form.getlist("kind")] or KINDS
        with installation.database.for_team(who().team.id) as connection:
            made, secret = rules.add(installation, connection, acting(), request.form.get("url", "").strip(), kinds)
            return page_of_one(connection, made.public_id, secret)

    @pages.post("/settings/webhooks/<uuid:webhook>/rotate")
    @browser.members_only
    @administrators_only
    def rotate(webhook: UUID) -> Response:
        with installation.database.for_team(who().team.id) as connection:
            _, secret = rules.rotate(installation, connection, acting(), str(webhook))
            return page_of_one(connection, str(webhook), secret)

    @pages.get("/settings/webhooks/<uuid:webhook>")
    @browser.members_only
    @administrators_only
    def show_one(webhook: UUID) -> Response:
        with installation.database.for_team(who().team.id) as connection:
            return page_of_one(connection, str(webhook))

    @pages.post("/settings/webhooks/<uuid:webhook>/enable")
    @browser.members_only
    @administrators_only
    def enable(webhook: UUID) -> WerkzeugResponse:
        return act(webhook, "webhook_enabled", rules.enable)

    @pages.post("/settings/webhooks/<uuid:webhook>/test")
    @browser.members_only
    @administrators_only
    def test(webhook: UUID) -> WerkzeugResponse:
        return act(webhook, "webhook_tested", rules.send_test)

    @pages.post("/settings/webhooks/<uuid:webhook>/remove")
    @browser.members_only
    @administrators_only
    def remove(webhook: UUID) -> WerkzeugResponse:
        return act(webhook, "webhook_removed", rules.remove)

    return pages
