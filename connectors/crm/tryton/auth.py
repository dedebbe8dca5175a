"""A signed-in user of Tryton: where its server is, the session that all workers share, and signing in again.

The password and the session live encrypted on the connection's row. A session that ended is replaced under that row's
lock, so that two processes never sign in at once.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from app.errors import AccessRevoked, AdminBlocked, Rejected, SettingsError, Unavailable, Unsupported
from app.ports import (
    Authorization,
    Clock,
    ConnectedCrm,
    Credentials,
    CrmIdentity,
    CrmUninstall,
    PushRequest,
)
from connectors.crm.tryton.rpc import PROVIDER, Rpc, SessionEnded
from connectors.crm.tryton.settings import TrytonSettings
from connectors.crm.words import line
from connectors.http import OutgoingHttp

_HOW = "Tryton is connected with a password: make a user for threadlink."
_CONTEXT = ("company", "employee", "companies", "company_filter")  # of the user's preferences: what defaults depend on


@dataclass(frozen=True, slots=True)
class Place:
    """Where a team's records are."""

    url: str
    database: str
    organization_relation: str  # the relation type from a person to its organization; "" when there is none

    @property
    def host(self) -> str:
        """Return the name of the server."""
        return urlsplit(self.url).hostname or ""


def place(options: Mapping[str, Any]) -> Place:
    """Read where a connection leads. Raises SettingsError."""
    given = {name: str(value).strip() for name, value in options.items() if value is not None}
    url, database = given.get("url", "").rstrip("/"), given.get("database", "")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query or not database:
        raise SettingsError("A Tryton connection needs the url of its server and the name of its database.")
    return Place(url, database, given.get("organization_relation", ""))


class TrytonSession:
    """Calls Tryton as the connection's user. Raises only errors of app.errors."""

    def __init__(self, where: Place, settings: TrytonSettings, clock: Clock, credentials: Credentials) -> None:
        self._where = where
        http = OutgoingHttp(PROVIDER, (where.host,), settings.operator_urls, timeout_s=settings.timeout_s)
        self._rpc = Rpc(http, where.url, where.database, clock)
        self._credentials = credentials
        self._session: Mapping[str, Any] = {}

    def identity(self, operation: str) -> CrmIdentity:
        """Return whose Tryton this is: server, database and the user's company in it."""
        user_id = self._current()["user_id"]
        rows = self.call("res.user.search_read", [["id", "=", user_id]], 0, 1, None, ["name"], operation=operation)
        where = self._where
        return CrmIdentity(
            company=f"{where.host}/{where.database}/{self._current()['context']['company']}",
            user_id=str(user_id),
            user_name=line(rows[0]["name"] or "") if rows else "",
            url=f"{where.url}/#{where.database}",
        )

    def end(self) -> None:
        """Sign out, wherever this session is used; one that has ended already is no error."""
        session = _usable(self._credentials.read(), None)
        if session is not None:
            with suppress(SessionEnded):
                self._rpc.call("common.db.logout", [], operation="revoke", authorization=_authorization(session))

    def server_time(self, operation: str) -> datetime:
        """Return what time it is for Tryton."""
        return self._rpc.server_time(operation)

    def call(self, method: str, *params: Any, operation: str, **context: Any) -> Any:
        """Call a model's method in the user's context; sign in again once when the session has ended."""
        session = self._current()
        try:
            return self._send(session, method, params, operation, context)
        except SessionEnded:
            session = self._session = self._sign_in(refused=session["token"])
            return self._send(session, method, params, operation, context)

    def _send(
        self, session: Mapping[str, Any], method: str, params: tuple[Any, ...], operation: str, context: dict[str, Any]
    ) -> Any:
        return self._rpc.call(
            f"model.{method}",
            [*params, {**session["context"], "language": "en", **context}],
            operation=operation,
            authorization=_authorization(session),
        )

    def _current(self) -> Mapping[str, Any]:
        if not self._session:
            self._session = _usable(self._credentials.read(), None) or self._sign_in(refused=None)
        return self._session

    def _sign_in(self, refused: str | None) -> Mapping[str, Any]:
        with self._credentials.locked() as row:
            stored = row.read()
            session = _usable(stored, refused)  # somebody else may have signed in while we waited for the lock
            if session is None:
                session = self._new_session(str(stored.get("login") or ""), str(stored.get("password") or ""))
                row.write({**stored, "session": session})
        return session

    def _new_session(self, login: str, password: str) -> dict[str, Any]:
        if not login or not password:
            raise AccessRevoked("Tryton needs a user name and a password", provider=PROVIDER, operation="sign_in")
        answer = self._rpc.call("common.db.login", [login, {"password": password}, "en"], operation="sign_in")
        match answer:
            case [int(user_id), str(token), *_]:
                session = {"login": login, "user_id": user_id, "token": token, "context": {}}
            case _:
                raise Unavailable("Tryton's answer holds no session", provider=PROVIDER, operation="sign_in")
        preferences = self._send(session, "res.user.get_preferences", (True,), "sign_in", {})
        if not isinstance(preferences, dict) or not isinstance(preferences.get("company"), int):
            raise AdminBlocked("Tryton's user belongs to no company", provider=PROVIDER, operation="sign_in")
        return {**session, "context": {name: preferences[name] for name in _CONTEXT if name in preferences}}


