"""The faults a simulated Graph can be armed with. Part of the simulator."""

from __future__ import annotations

from collections.abc import Mapping

# What a fault does, and its parameters besides `count` and `mailbox`. The last ones act at once, the others when
# their moment comes; `operation` limits those of a call to one of simulator_api.OPERATIONS.
FAULTS: Mapping[str, str] = {
    "rate_limited": "calls are refused: status (429), retry_after_s (30), header (True), code (TooManyRequests)",
    "server_error": "a call fails: status (503)",
    "mailbox_info_stale": "a call fails: the mailbox moves between databases",
    "html_error": "a call is answered with an HTML page: status (200)",
    "truncated_json": "an answer is half a JSON text",
    "connection_cut": "an answer stops half way",
    "empty_answer": "a call is answered with {}",
    "connection_dropped": "a call is never answered",
    "slow": "an answer takes a while: seconds (1.0)",
    "unauthorized_once": "a call is refused with 401",
    "claims_challenge": "calls are refused with 401 until the token answers the claims asked for",
    "access_denied": "a call is refused: a permission is missing, or the mailbox is outside the application's scope",
    "mailbox_unavailable": "a call is refused: the mailbox is on-premises, inactive or unlicensed",
    "user_unknown": "a call is refused: the directory has no such user",
    "bad_request": "a call is refused: something in it is wrong",
    "foreign_next_link": "a page names a next page on another host",
    "next_link_missing": "a page of a listing does not say that there is a next one",
    "empty_page_with_next_link": "a page of a delta has a next page but no messages",
    "delta_lag": "a delta does not show the newest change yet",
    "delta_replayed": "a delta shows what it showed before again",
    "delta_cap": "a filtered delta shows only the newest messages (5,000 without the fault): messages (10)",
    "delta_quota": "a delta is refused: its hidden state has filled the mailbox",
    "batch_part_429": "a part of a batch is refused: the mailbox has too many at once; retry_after_s (10)",
    "batch_part_500": "a part of a batch fails",
    "batch_part_missing": "a part of a batch has no answer",
    "message_gone": "a message is deleted just before it is read",
    "headers_missing": "a message is shown without internetMessageHeaders",
    "subscription_conflict": "somebody else's subscription for the same is in the way",
    "subscription_refused": "a subscription is refused: the permission is missing",
    "subscription_answer_lost": "a subscription is made, but its answer is a 504",
    "validation_timeout": "Graph does not get through to the address of a subscription",
    "invalid_client": "the token endpoint refuses the application: code (7000215)",
    "token_endpoint_down": "the token endpoint fails",
    "keys_down": "the signing keys cannot be fetched",
    "scope_not_granted": "the owner consents, but not to reading mail",
    "consent_refused": "the owner refuses: error (access_denied), code (65004)",
    "admin_consent_required": "the owner may not consent: an administrator must",
    "duplicate_push": "a push comes twice",
    "lost_push": "a push never comes",
    "late_push": "a push comes late: by_s (3600, in simulated time)",
    "out_of_order_push": "a push comes after the next one",
    "mixed_push": "a push also names a subscription nobody knows and one with a wrong clientState",
    "forged_push": "a push comes with another clientState, signed (if it is rich) by somebody else",
    # At once:
    "delta_expired": "every position given out so far expires: status (410), code (syncStateNotFound)",
    "token_revoked": "the owner's consent ends: code (50173)",
    "subscription_ended": "the subscriptions end without notice",
    "subscription_removed": "the subscriptions are removed, and Graph says so",
    "missed": "Graph says that it missed changes",
    "reauthorization_required": "Graph holds pushes back until the subscriptions are authorized again",
    "moved_and_back": "the newest message is moved to another folder and back",
    "draft_churn": "a draft is saved again and again: times (3)",
    "keys_rotated": "Microsoft signs with a new key",
}
AT_ONCE = frozenset(
    {
        "delta_expired",
        "token_revoked",
        "subscription_ended",
        "subscription_removed",
        "missed",
        "reauthorization_required",
        "moved_and_back",
        "draft_churn",
        "keys_rotated",
    }
)
