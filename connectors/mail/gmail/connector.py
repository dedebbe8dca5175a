"""Gmail as a MailConnector: the facade over consent, pushes, changes and reading."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from app.errors import PermanentError, Rejected, Unavailable
from app.model import Handshake, Notification, ProviderMessage
from app.ports import (
    AddonCall,
    Authorization,
    Change,
    ChangePage,
    Clock,
    ConnectedMailbox,
    FetchOutcome,
    Mailbox,
    MailCapabilities,
    MailFolder,
    NotificationSource,
    PushRequest,
    Subscription,
)
from connectors.mail.gmail.addon import AddonReader
from connectors.mail.gmail.api import Access, GmailApi, list_of_objects, require_text
from connectors.mail.gmail.auth import GmailAuth, UnstoredCredentials
from connectors.mail.gmail.changes import MailboxChanges
from connectors.mail.gmail.failures import PROVIDER
from connectors.mail.gmail.labels import list_labels
from connectors.mail.gmail.normalize import EPOCH
from connectors.mail.gmail.pull import PubSubPull
from connectors.mail.gmail.push import PushReader
from connectors.mail.gmail.quota import Quota
from connectors.mail.gmail.reading import TEXTS_MISSING, MessageReader
from connectors.mail.gmail.settings import GmailSettings
from connectors.mail.gmail.signed import SignedTokens

RENEW_BEFORE_S = 6 * 86_400  # Google ends a watch after 7 days and recommends renewing it every day
# Labels whose messages push nothing. Leaving labels out, not in: mail that a filter archives on arrival pushes too.
SILENT_LABELS = ["DRAFT", "SPAM", "TRASH"]


class GmailConnector:
    """Reads Gmail mailboxes. `sleep` is injected for the few seconds a part of a batch waits for its second try."""

    provider = PROVIDER

    def __init__(
        self,
        settings: GmailSettings,
        public_base_url: str,
        clock: Clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._reads_texts = settings.scopes == "readonly"
        self._auth = GmailAuth(settings, clock)
        signed = SignedTokens(settings, clock)
        self._push = PushReader(settings, public_base_url, signed)
        self._addon = AddonReader(settings, self._auth, signed, clock)
        self._api = GmailApi(settings, self._auth, Quota(settings.units_per_minute, clock, sleep), clock)
        self._reader = MessageReader(self._api, settings, sleep)
        self._changes = MailboxChanges(self._api, can_search=self._reads_texts)
        self.capabilities = MailCapabilities(
            batch_size=settings.batch_size,
            subscription_renew_before_s=RENEW_BEFORE_S,
            authserv_id="mx.google.com",
            subscriptions=bool(settings.topic),
            folders=True,
            missing=_missing(settings),
        )

    def read_push(self, request: PushRequest) -> list[Notification] | Handshake:
        """Verify and decode what Pub/Sub pushed."""
        return self._push.read(request)

    def read_addon_call(self, request: PushRequest, url: str) -> AddonCall:
        """Verify that Google called this URL of the Gmail add-on, and read who did what."""
        return self._addon.read(request, url)

    def read_open_message(self, call: AddonCall) -> ProviderMessage | None:
        """Read the headers of the message beside which the add-on is open."""
        return self._addon.open_message(call)

    def pull_source(self) -> NotificationSource | None:
        """Return the Pub/Sub subscription, when GMAIL_PUBSUB_CREDENTIALS says who may pull it."""
        return PubSubPull(self._settings, self._clock) if self._settings.pubsub_credentials else None

    def authorize(self, redirect_uri: str, state: str, login_hint: str | None) -> Authorization:
        """Start the consent of one Google account."""
        return self._auth.authorize(redirect_uri, state, login_hint)

    def connect(self, redirect_uri: str, args: Mapping[str, str], kept: Mapping[str, str]) -> ConnectedMailbox:
        """Exchange the code, check what was granted, and ask Gmail for the mailbox's own name."""
        consent = self._auth.exchange(redirect_uri, args, kept)
        access = Access(f"new:{consent.user_id}", UnstoredCredentials(consent.secrets))
        profile = self._api.call(access, "profile", lambda users: users.getProfile(userId="me"))
        address = require_text(profile, "emailAddress", "connect").lower()
        return ConnectedMailbox(address, consent.user_id, address, consent.secrets)

    def disconnect(self, mailbox: Mailbox, *, last: bool) -> None:
        """Forget the tokens; for the last account of the mailbox end watch and consent, which all accounts share."""
        if last:
            # Access that has ended already is what is wanted.
            with suppress(PermanentError):
                self._api.call(Access.of(mailbox), "stop", lambda users: users.stop(userId="me"))
            with suppress(PermanentError):
                self._auth.revoke(mailbox.credentials)
        with mailbox.credentials.locked() as row:
            row.write({})

    def subscribe(self, mailbox: Mailbox) -> Subscription:
        """Watch the mailbox, or watch it again: both give a week. Its history id is no cursor and is not used."""
        try:
            watch = self._watch(mailbox)
        except Rejected:
            # "Only one user push notification client allowed per developer": an older watch, to another topic.
            self._api.call(Access.of(mailbox), "stop", lambda users: users.stop(userId="me"))
            watch = self._watch(mailbox)
        expiration = require_text(watch, "expiration", "watch")
        if not expiration.isdecimal() or len(expiration) > 15:
            raise Unavailable("Gmail's watch has no end", provider=PROVIDER, operation="watch")
        return Subscription(mailbox.account.mailbox, EPOCH + timedelta(milliseconds=int(expiration)))

    def own_addresses(self, mailbox: Mailbox) -> frozenset[str]:
        """Return the mailbox's address and those it may send as, as far as their owner confirmed them."""
        addresses = {mailbox.account.mailbox.lower()}
        if self._reads_texts:  # a consent for headers only does not cover settings
            answer = self._api.call(
                Access.of(mailbox), "send_as", lambda users: users.settings().sendAs().list(userId="me")
            )
            for entry in list_of_objects(answer, "sendAs"):
                address = entry.get("sendAsEmail")
                is_confirmed = entry.get("isPrimary") is True or entry.get("verificationStatus") == "accepted"
                if isinstance(address, str) and is_confirmed:
                    addresses.add(address.strip().lower())
        return frozenset(addresses)

    def list_folders(self, mailbox: Mailbox) -> Sequence[MailFolder]:
        """Return the labels to choose from."""
        return list_labels(self._api, mailbox)

    def list_changes(self, mailbox: Mailbox, cursor: str | None, until: str | None = None) -> Iterator[ChangePage]:
        """Yield what changed since the cursor, page by page."""
        return self._changes.since_cursor(mailbox, cursor, until)

    def recover(self, mailbox: Mailbox, since: datetime) -> Iterator[ChangePage]:
        """Read the mailbox again since a moment, from a position pinned before."""
        return self._changes.recover(mailbox, since)

    def list_window(self, mailbox: Mailbox, since: datetime) -> Iterator[tuple[Change, ...]]:
        """Yield every message id since a moment."""
        return self._changes.window(mailbox, since)

    def fetch(self, mailbox: Mailbox, provider_ids: Sequence[str]) -> list[FetchOutcome]:
        """Read messages in one batch; a part that fails for the moment is tried again alone."""
        return self._reader.fetch(mailbox, provider_ids)

    def fetch_original(self, mailbox: Mailbox, provider_id: str) -> bytes:
        """Return a mail whole, as it arrived."""
        return self._reader.original(mailbox, provider_id)

    def web_url(self, mailbox: Mailbox, provider_id: str) -> str:
        """Return the mail's place in Gmail; it is made of the address and the id, so nothing is asked."""
        owner = urlencode({"authuser": mailbox.account.mailbox})
        return f"https://mail.google.com/mail/?{owner}#all/{quote(provider_id, safe='')}"

    def _watch(self, mailbox: Mailbox) -> Mapping[str, Any]:
        body = {
            "topicName": self._settings.topic,
            "labelIds": SILENT_LABELS,
            "labelFilterBehavior": "exclude",  # labelFilterAction is deprecated: it goes wrong at times
        }
        return self._api.call(Access.of(mailbox), "watch", lambda users: users.watch(userId="me", body=body))


def _missing(settings: GmailSettings) -> dict[str, str]:
    missing = {}
    if not settings.client_id:
        missing["connect"] = "GMAIL_CLIENT_ID is not set: no mailbox can be connected."
    if not settings.topic:
        missing["subscriptions"] = "GMAIL_TOPIC is not set: new mail is found by asking every few minutes."
    if settings.scopes == "metadata":
        missing["texts"] = TEXTS_MISSING
    return missing
