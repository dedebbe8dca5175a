"""The members of a team, for its administrators: roles, invitations, and who joins by signing in."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app import members
from app.acting import Acting
from app.installation import Installation
from app.members import Sent
from app.model import MemberRole
from app.store import invitations, teams
from app.web.settings_frame import administrators_only, settings_page
from app.web.signed_in import Browser, who


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages."""
    pages = Blueprint("members", __name__)

    def acting() -> Acting:
        return Acting(who().team.id, who().member, installation.clock.now())

    def act(done: str, work: Callable[[sa.Connection, Acting], None]) -> WerkzeugResponse:
        with installation.database.for_team(who().team.id) as connection:
            work(connection, acting())
        return redirect(f"/settings/members?done={done}", 303)

    def page(connection: sa.Connection, sent: Sent | None = None, mailed: str = "") -> Response:
        return settings_page(
            "team_members.html",
            known=teams.members(connection),
            bound=members.bound_to(connection),
            invited=invitations.standing(connection, installation.clock.now()),
            organizations=members.organizations(connection, who().member),
            sent=sent,
            link=members.link_of(installation, sent) if sent else "",
            mailed=mailed,
        )

    @pages.get("/settings/members")
    @browser.members_only
    @administrators_only
    def show() -> Response:
        with installation.database.for_team(who().team.id) as connection:
            return page(connection)

    @pages.post("/settings/members/invite")
    @browser.members_only
    @administrators_only
    def invite() -> Response:
        """Answer with the page itself: an invitation's link must stand in no address but its own."""
        name, email = request.form.get("name", ""), request.form.get("email", "")
        sent, mailed = members.invite_by_mail(installation, acting(), name, email, _role())
        with installation.database.for_team(who().team.id) as connection:
            return page(connection, sent, mailed)

    @pages.post("/settings/members/invitations/<uuid:invitation>/revoke")
    @browser.members_only
    @administrators_only
    def revoke(invitation: UUID) -> WerkzeugResponse:
        return act(
            "invitation_revoked", lambda connection, by: members.revoke_invitation(connection, by, str(invitation))
        )

    @pages.post("/settings/members/<uuid:member>/role")
    @browser.members_only
    @administrators_only
    def change_role(member: UUID) -> WerkzeugResponse:
        return act("saved", lambda connection, by: members.change_role(connection, by, str(member), _role()))

    @pages.post("/settings/members/<uuid:member>/remove")
    @browser.members_only
    @administrators_only
    def remove(member: UUID) -> WerkzeugResponse:
        return act("member_removed", lambda connection, by: members.remove(connection, by, str(member)))

    @pages.post("/settings/members/joining")
    @browser.members_only
    @administrators_only
    def set_joining() -> WerkzeugResponse:
        issuer, organization = request.form.get("issuer", ""), request.form.get("organization", "")
        may_join = request.form.get("may_join") == "on"
        return act(
            "saved",
            lambda connection, by: members.set_joining(connection, by, issuer, organization, may_join=may_join),
        )

    return pages


def _role() -> MemberRole:
    return "admin" if request.form.get("role") == "admin" else "member"
