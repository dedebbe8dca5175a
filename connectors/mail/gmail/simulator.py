"""A small HTTP server that behaves like Gmail, Google's sign-in and Pub/Sub, faults included.

The demo, the integration tests and the benchmarks use it through the entry point `threadlink.simulators`; the real
client library talks to it. Its answers are held to the discovery document the library carries by a test.
"""

from __future__ import annotations

import base64
import html
import json
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from app.ports import Clock
from connectors.mail.gmail.simulator_addon import ADDON_CLIENT_ID, ADDON_SERVICE_ACCOUNT, SimulatedAddon
from connectors.mail.gmail.simulator_api import SimulatedApi
from connectors.mail.gmail.simulator_faults import AT_ONCE, FAULTS
from connectors.mail.gmail.simulator_google import (
    CLIENT_ID,
    CLIENT_SECRET,
    PUSH_SERVICE_ACCOUNT,
    ConsentRefusedError,
    Consents,
    metadata,
    push_claims,
)
from connectors.mail.gmail.simulator_http import error_reply
from connectors.mail.gmail.simulator_mailbox import FOLDER_LABELS, SimulatedMailbox
from connectors.mail.gmail.simulator_panel import PATH as PANEL_PATH
from connectors.mail.gmail.simulator_panel import Panel
from connectors.mail.gmail.simulator_pubsub import JWT_GRANT, PulledSubscription
from connectors.simulated_faults import Faults
from connectors.simulated_http import Call, Reply, SimulatorServer, json_reply
from connectors.simulated_keys import Signer
from connectors.simulated_push import PushDelivery

PUSH_AUDIENCE = "https://threadlink.test/webhooks/gmail"
SUBSCRIPTION = "projects/simulated/subscriptions/threadlink"
TOPIC = "projects/simulated/topics/threadlink"
NO_LIMIT = 60_000_000  # quota units a minute: the simulator never runs short
PUSH_TOKEN_SERVES = timedelta(minutes=10)