def _authorization(session: Mapping[str, Any]) -> str:
    credential = f"{session['login']}:{session['user_id']}:{session['token']}"
    return f"Session {base64.b64encode(credential.encode()).decode()}"


def _usable(stored: Mapping[str, Any], refused: str | None) -> Mapping[str, Any] | None:
    session = stored.get("session")
    if not isinstance(session, Mapping) or session.get("login") != stored.get("login"):
        return None
    usable = all(session.get(name) for name in ("user_id", "token", "context")) and session["token"] != refused
    return session if usable else None


class TrytonConsent:
    """How a Tryton is connected: with the password of a user made for threadlink."""

    by_browser = False
    options: Mapping[str, str] = {
        "url": "address of the server, https://tryton.example.com",
        "database": "name of the database",
        "login": "name of the user that threadlink signs in as; its password is the token",
        "organization_relation": "relation type from a person to its organization, as “works for” (optional)",
    }

    def __init__(self, settings: TrytonSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    def authorize(self, redirect_uri: str, state: str) -> Authorization:  # noqa: ARG002  # refused unread
        """Refuse: Tryton has no consent page."""
        raise Unsupported(_HOW, provider=PROVIDER, operation="authorize")

    def connect(
        self,
        redirect_uri: str,  # noqa: ARG002  # refused unread
        args: Mapping[str, str],  # noqa: ARG002  # refused unread
        kept: Mapping[str, str],  # noqa: ARG002  # refused unread
    ) -> ConnectedCrm:
        """Refuse: Tryton has no consent page."""
        raise Unsupported(_HOW, provider=PROVIDER, operation="connect")

    def connect_with_token(self, token: str, options: Mapping[str, str]) -> ConnectedCrm:
        """Sign in with the password. Raises Rejected for an incomplete place, AccessRevoked for a wrong password."""
        try:
            where = place(options)
        except SettingsError as error:
            raise Rejected(str(error), provider=PROVIDER, operation="connect") from None
        credentials = _NewCredentials({"login": options.get("login", "").strip(), "password": token})
        session = TrytonSession(where, self._settings, self._clock, credentials)
        settings = {"url": where.url, "database": where.database, "organization_relation": where.organization_relation}
        identity = session.identity("connect")
        return ConnectedCrm(identity, credentials.read(), {name: value for name, value in settings.items() if value})

    def read_uninstall(self, request: PushRequest) -> CrmUninstall:  # noqa: ARG002  # refused unread
        """Refuse: Tryton does not tell when its user is removed; the next sign-in does."""
        raise Unsupported("Tryton sends no webhooks.", provider=PROVIDER, operation="read_uninstall")


class _NewCredentials:
    """Secrets that are not stored yet (ports.Credentials)."""

    def __init__(self, secrets: Mapping[str, Any]) -> None:
        self._secrets = dict(secrets)

    def read(self) -> dict[str, Any]:
        return dict(self._secrets)

    def write(self, secrets: Mapping[str, Any]) -> None:
        self._secrets = dict(secrets)

    @contextmanager
    def locked(self) -> Iterator[_NewCredentials]:
        yield self
