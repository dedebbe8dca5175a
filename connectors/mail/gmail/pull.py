"""Fetches from a Pub/Sub subscription what Gmail published there, for an installation that Google cannot push to.

The messages are those a push carries and are read by the same code. Vendor page:
cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions/pull
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account

from app.errors import ApplicationMisconfigured, NotificationMalformed, SettingsError, TransientError, Unavailable
from app.model import Notification
from app.ports import Clock, Pulled
from connectors.http import Answer, Finding, OutgoingHttp, error_of
from connectors.mail.gmail.auth import GOOGLE_HOSTS
from connectors.mail.gmail.failures import PROVIDER, UNREADABLE
from connectors.mail.gmail.push import read_message
from connectors.mail.gmail.settings import GmailSettings

SCOPE = "https://www.googleapis.com/auth/pubsub"
MAX_MESSAGES = 100
PULL_TIMEOUT_S = 300.0  # Pub/Sub itself waits a minute or two for a message before it answers that there is none
TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 25_000_000  # anybody who may publish can publish 10 MB, and such a message must not stay for ever
LARGEST_KEY_FILE = 100_000

# What a status says about our own set-up, and what to do about it. No name of a setting is as long as a token: the log
# would take it for one.
_REFUSALS: Mapping[int, str] = {
    400: "GMAIL_SUBSCRIPTION cannot be pulled: give it the delivery type Pull, without an endpoint",
    401: "Pub/Sub does not accept the tokens of the service account that pulls",
    403: "The service account that pulls needs the role Pub/Sub Subscriber on GMAIL_SUBSCRIPTION",
    404: "GMAIL_SUBSCRIPTION does not exist: create it again as a pull subscription of GMAIL_TOPIC that never expires",
}
_KEY_REFUSED = "Google does not accept the key of the service account that pulls: make a new one, check this clock"


class PubSubPull:
    """One subscription, pulled as one service account; for one thread."""

    def __init__(self, settings: GmailSettings, clock: Clock) -> None:
        if not re.fullmatch(r"projects/[\w.:-]{1,100}/subscriptions/[\w.~+%-]{1,255}", settings.subscription, re.ASCII):
            raise SettingsError(
                "GMAIL_SUBSCRIPTION: must be projects/P/subscriptions/S when GMAIL_PUBSUB_CREDENTIALS is set."
            )
        self._url = f"{settings.pubsub_url}/v1/{settings.subscription}"
        self._clock = clock
        self._http = OutgoingHttp(
            PROVIDER, GOOGLE_HOSTS, settings.changed_urls, timeout_s=TIMEOUT_S, max_bytes=MAX_ANSWER_BYTES
        )
        self._account = _ServiceAccount(settings, self._http, clock)

    def pull(self, stop: Callable[[], bool]) -> Iterator[Pulled]:
        """Yield what the subscription holds, batch by batch, until stop() is true.

        Raises ApplicationMisconfigured, with what to do, when the subscription is gone or may not be pulled;
        Unavailable or RateLimited when it could not be asked now.
        """
        while not stop():
            answer = self._post("pull", {"maxMessages": MAX_MESSAGES}, PULL_TIMEOUT_S)
            yield self._read(answer.get("receivedMessages"))

    def _read(self, received: object) -> Pulled:
        ack_ids: list[str] = []
        notifications: list[Notification] = []
        unreadable = 0
        for entry in received if isinstance(received, list) else []:
            ack_id = entry.get("ackId") if isinstance(entry, dict) else None
            if not isinstance(ack_id, str):
                unreadable += 1
                continue
            ack_ids.append(ack_id)
            try:
                notifications.append(read_message(entry.get("message")))
            except NotificationMalformed:
                unreadable += 1
        return Pulled(tuple(notifications), lambda: self._acknowledge(ack_ids), unreadable)

    def _acknowledge(self, ack_ids: list[str]) -> None:
        if not ack_ids:
            return
        try:
            self._post("acknowledge", {"ackIds": ack_ids}, TIMEOUT_S)
        except TransientError:  # once more at once: the deadline runs
            self._post("acknowledge", {"ackIds": ack_ids}, TIMEOUT_S)

    def _post(self, operation: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        answer = self._send(operation, body, timeout_s)
        if answer.status == 401:  # the token ended before its time
            self._account.forget_token()
            answer = self._send(operation, body, timeout_s)
        if answer.status != 200:
            raise error_of(
                answer, provider=PROVIDER, operation=operation, now=self._clock.now(), reason=_reason_of(_REFUSALS)
            )
        read = answer.json()
        if not isinstance(read, dict):
            raise Unavailable("Pub/Sub's answer cannot be read", provider=PROVIDER, operation=operation)
        return read

    def _send(self, operation: str, body: Mapping[str, Any], timeout_s: float) -> Answer:
        return self._http.request(
            "POST",
            f"{self._url}:{operation}",
            operation=operation,
            headers={"Authorization": f"Bearer {self._account.token()}"},
            json_body=body,
            timeout_s=timeout_s,
        )


@dataclass(frozen=True, slots=True)
class _TokenAnswer:
    """An answer as google-auth reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _ServiceAccount:
    """The access token of the operator's service account, renewed before it ends."""

    def __init__(self, settings: GmailSettings, http: OutgoingHttp, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._credentials = _credentials(settings)

    def token(self) -> str:
        """Return a token that serves some minutes more."""
        if not self._credentials.valid:
            try:
                self._credentials.refresh(self._ask)  # type: ignore[no-untyped-call]  # google-auth has no types
            except (GoogleAuthError, *UNREADABLE):
                raise Unavailable("Google's answer holds no token", provider=PROVIDER, operation="pull_token") from None
        return str(self._credentials.token)

    def forget_token(self) -> None:
        """Ask for another token next time."""
        self._credentials.token = None

    def _ask(self, url: str, method: str, body: bytes, headers: Mapping[str, str], **_: object) -> _TokenAnswer:
        """Carry google-auth's request; what is refused becomes an error here, so that the library repeats nothing."""
        answer = self._http.request(method, url, operation="pull_token", headers=headers, data=body)
        if answer.status != 200:
            refusals = dict.fromkeys((400, 401, 403), _KEY_REFUSED)
            raise error_of(
                answer, provider=PROVIDER, operation="pull_token", now=self._clock.now(), reason=_reason_of(refusals)
            )
        return _TokenAnswer(answer.status, answer.headers, answer.body)


def _reason_of(refusals: Mapping[int, str]) -> Callable[[Answer], Finding | None]:
    def reason(answer: Answer) -> Finding | None:
        sentence = refusals.get(answer.status)
        return Finding(ApplicationMisconfigured, sentence) if sentence else None

    return reason


def _credentials(settings: GmailSettings) -> service_account.Credentials:
    """Read the key file. Raises SettingsError without repeating anything that is in it."""
    try:
        with Path(settings.pubsub_credentials).open("rb") as file:
            key = json.loads(file.read(LARGEST_KEY_FILE))
        if key["type"] != "service_account":  # other kinds of credentials name addresses and commands to ask
            raise ValueError("another kind of credentials")
        # Only what a key needs: where tokens come from is the operator's setting, not the file's.
        chosen = {"client_email": key["client_email"], "private_key": key["private_key"]}
        chosen |= {"private_key_id": key.get("private_key_id"), "token_uri": settings.token_url}
        read: service_account.Credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]  # google-auth has no types
            chosen, scopes=[SCOPE]
        )
    except OSError as error:
        raise SettingsError(f"GMAIL_PUBSUB_CREDENTIALS: the file cannot be opened ({type(error).__name__}).") from None
    except UNREADABLE:
        raise SettingsError("GMAIL_PUBSUB_CREDENTIALS: the file is no key of a service account.") from None
    return read
