"""Reads messages in batches: each is fetched, gone, left out by a rule, or failed, and none holds up the others.

A message is read once, in the format that is needed: Gmail charges the same for each. Vendor page:
developers.google.com/gmail/api/guides/batch
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from app.errors import (
    AccessRevoked,
    AdminBlocked,
    ApplicationMisconfigured,
    Gone,
    MailboxUnavailable,
    ProviderError,
    Rejected,
    TransientError,
    Unavailable,
    Unsupported,
)
from app.ports import FailedMessage, Fetched, FetchOutcome, FilteredMessage, GoneMessage, Mailbox
from connectors.mail.gmail.api import Access, GmailApi, RequestOf
from connectors.mail.gmail.failures import PROVIDER
from connectors.mail.gmail.normalize import filter_rule, normalize
from connectors.mail.gmail.quota import LONGEST_SLEEP_S
from connectors.mail.gmail.settings import GmailSettings
from connectors.mail.gmail.transport import AnswerTooLargeError

# What the header reader, the grouping and the rules ask for, when the consent covers headers only.
METADATA_HEADERS = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Thread-Index",
    "Thread-Topic",
    "List-Id",
    "List-Unsubscribe",
    "Precedence",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponder",
    "X-Failed-Recipients",
    "X-MS-Exchange-Message-Is-Ndr",
    "Return-Path",
    "Content-Type",
    "Content-Class",
    "Delivered-To",
    "X-Forwarded-To",
    "X-Forwarded-For",
    "X-Original-From",
    "X-Original-Sender",
    "X-Google-Group-Id",
    "X-Google-Original-Message-ID",
    "Feedback-ID",
    "Authentication-Results",
]
WHOLE: Mapping[str, Any] = {"format": "full"}
AS_IT_ARRIVED: Mapping[str, Any] = {"format": "raw"}
HEADERS_ONLY: Mapping[str, Any] = {"format": "metadata", "metadataHeaders": METADATA_HEADERS}
TEXTS_MISSING = "The consent covers headers only: texts, attachments and alias addresses are not read."
# What concerns the account and not the one message: no other part would fare better.
CONCERNS_ALL = (AccessRevoked, AdminBlocked, MailboxUnavailable, ApplicationMisconfigured)


class MessageReader:
    """Reads messages of one mailbox at a time. `sleep` waits the moment before parts are tried again."""

    def __init__(self, api: GmailApi, settings: GmailSettings, sleep: Callable[[float], None]) -> None:
        self._api = api
        self._sleep = sleep
        self._format = HEADERS_ONLY if settings.scopes == "metadata" else WHOLE
        again = min(settings.retry_batch_size, settings.batch_size)
        self._batch_sizes = (settings.batch_size, again, max(1, again // 2), 1)

    def fetch(self, mailbox: Mailbox, provider_ids: Sequence[str]) -> list[FetchOutcome]:
        """Return one outcome for each id. Raises what concerns the whole account, as long as nothing was read.

        Gmail refuses single parts ("Too many concurrent requests for user") while the batch itself succeeds: those
        are tried again alone, in ever smaller batches.
        """
        outcomes: dict[str, FetchOutcome] = {}
        waiting = list(dict.fromkeys(provider_ids))
        for round_number, size in enumerate(self._batch_sizes):
            if round_number:
                backoff_s = 2.0 ** (round_number - 2) * (0.5 + random.random())  # noqa: S311  # not a secret
                self._sleep(max(backoff_s, *(_asked_wait_s(outcomes[provider_id]) for provider_id in waiting)))
            for first in range(0, len(waiting), size):
                batch = waiting[first : first + size]
                try:
                    outcomes.update(self._read_bounded(mailbox, batch))
                except TransientError as error:
                    if not outcomes:
                        raise
                    # Gmail itself is away now, not a single message: what was read is kept, the rest comes later.
                    left = {provider_id: FailedMessage(provider_id, error) for provider_id in waiting[first:]}
                    return list({**outcomes, **left}.values())
            waiting = [provider_id for provider_id in waiting if _is_worth_a_moment(outcomes[provider_id])]
            if not waiting:
                break
        return list(outcomes.values())

    def original(self, mailbox: Mailbox, provider_id: str) -> bytes:
        """Return a mail as it arrived. Raises Gone, Unsupported, and Rejected above 25 MB in base64."""
        if self._format is HEADERS_ONLY:
            raise Unsupported(TEXTS_MISSING, provider=PROVIDER, operation="get")
        form = {provider_id: _get(provider_id, AS_IT_ARRIVED)}
        try:
            answer = self._api.call_each(Access.of(mailbox), "get", form).get(provider_id)
        except AnswerTooLargeError:
            raise Rejected("The message is too large", provider=PROVIDER, operation="get") from None
        if isinstance(answer, ProviderError):
            raise answer
        written = answer.get("raw") if answer is not None and answer.get("id") == provider_id else None
        if answer is None or not isinstance(written, str):
            raise Unavailable("Gmail did not send the message", provider=PROVIDER, operation="get")
        if filter_rule(answer.get("labelIds")) is not None:
            raise Gone(provider=PROVIDER, operation="get")
        try:
            return base64.b64decode(written + "=" * (-len(written) % 4), altchars=b"-_")
        except ValueError:
            raise Unavailable("Gmail's message cannot be read", provider=PROVIDER, operation="get") from None

    def _read_bounded(self, mailbox: Mailbox, batch: Sequence[str]) -> dict[str, FetchOutcome]:
        """Read a batch, in halves where it is too large at once; of a message too large alone only the headers."""
        try:
            return self._read(mailbox, batch, self._format)
        except AnswerTooLargeError:
            middle = len(batch) // 2
        if middle:
            return {**self._read_bounded(mailbox, batch[:middle]), **self._read_bounded(mailbox, batch[middle:])}
        try:
            return self._read(mailbox, batch, HEADERS_ONLY, parked="too large")
        except AnswerTooLargeError:
            too_large = Rejected("The message's headers are too large", provider=PROVIDER, operation="get")
            return {batch[0]: FailedMessage(batch[0], too_large)}

    def _read(
        self, mailbox: Mailbox, batch: Sequence[str], form: Mapping[str, Any], parked: str | None = None
    ) -> dict[str, FetchOutcome]:
        answers = self._api.call_each(Access.of(mailbox), "get", {key: _get(key, form) for key in batch})
        no_answer = Unavailable("The batch held no answer for it", provider=PROVIDER, operation="get")
        return {
            provider_id: _outcome(provider_id, answers.get(provider_id, no_answer), parked, mailbox.account.folders)
            for provider_id in batch
        }


def _get(provider_id: str, form: Mapping[str, Any]) -> RequestOf:
    return lambda users: users.messages().get(userId="me", id=provider_id, **form)


def _outcome(
    provider_id: str, answer: Mapping[str, Any] | ProviderError, parked: str | None, chosen: Collection[str]
) -> FetchOutcome:
    if isinstance(answer, Gone):
        return GoneMessage(provider_id)
    if isinstance(answer, CONCERNS_ALL):
        raise answer
    if isinstance(answer, ProviderError):
        return FailedMessage(provider_id, answer)
    if answer.get("id") != provider_id:
        return FailedMessage(
            provider_id, Unavailable("Gmail answered with another message", provider=PROVIDER, operation="get")
        )
    rule = filter_rule(answer.get("labelIds"), chosen)
    if rule is not None:
        return FilteredMessage(provider_id, rule)
    try:
        return Fetched(provider_id, normalize(answer, parked=parked))
    except ValueError as error:
        return FailedMessage(provider_id, Rejected(str(error), provider=PROVIDER, operation="get"))


def _is_worth_a_moment(outcome: FetchOutcome) -> bool:
    """Whether a message failed in a way that a few seconds may mend."""
    is_transient = isinstance(outcome, FailedMessage) and isinstance(outcome.error, TransientError)
    return is_transient and _asked_wait_s(outcome) <= LONGEST_SLEEP_S


def _asked_wait_s(outcome: FetchOutcome) -> float:
    """Return how long Gmail asked us to leave a message alone."""
    error = outcome.error if isinstance(outcome, FailedMessage) else None
    return error.retry_after_s or 0.0 if isinstance(error, TransientError) else 0.0
