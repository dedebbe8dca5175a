"""A simulated Pub/Sub subscription that is pulled, and the service account that may pull it. Part of the simulator."""

from __future__ import annotations

import base64
import json
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import google.auth.jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import GoogleAuthError

from app.ports import Clock
from connectors.mail.gmail.simulator_google import TOKEN_LASTS_S, ConsentRefusedError
from connectors.mail.gmail.simulator_http import error_reply
from connectors.simulated_faults import Faults
from connectors.simulated_http import Call, Reply, json_reply

SERVICE_ACCOUNT = "pull@simulated.iam.gserviceaccount.test"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_AUDIENCE = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address
ACK_DEADLINE = timedelta(seconds=10)
PULL_WAITS_S = 0.3  # the real one waits minutes; whoever stops should not have to
SETTLES_WITHIN_S = 10.0


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(slots=True)
class _Message:
    """A message that is not acknowledged; handed out, it belongs to one puller until `leased_until`."""

    content: Mapping[str, Any]
    leased_until: datetime | None = None
    ack_id: str = ""


class PulledSubscription:
    """Holds messages until they are acknowledged in time; at least once, like the real one."""

    def __init__(self, name: str, faults: Faults) -> None:
        self.name = name
        self.acknowledged = 0
        self._faults = faults
        self._messages: list[_Message] = []
        self._tokens: set[str] = set()
        self._made = 0
        self._changed = threading.Condition()
        self._folder = tempfile.TemporaryDirectory(prefix="threadlink-simulated-")

    def start(self, url: str, clock: Clock) -> Mapping[str, str]:
        """Return the settings that make the connector pull here; the key file lasts until stop()."""
        self._clock = clock
        pem = _key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key = {"type": "service_account", "client_email": SERVICE_ACCOUNT, "private_key_id": "simulated"}
        path = Path(self._folder.name) / "key.json"
        path.write_text(json.dumps({**key, "private_key": pem.decode(), "token_uri": TOKEN_AUDIENCE}))
        return {"GMAIL_PUBSUB_URL": url, "GMAIL_PUBSUB_CREDENTIALS": str(path)}

    def stop(self) -> None:
        """Forget the key."""
        self._folder.cleanup()

    def send(self, body: bytes) -> None:
        """Keep what would have been pushed; a push without an envelope is a message all the same."""
        pushed = json.loads(body)
        self.publish(pushed.get("message", {"data": base64.b64encode(body).decode()}))

    def publish(self, content: Mapping[str, Any]) -> None:
        """Keep a message of any content."""
        with self._changed:
            self._messages.append(_Message(content))
            self._changed.notify_all()

    def settle(self) -> None:
        """Return when every message was acknowledged, or given up after ten seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._messages, SETTLES_WITHIN_S)

    def token(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer a service account's token request. Raises ConsentRefusedError with Google's error code."""
        public = _key().public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        try:
            claims = google.auth.jwt.decode(form.get("assertion", ""), certs=pem, audience=TOKEN_AUDIENCE)  # type: ignore[no-untyped-call]  # google-auth has no types
        except (ValueError, GoogleAuthError):
            raise ConsentRefusedError("invalid_grant") from None
        if claims.get("iss") != SERVICE_ACCOUNT or claims.get("scope") != "https://www.googleapis.com/auth/pubsub":
            raise ConsentRefusedError("invalid_grant")
        with self._changed:
            self._made += 1
            token = f"simulated-pull-{self._made}"
            self._tokens.add(token)
        return {"access_token": token, "expires_in": TOKEN_LASTS_S, "token_type": "Bearer"}

    def end_tokens(self) -> None:
        """End every token given out so far."""
        self._tokens.clear()

    def answer(self, call: Call) -> Reply:
        """Answer a request to the subscription."""
        name, _, operation = call.path.removeprefix("/v1/").partition(":")
        if call.headers.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
            return error_reply(401, "authError", "Request had invalid authentication credentials.")
        if name != self.name or operation not in {"pull", "acknowledge"}:
            return error_reply(404, "notFound", "Resource not found (resource=threadlink).")
        if refused := self._faults.take(f"{operation}_refused"):
            return error_reply(refused.params.get("status", 503), "backendError", "Refused by the simulator.")
        body = json.loads(call.body)
        if operation == "acknowledge":
            self._acknowledge(body["ackIds"])
            return json_reply({})
        received = self._hand_out(int(body["maxMessages"]))
        return json_reply({"receivedMessages": received} if received else {})

    def _hand_out(self, at_most: int) -> list[dict[str, Any]]:
        """Lease what nobody holds, waiting a moment for the first message."""
        gives_up = time.monotonic() + PULL_WAITS_S
        with self._changed:
            while not (free := [message for message in self._messages if self._is_free(message)]):
                wait_s = gives_up - time.monotonic()
                if wait_s <= 0:
                    return []
                self._changed.wait(wait_s)
            for message in free[:at_most]:
                self._made += 1
                message.ack_id, message.leased_until = f"ack-{self._made}", self._clock.now() + ACK_DEADLINE
            return [{"ackId": message.ack_id, "message": message.content} for message in free[:at_most]]

    def _acknowledge(self, ack_ids: list[str]) -> None:
        """Let go of messages whose deadline has not passed; the others come again."""
        with self._changed:
            left = [message for message in self._messages if message.ack_id not in ack_ids or self._is_free(message)]
            self.acknowledged += len(self._messages) - len(left)
            self._messages = left
            self._changed.notify_all()

    def _is_free(self, message: _Message) -> bool:
        return message.leased_until is None or message.leased_until <= self._clock.now()
