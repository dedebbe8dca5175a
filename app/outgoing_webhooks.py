"""Telling a team's own programs what happened: who may name an address, what it is told, and how it is delivered.

Signed as Standard Webhooks 1.0 says (github.com/standard-webhooks/standard-webhooks, spec). A delivery holds ids, kind,
reason and time, never content, and only what the administrator it acts for could read through the API when it is sent
(threats.md C11). The address is nobody's we know: ports.WebhookSender is the only way out (W13).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import secrets
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
import structlog

from app import outgoing_mail
from app.accounts import audit
from app.acting import Acting, Seen, see
from app.errors import Conflict, NotAllowed, NotFound, Rejected, SettingsError, Unavailable
from app.installation import Installation
from app.linking.reasons import utc
from app.model import ItemRef, Member
from app.ports import WebhookAnswer, WebhookSender
from app.store import mirror, notices, queue, teams
from app.store import outgoing_webhooks as rows
from app.store.outgoing_webhooks import KINDS, NEEDS_REVIEW, TEST, Delivery, Webhook

MOST_WEBHOOKS = 10
LONGEST_URL = 500
SHOWN_DELIVERIES = 50
OLD_SECRET_COUNTS_FOR = timedelta(days=1)
KEPT_FOR = timedelta(days=7)  # what was settled, to be looked at
AT_ONCE = 20  # deliveries of one job: another webhook's come in between
RUN_S = 30.0  # no longer, so that a removed administrator is not told for longer, and a worker can stop
# The waits after the first failure, the second and so on, a day in all; each is made shorter or longer by chance.
WAITS_S = (60, 300, 1_800, 7_200, 14_400, 21_600, 21_600, 21_600)
# Nothing got through for this long when a last try fails: the webhook is turned off. Less than the waits are together
# when chance makes each of them its shortest, so that no last try goes by without a consequence.
GIVEN_UP_AFTER = timedelta(hours=18)
LONGEST_REST_S = 3_600
FAILING_AFTER = timedelta(minutes=15)
_SECRET_BYTES = 32
_PREFIX = "whsec_"

# Why a webhook was turned off, as the doctor says it.
OFF = {
    "gone": "It answered that it is gone (410), so it was turned off. Turn it on again, or remove it.",
    "unreachable": "Nothing got through for a day, so it was turned off. Mend it, then turn it on again.",
    "no_administrator": "The administrator it acts for is none any more. Another administrator can turn it on again.",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Told:
    """A delivery with what may be told of it."""

    delivery: Delivery
    item: ItemRef | None


# --- what administrators do ---


def listed(connection: sa.Connection, member: Member) -> list[Webhook]:
    """Return the team's webhooks, oldest first. Raises NotAllowed (not_administrator)."""
    _require_administrator(member)
    return rows.webhooks(connection)


def found(connection: sa.Connection, member: Member, public_id: str) -> Webhook:
    """Return one of the team's webhooks. Raises NotAllowed (not_administrator), NotFound."""
    webhook = next((each for each in listed(connection, member) if each.public_id == public_id), None)
    if webhook is None:
        raise NotFound
    return webhook


def add(
    installation: Installation, connection: sa.Connection, acting: Acting, url: str, kinds: Collection[str]
) -> tuple[Webhook, str]:
    """Add a webhook for these kinds; its secret is returned this once.

    Raises NotAllowed (not_administrator), Conflict (webhook_url_refused, too_many_webhooks).
    """
    _require_administrator(acting.member)
    if len(url) > LONGEST_URL or not _sender(installation).accepts(url):
        raise Conflict("webhook_url_refused")
    if len(rows.webhooks(connection)) >= MOST_WEBHOOKS:
        raise Conflict("too_many_webhooks", n=MOST_WEBHOOKS)
    public_id, secret = str(uuid.uuid4()), _fresh_secret()
    sealed = _seal(installation, acting.team_id, public_id, [{"value": secret, "until": None}])
    chosen = set(kinds) & set(KINDS)
    rows.add(connection, acting.team_id, acting.member.id, public_id, url, chosen, sealed, acting.now)
    _audit(connection, acting, "add_webhook", public_id, host=urlsplit(url).hostname or "", kinds=sorted(chosen))
    return found(connection, acting.member, public_id), secret


def remove(connection: sa.Connection, acting: Acting, public_id: str) -> None:
    """Remove a webhook. Raises NotAllowed (not_administrator), NotFound."""
    rows.remove(connection, found(connection, acting.member, public_id).id)
    _audit(connection, acting, "remove_webhook", public_id)


