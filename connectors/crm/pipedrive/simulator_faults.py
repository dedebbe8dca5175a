"""The faults a simulated Pipedrive can be armed with. Part of the simulator."""

from __future__ import annotations

from collections.abc import Mapping

# What a fault does, and its parameters besides `count` and `company`. `operation` limits one of a call to an operation
# of Pipedrive's API description (addNote, searchPersons), `does` to read or write. The last ones act at once.
FAULTS: Mapping[str, str] = {
    "rate_limited": "a call is refused: too many in two seconds",
    "cloudflare_page": "a call is refused with Cloudflare's 403 page",
    "server_error": "a call fails: status (503)",
    "html_error": "a call is answered with an HTML page: status (502)",
    "truncated_json": "a call is carried out, its answer is half a JSON text",
    "connection_dropped": "a call is neither carried out nor answered",
    "lost_answer": "a call is carried out, its answer never comes",
    "slow": "an answer takes a while: seconds (1.0)",
    "unauthorized_once": "a call is refused with 401",
    "scope_missing": "a call is refused: the app has no scope for it",
    "company_inactive": "a call is refused with 402: the company does not pay",
    "endpoint_removed": "a call is refused with 410",
    "invalid_client": "the token endpoint refuses the application",
    "consent_refused": "the administrator refuses the installation",
    "lost_webhook": "a webhook never comes",
    "duplicate_webhook": "a webhook comes twice",
    "forged_webhook": "a webhook comes with another password",
    "late_webhook": "a webhook comes late: by_s (3600, in simulated time)",
    # At once:
    "budget_gone": "the tokens of the day are used up, until midnight UTC or count 0",
    "access_expired": "every access token given out so far expires",
    "grant_revoked": "every consent is withdrawn",
    "notes_deleted": "somebody deletes every note by hand",
    "webhooks_removed": "every webhook registration is gone, as after three days without an answer",
}
AT_ONCE = frozenset({"budget_gone", "access_expired", "grant_revoked", "notes_deleted", "webhooks_removed"})
