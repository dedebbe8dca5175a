"""POST /webhooks/<provider> and /webhooks/crm/<connection>: verify, store the hint, answer; nothing is fetched here.

The answer is the same, in the same time, whether the mailbox is known or not. A provider sends again whatever is not
answered with success; what sending again would not mend (a body that cannot be read) is therefore answered 204.
"""

from __future__ import annotations

import structlog
from flask import Blueprint, Response, abort, request

from app import crm_hints
from app.crash_points import crash_point
from app.errors import (
    DatabaseUnreachable,
    NotificationForged,
    NotificationMalformed,
    Unsupported,
    VerificationUnavailable,
)
from app.installation import Installation
from app.model import Handshake
from app.ports import PushRequest
from app.store.acknowledge import Acknowledger
from app.web.metrics import PUSHES

LONGEST_BODY = 1_000_000

log = structlog.get_logger(__name__)


def blueprint(installation: Installation) -> Blueprint:
    """Build the webhook route of every connected mail provider."""
    webhooks = Blueprint("webhooks", __name__)
    acknowledger = Acknowledger(installation.database)

    @webhooks.post("/webhooks/<provider>")
    def receive(provider: str) -> Response:
        connector = installation.mail.get(provider)
        if connector is None:
            abort(404)
        try:
            read = connector.read_push(_as_plain_data())
            if isinstance(read, Handshake):
                return _answer(provider, "handshake", read.status, read.body, read.content_type)
            acknowledger.store(read, installation.clock.now())
            crash_point("push.stored")
        except NotificationForged:
            return _answer(provider, "forged", 403)
        except NotificationMalformed:
            log.warning("push malformed", provider=provider)
            return _answer(provider, "malformed", 204)
        except VerificationUnavailable:
            log.warning("push not verifiable now", provider=provider)
            return _answer(provider, "unverifiable", 503)
        except DatabaseUnreachable:
            log.warning("push not stored", provider=provider)
            return _answer(provider, "not_stored", 503)
        return _answer(provider, "stored", 204)

    @webhooks.post("/webhooks/crm/<public_id>")
    def receive_from_crm(public_id: str) -> Response:
        try:
            crm_hints.receive(installation, public_id, _as_plain_data())
        except (NotificationForged, Unsupported):  # an unknown connection is answered like a wrong secret
            return _answer("crm", "forged", 401)
        except NotificationMalformed:
            log.warning("push malformed", provider="crm")
            return _answer("crm", "malformed", 204)
        except (DatabaseUnreachable, VerificationUnavailable):
            log.warning("push not stored", provider="crm")
            return _answer("crm", "not_stored", 503)
        return _answer("crm", "stored", 204)

    return webhooks


def _as_plain_data() -> PushRequest:
    request.max_content_length = LONGEST_BODY + 1
    body = request.get_data(cache=False)
    if len(body) > LONGEST_BODY:  # without a Content-Length, Werkzeug cuts at the limit instead of refusing
        abort(413)
    return PushRequest(
        method=request.method,
        headers={name.lower(): value for name, value in request.headers},
        args=request.args.to_dict(),
        body=body,
    )


def _answer(provider: str, outcome: str, status: int, body: str = "", content_type: str = "text/plain") -> Response:
    PUSHES.labels(provider, outcome).inc()
    return Response(body, status, content_type=content_type)
