"""What a page says of the CRM that its choices rest on: that there is none, that it rests, or that its data is old."""

from __future__ import annotations

from datetime import timedelta

from flask import g

from app.errors import DailyLimitReached, RateLimited
from app.store.crm import Standing
from app.web.member_page import full_time
from app.web.signed_in import who
from app.web.wording import words

OLD_CRM = timedelta(hours=1)  # the mirror is brought up to date every few minutes
_RESTS = {DailyLimitReached.__name__: "crm_daily_limit", RateLimited.__name__: "crm_limit"}


def said(crm: Standing | None) -> str:
    """Return what there is to be said in the member's language; "" when all is well."""
    text = words(who().locale)
    if crm is None:
        return text["no_crm"]
    data = text["crm_data_as_of"].format(time=full_time(crm.refreshed_at)) if crm.refreshed_at else ""
    if crm.throttled_until is not None and crm.throttled_until > g.now and crm.state_reason in _RESTS:
        return text[_RESTS[crm.state_reason]].format(time=full_time(crm.throttled_until))
    if crm.state == "trouble":
        return f"{text['crm_unreachable']} {data}".strip()
    return data if crm.refreshed_at is not None and g.now - crm.refreshed_at > OLD_CRM else ""
