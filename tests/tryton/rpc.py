"""Tryton's JSON-RPC as its own clients speak it: what tests set up and look at, independent of the adapter."""

from __future__ import annotations

import base64
from typing import Any

import requests

DATABASE = "crm"
ADMIN, ADMIN_PASSWORD = "admin", "the-admin-password-3"


class TrytonRefused(Exception):
    """Tryton answered with an error."""


class TrytonRpc:
    """A user's session."""

    def __init__(self, url: str, login: str, password: str) -> None:
        self._url = f"{url}/{DATABASE}/rpc/"
        self._headers: dict[str, str] = {}
        self._http = requests.Session()
        self.user_id, token, *_ = self.send("common.db.login", login, {"password": password}, "en")
        credential = base64.b64encode(f"{login}:{self.user_id}:{token}".encode()).decode()
        self._headers = {"Authorization": f"Session {credential}"}
        self.context: dict[str, Any] = self.send("model.res.user.get_preferences", True, {})

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def send(self, method: str, *params: Any) -> Any:
        """Call any method."""
        body = {"id": 1, "method": method, "params": params}
        answer = self._http.post(self._url, json=body, headers=self._headers, timeout=60)
        answer.raise_for_status()
        said = answer.json()
        if "result" not in said:
            raise TrytonRefused(said["error"][:2])
        return said["result"]

    def call(self, method: str, *params: Any, **context: Any) -> Any:
        """Call a model's method in the user's context."""
        return self.send(f"model.{method}", *params, {**self.context, **context})
