"""Answers Graph's calls from the simulated mailboxes. Part of the simulator."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from app.ports import Clock
from connectors.mail.graph.simulator_batch import answer_batch, asks_for
from connectors.mail.graph.simulator_delta import (
    Page,
    PositionExpiredError,
    folders_page,
    messages_page,
    position_of,
    show_folder,
)
from connectors.mail.graph.simulator_listing import InefficientFilterError, listed, page_size
from connectors.mail.graph.simulator_login import Grant, Login
from connectors.mail.graph.simulator_mailbox import SimulatedMailbox
from connectors.mail.graph.simulator_replies import (
    CONCURRENCY,
    error_reply,
    json_object,
    refused_by_fault,
    spoiled,
)
from connectors.mail.graph.simulator_subscriptions import RefusedError, Subscriptions
from connectors.mail.graph.simulator_view import View
from connectors.simulated_faults import Faults
from connectors.simulated_http import Call, Reply, json_reply

VERSION = "/v1.0"
MOST_AT_ONCE = 4  # requests to one mailbox; the parts of a batch count
USER = "(?:me|users/(?P<user>[^/]+))"
FOLDER = f"{USER}/mailFolders/(?P<folder>[^/]+)"
OPERATIONS: tuple[tuple[str, str, str], ...] = (
    ("GET", USER, "user"),
    ("GET", f"{USER}/mailFolders", "folders"),
    ("GET", f"{USER}/mailFolders/delta", "folder_delta"),
    ("GET", FOLDER, "folder"),
    ("GET", f"{FOLDER}/childFolders", "child_folders"),
    ("GET", f"{FOLDER}/messages", "list"),
    ("GET", f"{FOLDER}/messages/delta", "delta"),
    ("GET", f"{USER}/messages", "list"),
    ("GET", f"{USER}/messages/(?P<message>[^/]+)", "get"),
    ("GET", f"{USER}/messages/(?P<message>[^/]+)/\\$value", "mime"),
    ("GET", f"{USER}/messages/(?P<message>[^/]+)/attachments", "attachments"),
    ("POST", f"{USER}/translateExchangeIds", "translate"),
    ("POST", "subscriptions", "subscribe"),
    ("GET", "subscriptions", "subscription_list"),
    ("GET", "subscriptions/(?P<id>[^/]+)", "subscription"),
    ("PATCH", "subscriptions/(?P<id>[^/]+)", "renew"),
    ("DELETE", "subscriptions/(?P<id>[^/]+)", "unsubscribe"),
    ("POST", "subscriptions/(?P<id>[^/]+)/reauthorize", "reauthorize"),
)
_ROUTES = tuple((method, re.compile(path, re.IGNORECASE), operation) for method, path, operation in OPERATIONS)
_KEY = re.compile(r"\('([^']*)'\)")  # users('x') is another way to write users/x


@dataclass(frozen=True, slots=True)
class Asked:
    """A call, whose access it comes with, and the mailbox it is about."""

    call: Call
    grant: Grant
    mailbox: SimulatedMailbox | None
    names: Mapping[str, str]

    @property
    def box(self) -> SimulatedMailbox:
        """The mailbox, which every route below a user has."""
        if self.mailbox is None:
            raise LookupError
        return self.mailbox


class SimulatedApi:
    """The API of all mailboxes; `calls` are all that came, the parts of batches too."""

    def __init__(
        self,
        mailboxes: Mapping[str, SimulatedMailbox],
        login: Login,
        subscriptions: Subscriptions,
        faults: Faults,
        clock: Clock,
        lock: threading.RLock,
    ) -> None:
        self._mailboxes = mailboxes
        self._login = login
        self._subscriptions = subscriptions
        self._faults = faults
        self._clock = clock
        self._lock = lock
        self.calls: list[tuple[str, Call]] = []
        self.url = ""

    def answer(self, call: Call) -> Reply:
        """Answer one call, or a batch of them."""
        if call.path == f"{VERSION}/$batch" and call.method == "POST":
            return self._answer_batch(call)
        return self._answer(call, is_part=False)

    def _answer_batch(self, call: Call) -> Reply:
        grant = self._grant_of(call)
        if grant is None:
            return error_reply(401, "InvalidAuthenticationToken", "Access token is empty or has expired.")
        parts = asks_for(call)
        found = {box.address: box for box in (self._box_of(part, grant) for part in parts) if box is not None}
        boxes, count = list(found.values()), min(MOST_AT_ONCE, len(parts))
        address = next(iter(found), grant.address or None)
        with self._lock:
            self.calls.append(("batch", call))
            for box in boxes:
                box.usage.update(requests=1, batch=1)
            refused = self._refused("batch", address, call)
        if refused is not None:
            return refused
        busy = self._enter(boxes, count)
        try:
            self._linger("batch", address)
            reply = answer_batch(call, lambda part: self._answer(part, is_part=True), self._is_part_missing, busy=busy)
        finally:
            self._leave(boxes, count)
        return spoiled(reply, self._faults, address, "batch")

    def _answer(self, call: Call, *, is_part: bool) -> Reply:
        path = _KEY.sub(r"/\1", call.path.removeprefix(VERSION)).strip("/")
        for method, pattern, operation in _ROUTES:
            match = pattern.fullmatch(path)
            if match is None or method != call.method:
                continue
            return self._answer_known(call, operation, match.groupdict(), is_part=is_part)
        return error_reply(400, "BadRequest", f"Resource not found for the segment '{path.partition('/')[0]}'.")

    def _answer_known(self, call: Call, operation: str, names: Mapping[str, str], *, is_part: bool) -> Reply:
        grant = self._grant_of(call)
        if grant is None:
            return error_reply(401, "InvalidAuthenticationToken", "Access token is empty or has expired.")
        is_about_user = "user" in names
        mailbox = self.find(names.get("user") or grant.address) if is_about_user else None
        if is_about_user and mailbox is None:
            return error_reply(404, "ErrorInvalidUser", "The requested user is invalid.")
        charged = mailbox or self._mailboxes.get(grant.address)
        address = charged.address if charged else None
        with self._lock:
            self.calls.append((operation, call))
            if charged is not None:
                charged.usage.update({"units": 1, operation: 1, "requests": not is_part})
            refused = self._part_refused(address) if is_part else self._refused(operation, address, call)
        if refused is not None:
            return refused
        asked = Asked(call, grant, mailbox, names)
        if is_part:
            return self._answer_for(asked, operation)
        boxes = [charged] if charged else []
        busy = self._enter(boxes, 1)
        try:
            self._linger(operation, address)
            if busy:
                return error_reply(429, "ApplicationThrottled", CONCURRENCY, Retry_After="1")
            return spoiled(self._answer_for(asked, operation), self._faults, address, operation)
        finally:
            self._leave(boxes, 1)

    def _answer_for(self, asked: Asked, operation: str) -> Reply:
        """Answer what may be asked; turn what Graph refuses into its errors."""
        if asked.mailbox is not None and (refused := self._not_allowed(asked, operation)):
            return refused
        try:
            if operation == "subscribe":  # takes the lock itself: validation must not hold it
                return self._subscribe(asked)
            with self._lock:
                answer: Callable[[Asked], Reply] = getattr(self, f"_{operation}")
                return answer(asked)
        except RefusedError as error:
            return error_reply(error.status, error.code, str(error))
        except PositionExpiredError:
            status, code = asked.box.refusal
            return error_reply(status, code, "The sync state generation is not found; generation=1;[highest=2]")
        except InefficientFilterError:
            return error_reply(400, "InefficientFilter", "The restriction or sort order is too complex.")
        except PermissionError:
            return error_reply(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        except LookupError:
            return error_reply(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        except ValueError as error:
            return error_reply(400, "BadRequest", str(error))

    # --- who asks, and what about ---

    def find(self, name: str) -> SimulatedMailbox | None:
        """Find a mailbox by address or object id."""
        found = self._mailboxes.get(name.lower())
        return found or next((m for m in self._mailboxes.values() if m.user_id == name), None)

    def _grant_of(self, call: Call) -> Grant | None:
        with self._lock:
            token = call.headers.get("authorization", "").removeprefix("Bearer ")
            return self._login.grant_of(token, self._clock.now())

    def _box_of(self, part: Call, grant: Grant) -> SimulatedMailbox | None:
        path = _KEY.sub(r"/\1", part.path.removeprefix(VERSION)).strip("/")
        match = re.match(f"{USER}(?:/|$)", path)
        return self.find(match["user"] or grant.address) if match else None

    def _not_allowed(self, asked: Asked, operation: str) -> Reply | None:
        grant, box = asked.grant, asked.box
        is_own = grant.address in {"", box.address}
        is_mail = operation not in {"user", "translate"}
        if is_mail and (not grant.may_read or not (is_own or grant.address in box.shared_with)):
            return error_reply(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        return None

    # --- faults ---

    def _refused(self, operation: str, address: str | None, call: Call) -> Reply | None:
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        has_claims = self._login.has_claims(token)
        return refused_by_fault(self._faults, self._clock, address, operation, has_claims=has_claims)

    def _part_refused(self, address: str | None) -> Reply | None:
        if fault := self._faults.take("batch_part_429", address):
            wait_s = str(fault.params.get("retry_after_s", 10))
            return error_reply(429, "ApplicationThrottled", CONCURRENCY, Retry_After=wait_s)
        if self._faults.take("batch_part_500", address):
            return error_reply(500, "ErrorInternalServerTransientError", "Unexpected exception.")
        return None

    def _is_part_missing(self) -> bool:
        return self._faults.take("batch_part_missing") is not None

    def _linger(self, operation: str, address: str | None) -> None:
        if fault := self._faults.take("slow", address, operation=operation):
            time.sleep(fault.params.get("seconds", 1.0))

    def _enter(self, boxes: list[SimulatedMailbox], count: int) -> bool:
        """Count requests that run at once; return whether one of the mailboxes has too many."""
        with self._lock:
            for box in boxes:
                box.running += count
                box.usage["most_at_once"] = max(box.usage["most_at_once"], box.running)
            return any(box.running > MOST_AT_ONCE for box in boxes)

    def _leave(self, boxes: list[SimulatedMailbox], count: int) -> None:
        with self._lock:
            for box in boxes:
                box.running -= count

    # --- users and folders ---

    def _user(self, asked: Asked) -> Reply:
        return json_reply(_selected(asked.call, asked.box.user()))

    def _folders(self, asked: Asked) -> Reply:
        return self._folder_list(asked, asked.box.root_id)

    def _child_folders(self, asked: Asked) -> Reply:
        return self._folder_list(asked, self._found_folder(asked).id)

    def _folder(self, asked: Asked) -> Reply:
        return json_reply(_selected(asked.call, show_folder(asked.box, self._found_folder(asked))))

    def _folder_delta(self, asked: Asked) -> Reply:
        position = position_of(asked.call, asked.box, "folders")
        size = View.of(Call("GET", "", {}, asked.call.headers), is_basic=False).preferences.page_size or 100
        page = folders_page(asked.box, position, size)
        return self._delta_reply(asked, page)

    def _folder_list(self, asked: Asked, parent_id: str) -> Reply:
        box = asked.box
        found = [f for f in box.folders.values() if f.parent_id == parent_id and not f.removed]
        return self._page_reply(asked, [show_folder(box, folder) for folder in found])

    def _found_folder(self, asked: Asked) -> Any:
        folder = asked.box.folder(asked.names["folder"])
        if folder is None:
            raise LookupError
        return folder

    # --- messages ---

    def _delta(self, asked: Asked) -> Reply:
        box = asked.box
        folder = self._found_folder(asked)
        if self._faults.take("delta_quota", box.address):
            return error_reply(403, "ErrorQuotaExceeded", "Mailbox has exceeded maximum mailbox size.")
        position = position_of(asked.call, box, folder.id)
        if not position.since and not position.after:
            box.usage["initial_rounds"] += not asked.call.one("$skiptoken")
        query = {"$select": [position.select]} if position.select else {}
        view = View.of(Call("GET", "", query, asked.call.headers), is_basic=asked.grant.is_basic)
        return self._delta_reply(asked, messages_page(box, folder, position, view, self._faults))

    def _list(self, asked: Asked) -> Reply:
        box = asked.box
        folder_id = self._found_folder(asked).id if asked.names.get("folder") else None
        found = listed(box, folder_id, asked.call)
        view = View.of(asked.call, is_basic=asked.grant.is_basic)
        box.listed.update(message.id for message in found)
        return self._page_reply(asked, found, lambda message: view.show(box, message))

    def _get(self, asked: Asked) -> Reply:
        box, message = asked.box, asked.box.message(asked.names["message"])
        if message is not None and self._faults.take("message_gone", box.address, provider_id=message.id):
            box.delete(message.id)
            message = None
        if message is None:
            raise LookupError
        view = View.of(asked.call, is_basic=asked.grant.is_basic)
        wants_headers = "internetMessageHeaders" in view.fields
        without = wants_headers and self._faults.take("headers_missing", box.address) is not None
        return json_reply(view.show(box, message, without_headers=without))

    def _mime(self, asked: Asked) -> Reply:
        message = asked.box.message(asked.names["message"])
        if message is None:
            raise LookupError
        if asked.grant.is_basic:
            raise PermissionError
        return Reply(200, message.raw, "text/plain")

    def _attachments(self, asked: Asked) -> Reply:
        message = asked.box.message(asked.names["message"])
        if message is None:
            raise LookupError
        return self._page_reply(asked, message.mail.attachments)

    def _translate(self, asked: Asked) -> Reply:
        body = json_object(asked.call)
        wanted, to = body.get("inputIds"), str(body.get("targetIdType"))
        if not isinstance(wanted, list) or len(wanted) > 1_000:
            raise ValueError("inputIds must hold 1,000 ids at most.")
        found = [(str(name), asked.box.message(str(name))) for name in wanted]
        shown = [(name, m.id if "mmutable" in to else m.default_id) for name, m in found if m is not None]
        return json_reply({"value": [{"sourceId": name, "targetId": target} for name, target in shown]})

    # --- subscriptions ---

    def _subscribe(self, asked: Asked) -> Reply:
        if not asked.grant.may_read:
            raise PermissionError
        made = self._subscriptions.create(json_object(asked.call), asked.call, asked.grant, self.find)
        if self._faults.take("subscription_answer_lost", made.mailbox):
            return error_reply(504, "GatewayTimeout", "The gateway gave up waiting.")
        return json_reply(made.show(), 201)

    def _subscription(self, asked: Asked) -> Reply:
        return json_reply({**self._subscriptions.find(asked.names["id"]).show(), "clientState": None})

    def _subscription_list(self, asked: Asked) -> Reply:
        own = self._mailboxes.get(asked.grant.address)
        shown = [{**found.show(), "clientState": None} for found in self._subscriptions.all(own)]
        return self._page_reply(asked, shown)

    def _renew(self, asked: Asked) -> Reply:
        return json_reply(self._subscriptions.renew(asked.names["id"], json_object(asked.call)).show())

    def _unsubscribe(self, asked: Asked) -> Reply:
        del self._subscriptions.active[self._subscriptions.find(asked.names["id"]).id]
        return Reply(204)

    def _reauthorize(self, asked: Asked) -> Reply:
        self._subscriptions.reauthorize(asked.names["id"])
        return Reply(204)

    # --- pages ---

    def _page_reply(
        self, asked: Asked, found: list[Any], show: Callable[[Any], dict[str, Any]] = lambda entry: entry
    ) -> Reply:
        call, size = asked.call, page_size(asked.call)
        skip = int(call.one("$skip") or 0)
        page = found[skip : skip + size]
        answer: dict[str, Any] = {"@odata.context": self._link(asked, {}), "value": [show(entry) for entry in page]}
        is_last = skip + len(page) >= len(found)
        if not is_last and not self._faults.take("next_link_missing"):
            query = {name: values[0] for name, values in call.query.items()} | {"$skip": str(skip + len(page))}
            answer["@odata.nextLink"] = self._link(asked, query)
        return json_reply(answer)

    def _delta_reply(self, asked: Asked, page: Page) -> Reply:
        answer: dict[str, Any] = {"@odata.context": self._link(asked, {}), "value": page.entries}
        word = page.next.written()
        if page.is_last:
            answer["@odata.deltaLink"] = self._link(asked, {"$deltatoken": word})
        else:
            answer["@odata.nextLink"] = self._link(asked, {"$skiptoken": word})
        return json_reply(answer)

    def _link(self, asked: Asked, query: Mapping[str, str]) -> str:
        is_foreign = any(name in query for name in ("$skip", "$skiptoken")) and self._faults.take("foreign_next_link")
        origin = "https://graph.microsoft.com.evil.test" if is_foreign else self.url
        link = f"{origin}{VERSION}{asked.call.path.removeprefix(VERSION)}"
        return f"{link}?{urlencode(query)}" if query else link


def _selected(call: Call, whole: dict[str, Any]) -> dict[str, Any]:
    names = {name for name in call.one("$select").split(",") if name}
    return {name: value for name, value in whole.items() if not names or name in names}
