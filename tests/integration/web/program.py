"""A member's program, as the tests of the API use one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient


@dataclass
class Program:
    """A member's program with an API key."""

    client: FlaskClient
    key: str
    key_id: str

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        """Ask; return the status and the document."""
        answer = self.client.get(f"/api/v1{path}", query_string=query, headers={"Authorization": f"Bearer {self.key}"})
        return answer.status_code, answer.json

    def post(self, path: str, body: Any = None, *, once: str | None = None) -> tuple[int, Any]:
        """Change something; return the status and the document."""
        headers = {"Authorization": f"Bearer {self.key}", **({"Idempotency-Key": once} if once is not None else {})}
        answer = self.client.post(f"/api/v1{path}", json={} if body is None else body, headers=headers)
        return answer.status_code, answer.json
