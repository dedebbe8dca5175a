"""What stands around the pages of settings: personal preferences for everybody, the team's for administrators."""

from __future__ import annotations

from functools import wraps

from flask import Response, request
from werkzeug.wrappers import Response as WerkzeugResponse

from app.errors import NotAllowed
from app.web.member_page import member_page
from app.web.signed_in import View, who

# Path and the key of its words, in the order of the side navigation.
PREFERENCES_PAGES = (
    ("/preferences", "preferences"),
    ("/preferences/email-sync", "accounts"),
    ("/preferences/smart-bcc", "smart_bcc"),
    ("/preferences/sign-in", "signing_in"),
    ("/preferences/keys", "api_keys"),
)
SETTINGS_PAGES = (
    ("/settings/members", "members"),
    ("/settings/accounts", "team_accounts"),
    ("/settings/team", "team_page"),
    ("/settings/policy", "policy"),
    ("/settings/replay", "replay"),
    ("/settings/crm", "crm"),
    ("/settings/webhooks", "webhooks"),
    ("/settings/audit", "log"),
)


def settings_page(template: str, **shown: object) -> Response:
    """Render a page of settings beside the navigation of those that the member may open."""
    team_pages = SETTINGS_PAGES if who().member.role == "admin" else ()
    here = f"{request.path}/"
    above = [path for path, _ in (*PREFERENCES_PAGES, *team_pages) if here.startswith(f"{path}/")]
    shown |= {"preferences_pages": PREFERENCES_PAGES, "settings_pages": team_pages}
    return member_page(template, nearest=max(above, key=len, default=""), **shown)


def administrators_only(view: View) -> View:
    """Let only an administrator in; stands below `members_only`. Raises NotAllowed (not_administrator)."""

    @wraps(view)
    def guarded(*args: object, **kwargs: object) -> Response | WerkzeugResponse:
        if who().member.role != "admin":
            raise NotAllowed("not_administrator")
        return view(*args, **kwargs)

    return guarded
