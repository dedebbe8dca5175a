"""A bare Flask route on the gunicorn that serves threadlink: what acknowledgements are compared with."""

from __future__ import annotations

import sys

from flask import Flask, Response

from app.serving import serve_web


def bare() -> Flask:
    """Build an application with one route that answers 204."""
    flask = Flask("bare")

    @flask.post("/webhooks/<_provider>")
    def answer(_provider: str) -> Response:
        return Response(status=204)

    return flask


if __name__ == "__main__":
    serve_web(bare, f"127.0.0.1:{sys.argv[1]}", threads=int(sys.argv[2]))