class GmailSimulator:
    """Google for one process. Pushes leave at once; `drops_fast_pushes` keeps Gmail's limit of one a second."""

    provider = "gmail"

    def __init__(self, *, drops_fast_pushes: bool = False) -> None:
        self.signer = Signer()
        self._drops_fast_pushes = drops_fast_pushes
        self._mailboxes: dict[str, SimulatedMailbox] = {}
        self._faults = Faults("mailbox")
        self._consents = Consents(self.signer)
        self._lock = threading.RLock()
        self._pushes = PushDelivery(self._push_headers)
        self.pulled: PulledSubscription | None = None
        self._panel: Panel | None = None
        self._push_token: tuple[datetime, str, str] | None = None  # when, key id, token
        self._pushed_at: dict[str, datetime] = {}
        self._held: list[tuple[datetime | None, str, bytes]] = []  # due (None: with the next), mailbox, push
        self._made = 0

    # --- life ---

    def pull_instead_of_push(self) -> PulledSubscription:
        """Keep notifications until they are pulled instead of pushing them; call it before start()."""
        self.pulled = PulledSubscription(SUBSCRIPTION, self._faults)
        return self.pulled

    def start(self, clock: Clock) -> Mapping[str, str]:
        """Start serving; return the settings that point the connector, and who signs in, here."""
        self._clock = clock
        self._api = SimulatedApi(self._mailboxes, self._consents, self._faults, clock, self._lock, self._push)
        self.addon = SimulatedAddon(self._mailboxes, self._consents, self.signer, clock, self._lock)
        self._server = SimulatorServer(self._answer)
        self._server.start()
        self._pushes.start()
        url = self._server.url
        return {
            "GMAIL_CLIENT_ID": CLIENT_ID,
            "GMAIL_CLIENT_SECRET": CLIENT_SECRET,
            "GMAIL_TOPIC": TOPIC,
            "GMAIL_SUBSCRIPTION": SUBSCRIPTION,
            "GMAIL_PUSH_AUDIENCE": PUSH_AUDIENCE,
            "GMAIL_PUSH_SERVICE_ACCOUNT": PUSH_SERVICE_ACCOUNT,
            "GMAIL_ADDON_SERVICE_ACCOUNTS": ADDON_SERVICE_ACCOUNT,
            "GMAIL_ADDON_CLIENT_ID": ADDON_CLIENT_ID,
            "GMAIL_API_URL": url,
            "GMAIL_BATCH_URL": f"{url}/batch/gmail/v1",
            "GMAIL_AUTHORIZE_URL": f"{url}/o/oauth2/v2/auth",
            "GMAIL_TOKEN_URL": f"{url}/token",
            "GMAIL_REVOKE_URL": f"{url}/revoke",
            "GMAIL_CERTIFICATES_URL": f"{url}/oauth2/v1/certs",
            "GMAIL_UNITS_PER_MINUTE": str(NO_LIMIT),
            "SIGN_IN_GOOGLE_CLIENT_ID": CLIENT_ID,
            "SIGN_IN_GOOGLE_CLIENT_SECRET": CLIENT_SECRET,
            "SIGN_IN_GOOGLE_METADATA_URL": f"{url}/.well-known/openid-configuration",
            **(self.pulled.start(url, clock) if self.pulled else {}),
        }

    def stop(self) -> None:
        """Stop serving and pushing."""
        self._pushes.stop()
        self._server.stop()
        if self.pulled is not None:
            self.pulled.stop()

    def show_addon(self, deployment: Mapping[str, Any]) -> str:
        """Install an add-on beside all mailboxes; return the page where to see it."""
        self._panel = Panel(self._mailboxes, self.addon, deployment)
        return f"{self._server.url}{PANEL_PATH}"

    def push_to(self, url: str) -> None:
        """Send pushes to this URL from now on."""
        self._pushes.url = url

    def settle(self) -> None:
        """Return when every push so far was answered (pulled: acknowledged) or given up; a late one once it is due."""
        with self._lock:
            now = self._clock.now()
            due = [held for held in self._held if held[0] is not None and held[0] <= now]
            self._held = [held for held in self._held if held not in due]
        for _, _, body in due:
            self._send(body)
        (self.pulled or self._pushes).settle()

    # --- mailboxes ---

    def add_mailbox(self, address: str, aliases: Sequence[str] = ()) -> None:
        """Open a mailbox; one that is open already gets the new aliases."""
        with self._lock:
            mailbox = self._mailboxes.get(address.lower())
            if mailbox is not None:
                mailbox.aliases = tuple(aliases)
                return
            number = len(self._mailboxes) + 1
            self._mailboxes[address.lower()] = SimulatedMailbox(
                address.lower(), f"{1_000_000_000_000_000_000 + number}", tuple(aliases), number
            )

    def consent(self, authorization_url: str, address: str) -> str:
        """Act as the mailbox owner's browser; return the URL it is sent back to."""
        address = address.lower()
        refused = self._faults.take("consent_refused", address)
        with self._lock:
            back = self._consents.agree(
                authorization_url,
                self._mailboxes[address].address,
                without_gmail=self._faults.take("scope_not_granted", address) is not None,
            )
        if refused is None:
            return back
        redirect_uri, _, query = back.partition("?")
        args = {"state": parse_qs(query)["state"][0], "error": refused.params.get("error", "access_denied")}
        return f"{redirect_uri}?{urlencode(args)}"

    def deliver(self, address: str, raw: bytes, *, at: datetime, folder: str = "inbox", push: bool = True) -> str:
        """Put a message into a mailbox. Folders: those of FOLDER_LABELS, or a label of the owner's."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            message = mailbox.add(raw, at, mailbox.labels_for(folder))
            if push and mailbox.shows_to_watch(message.labels):
                self._push(mailbox)
            return message.id

    def move(self, address: str, provider_id: str, folder: str) -> None:
        """Give a message the labels of another folder in place of its own."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            wanted, had = mailbox.labels_for(folder), mailbox.messages[provider_id].labels
        self.relabel(address, provider_id, add=wanted, remove=[label for label in had if label not in wanted])

    def relabel(self, address: str, provider_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Change a message's labels: archive it, rescue it from spam, put it in the trash."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            message = mailbox.relabel(provider_id, add, remove)
            if mailbox.shows_to_watch(message.labels):
                self._push(mailbox)

    def remove_label(self, address: str, name: str) -> None:
        """Delete a label of the owner's; its messages stay without it."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            gone = mailbox.own_labels.pop(name)
            for message in [each for each in mailbox.messages.values() if gone in each.labels]:
                mailbox.relabel(message.id, (), [gone])

    def delete(self, address: str, provider_id: str) -> None:
        """Delete a message for good."""
        with self._lock:
            mailbox = self._mailboxes[address.lower()]
            message = mailbox.delete(provider_id)
            if mailbox.shows_to_watch(message.labels):
                self._push(mailbox)

    def usage(self, address: str) -> Mapping[str, int]:
        """Return what the mailbox cost so far: units, requests, and a count for each operation."""
        with self._lock:
            return {"units": 0, "requests": 0, **self._mailboxes[address.lower()].usage}

    def message_ids(self, address: str) -> frozenset[str]:
        """Return every message id the mailbox ever listed."""
        with self._lock:
            return frozenset(self._mailboxes[address.lower()].listed)

    def is_watched(self, address: str) -> bool:
        """Whether a watch is on that has not ended."""
        with self._lock:
            expires_at = self._mailboxes[address.lower()].watch_expires_at
            return expires_at is not None and expires_at > self._clock.now()

    # --- faults ---

    @property
    def fault_kinds(self) -> frozenset[str]:
        """The names of all faults; simulator_faults.FAULTS says what each does."""
        return frozenset(FAULTS)

    def fault(self, kind: str, **params: Any) -> None:
        """Arm a fault: `count` moments (1; -1: always; 0: disarm), `mailbox` (all), and its own parameters."""
        if kind not in FAULTS:
            raise ValueError(f"Gmail has no fault {kind!r}; there are: {', '.join(sorted(FAULTS))}")
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
        if kind == "history_expired":
            mailbox.forget_history()
        elif kind == "token_revoked":
            self._consents.revoke_all(mailbox.address)
        elif kind == "watch_conflict":
            mailbox.has_foreign_watch = True
        elif kind == "watch_ended":
            mailbox.watch = mailbox.watch_expires_at = None
        else:
            self._churn(mailbox, params.get("times", 3))

    def _churn(self, mailbox: SimulatedMailbox, times: int) -> None:
        """Save a draft again and again: each time the old id goes and a new one comes."""
        previous = None
        for number in range(times):
            if previous is not None:
                mailbox.delete(previous)
            draft = f"From: {mailbox.address}\r\nSubject: Draft\r\n\r\nVersion {number}\r\n".encode()
            previous = mailbox.add(draft, self._clock.now(), FOLDER_LABELS["draft"]).id

    # --- pushes ---

    def push_request(self, address: str, position: int | str | None = None) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a push as Pub/Sub would send it now, without sending it."""
        with self._lock:
            mailbox = self._mailboxes.get(address.lower())
            reached = position if position is not None else mailbox.history_id if mailbox else 1
            return {"Content-Type": "application/json", **self._push_headers("")}, self._envelope(address, reached)

    def _push(self, mailbox: SimulatedMailbox) -> None:
        """Send what the mailbox has to tell, unless a fault has it otherwise."""
        now = self._clock.now()
        if mailbox.watch_expires_at is None or mailbox.watch_expires_at <= now:
            return
        last = self._pushed_at.get(mailbox.address)
        if self._drops_fast_pushes and last is not None and now - last < timedelta(seconds=1):
            return
        self._pushed_at[mailbox.address] = now
        if self._faults.take("lost_push", mailbox.address):
            return
        body = self._body_for(mailbox)
        if late := self._faults.take("late_push", mailbox.address):
            due = now + timedelta(seconds=late.params.get("by_s", 3600))
            self._held.append((due, mailbox.address, body))
            return
        if self._faults.take("out_of_order_push", mailbox.address):
            self._held.append((None, mailbox.address, body))
            return
        self._send(body)
        if self._faults.take("duplicate_push", mailbox.address):
            self._send(body)
        overtaken = [held for held in self._held if held[0] is None and held[1] == mailbox.address]
        self._held = [held for held in self._held if held not in overtaken]
        for _, _, held_body in overtaken:
            self._send(held_body)

    def _send(self, body: bytes) -> None:
        (self.pulled or self._pushes).send(body)

    def _body_for(self, mailbox: SimulatedMailbox) -> bytes:
        as_text = self._faults.take("string_history_id", mailbox.address) is not None
        reached = str(mailbox.history_id) if as_text else mailbox.history_id
        if self._faults.take("unwrapped_push", mailbox.address):
            return json.dumps({"emailAddress": mailbox.address, "historyId": reached}).encode()
        return self._envelope(mailbox.address, reached)

    def _envelope(self, address: str, position: int | str) -> bytes:
        self._made += 1
        data = base64.urlsafe_b64encode(json.dumps({"emailAddress": address, "historyId": position}).encode()).decode()
        published = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = {
            "data": data,
            "messageId": str(2_070_443_601_000_000 + self._made),
            "message_id": str(2_070_443_601_000_000 + self._made),
            "publishTime": published,
            "publish_time": published,
            "attributes": {},
        }
        return json.dumps({"message": message, "subscription": SUBSCRIPTION}).encode()

    def _push_headers(self, _url: str) -> dict[str, str]:
        now = self._clock.now()
        if self._faults.take("forged_push"):
            forger = Signer()
            forger.number = self.signer.number + 1_000  # a key Google never had, under the name of one it has
            token = forger.sign(push_claims(PUSH_AUDIENCE, now), kid=self.signer.key_id)
            return {"Authorization": f"Bearer {token}"}
        kept = self._push_token
        if kept is None or kept[1] != self.signer.key_id or abs(now - kept[0]) > PUSH_TOKEN_SERVES:
            kept = (now, self.signer.key_id, self.signer.sign(push_claims(PUSH_AUDIENCE, now)))
            self._push_token = kept
        return {"Authorization": f"Bearer {kept[2]}"}

    # --- HTTP ---

    def _answer(self, call: Call) -> Reply:
        if call.path.startswith("/gmail/v1/"):
            return self._api.answer(call)
        if call.path == "/batch/gmail/v1" and call.method == "POST":
            return self._api.answer_batch(call)
        if call.path == "/oauth2/v1/certs":
            if self._faults.take("certs_down"):
                return error_reply(503, "backendError", "Backend Error")
            return json_reply(self.signer.certificates(), Cache_Control="public, max-age=21600")
        if call.path == "/.well-known/openid-configuration":
            return json_reply(metadata(self._server.url))
        if call.path == "/oauth2/v3/certs":
            return json_reply(self.signer.key_set(), Cache_Control="public, max-age=21600")
        if self.pulled is not None and call.path.startswith("/v1/projects/") and call.method == "POST":
            return self.pulled.answer(call)
        if call.path == "/token" and call.method == "POST":
            return self._token(call)
        if call.path == "/revoke" and call.method == "POST":
            with self._lock:
                is_known = self._consents.revoke(_form(call).get("token") or call.one("token"))
            return json_reply({}) if is_known else json_reply({"error": "invalid_token"}, 400)
        if self._panel is not None and call.path.startswith(PANEL_PATH):
            return self._panel.answer(call)
        if call.path == "/o/oauth2/v2/auth":
            return self._consent_page(call)
        return error_reply(404, "notFound", "Not Found")

    def _token(self, call: Call) -> Reply:
        if self._faults.take("invalid_client"):
            return json_reply({"error": "invalid_client", "error_description": "Unauthorized"}, 401)
        if self._faults.take("token_endpoint_down"):
            return error_reply(503, "backendError", "Backend Error")
        form = _form(call)
        with self._lock:
            user_ids = {address: mailbox.user_id for address, mailbox in self._mailboxes.items()}
            try:
                if self.pulled is not None and form.get("grant_type") == JWT_GRANT:
                    return json_reply(self.pulled.token(form))
                return json_reply(self._consents.token(form, user_ids, self._clock.now()))
            except ConsentRefusedError as error:
                status = 401 if str(error) == "invalid_client" else 400
                return json_reply({"error": str(error), "error_description": "Refused by the simulator."}, status)

    def _consent_page(self, call: Call) -> Reply:
        """Show a browser whose mailbox to consent for; its choice sends it back."""
        query = {name: values[0] for name, values in call.query.items()}
        chosen = query.pop("choose", None)
        url = f"/o/oauth2/v2/auth?{urlencode(query)}"
        if chosen in self._mailboxes:
            try:
                return Reply(302, headers={"Location": self.consent(url, chosen)})
            except (ConsentRefusedError, LookupError) as error:
                return error_reply(400, "invalid_request", str(error))
        choices = "".join(
            f'<li><a href="{html.escape(url)}&amp;choose={quote(address)}">{html.escape(address)}</a></li>'
            for address in sorted(self._mailboxes)
        )
        page = f"<!DOCTYPE html><title>Simulated Google</title><h1>Choose an account</h1><ul>{choices}</ul>"
        return Reply(200, page.encode(), "text/html; charset=UTF-8")


def _form(call: Call) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(call.body.decode("ascii", "replace")).items()}
