"""/healthz: this process lives. /readyz: it can do its work. /metrics: figures, without a name in them."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from app.errors import DatabaseUnreachable, SettingsError
from app.installation import Installation
from app.store.revision import is_current
from app.web.metrics import exposition


def blueprint(installation: Installation) -> Blueprint:
    """Build the routes that a supervisor and a monitoring system ask."""
    health = Blueprint("health", __name__)

    @health.get("/healthz")
    def healthz() -> Response:
        return jsonify({"status": "ok"})

    @health.get("/readyz")
    def readyz() -> Response:
        trouble = _trouble(installation)
        answer = jsonify({"status": trouble or "ok"})
        answer.status_code = 503 if trouble else 200
        return answer

    @health.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(installation), content_type="text/plain; version=0.0.4; charset=utf-8")

    return health


def _trouble(installation: Installation) -> str | None:
    """Return the code of what keeps this process from working, or None."""
    try:
        installation.database.check_role()
        with installation.database.without_team() as connection:
            return None if is_current(connection) else "migrations_pending"
    except DatabaseUnreachable:
        return "database_unreachable"
    except SettingsError:
        return "database_role_wrong"
