"""The one place that calls the Gmail API, with Google's own client library.

Every call takes its units from the mailbox's quota first, carries the mailbox's token, and fails with an error of
app.errors. httplib2 is not thread-safe, so each thread has one connection and one service, built once from the
discovery document the library carries; whose mailbox it is decides the token that goes along.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from app.errors import ProviderError, RateLimited, Unavailable
from app.ports import Clock, Credentials, Mailbox
from connectors.mail.gmail.auth import GmailAuth
from connectors.mail.gmail.failures import NO_ANSWER, PROVIDER, UNREADABLE, api_error
from connectors.mail.gmail.quota import UNITS, Quota
from connectors.mail.gmail.settings import GmailSettings
from connectors.mail.gmail.transport import AnswerTooLargeError, ThreadHttp

RequestOf = Callable[[Any], Any]  # from the library's users() resource to its request


@dataclass(frozen=True, slots=True)
class Access:
    """Whose mailbox is asked, and with which token."""

    mailbox: str
    credentials: Credentials
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # that go along with call()

    @classmethod
    def of(cls, mailbox: Mailbox) -> Access:
        """Return the access an account has."""
        return cls(mailbox.account.mailbox, mailbox.credentials)


class GmailApi:
    """Calls Gmail for one mailbox at a time, from any thread."""

    def __init__(self, settings: GmailSettings, auth: GmailAuth, quota: Quota, clock: Clock) -> None:
        self._settings = settings
        self._auth = auth
        self._quota = quota
        self._clock = clock
        self._local = threading.local()

    def call(self, access: Access, operation: str, request_of: RequestOf) -> Mapping[str, Any]:
        """Make one call and return the JSON object that was answered; empty when nothing was."""
        self._quota.spend(access.mailbox, UNITS[operation], operation)
        request = request_of(self._users())
        request.headers.update(access.headers)
        try:
            answer = request.execute(http=self._http_for(access), num_retries=0)
        except (ProviderError, HttpError, *NO_ANSWER, *UNREADABLE) as error:
            raise self._failure(error, access, operation) from error
        if operation == "stop":
            return {}
        if not isinstance(answer, dict):
            raise Unavailable("Gmail's answer is not an object", provider=PROVIDER, operation=operation)
        return answer

    def call_each(
        self, access: Access, operation: str, request_of: Mapping[str, RequestOf]
    ) -> dict[str, Mapping[str, Any] | ProviderError]:
        """Make several calls in one batch request; return an answer or an error for each that was answered.

        Those missing were not answered in a way that can be read. Raises what concerns all of them: no connection,
        no token, too many requests, or AnswerTooLargeError when they are too large together.
        """
        self._quota.spend(access.mailbox, UNITS[operation] * len(request_of), operation)
        outcomes: dict[str, Mapping[str, Any] | ProviderError] = {}

        def keep(key: str, answer: object, error: HttpError | None) -> None:
            if error is not None:
                outcomes[key] = self._failure(error, access, operation)
            elif isinstance(answer, dict):
                outcomes[key] = answer

        # The endpoint setting does not move the library's own batch address, so it is given here.
        batch = BatchHttpRequest(callback=keep, batch_uri=self._settings.batch_url)
        for key, request_for in request_of.items():
            batch.add(request_for(self._users()), request_id=key)
        try:
            batch.execute(http=self._http_for(access))
        except AnswerTooLargeError:
            raise
        except (ProviderError, HttpError, *NO_ANSWER) as error:
            raise self._failure(error, access, operation) from error
        except UNREADABLE:
            # One broken part breaks the library's walk over the others; whoever asked tries those again apart.
            return outcomes
        return outcomes

    def _failure(self, error: Exception, access: Access, operation: str) -> ProviderError:
        failure = api_error(error, operation=operation, now=self._clock.now())
        if isinstance(failure, RateLimited) and failure.retry_after_s is not None:
            self._quota.block(access.mailbox, failure.retry_after_s)
        return failure

    def _users(self) -> Any:
        """Return this thread's service, built without the network."""
        if not hasattr(self._local, "users"):
            self._local.http = ThreadHttp(self._settings.timeout_s)
            service = build(
                "gmail",
                "v1",
                http=self._local.http,
                client_options={"api_endpoint": self._settings.api_url},
                static_discovery=True,
                cache_discovery=False,
            )
            self._local.users = service.users()
        return self._local.users

    def _http_for(self, access: Access) -> AuthorizedHttp:
        self._users()
        token = self._auth.tokens(access.credentials)
        return AuthorizedHttp(token, http=self._local.http, max_refresh_attempts=1)


def require_text(answer: Mapping[str, Any], key: str, operation: str) -> str:
    """Return a text of an answer. Raises Unavailable when it is missing: then this is no answer of Gmail's."""
    value = answer.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise Unavailable(f"Gmail's answer lacks {key}", provider=PROVIDER, operation=operation)
    return value


def list_of_objects(answer: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a list in an answer; a page without the list is an empty page."""
    listed = answer.get(key)
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
