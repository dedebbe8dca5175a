"""What no request may hold, whichever view it is for: NUL, and a document too deep to be read (threats.md P3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask, Request, abort, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import BadRequest


class Fields(ImmutableMultiDict[str, str]):
    """The fields of an address or a form.

    Raises BadRequest for NUL: no browser sends it, and PostgreSQL does not store it.
    """

    def __init__(self, given: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__(given)
        if any("\x00" in name or "\x00" in value for name, value in self.items(multi=True)):
            raise BadRequest


class CheckedRequest(Request):
    """A request whose fields are checked when they are first read."""

    parameter_storage_class = Fields


class BoundedJson(DefaultJSONProvider):
    """JSON; what is nested too deep is as wrong as what is none."""

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Read a document. Raises ValueError."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


def check(flask: Flask) -> None:
    """Have every request checked."""
    flask.request_class = CheckedRequest
    flask.json = BoundedJson(flask)

    @flask.before_request
    def refuse_nul() -> None:
        if "\x00" in request.path:
            abort(404)
