"""The headers every answer carries."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request

PUBLIC = frozenset({"static", "icons.icon"})  # what holds nobody's data


def policy(form_action: str = "'self'", *, frames: str = "'none'", ancestors: str = "'none'") -> str:
    """Return the Content-Security-Policy of a page: our own scripts, styles and forms, frames where they are named.

    `ancestors` are the sites that may frame the page.
    """
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"form-action {form_action}; frame-src {frames}; frame-ancestors {ancestors}; base-uri 'none'"
    )


def hardening(*, is_https: bool) -> Callable[[Response], Response]:
    """Make the function that adds the headers; one that a view has set stays."""
    fixed = {
        "Content-Security-Policy": policy(),
        "X-Content-Type-Options": "nosniff",
        # Not no-referrer: with it browsers send `Origin: null`, and our own forms could not be told from others'.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if is_https:
        fixed["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"

    def harden(response: Response) -> Response:
        for name, value in fixed.items():
            response.headers.setdefault(name, value)
        named = response.headers["Content-Security-Policy"].partition("frame-ancestors ")[2]
        if not named or named.startswith("'none'"):
            response.headers.setdefault("X-Frame-Options", "DENY")  # for browsers that know no frame-ancestors
        response.headers["Cache-Control"] = "public, max-age=3600" if request.endpoint in PUBLIC else "no-store"
        return response

    return harden
