"""Our mark in every size that vendors show it in (manifest/icons): public, and loaded from pages of others."""

from __future__ import annotations

from flask import Blueprint, Response, send_from_directory

from app.manifest import ICONS

ONE_DAY_S = 86_400


def blueprint() -> Blueprint:
    """Build the route of the icons."""
    icons = Blueprint("icons", __name__)

    @icons.get("/icons/<name>.png")
    def icon(name: str) -> Response:
        answer = send_from_directory(ICONS, f"{name}.png", mimetype="image/png", max_age=ONE_DAY_S)
        # Outlook shows them inside its own page.
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return answer

    return icons
