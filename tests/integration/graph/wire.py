"""The simulated Graph asked with plain requests, without the connector."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from app.testing.fakes import PushListener, SteppedClock
from connectors.mail.graph.simulator import GraphSimulator
from connectors.mail.graph.simulator_view import time_shown

ADDRESS = "ada@northwind.test"
BACK = "https://threadlink.test/connect/graph"
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


def mail(number: int, *headers: str, text: str = "Text") -> bytes:
    head = [
        f"From: Bea <bea@acme.test>\r\nTo: {ADDRESS}\r\nSubject: Prices {number}",
        f"Message-ID: <m{number}@acme.test>",
    ]
    return "\r\n".join([*head, *headers, "", text, ""]).encode()


@dataclass
class Wire:
    """One mailbox and its access token, asked with plain requests."""

    clock: SteppedClock
    simulator: GraphSimulator
    environ: Any
    session: requests.Session = field(default_factory=requests.Session)

    def consent(self, scope: str = "openid profile offline_access Mail.Read User.Read") -> dict[str, Any]:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(b"verifier").digest()).rstrip(b"=").decode()
        query = {"client_id": self.environ["GRAPH_CLIENT_ID"], "response_type": "code", "redirect_uri": BACK}
        query |= {"scope": scope, "code_challenge": challenge, "code_challenge_method": "S256"}
        back = self.simulator.consent(
            f"https://login.test/organizations/oauth2/v2.0/authorize?{urlencode(query)}", ADDRESS
        )
        code = parse_qs(urlsplit(back).query)["code"][0]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": "verifier"}
        return self.token(form).json()

    def token(self, form: dict[str, str], tenant: str = "organizations") -> requests.Response:
        client = {"client_id": self.environ["GRAPH_CLIENT_ID"], "client_secret": self.environ["GRAPH_CLIENT_SECRET"]}
        return self.session.post(
            f"{self.environ['GRAPH_LOGIN_URL']}/{tenant}/oauth2/v2.0/token", data={**client, **form}
        )

    def sign_in(self, token: str) -> None:
        self.session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        url = path if path.startswith("http") else f"{self.environ['GRAPH_API_URL']}{path}"
        return self.session.request(method, url, headers={**IMMUTABLE, **more.pop("headers", {})}, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.ask("GET", path, **more).json()

    def deliver(self, number: int, folder: str = "inbox", **more: Any) -> str:
        return self.simulator.deliver(ADDRESS, mail(number), at=self.clock.now(), folder=folder, **more)

    def follow(self, path: str, size: int = 100) -> tuple[list[dict[str, Any]], str]:
        """Read a round of a delta; return its entries and the link of the next round."""
        entries: list[dict[str, Any]] = []
        while True:
            page = self.get(path, headers={"Prefer": f'IdType="ImmutableId", odata.maxpagesize={size}'})
            entries += page["value"]
            if "@odata.deltaLink" in page:
                return entries, page["@odata.deltaLink"]
            path = page["@odata.nextLink"]

    def subscribe(self, **changed: Any) -> requests.Response:
        body = {
            "changeType": "created,updated",
            "resource": "me/messages",
            "notificationUrl": "https://threadlink.test/webhooks/graph",
            "lifecycleNotificationUrl": "https://threadlink.test/webhooks/graph?kind=lifecycle",
            "expirationDateTime": time_shown(self.clock.now() + timedelta(days=6)),
            "clientState": "state",
        }
        return self.ask("POST", "/subscriptions", json={**body, **changed})

    def batch(self, *paths: str, **more: Any) -> dict[str, Any]:
        requests_ = [
            {"id": str(n), "method": "GET", "url": path, "headers": dict(IMMUTABLE)} for n, path in enumerate(paths)
        ]
        answer = self.ask("POST", "/$batch", json={"requests": requests_, **more})
        return {part["id"]: part for part in answer.json()["responses"]}


def items(listener: PushListener) -> list[dict[str, Any]]:
    bodies = [json.loads(request.body) for request in listener.requests if request.body]
    return [item for body in bodies for item in body["value"]]
