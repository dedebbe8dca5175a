"""How every route of the API works: who calls, what is validated, what a repeat is answered, what is documented.

A write may carry an Idempotency-Key: repeated within a day it is answered as the first time, and done once. The key and
the answer are stored in the transaction of the write itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from typing import Any

import pydantic
import sqlalchemy as sa
from flask import Blueprint, Response, g, jsonify, request
from spectree import Response as Responses
from spectree import SecurityScheme, SpecTree
from spectree.models import SecureType, SecuritySchemeData
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.acting import Acting
from app.api_keys import Caller, caller_of
from app.errors import CrmNotReached, InvalidRequest, NotAllowed, PermanentError, RequestRefused
from app.installation import Installation
from app.model import Member
from app.store import api_keys
from app.web import limits
from app.web.api import docs
from app.web.api.answered import Problem

VERSION = "1"
LONGEST_IDEMPOTENCY_KEY = 200
_DESCRIPTION = """\
Everything a member may see and do in threadlink, with the rights of that member. Make a key with
`threadlink api-keys add NAME --as MEMBER` and send it as `Authorization: Bearer tl_…`. A write may carry an
`Idempotency-Key`: repeated within a day it is answered as the first time, and done once. Errors are problem documents
(RFC 9457); their `reason` is stable, and what is not yours is answered like what is not there."""

Work = Callable[[sa.Connection, Acting], dict[str, Any]]


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
            description=_DESCRIPTION,
            security_schemes=[
                SecurityScheme(name="key", data=SecuritySchemeData(type=SecureType.HTTP, scheme="bearer")),
            ],
            naming_strategy=lambda model: model.__name__,
            nested_naming_strategy=lambda _parent, child: child,
            before=_refuse_invalid,
            validation_error_model=Problem,
        )
        self.routes.get("/openapi.json")(self._document)
        self.routes.get("/docs")(self._docs)
        self.routes.before_request(self._authenticate)

    def route(
        self, method: str, path: str, answer: type[pydantic.BaseModel], tag: str
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a view under /api/v1, validated and documented by the annotations of its parameters."""
        codes = {"HTTP_200": answer, "HTTP_401": Problem, "HTTP_403": Problem, "HTTP_404": Problem, "HTTP_429": Problem}
        codes["HTTP_503"] = Problem
        if method != "GET":
            codes |= {"HTTP_409": Problem, "HTTP_413": Problem}

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
        g.caller = caller

    def _document(self) -> Response:
        """Answer with the OpenAPI document."""
        return jsonify(self._described)

    def _docs(self) -> Response:
        """Answer with the page for people."""
        return docs.page(self._described)

    @cached_property
    def _described(self) -> dict[str, Any]:
        """The OpenAPI document; the errors of every route are problem documents."""
        document = deepcopy(self._spec.spec)
        for operations in document["paths"].values():
            for method, operation in operations.items():
                for status, answer in operation["responses"].items():
                    if status >= "400" and "content" in answer:
                        answer["content"] = {"application/problem+json": next(iter(answer["content"].values()))}
                if method != "get":
                    operation.setdefault("parameters", []).append(_IDEMPOTENCY_PARAMETER)
        return dict(document)


_IDEMPOTENCY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_IDEMPOTENCY_KEY},
    "description": "Any text that is yours alone for this write, such as a uuid.",
}


def _caller() -> Caller:
    caller: Caller = g.caller
    return caller


def _idempotency() -> tuple[bytes, bytes] | None:
    """Return the hashes of the Idempotency-Key and of the request it stands for; None without one."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_IDEMPOTENCY_KEY:
        message = f"must have 1 to {LONGEST_IDEMPOTENCY_KEY} characters"
        raise InvalidRequest([{"field": "Idempotency-Key", "message": message}])
    asked = b"\n".join([request.method.encode(), request.path.encode(), request.get_data()])
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest(), hashlib.sha256(asked).digest()


def _refuse_invalid(_request: object, _response: object, error: Any, *_: object) -> None:
    """Answer what does not fit the document with a problem that names each wrong field, never its value."""
    if error is not None:
        raise InvalidRequest(
            [{"field": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in error.errors()]
        )