def rotate(
    installation: Installation, connection: sa.Connection, acting: Acting, public_id: str
) -> tuple[Webhook, str]:
    """Give a webhook a new secret, returned this once; for a day it is signed with the old one as well.

    Raises NotAllowed (not_administrator), NotFound.
    """
    webhook = rows.lock(connection, found(connection, acting.member, public_id).id)
    if webhook is None:
        raise NotFound
    until = (acting.now + OLD_SECRET_COUNTS_FOR).isoformat()
    secret, current = _fresh_secret(), _secrets(installation, webhook, acting.now)[0]
    both: list[Mapping[str, Any]] = [{"value": secret, "until": None}, {"value": current, "until": until}]
    rows.reseal(connection, webhook.id, _seal(installation, webhook.team_id, public_id, both))
    _audit(connection, acting, "rotate_webhook_secret", public_id)
    return webhook, secret


def enable(connection: sa.Connection, acting: Acting, public_id: str) -> Webhook:
    """Turn a webhook on again; it acts for who does that. Raises NotAllowed (not_administrator), NotFound."""
    rows.enable(connection, found(connection, acting.member, public_id).id, acting.member.id, acting.now)
    _audit(connection, acting, "enable_webhook", public_id)
    return found(connection, acting.member, public_id)


def send_test(connection: sa.Connection, acting: Acting, public_id: str) -> str:
    """Tell a webhook that this is a test; return the delivery's public id.

    Raises NotAllowed (not_administrator), NotFound, Conflict (webhook_disabled).
    """
    webhook = found(connection, acting.member, public_id)
    if webhook.state != "live":
        raise Conflict("webhook_disabled")
    return rows.announce_test(connection, webhook, acting.now)


def last_deliveries(connection: sa.Connection, member: Member, public_id: str) -> list[Delivery]:
    """Return what a webhook was or will be told, newest first. Raises NotAllowed (not_administrator), NotFound."""
    return rows.deliveries(connection, found(connection, member, public_id).id, SHOWN_DELIVERIES)


def findings(connection: sa.Connection, now: datetime) -> Iterator[tuple[str, str, str]]:
    """Yield (about, code, what to do) for each of the team's webhooks that is told nothing."""
    for webhook in rows.webhooks(connection):
        about = f"webhook {webhook.host}"
        if webhook.state == "disabled":
            yield about, f"webhook_{webhook.state_reason}", OFF[webhook.state_reason]
        elif webhook.failures > 1 and now - (webhook.delivered_at or webhook.state_since) > FAILING_AFTER:
            yield (
                about,
                "webhook_failing",
                "It cannot be told anything; that is tried for a day. Look at its deliveries.",
            )


# --- delivering ---


def deliver(installation: Installation, team_id: int, webhook_id: int) -> None:
    """Tell a webhook what it is owed, in order, until something does not get through."""
    now = installation.clock.now()
    with installation.database.for_team(team_id) as connection:
        webhook = rows.lock(connection, webhook_id)
        if webhook is None or webhook.state != "live":
            return
        if webhook.rest_until is not None and webhook.rest_until > now:
            return
        rows.forget(connection, webhook_id, now - KEPT_FOR)
        reader = teams.member_by_id(connection, webhook.member_id)
        if reader is None or reader.role != "admin":
            _turn_off(installation, connection, webhook, "no_administrator", now)
            return
        due = rows.due(connection, webhook_id, now, AT_ONCE)
        told = _tellable(connection, reader, due)
        for delivery in due:
            if delivery.id not in told:
                rows.settle(connection, delivery.id, "dropped", "", now)
    ends_at = time.monotonic() + RUN_S
    for each in told.values():
        if time.monotonic() > ends_at:
            break
        if not _deliver_one(installation, webhook, each):
            return
    if len(due) == AT_ONCE or time.monotonic() > ends_at:
        with installation.database.for_team(team_id) as connection:
            queue.defer(connection, "deliver_webhook", [rows.job(team_id, webhook_id)])


def _tellable(connection: sa.Connection, reader: Member, due: Sequence[Delivery]) -> dict[int, _Told]:
    """Return, of what is owed, what the reader could read now; a choice that was made meanwhile needs no word."""
    ids = {each.conversation_id for each in due if each.conversation_id is not None}
    seen = see(connection, reader, ids) if ids else dict[int, Seen]()
    waiting = rows.waiting_for_review(connection, ids) if ids else frozenset[int]()
    hidden = mirror.hidden(connection, reader, {each.item for each in due if each.item is not None})
    return {
        each.id: _Told(each, None if each.item in hidden else each.item)
        for each in due
        if each.kind == TEST
        or (each.conversation_id in seen and (each.kind != NEEDS_REVIEW or each.conversation_id in waiting))
    }


