"""The pages of the team's rules, of the team itself and of replay, for administrators."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from flask import Blueprint, Response, redirect, request
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.wrappers import Response as WerkzeugResponse

from app import policy as policies
from app import smart_bcc, team_settings, work
from app.acting import Acting
from app.errors import InvalidRequest
from app.installation import Installation
from app.linking.addresses import MAX_ADDRESS_CHARS
from app.model import Policy
from app.store import work as work_rows
from app.web.choosing import reading
from app.web.settings_frame import administrators_only, settings_page
from app.web.signed_in import Browser, who

LONGEST_LIST = 400_000  # bytes of a form: a blocklist may have 10,000 entries
SHOWN_REPLAYS = 10
_TYPED = ("retroactive", "blocklist_scope", "max_counterparts", "smart_bcc_creates")
_TICKS = ("skip_automated", "learned_auto_link", "sender_must_be_known")


def blueprint(installation: Installation, browser: Browser) -> Blueprint:
    """Build the pages."""
    pages = Blueprint("policy", __name__)
    _add_policy(pages, installation, browser)
    _add_team(pages, installation, browser)
    _add_replay(pages, installation, browser)
    return pages


def _add_policy(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get("/settings/policy")
    @browser.members_only
    @administrators_only
    def show_policy() -> Response:
        with reading(installation) as connection:
            policy = policies.current(connection)
        tested = request.args.get("address", "")[:MAX_ADDRESS_CHARS].strip()
        return settings_page(
            "policy.html",
            given=policies.as_json(policy),
            wrong=frozenset(),
            tested=tested,
            test=policies.try_address(policy, tested) if tested else None,
        )

    @pages.post("/settings/policy")
    @browser.members_only
    @administrators_only
    def try_policy() -> Response | WerkzeugResponse:
        request.max_content_length = request.max_form_memory_size = LONGEST_LIST
        given = _policy_form(request.form)
        try:
            with reading(installation) as connection:
                begun = work.try_policy(connection, _acting(installation), given)
        except InvalidRequest as refused:
            shown = {**policies.as_json(Policy()), **given}
            page = settings_page("policy.html", given=shown, wrong=_wrong(refused), tested="", test=None)
            page.status_code = 422
            return page
        return redirect(f"/work/{begun.public_id}", 303)


def _add_team(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    def page(given: Mapping[str, object], wrong: frozenset[str]) -> Response:
        with reading(installation) as connection:
            address = smart_bcc.team_address(installation, connection)
        return settings_page("team.html", given=given, wrong=wrong, plans=team_settings.PLANS, bcc_address=address)

    @pages.get("/settings/team")
    @browser.members_only
    @administrators_only
    def show_team() -> Response:
        team = who().team
        return page({"domains": team.domains, "locale": team.locale, "plan": team.plan}, frozenset())

    @pages.post("/settings/team")
    @browser.members_only
    @administrators_only
    def set_team() -> Response | WerkzeugResponse:
        domains = _lines(request.form.get("domains", ""))
        locale, plan = request.form.get("locale", ""), request.form.get("plan", "")
        try:
            with reading(installation) as connection:
                team_settings.configure(connection, _acting(installation), domains=domains, locale=locale, plan=plan)
        except InvalidRequest as refused:
            refusal = page({"domains": domains, "locale": locale, "plan": plan}, _wrong(refused))
            refusal.status_code = 422
            return refusal
        return redirect("/settings/team?done=saved", 303)


def _add_replay(pages: Blueprint, installation: Installation, browser: Browser) -> None:
    @pages.get("/settings/replay")
    @browser.members_only
    @administrators_only
    def show_replay() -> Response:
        with reading(installation) as connection:
            earlier = work_rows.recent(connection, who().member.id, "replay", SHOWN_REPLAYS)
        return settings_page("replay.html", earlier=earlier, most_days=work.LONGEST_REPLAY.days)

    @pages.post("/settings/replay")
    @browser.members_only
    @administrators_only
    def begin_replay() -> WerkzeugResponse:
        days = request.form.get("days", default=30, type=int)
        over = timedelta(days=min(max(days, 1), work.LONGEST_REPLAY.days))
        with reading(installation) as connection:
            begun = work.look_back(connection, _acting(installation), over)
        return redirect(f"/work/{begun.public_id}", 303)


def _acting(installation: Installation) -> Acting:
    return Acting(who().team.id, who().member, installation.clock.now())


def _policy_form(form: ImmutableMultiDict[str, str]) -> dict[str, object]:
    """Return the fields of the policy as the form has them; a tick that is not sent is off."""
    typed: dict[str, object] = {name: form[name] for name in _TYPED if name in form}
    if "blocklist" in form:
        typed["blocklist"] = _lines(form["blocklist"])
    return {**typed, **{name: name in form for name in _TICKS}}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _wrong(refused: InvalidRequest) -> frozenset[str]:
    return frozenset(each["field"].partition(".")[0] for each in refused.fields)
