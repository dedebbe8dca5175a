"""The team's policy, and what it would do with earlier mail; for administrators."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import Response, jsonify

from app import policy as policies
from app import work as long_work
from app.acting import Acting
from app.errors import NotAllowed
from app.store.work import Work
from app.web.api.answered import PolicyOut, WorkOut
from app.web.api.asked import PolicyIn, ReplayIn
from app.web.api.frame import Frame, locale_of
from app.web.api.work import document

_TAG = "policy"


def add(frame: Frame) -> None:
    """Add the routes."""

    @frame.route("GET", "/policy", PolicyOut, _TAG)
    def get_policy() -> Response:
        """Return the rules that automatic linking goes by."""
        with frame.reading() as (connection, member):
            if member.role != "admin":
                raise NotAllowed("not_administrator")
            return jsonify(policies.as_json(policies.current(connection)))

    @frame.route("PUT", "/policy", PolicyOut, _TAG)
    def set_policy(json: PolicyIn) -> Response:
        """Change the rules for new mail; what is linked stays linked."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            return policies.as_json(policies.change(connection, acting, _given(json)))

        return frame.writing(work)

    @frame.route("POST", "/policy/dry-run", WorkOut, _TAG)
    def try_policy(json: PolicyIn) -> Response:
        """Say what a change would have changed over the last 30 days; beginning the work saves just that change."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            return _told(connection, acting, long_work.try_policy(connection, acting, _given(json)))

        return frame.writing(work)

    @frame.route("POST", "/replay", WorkOut, _TAG)
    def replay(json: ReplayIn) -> Response:
        """Report what the rules would do with earlier mail; beginning the work does it, as one action."""

        def work(connection: sa.Connection, acting: Acting) -> dict[str, Any]:
            given = _given(json.policy) if json.policy is not None else None
            return _told(connection, acting, long_work.look_back(connection, acting, timedelta(days=json.days), given))

        return frame.writing(work)


def _given(json: PolicyIn) -> dict[str, Any]:
    return json.model_dump(exclude_none=True)


def _told(connection: sa.Connection, acting: Acting, begun: Work) -> dict[str, Any]:
    locale = locale_of(connection, acting.member)
    return document(long_work.show(connection, acting.member, begun.public_id, locale), locale)
