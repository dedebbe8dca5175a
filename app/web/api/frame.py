"""How every route of the API works: who calls, what is validated, what a repeat is answered.

A write may carry an Idempotency-Key: repeated within a day it is answered as the first time, and done once. The key and
the answer are stored in the transaction of the write itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any, cast
from zoneinfo import ZoneInfo

import pydantic
import sqlalchemy as sa
from flask import Blueprint, Response, g, jsonify, request
from spectree import Response as Responses
from spectree import SecurityScheme, SpecTree
from spectree.model_adapter.protocol import SchemaMode
from spectree.model_adapter.pydantic_adapter import PydanticModelAdapter
from spectree.models import SecureType, SecuritySchemeData
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized, UnsupportedMediaType

from app.acting import Acting
from app.api_keys import Caller, caller_of
from app.errors import CrmNotReached, InvalidRequest, NotAllowed, PermanentError, RequestRefused
from app.installation import Installation
from app.model import ItemRef, Member
from app.store import api_keys, crm, teams
from app.web import limits
from app.web.api import docs, openapi
from app.web.api.answered import Problem
from app.web.api.asked import ItemIn

VERSION = "1"

Work = Callable[[sa.Connection, Acting], dict[str, Any]]


class _ModelAdapter(PydanticModelAdapter):
    """Works out the schema of a model once: that of a problem is asked for six times and more with every route."""

    def json_schema(self, model: type[Any], *, ref_template: str, mode: SchemaMode = "validation") -> dict[str, Any]:
        return _schema(model, ref_template, mode)  # type: ignore[arg-type]  # a class can be hashed


@cache
def _schema(model: type[Any], ref_template: str, mode: SchemaMode) -> dict[str, Any]:
    return PydanticModelAdapter().json_schema(model, ref_template=ref_template, mode=mode)


class Frame:
    """What the modules of routes are given: the blueprint, the documentation, and transactions for the caller."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.routes = Blueprint("api", __name__, url_prefix="/api")
        self._spec = SpecTree(
            "flask",
            annotations=True,
            mode="strict",
            openapi_version="3.1.0",
            title="threadlink",
            version=VERSION,
            description=openapi.ABOUT,
            security_schemes=[
                SecurityScheme(name="key", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer")),
            ],
            naming_strategy=lambda model: model.__name__,
            nested_naming_strategy=lambda _parent, child: child,
            before=_refuse_invalid,
            validation_error_model=Problem,
            model_adapter=cast("Any", _ModelAdapter()),  # typed more narrowly than what is asked for
        )
        self.routes.get("/openapi.json")(self._document)
        self.routes.get("/docs")(self._docs)
        self.routes.get("/docs/<chapter>")(self._docs)
        self.routes.before_request(self._authenticate)

    def route(
        self, method: str, path: str, answer: type[pydantic.BaseModel], tag: str
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a view under /api/v1, validated and documented by the annotations of its parameters."""
        codes = {"HTTP_200": answer}
        codes |= dict.fromkeys((f"HTTP_{status}" for status in (400, 401, 403, 404, 429, 503)), Problem)
        if method != "GET":
            codes |= {"HTTP_409": Problem, "HTTP_413": Problem, "HTTP_415": Problem}

        def register(view: Callable[..., Any]) -> Callable[..., Any]:
            validated = self._spec.validate(
                resp=Responses(**codes), tags=[tag], security={"key": []}, operation_id=view.__name__
            )(view)
            self.routes.add_url_rule(f"/v{VERSION}{path}", view.__name__, validated, methods=[method])
            return view

        return register

    @contextmanager
    def reading(self) -> Iterator[tuple[sa.Connection, Member]]:
        """Open a transaction in which the caller reads."""
        caller = _caller()
        with self.installation.database.for_team(caller.team_id) as connection:
            yield connection, caller.member

    def writing(self, work: Work, *, told_once: Collection[str] = ()) -> Response:
        """Let the caller act once: `work` runs in one transaction, and a repeated request gets its first answer.

        Fields that are `told_once`, secrets, are null in it then: they are stored nowhere.

        Raises NotAllowed (key_reads_only), Conflict (idempotency_key_reused), and what `work` raises.
        """
        caller, now = _caller(), self.installation.clock.now()
        if not caller.key.may_write:
            raise NotAllowed("key_reads_only")
        named = _idempotency()
        with self.installation.database.for_team(caller.team_id) as connection:
            if named is not None:
                stored = api_keys.claim(connection, caller.team_id, caller.key.id, *named, now)
                if stored is not None:
                    return jsonify(stored)
            document = work(connection, Acting(caller.team_id, caller.member, now))
            if named is not None:
                kept = {**document, **dict.fromkeys(told_once)}
                api_keys.keep(connection, caller.key.id, named[0], kept)
        return jsonify(document)

    def calling(self, work: Callable[[Acting], dict[str, Any]]) -> Response:
        """Let the caller do once what a CRM is asked for; `work` opens its own transactions, and none is open before.

        A repeated request gets its first answer. One whose outcome is not known is refused (still_running) when it is
        repeated, for only a person can say whether the CRM did it. Raises what writing() does.
        """
        caller, now = _caller(), self.installation.clock.now()
        if not caller.key.may_write:
            raise NotAllowed("key_reads_only")
        named, database = _idempotency(), self.installation.database
        if named is not None:
            with database.for_team(caller.team_id) as connection:
                stored = api_keys.claim(connection, caller.team_id, caller.key.id, *named, now)
            if stored is not None:
                return jsonify(stored)
        try:
            document = work(Acting(caller.team_id, caller.member, now))
        except (RequestRefused, PermanentError) as error:
            if named is not None and not (isinstance(error, CrmNotReached) and error.is_open):
                with database.for_team(caller.team_id) as connection:
                    api_keys.release(connection, caller.key.id, named[0])
            raise
        if named is not None:
            with database.for_team(caller.team_id) as connection:
                api_keys.keep(connection, caller.key.id, named[0], document)
        return jsonify(document)

    @property
    def caller(self) -> Caller:
        """Who calls."""
        return _caller()

    def _authenticate(self) -> None:
        if request.endpoint in (f"{self.routes.name}._document", f"{self.routes.name}._docs"):
            return
        authorization = request.authorization
        text = (authorization.token or "") if authorization and authorization.type == "bearer" else ""
        caller = caller_of(self.installation, text, self.installation.clock.now())
        if caller is None:
            raise Unauthorized(www_authenticate=WWWAuthenticate("bearer"))
        limits.count_member(caller.team_id, caller.member.id)
        _require_json()
        g.caller = caller

    def _document(self) -> Response:
        """Answer with the OpenAPI document."""
        return jsonify(self._described)

    def _docs(self, chapter: str = "") -> Response:
        """Answer with a page for people."""
        return docs.page(self._described, chapter)

    @cached_property
    def _described(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return openapi.finished(self._spec.spec, self.installation.settings.public_base_url)


def locale_of(connection: sa.Connection, member: Member) -> str:
    """Return the language that a member reads: the member's own, or the team's."""
    team = teams.team(connection)
    return member.preferences.locale or (team.locale if team else "en")


def zone_of(member: Member) -> ZoneInfo:
    """Return the time zone that a member's days are in."""
    return ZoneInfo(member.preferences.time_zone or "UTC")


def ref_of(connection: sa.Connection, item: ItemIn) -> ItemRef:
    """Name an item of the team's CRM. Raises NotFound (item_unknown) when the team has no CRM."""
    return crm.item_ref(connection, item.kind, item.id)


def _caller() -> Caller:
    caller: Caller = g.caller
    return caller


def _require_json() -> None:
    """Refuse a body that is no JSON object; what validates the fields would take it for an empty one.

    Raises UnsupportedMediaType, InvalidRequest.
    """
    if not request.get_data():
        return
    if not request.is_json:
        raise UnsupportedMediaType
    if not isinstance(request.get_json(silent=True), dict):
        raise InvalidRequest([{"field": "body", "message": "must be a JSON object"}])


def _idempotency() -> tuple[bytes, bytes] | None:
    """Return the hashes of the Idempotency-Key and of the request it stands for; None without one."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= openapi.LONGEST_IDEMPOTENCY_KEY:
        message = f"must have 1 to {openapi.LONGEST_IDEMPOTENCY_KEY} characters"
        raise InvalidRequest([{"field": "Idempotency-Key", "message": message}])
    asked = b"\n".join([request.method.encode(), request.path.encode(), request.get_data()])
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest(), hashlib.sha256(asked).digest()


def _refuse_invalid(_request: object, _response: object, error: Any, *_: object) -> None:
    """Answer what does not fit the document with a problem that names each wrong field, never its value."""
    if error is not None:
        raise InvalidRequest(
            [{"field": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in error.errors()]
        )
