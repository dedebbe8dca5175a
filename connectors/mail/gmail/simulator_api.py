"""Answers the Gmail API's calls from the simulated mailboxes. Part of the simulator."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from app.ports import Clock
from connectors.mail.gmail.simulator_google import Consents, Grant
from connectors.mail.gmail.simulator_http import answer_batch, error_reply
from connectors.mail.gmail.simulator_mailbox import HISTORY_KINDS, SimulatedMailbox
from connectors.mail.gmail.simulator_payload import attachment_of, base64url
from connectors.simulated_faults import Fault, Faults
from connectors.simulated_http import Call, Reply, json_reply

# Quota units of 2026, by operation.
UNITS: Mapping[str, int] = {
    "profile": 1,
    "watch": 100,
    "stop": 50,
    "history": 2,
    "list": 5,
    "get": 20,
    "thread": 40,
    "attachment": 20,
    "labels": 1,
    "send_as": 1,
}
WATCH_LASTS = timedelta(days=7)
TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
NOT_FOUND = "Requested entity was not found."
SYSTEM_LABELS = (
    "INBOX", "SENT", "UNREAD", "DRAFT", "SPAM", "TRASH", "STARRED", "IMPORTANT", "CHAT", "CATEGORY_PERSONAL",
    "CATEGORY_SOCIAL", "CATEGORY_UPDATES", "CATEGORY_FORUMS", "CATEGORY_PROMOTIONS",
)  # fmt: skip
REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "daily_limit": (403, "dailyLimitExceeded", "Daily Limit Exceeded"),
    "unauthorized_once": (401, "authError", "Invalid Credentials"),
    "insufficient_permissions": (403, "insufficientPermissions", "Request had insufficient authentication scopes."),
    "domain_policy": (403, "domainPolicy", "The domain administrators have disabled Gmail apps."),
    "mail_disabled": (400, "failedPrecondition", "Mail service not enabled"),
    "bad_request": (400, "invalidArgument", "Request contains an invalid argument."),
    "failed_precondition": (400, "failedPrecondition", "Precondition check failed."),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A call together with the mailbox it may read."""

    call: Call
    mailbox: SimulatedMailbox
    ids: tuple[str, ...]  # those named in the path
    is_metadata_only: bool


