"""Reads what Google sends when somebody uses the Gmail add-on: is it Google's, who is it, which message is open.

Two tokens come along: Google's own, made for the URL that is called, and one of the person, made for the add-on's OAuth
client. Both are verified; neither is kept. Vendor pages, below developers.google.com/workspace/add-ons:
guides/alternate-runtimes, concepts/event-objects
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.errors import Gone, NotificationMalformed
from app.model import ProviderMessage
from app.ports import AddonCall, Clock, PushRequest
from connectors.mail.gmail.api import Access, GmailApi
from connectors.mail.gmail.auth import GmailAuth, UnstoredCredentials
from connectors.mail.gmail.normalize import normalize
from connectors.mail.gmail.quota import Quota
from connectors.mail.gmail.reading import HEADERS_ONLY
from connectors.mail.gmail.settings import GmailSettings
from connectors.mail.gmail.signed import SignedTokens, bearer

LONGEST_CALL = 200_000  # bytes
LONGEST_VALUE = 4_000  # characters of one parameter or field
MOST_VALUES = 100
OPEN_MESSAGE_TIMEOUT_S = 5  # somebody looks at an empty card meanwhile

# What the add-on asks people for (manifest/gmail/deployment.json): who they are, and the headers of the open message.
WHO = "https://www.googleapis.com/auth/userinfo.email"
OPEN_MESSAGE = "https://www.googleapis.com/auth/gmail.addons.current.message.metadata"

SIGNS_IN_WITH = "google"  # what signing in calls the issuer (bootstrap.sign_in_issuers)

_SERVER_ID = re.compile(r"(?:msg|thread)-f:([0-9]{1,20})")
_API_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class AddonReader:
    """Verifies and reads calls of the add-on, and reads the message that is open beside it."""

    def __init__(self, settings: GmailSettings, auth: GmailAuth, tokens: SignedTokens, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens = tokens
        quick = settings.model_copy(update={"timeout_s": min(settings.timeout_s, OPEN_MESSAGE_TIMEOUT_S)})
        self._api = GmailApi(quick, auth, Quota(settings.units_per_minute, clock, _never_wait), clock)

    def read(self, request: PushRequest, url: str) -> AddonCall:
        """Verify and read a call of the add-on at this URL.

        Raises NotificationForged, NotificationMalformed or VerificationUnavailable.
        """
        system_token = bearer(request.headers.get("authorization", ""))
        self._tokens.of_service_account(system_token, url, self._settings.addon_service_accounts)
        event = _event(request.body)
        authorization, common, gmail = (
            _object(event.get(part)) for part in ("authorizationEventObject", "commonEventObject", "gmail")
        )
        user_token = _text(authorization.get("userIdToken"))
        claims = self._tokens.of_person(user_token, self._settings.addon_client_id) if user_token else {}
        is_verified = claims.get("email_verified") is True
        return AddonCall(
            user_id=_text(claims.get("sub")),
            issuer=SIGNS_IN_WITH,
            address=_text(claims.get("email")).lower() if is_verified else "",
            message_id=api_id(_text(gmail.get("messageId"))),
            locale=_text(common.get("userLocale")),
            time_zone=_text(_object(common.get("timeZone")).get("id")),
            parameters=_parameters(common.get("parameters")),
            inputs=_inputs(common.get("formInputs")),
            missing=_missing(authorization, is_known=bool(claims)),
            tokens={
                "user": _text(authorization.get("userOAuthToken")),
                "message": _text(gmail.get("accessToken")),
            },
        )

    def open_message(self, call: AddonCall) -> ProviderMessage | None:
        """Read the headers of the open message with the person's own token, which Google made for this one call.

        Raises ProviderError.
        """
        token = call.tokens.get("user")
        if not token or not call.message_id:
            return None
        usable_until = self._clock.now().timestamp() + 3600
        credentials = UnstoredCredentials({"access_token": token, "expires_at": usable_until})
        headers = {"X-Goog-Gmail-Access-Token": call.tokens.get("message", "")}
        access = Access(f"addon:{call.user_id}", credentials, headers)
        try:
            answer = self._api.call(
                access, "get", lambda users: users.messages().get(userId="me", id=call.message_id, **HEADERS_ONLY)
            )
            return normalize(answer)
        except (Gone, ValueError):  # deleted, or nothing that can be read as a message
            return None


def api_id(message_id: str) -> str:
    """Return an id as the Gmail API calls it: an add-on is told `msg-f:` and the same number in decimal.

    "" for what the API cannot know, such as a draft that has not reached the server.
    """
    server_id = _SERVER_ID.fullmatch(message_id)
    if server_id:
        return format(int(server_id[1]), "x")
    return message_id if _API_ID.fullmatch(message_id) else ""


def _never_wait(_seconds: float) -> None:
    """Go on: Google itself says when somebody clicks too fast."""


def _missing(authorization: Mapping[str, Any], *, is_known: bool) -> tuple[str, ...]:
    """Return the permissions that were asked for and not given; nothing is missing where Google does not say."""
    missing = set() if is_known else {WHO}
    given = authorization.get("authorizedScopes")
    if isinstance(given, list):
        of_message = (OPEN_MESSAGE, OPEN_MESSAGE.replace(".metadata", ".readonly"))
        missing |= set() if any(scope in given for scope in of_message) else {OPEN_MESSAGE}
    return tuple(sorted(missing))


def _event(body: bytes) -> Mapping[str, Any]:
    try:
        read = json.loads(body) if len(body) <= LONGEST_CALL else None
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise NotificationMalformed("The call is not a JSON object")
    return read


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """Return a text that can be stored and shown, else ""."""
    is_usable = isinstance(value, str) and len(value) <= LONGEST_VALUE * 2 and value.isprintable()
    return str(value) if is_usable else ""


def _parameters(value: object) -> dict[str, str]:
    """Return what a button carries: an object, or a list of key and value."""
    if isinstance(value, list):
        value = {_text(_object(one).get("key")): _object(one).get("value") for one in value}
    return {_text(key): _text(each)[:LONGEST_VALUE] for key, each in list(_object(value).items())[:MOST_VALUES]}


def _inputs(value: object) -> dict[str, tuple[str, ...]]:
    """Return what stands in the fields of the card, each with its values."""
    found = {}
    for name, given in list(_object(value).items())[:MOST_VALUES]:
        values = _object(_object(given).get("stringInputs")).get("value")
        listed = values[:MOST_VALUES] if isinstance(values, list) else []
        found[_text(name)] = tuple(_text(each)[:LONGEST_VALUE] for each in listed)
    return found
