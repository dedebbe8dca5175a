"""A small HTTP server that behaves like Microsoft Graph and Entra, faults included.

The demo, the integration tests and the benchmarks use it through the entry point `threadlink.simulators`; the real msal
and requests talk to it. `subscriptions`, `login` and `api` are there for tests that look closer.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from app.ports import Clock
from connectors.mail.graph.simulator_api import VERSION, SimulatedApi
from connectors.mail.graph.simulator_client import CLIENT_ID, CLIENT_SECRET, ClientKeys, ClientRefusedError
from connectors.mail.graph.simulator_faults import AT_ONCE, FAULTS
from connectors.mail.graph.simulator_login import TENANT_ID, Login, LoginRefusedError
from connectors.mail.graph.simulator_mailbox import SimulatedMailbox, newest
from connectors.mail.graph.simulator_outlook import OFFICE_JS, SCRIPT_PATH, SimulatedOutlook
from connectors.mail.graph.simulator_outlook import PATH as OUTLOOK_PATH
from connectors.mail.graph.simulator_replies import REQUEST_ID, error_reply
from connectors.mail.graph.simulator_subscriptions import Subscriptions
from connectors.simulated_faults import Faults
from connectors.simulated_http import Call, Reply, SimulatorServer, json_reply
from connectors.simulated_keys import Signer
from connectors.simulated_push import PushDelivery


class GraphSimulator:
    """Microsoft 365 for one process: one tenant, its mailboxes, and the login all of them use."""

    provider = "graph"

    def __init__(self) -> None:
        self.signer = Signer()
        self.client_keys = ClientKeys()
        self.login = Login(self.signer, self.client_keys)
        self._mailboxes: dict[str, SimulatedMailbox] = {}
        self._faults = Faults("mailbox")
        self._lock = threading.RLock()
        self._outlook: SimulatedOutlook | None = None
        self._pushes = PushDelivery(lambda _url: {})

    # --- life ---

    def start(self, clock: Clock) -> Mapping[str, str]:
        """Start serving; return the settings that point the connector, and who signs in, here."""
        self._clock = clock
        self.subscriptions = Subscriptions(clock, self._faults, self.login, self._lock, self._pushes)
        self.api = SimulatedApi(self._mailboxes, self.login, self.subscriptions, self._faults, clock, self._lock)
        self._server = SimulatorServer(self._answer)
        self._server.start()
        self._pushes.start()
        self.api.url = self._server.url
        return {
            "GRAPH_CLIENT_ID": CLIENT_ID,
            "GRAPH_CLIENT_SECRET": CLIENT_SECRET,
            "GRAPH_API_URL": f"{self._server.url}{VERSION}",
            "GRAPH_LOGIN_URL": self._server.url,
            "GRAPH_OFFICE_JS_URL": f"{self._server.url}{SCRIPT_PATH}",
            "THREADLINK_PANE_ANCESTORS": self._server.url,
            "SIGN_IN_MICROSOFT_CLIENT_ID": CLIENT_ID,
            "SIGN_IN_MICROSOFT_CLIENT_SECRET": CLIENT_SECRET,
            "SIGN_IN_MICROSOFT_METADATA_URL": f"{self._server.url}/sign-in/organizations",
        }

    def stop(self) -> None:
        """Stop serving and pushing."""
        self._pushes.stop()
        self._server.stop()

    def show_pane(self, url: str) -> str:
        """Frame the pane at this URL beside all messages; return the page where to see it."""
        self._outlook = SimulatedOutlook(self._mailboxes, url, self.pane_token)
        return f"{self._server.url}{OUTLOOK_PATH}"

    def push_to(self, url: str) -> None:
        """Send pushes, and what asks whether an address answers, to this URL from now on."""
        self.subscriptions.url = url

    def settle(self) -> None:
        """Return when every push so far was answered or given up; a late one once it is due."""
        self.subscriptions.settle()

    def upload_certificate(self, pem: Path) -> None:
        """Add a certificate to the application's registration; its private key may then prove the application."""
        self.client_keys.upload(pem)

    # --- mailboxes ---

    def add_mailbox(self, address: str, aliases: Sequence[str] = ()) -> None:
        """Open a mailbox; one that is open already gets the new aliases."""
        with self._lock:
            mailbox = self._mailboxes.get(address.lower())
            if mailbox is None:
                mailbox = SimulatedMailbox(address.lower(), len(self._mailboxes) + 1)
                self._mailboxes[address.lower()] = mailbox
            mailbox.aliases = tuple(aliases)

    def share(self, address: str, reader: str) -> None:
        """Let the owner of another mailbox read this one with their own access."""
        with self._lock:
            self._mailboxes[address.lower()].shared_with.add(reader.lower())

    def user_id(self, address: str) -> str:
        """Return the object id of a mailbox' owner."""
        with self._lock:
            return self._mailboxes[address.lower()].user_id

    def pane_token(self, address: str, **changed: Any) -> str:
        """Return what Entra gives the Outlook pane of somebody; `changed` replaces claims, None leaves one out."""
        return self.login.pane_token(self._server.url, address, self.user_id(address), self._clock.now(), **changed)

    def consent(self, authorization_url: str, address: str) -> str:
        """Act as the browser of a mailbox' owner, or of an administrator; return the URL it is sent back to."""
        address = address.lower()
        query = {name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()}
        refused = self._refusal_of_consent(address)
        if refused is not None:
            return f"{query['redirect_uri']}?{urlencode({'state': query.get('state', ''), **refused})}"
        if urlsplit(authorization_url).path.endswith("/adminconsent"):
            back = {"admin_consent": "True", "tenant": TENANT_ID, "state": query.get("state", "")}
            return f"{query['redirect_uri']}?{urlencode({**back, 'scope': query.get('scope', '')})}"
        with self._lock:
            without_mail = self._faults.take("scope_not_granted", address) is not None
            return self.login.agree(authorization_url, self._mailboxes[address].address, without_mail=without_mail)

    def deliver(self, address: str, raw: bytes, *, at: datetime, folder: str = "inbox", push: bool = True) -> str:
        """Put a message into a mailbox. Folders: inbox, sent, other, draft, spam, trash, or a name of the owner's."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            message = mailbox.add(raw, at, mailbox.folder_for(folder))
            if push:
                self.subscriptions.changed(mailbox, message, "created", message.folder_id)
                if folder == "sent":  # what is sent was a draft a moment ago, so it is told of twice
                    self.subscriptions.changed(mailbox, message, "created", message.folder_id)
            return message.id

    def move(self, address: str, provider_id: str, folder: str, *, push: bool = True) -> None:
        """Move a message: with its immutable id, it is told of as deleted and created."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            before = mailbox.messages[provider_id].folder_id
            message = mailbox.move(provider_id, mailbox.folder_for(folder))
            if push:
                self.subscriptions.changed(mailbox, message, "deleted", before)
                self.subscriptions.changed(mailbox, message, "created", message.folder_id)

    def mark_read(self, address: str, provider_id: str) -> None:
        """Read a message, as its owner."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            message = mailbox.change(provider_id, is_read=True)
            self.subscriptions.changed(mailbox, message, "updated", message.folder_id)

    def delete(self, address: str, provider_id: str) -> None:
        """Delete a message for good."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            message = mailbox.delete(provider_id)
            self.subscriptions.changed(mailbox, message, "deleted", message.folder_id)

    def remove_folder(self, address: str, folder: str) -> None:
        """Delete a folder the owner made, with the messages in it."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            for message in mailbox.remove_folder(folder):
                self.subscriptions.changed(mailbox, message, "deleted", message.folder_id)

    def usage(self, address: str) -> Mapping[str, int]:
        """Return what the mailbox cost so far: units, requests, and a count for each operation."""
        with self._lock:
            return {"units": 0, "requests": 0, **self._mailboxes[address.lower()].usage}

    def message_ids(self, address: str) -> frozenset[str]:
        """Return every message id the mailbox ever listed."""
        with self._lock:
            return frozenset(self._mailboxes[address.lower()].listed)

    def is_watched(self, address: str) -> bool:
        """Whether a subscription is on that has not ended."""
        with self._lock:
            return bool(self.subscriptions.all(self._mailboxes[address.lower()]))

    # --- faults ---

    @property
    def fault_kinds(self) -> frozenset[str]:
        """The names of all faults; simulator_faults.FAULTS says what each does."""
        return frozenset(FAULTS)

    def fault(self, kind: str, **params: Any) -> None:
        """Arm a fault: `count` moments (1; -1: always; 0: disarm), `mailbox` (all), and its own parameters."""
        if kind not in FAULTS:
            raise ValueError(f"Graph has no fault {kind!r}; there are: {', '.join(sorted(FAULTS))}")
        if kind == "keys_rotated":
            self.signer.rotate()
        elif kind in AT_ONCE:
            address = params.get("mailbox")
            with self._lock:
                for mailbox in [self._mailboxes[address.lower()]] if address else list(self._mailboxes.values()):
                    self._strike(kind, mailbox, params)
        else:
            self._faults.arm(kind, **params)

    def _strike(self, kind: str, mailbox: SimulatedMailbox, params: Mapping[str, Any]) -> None:
        lifecycle = {"subscription_removed": "subscriptionRemoved", "missed": "missed"}
        lifecycle["reauthorization_required"] = "reauthorizationRequired"
        if kind in lifecycle:
            self.subscriptions.lifecycle(mailbox, lifecycle[kind])
        elif kind == "subscription_ended":
            self.subscriptions.end(mailbox)
        elif kind == "delta_expired":
            mailbox.forget_positions(params.get("status", 410), params.get("code", "syncStateNotFound"))
        elif kind == "token_revoked":
            self.login.end(mailbox.address, params.get("code", 50173))
        elif kind == "moved_and_back":
            message = newest(list(mailbox.messages.values()))
            if message is not None:
                home = mailbox.folders[message.folder_id]
                self.move(mailbox.address, message.id, "other" if home.well_known != "archive" else "inbox")
                self.move(mailbox.address, message.id, home.well_known or home.name)
        else:
            self._churn(mailbox, params.get("times", 3))

    def _churn(self, mailbox: SimulatedMailbox, times: int) -> None:
        """Save a draft again and again: each time the old one goes and a new one comes."""
        for number in range(times):
            draft = f"From: {mailbox.address}\r\nSubject: Draft\r\n\r\nVersion {number}\r\n".encode()
            made = self.deliver(mailbox.address, draft, at=self._clock.now(), folder="draft")
            if number < times - 1:
                self.delete(mailbox.address, made)

    def _refusal_of_consent(self, address: str) -> dict[str, str] | None:
        if fault := self._faults.take("consent_refused", address):
            code, error = fault.params.get("code", 65004), fault.params.get("error", "access_denied")
            return {"error": error, "error_description": f"AADSTS{code}: User declined to consent."}
        if self._faults.take("admin_consent_required", address):
            message = "AADSTS90094: The grant requires admin permission."
            return {"error": "access_denied", "error_subcode": "consent_required", "error_description": message}
        return None

    # --- HTTP ---

    def _answer(self, call: Call) -> Reply:
        if call.path.startswith(f"{VERSION}/"):
            return self.api.answer(call)
        if call.path == SCRIPT_PATH:
            return Reply(200, OFFICE_JS.encode(), "text/javascript; charset=UTF-8")
        if self._outlook is not None and call.path.startswith(OUTLOOK_PATH):
            return self._outlook.answer(call)
        tenant, _, rest = call.path.strip("/").partition("/")
        if tenant == "sign-in":  # the same document for a client that, unlike msal, asks an http address over http
            return json_reply(self.login.metadata(self._server.url, rest, scheme="http"))
        if rest == "v2.0/.well-known/openid-configuration":
            return json_reply(self.login.metadata(self._server.url, tenant))
        if rest == "discovery/instance":
            return json_reply(self.login.instances(self._server.url))
        if rest == "discovery/v2.0/keys":
            if self._faults.take("keys_down"):
                return error_reply(503, "serviceUnavailable", "Service unavailable.")
            return json_reply(self.signer.key_set())
        if rest == "oauth2/v2.0/token" and call.method == "POST":
            return self._token(call, tenant)
        if rest in {"oauth2/v2.0/authorize", "v2.0/adminconsent"}:
            return self._consent_page(call)
        return error_reply(404, "ResourceNotFound", "Not Found")

    def _token(self, call: Call, tenant: str) -> Reply:
        if self._faults.take("token_endpoint_down"):
            return Reply(503, b"Service unavailable", "text/plain")
        if fault := self._faults.take("invalid_client"):
            return _login_error("invalid_client", fault.params.get("code", 7000215), "Invalid client secret provided.")
        form = {name: values[0] for name, values in parse_qs(call.body.decode("ascii", "replace")).items()}
        with self._lock:
            user_ids = {address: mailbox.user_id for address, mailbox in self._mailboxes.items()}
            try:
                return json_reply(self.login.token(form, tenant, user_ids, self._clock.now()))
            except ClientRefusedError as error:
                return _login_error("invalid_client", 7000215, str(error))
            except LoginRefusedError as error:
                return _login_error(error.error, error.code, str(error))

    def _consent_page(self, call: Call) -> Reply:
        """Show a browser whose mailbox to consent for; its choice sends it back."""
        query = {name: values[0] for name, values in call.query.items()}
        chosen = query.pop("choose", None)
        url = f"{call.path}?{urlencode(query)}"
        if chosen in self._mailboxes:
            try:
                return Reply(302, headers={"Location": self.consent(url, chosen)})
            except (LoginRefusedError, LookupError) as error:
                return error_reply(400, "invalid_request", str(error))
        choices = "".join(
            f'<li><a href="{html.escape(url)}&amp;choose={quote(address)}">{html.escape(address)}</a></li>'
            for address in sorted(self._mailboxes)
        )
        page = f"<!DOCTYPE html><title>Simulated Microsoft</title><h1>Pick an account</h1><ul>{choices}</ul>"
        return Reply(200, page.encode(), "text/html; charset=UTF-8")


def _login_error(error: str, code: int, message: str) -> Reply:
    status = 401 if error == "invalid_client" else 400
    body = {
        "error": error,
        "error_description": f"AADSTS{code}: {message} Trace ID: {REQUEST_ID} Correlation ID: {REQUEST_ID}",
        "error_codes": [code],
        "timestamp": "2026-03-02 08:00:00Z",
        "trace_id": REQUEST_ID,
        "correlation_id": REQUEST_ID,
    }
    return json_reply(body, status)
