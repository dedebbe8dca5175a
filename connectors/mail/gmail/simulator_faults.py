"""The faults a simulated Gmail can be armed with. Part of the simulator."""

from __future__ import annotations

from collections.abc import Mapping

# What a fault does, and its parameters besides `count` and `mailbox`. The last ones act at once, the others when
# their moment comes; `operation` limits those of a call to profile, watch, stop, history, list, get, send_as or batch.
FAULTS: Mapping[str, str] = {
    "rate_limited": "calls are refused: status (429), retry_after_s (30), header (False: the time stands in the text)",
    "daily_limit": "calls are refused: the project's quota of the day is used up",
    "unauthorized_once": "a call is refused with 401",
    "insufficient_permissions": "a call is refused: the scope is missing",
    "domain_policy": "a call is refused: the administrator disabled the app",
    "mail_disabled": "a call is refused: the account has no Gmail",
    "failed_precondition": "a call is refused with an unexplained failedPrecondition",
    "bad_request": "a call is refused: something in it is wrong",
    "server_error": "a call fails: status (503)",
    "html_error": "a call is answered with an HTML page: status (200)",
    "truncated_json": "an answer is half a JSON text",
    "connection_cut": "an answer stops half way",
    "empty_answer": "a call is answered with {}",
    "connection_dropped": "a call is never answered",
    "slow": "an answer takes a while: seconds (1.0)",
    "wrong_profile": "the profile names another mailbox",
    "history_lag": "history does not show the newest change yet: records (1)",
    "empty_page_with_token": "a page of history has a next page but no records",
    "history_without_labels": "history shows no labels",
    "page_token_expired": "a page token is refused",
    "batch_part_429": "a part of a batch is refused: too many concurrent requests",
    "batch_part_500": "a part of a batch fails",
    "batch_part_missing": "a part of a batch has no answer",
    "message_gone": "a message is deleted just before it is read",
    "watch_forbidden": "Gmail may not publish to the topic",
    "invalid_client": "the token endpoint refuses the application",
    "token_endpoint_down": "the token endpoint fails",
    "certs_down": "the certificates cannot be fetched",
    "scope_not_granted": "the owner consents, but not to Gmail",
    "consent_refused": "the owner refuses: error (access_denied)",
    "duplicate_push": "a push comes twice",
    "lost_push": "a push never comes",
    "late_push": "a push comes late: by_s (3600, in simulated time)",
    "out_of_order_push": "a push comes after the next one",
    "string_history_id": "a push names the history id as text",
    "unwrapped_push": "a push comes without Pub/Sub's envelope",
    "forged_push": "a push is signed by somebody else",
    "pull_refused": "a pull of the subscription is refused: status (503)",
    "acknowledge_refused": "an acknowledgement of pulled messages is refused: status (503)",
    # At once:
    "history_expired": "every cursor given out so far expires",
    "token_revoked": "the owner withdraws the consent",
    "watch_conflict": "another watch of the project is in the way",
    "watch_ended": "the watch ends without notice",
    "draft_churn": "a draft is saved again and again: times (3)",
    "keys_rotated": "Google signs with a new key",
}
AT_ONCE = frozenset(
    {"history_expired", "token_revoked", "watch_conflict", "watch_ended", "draft_churn", "keys_rotated"}
)