class SimulatedApi:
    """The API of all mailboxes. `on_change` is told when a mailbox has something to push."""

    def __init__(
        self,
        mailboxes: Mapping[str, SimulatedMailbox],
        consents: Consents,
        faults: Faults,
        clock: Clock,
        lock: threading.RLock,
        on_change: Callable[[SimulatedMailbox], None],
    ) -> None:
        self._mailboxes = mailboxes
        self._consents = consents
        self._faults = faults
        self._clock = clock
        self._lock = lock
        self._on_change = on_change
        self._routes: tuple[tuple[str, re.Pattern[str], str, Callable[[Asked], Reply]], ...] = tuple(
            (method, re.compile(f"/gmail/v1/users/([^/]+)/{path}"), operation, answer)
            for method, path, operation, answer in (
                ("GET", "profile", "profile", self._profile),
                ("POST", "watch", "watch", self._watch),
                ("POST", "stop", "stop", self._stop),
                ("GET", "history", "history", self._history),
                ("GET", "messages", "list", self._list),
                ("GET", "messages/([^/]+)", "get", self._get),
                ("GET", "messages/([^/]+)/attachments/([^/]+)", "attachment", self._attachment),
                ("GET", "threads/([^/]+)", "thread", self._thread),
                ("GET", "labels", "labels", self._labels),
                ("GET", "settings/sendAs", "send_as", self._send_as),
            )
        )

    def answer(self, call: Call) -> Reply:
        """Answer one call that came alone."""
        with self._lock:
            return self._answer(call, is_part=False)

    def answer_batch(self, call: Call) -> Reply:
        """Answer a batch; each part is charged on its own."""
        with self._lock:
            mailbox = self._mailbox_of(self._grant_of(call))
            if mailbox is not None:
                mailbox.usage.update(requests=1, batch=1)
                fault = self._fault_of_call(mailbox, "batch")
                if fault is not None:
                    return fault
            reply = answer_batch(call, lambda part: self._answer(part, is_part=True), self._is_part_missing)
        return self._spoiled(reply, mailbox, "batch")

    def _answer(self, call: Call, *, is_part: bool) -> Reply:
        for method, pattern, operation, answer in self._routes:
            match = pattern.fullmatch(call.path)
            if match is None or method != call.method:
                continue
            grant = self._grant_of(call)
            mailbox = self._mailbox_of(grant)
            if grant is None or mailbox is None:
                return error_reply(401, "authError", "Invalid Credentials")
            mailbox.usage.update({"units": UNITS[operation], operation: 1, "requests": not is_part})
            if match[1] not in {"me", mailbox.address}:
                return error_reply(403, "forbidden", f"Delegation denied for {mailbox.address}")
            refused = self._fault_of_part(mailbox) if is_part else self._fault_of_call(mailbox, operation)
            if refused is not None:
                return refused
            if grant.lent_for is not None and not _is_lent(grant, call, operation, match.groups()[1:]):
                return error_reply(*REFUSALS["insufficient_permissions"])
            reply = answer(Asked(call, mailbox, match.groups()[1:], "metadata" in grant.scope))
            return reply if is_part else self._spoiled(reply, mailbox, operation)
        return error_reply(404, "notFound", "Not Found")

    def _grant_of(self, call: Call) -> Grant | None:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        return self._consents.owner_of(token, self._clock.now())

    def _mailbox_of(self, grant: Grant | None) -> SimulatedMailbox | None:
        return self._mailboxes[grant.address] if grant else None

    # --- faults ---

    def _fault_of_call(self, mailbox: SimulatedMailbox, operation: str) -> Reply | None:
        """Return what a fault answers in place of the API."""

        def strikes(kind: str) -> Fault | None:
            return self._faults.take(kind, mailbox.address, operation=operation)

        if fault := strikes("rate_limited"):
            return self._rate_limited(fault)
        for kind, refusal in REFUSALS.items():
            if strikes(kind):
                return error_reply(*refusal)
        if fault := strikes("server_error"):
            return error_reply(fault.params.get("status", 503), "backendError", "Backend Error")
        if fault := strikes("html_error"):
            page = b"<!DOCTYPE html><title>Error</title><p>That's an error."
            return Reply(fault.params.get("status", 200), page, "text/html; charset=UTF-8")
        if strikes("empty_answer"):
            return json_reply({})
        if strikes("connection_dropped"):
            return Reply(500, drop=True)
        return None

    def _fault_of_part(self, mailbox: SimulatedMailbox) -> Reply | None:
        if self._faults.take("batch_part_429", mailbox.address):
            return error_reply(429, "rateLimitExceeded", "Too many concurrent requests for user")
        if self._faults.take("batch_part_500", mailbox.address):
            return error_reply(500, "backendError", "Backend Error")
        return None

    def _is_part_missing(self) -> bool:
        return self._faults.take("batch_part_missing") is not None

    def _rate_limited(self, fault: Fault) -> Reply:
        wait_s = fault.params.get("retry_after_s", 30)
        status = fault.params.get("status", 429)
        if fault.params.get("header", True):
            return error_reply(status, "rateLimitExceeded", "Quota exceeded.", Retry_After=str(wait_s))
        until = (self._clock.now() + timedelta(seconds=wait_s)).isoformat(timespec="milliseconds")
        message = f"User-rate limit exceeded.  Retry after {until.replace('+00:00', 'Z')}"
        return error_reply(status, "userRateLimitExceeded", message)

    def _spoiled(self, reply: Reply, mailbox: SimulatedMailbox | None, operation: str) -> Reply:
        """Return the answer as a fault of the way back leaves it."""
        address = mailbox.address if mailbox else None
        body, cut, delay_s = reply.body, reply.cut, reply.delay_s
        if self._faults.take("truncated_json", address, operation=operation):
            body = body[: len(body) // 2]
        if self._faults.take("connection_cut", address, operation=operation):
            cut = True
        if fault := self._faults.take("slow", address, operation=operation):
            delay_s = fault.params.get("seconds", 1.0)
        return Reply(reply.status, body, reply.content_type, reply.headers, delay_s, cut)

    # --- calls ---

    def _profile(self, asked: Asked) -> Reply:
        mailbox = asked.mailbox
        is_wrong = self._faults.take("wrong_profile", mailbox.address)
        threads = {message.thread_id for message in mailbox.messages.values()}
        return json_reply(
            {
                "emailAddress": f"somebody-else-{mailbox.address}" if is_wrong else mailbox.address,
                "messagesTotal": len(mailbox.messages),
                "threadsTotal": len(threads),
                "historyId": str(mailbox.history_id),
            }
        )

    def _watch(self, asked: Asked) -> Reply:
        mailbox, body = asked.mailbox, _json_object(asked.call.body)
        if not TOPIC.fullmatch(str(body.get("topicName"))):
            return error_reply(400, "invalidArgument", "Invalid topicName does not match projects/simulated/topics/*")
        if self._faults.take("watch_forbidden", mailbox.address):
            message = f"Error sending test message to Cloud PubSub {body['topicName']} : User not authorized"
            return error_reply(403, "forbidden", f"{message} to perform this action.")
        if mailbox.has_foreign_watch:
            message = "Only one user push notification client allowed per developer (call /stop then try again)"
            return error_reply(400, "failedPrecondition", message)
        mailbox.watch = body
        mailbox.watch_expires_at = self._clock.now() + WATCH_LASTS
        self._on_change(mailbox)
        expiration = int(mailbox.watch_expires_at.timestamp() * 1000)
        return json_reply({"historyId": str(mailbox.history_id), "expiration": str(expiration)})

    def _stop(self, asked: Asked) -> Reply:
        asked.mailbox.watch = asked.mailbox.watch_expires_at = None
        asked.mailbox.has_foreign_watch = False
        return Reply(204)

    def _history(self, asked: Asked) -> Reply:
        mailbox, call = asked.mailbox, asked.call
        start = call.one("startHistoryId")
        if not start.isdecimal():
            return error_reply(400, "invalidArgument", "Missing required parameter: startHistoryId")
        if not mailbox.oldest_history_id <= int(start) <= mailbox.history_id:
            return error_reply(404, "notFound", NOT_FOUND)
        up_to = mailbox.history_id
        if (fault := self._faults.take("history_lag", mailbox.address)) and mailbox.history:
            up_to = mailbox.history[-min(fault.params.get("records", 1), len(mailbox.history))].id - 1
        page_token = call.one("pageToken")
        if page_token and self._is_refused_token(mailbox, page_token):
            return error_reply(400, "invalidArgument", "Invalid pageToken")
        if self._faults.take("empty_page_with_token", mailbox.address):
            return json_reply({"nextPageToken": page_token or start, "historyId": str(up_to)})
        kinds = [kind for kind in call.query.get("historyTypes", []) if kind in HISTORY_KINDS]
        records = mailbox.changes(int(page_token or start), kinds, up_to, call.one("labelId") or None)
        page = records[: _page_size(call)]
        mailbox.listed.update(record.message_id for record in page)
        with_labels = self._faults.take("history_without_labels", mailbox.address) is None
        answer: dict[str, Any] = {"historyId": str(up_to)}
        if page:
            answer["history"] = [mailbox.show_record(record, with_labels=with_labels) for record in page]
        if len(page) < len(records):
            answer["nextPageToken"] = str(page[-1].id)
        return json_reply(answer)

    def _list(self, asked: Asked) -> Reply:
        mailbox, call = asked.mailbox, asked.call
        if asked.is_metadata_only and "q" in call.query:
            return error_reply(403, "forbidden", "Metadata scope does not support 'q' parameter")
        page_token = call.one("pageToken")
        if page_token and self._is_refused_token(mailbox, page_token):
            return error_reply(400, "invalidArgument", "Invalid pageToken")
        with_spam_and_trash = call.one("includeSpamTrash") == "true"
        labels = call.query.get("labelIds", [])
        unknown = next((each for each in labels if each not in {*SYSTEM_LABELS, *mailbox.own_labels.values()}), None)
        if unknown is not None:
            return error_reply(400, "invalidArgument", f"Invalid label: {unknown}")
        found = mailbox.find(call.one("q"), labels, with_spam_and_trash=with_spam_and_trash)
        if page_token:
            found = [message for message in found if f"{message.at.timestamp():020.3f}.{message.id}" < page_token]
        page = found[: _page_size(call)]
        mailbox.listed.update(message.id for message in page)
        answer: dict[str, Any] = {"resultSizeEstimate": len(found)}
        if page:
            answer["messages"] = [{"id": message.id, "threadId": message.thread_id} for message in page]
        if len(page) < len(found):
            answer["nextPageToken"] = f"{page[-1].at.timestamp():020.3f}.{page[-1].id}"
        return json_reply(answer)

    def _get(self, asked: Asked) -> Reply:
        mailbox, form = asked.mailbox, asked.call.one("format", "full")
        if asked.is_metadata_only and form in {"full", "raw"}:
            return error_reply(403, "forbidden", f"Metadata scope doesn't allow format {form.upper()}")
        message = mailbox.messages.get(asked.ids[0])
        if message is not None and self._faults.take("message_gone", mailbox.address, provider_id=message.id):
            mailbox.delete(message.id)
            message = None
        if message is None:
            return error_reply(404, "notFound", NOT_FOUND)
        return json_reply(message.show(form, asked.call.query.get("metadataHeaders", [])))

    def _attachment(self, asked: Asked) -> Reply:
        message = asked.mailbox.messages.get(asked.ids[0])
        content = attachment_of(message.raw, asked.ids[1]) if message else None
        if content is None:
            return error_reply(404, "notFound", NOT_FOUND)
        return json_reply({"size": len(content), "data": base64url(content)})

    def _thread(self, asked: Asked) -> Reply:
        mailbox, form = asked.mailbox, asked.call.one("format", "full")
        messages = [message for message in mailbox.messages.values() if message.thread_id == asked.ids[0]]
        if not messages:
            return error_reply(404, "notFound", NOT_FOUND)
        shown = [message.show(form) for message in sorted(messages, key=lambda message: message.at)]
        return json_reply({"id": asked.ids[0], "historyId": str(mailbox.history_id), "messages": shown})

    def _labels(self, asked: Asked) -> Reply:
        system = [{"id": name, "name": name, "type": "system"} for name in SYSTEM_LABELS]
        own = [{"id": id_, "name": name, "type": "user"} for name, id_ in asked.mailbox.own_labels.items()]
        return json_reply({"labels": [*system, *own]})

    def _send_as(self, asked: Asked) -> Reply:
        if asked.is_metadata_only:
            return error_reply(*REFUSALS["insufficient_permissions"])
        mailbox = asked.mailbox
        entries: list[dict[str, Any]] = [
            {"sendAsEmail": mailbox.address, "displayName": "", "isPrimary": True, "isDefault": True}
        ]
        entries += [
            {"sendAsEmail": alias, "displayName": "", "treatAsAlias": True, "verificationStatus": "accepted"}
            for alias in mailbox.aliases
        ]
        return json_reply({"sendAs": entries})

    def _is_refused_token(self, mailbox: SimulatedMailbox, page_token: str) -> bool:
        is_readable = re.fullmatch(r"[0-9]+(\.[0-9]+\.[0-9a-f]+)?", page_token)
        return is_readable is None or self._faults.take("page_token_expired", mailbox.address) is not None


def _is_lent(grant: Grant, call: Call, operation: str, ids: tuple[str, ...]) -> bool:
    """Whether an add-on may make this call: for the message it is open beside, with that message's own token."""
    token = call.headers.get("x-goog-gmail-access-token", "")
    return operation == "get" and "current.message" in grant.scope and grant.lent_for == (*ids, token)


def _page_size(call: Call) -> int:
    asked = call.one("maxResults")
    return max(1, min(int(asked), 500)) if asked.isdecimal() else 100


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        read = json.loads(body)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
