"""Every error threadlink raises on purpose, grouped by what happens next.

The class of an error says what the caller does with it (jobs.py holds the one table); its docstring is the
sentence a person reads when nothing more exact is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class ThreadlinkError(Exception):
    """Something threadlink foresaw went wrong."""


class SettingsError(ThreadlinkError):
    """A setting is missing or wrong; the process does not start."""


class DatabaseUnreachable(ThreadlinkError):
    """The database could not be reached."""


class ScenarioError(ThreadlinkError):
    """A scenario file is wrong; the message names the file and the line."""


class SeedError(ThreadlinkError):
    """A CSV file for the CRM is wrong; the message names the file and the line."""


class MailUnreadable(ThreadlinkError, ValueError):
    """This is no e-mail: it has no header."""


# --- what a provider pushed: answered at once, never retried by us ---


class NotificationError(ThreadlinkError):
    """A notification was not accepted."""


class NotificationForged(NotificationError):
    """The notification does not prove that it comes from the provider."""


class NotificationMalformed(NotificationError):
    """The notification cannot be read; sending it again would not help."""


class VerificationUnavailable(NotificationError):
    """The keys to verify this notification could not be fetched; send it again later."""


# --- who signs in ---


class IssuerUnavailable(ThreadlinkError):
    """Google or Microsoft does not answer now, so nobody can sign in with it."""


# --- what a person asked for ---


class RequestRefused(ThreadlinkError):
    """The request was refused; `reason` is a code of linking.reasons."""

    def __init__(self, reason: str, message: str = "", **params: object) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.params = params


class NotAllowed(RequestRefused):
    """You may not do this."""


class NotFound(RequestRefused):
    """There is nothing here that you may see."""

    def __init__(self, reason: str = "not_found", message: str = "", **params: object) -> None:
        super().__init__(reason, message, **params)


class Conflict(RequestRefused):
    """This does not fit what is there now."""


class InvalidRequest(RequestRefused):
    """The request does not fit what is documented; `fields` says where, never with the value."""

    def __init__(self, fields: Sequence[Mapping[str, str]]) -> None:
        super().__init__("invalid_request")
        self.fields = list(fields)


class TooManyRequests(RequestRefused):
    """This was asked too often; `retry_after_s` says when it may be asked again."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("too_many_requests")
        self.retry_after_s = retry_after_s


class CrmNotReached(RequestRefused):
    """The CRM did not answer a person's request; `is_open` says that it may have been done all the same."""

    def __init__(self, *, is_open: bool, retry_after_s: float | None = None) -> None:
        super().__init__("crm_unreachable")
        self.is_open = is_open
        self.retry_after_s = retry_after_s


class CrmRests(ThreadlinkError):
    """The CRM is left alone for a while after it failed; nothing was asked of it."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"The CRM is left alone for {wait_s:.0f} s.")
        self.wait_s = wait_s


# --- what a vendor answered ---


class ProviderError(ThreadlinkError):
    """A vendor's API did not do what was asked."""

    def __init__(
        self, message: str = "", *, provider: str = "", operation: str = "", request_id: str | None = None
    ) -> None:
        super().__init__(message or (self.__doc__ or "").splitlines()[0])
        self.provider = provider
        self.operation = operation
        self.request_id = request_id


class TransientError(ProviderError):
    """The vendor could not answer now; it is asked again later."""

    def __init__(
        self,
        message: str = "",
        *,
        provider: str = "",
        operation: str = "",
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation, request_id=request_id)
        self.retry_after_s = retry_after_s


class RateLimited(TransientError):
    """The vendor asks us to slow down."""


class DailyLimitReached(RateLimited):
    """The vendor does no more for us today."""


class Unavailable(TransientError):
    """The vendor is not reachable or answers with an error of its own."""


class PermanentError(ProviderError):
    """Asking again would not help."""


class AccessRevoked(PermanentError):
    """The mailbox no longer accepts our access: connect it again."""


class AdminBlocked(PermanentError):
    """An administrator's policy or a missing consent blocks the access."""


class MailboxUnavailable(PermanentError):
    """The mailbox exists no longer or has no mail service."""


class CursorExpired(PermanentError):
    """The provider has forgotten our position; the mailbox is read again since the last good moment."""


class Gone(PermanentError):
    """The record was deleted at the vendor."""


class Rejected(PermanentError):
    """The vendor refused our data."""


class Unsupported(PermanentError):
    """The vendor cannot do this; the message is the sentence of the missing capability."""


class ApplicationMisconfigured(PermanentError):
    """Our own application is set up wrongly at the vendor; no account is at fault."""