def _deliver_one(installation: Installation, webhook: Webhook, told: _Told) -> bool:
    """Send one delivery and note how it went; say whether the next one may follow."""
    delivery, current_secrets = told.delivery, _secrets(installation, webhook, installation.clock.now())
    body = json.dumps(_payload(told), separators=(",", ":")).encode()
    # Who verifies it compares the time with a clock of their own, so it is the real one, also in a demo of a past day.
    signed = headers(current_secrets, delivery.public_id, datetime.now(UTC), body)
    try:
        answer = _sender(installation).send(webhook.url, signed, body)
    except (Unavailable, Rejected) as error:  # why exactly is not told: it would show what lies inside our network
        answer, word = WebhookAnswer(0), "refused" if isinstance(error, Rejected) else "not_reached"
    else:
        word = str(answer.status)
    now = installation.clock.now()
    with installation.database.for_team(webhook.team_id) as connection:
        current = rows.lock(connection, webhook.id)
        if current is None:
            return False
        if 200 <= answer.status < 300:
            rows.settle(connection, delivery.id, "delivered", word, now)
            rows.got_through(connection, webhook.id, now)
            return True
        log.warning("webhook_failed", webhook=webhook.id, answer=word, attempts=delivery.attempts + 1)
        if answer.status == 410:
            rows.settle(connection, delivery.id, "failed", word, now)
            _turn_off(installation, connection, webhook, "gone", now)
            return False
        _failed(installation, connection, current, delivery, word, answer.retry_after_s or 0.0, now)
    return False


def _failed(
    installation: Installation,
    connection: sa.Connection,
    webhook: Webhook,
    delivery: Delivery,
    word: str,
    asked_s: float,
    now: datetime,
) -> None:
    if delivery.attempts < len(WAITS_S):
        wait_s = max(asked_s, WAITS_S[delivery.attempts] * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        rows.postpone(connection, delivery.id, word, now + timedelta(seconds=wait_s))
    else:
        rows.settle(connection, delivery.id, "failed", word, now)
        if now - (webhook.delivered_at or webhook.state_since) >= GIVEN_UP_AFTER:
            _turn_off(installation, connection, webhook, "unreachable", now)
            return
    growing = min(30.0 * 2 ** min(webhook.failures, 10), LONGEST_REST_S)
    rest_s = max(asked_s, growing * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
    rows.rest(connection, webhook.id, now + timedelta(seconds=rest_s))


def _turn_off(
    installation: Installation, connection: sa.Connection, webhook: Webhook, reason: str, now: datetime
) -> None:
    """Turn a webhook off, write that down, and owe the administrators the letter that says so."""
    rows.disable(connection, webhook.id, reason, now)
    detail = {"webhook": webhook.public_id, "host": webhook.host}
    audit(connection, webhook.team_id, None, "webhook_turned_off", detail, now)
    if outgoing_mail.is_set_up(installation.settings):
        about = f"{webhook.public_id} {now.isoformat()}"
        told = [member.id for member in teams.members(connection) if member.role == "admin"]
        notices.owe(connection, webhook.team_id, [(each, "webhook_off", about, None) for each in told], now)


def turned_off(connection: sa.Connection, member: Member) -> list[Webhook]:
    """Return the team's webhooks that are turned off, for an administrator; for anybody else none, without a query."""
    if member.role != "admin":
        return []
    return [webhook for webhook in rows.webhooks(connection) if webhook.state == "disabled"]


def headers(secrets_now: Sequence[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery: its id, the same each time it is tried, the time, and a signature a secret."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join([message_id.encode(), timestamp.encode(), body])
    signatures = [
        base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode() for secret in secrets_now
    ]
    return {
        "content-type": "application/json",
        "user-agent": "threadlink",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _payload(told: _Told) -> dict[str, Any]:
    delivery, item = told.delivery, told.item
    data: dict[str, Any] = {}
    if delivery.kind != TEST:
        data = {"conversation": delivery.conversation, "reason": delivery.reason}
    if item is not None:
        data["item"] = {"kind": item.kind, "id": item.external_id}
    return {"type": delivery.kind, "timestamp": utc(delivery.at), "data": data}


# --- secrets ---


def _fresh_secret() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_PREFIX))


def _seal(installation: Installation, team_id: int, public_id: str, known: Sequence[Mapping[str, Any]]) -> bytes:
    return installation.secrets.seal(
        {"secrets": list(known)}, team_id=team_id, owner=f"webhook/{public_id}", kind="webhook"
    )


def _secrets(installation: Installation, webhook: Webhook, now: datetime) -> list[str]:
    """Return the secrets that count now, the current one first."""
    opened = installation.secrets.open(
        webhook.sealed, team_id=webhook.team_id, owner=f"webhook/{webhook.public_id}", kind="webhook"
    )
    return [
        each["value"]
        for each in opened["secrets"]
        if each["until"] is None or datetime.fromisoformat(each["until"]) > now
    ]


def _sender(installation: Installation) -> WebhookSender:
    if installation.webhooks is None:
        raise SettingsError("Nothing is installed that calls webhooks.")
    return installation.webhooks


def _require_administrator(member: Member) -> None:
    if member.role != "admin":
        raise NotAllowed("not_administrator")


def _audit(connection: sa.Connection, acting: Acting, action: str, public_id: str, **more: object) -> None:
    detail = {"webhook": public_id, **more}
    audit(connection, acting.team_id, acting.member.id, action, detail, acting.now)
