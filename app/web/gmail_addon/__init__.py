"""The Gmail add-on: Google calls a URL for whatever somebody does beside a message, and shows the card of the answer.

Every function is a POST to /gmail/<function>, verified before anything is looked at; who asks is the member whom Google
vouches for, and whatever a button carries is judged by that member's rights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog
from flask import Blueprint, Response, abort, jsonify, request

from app import addons
from app.errors import (
    NotificationForged,
    NotificationMalformed,
    ProviderError,
    RequestRefused,
    Unsupported,
    VerificationUnavailable,
)
from app.installation import Installation
from app.linking.reasons import sentence
from app.ports import AddonCall, AddonConnector, PushRequest
from app.web.gmail_addon import choices, other_cards, reading
from app.web.gmail_addon.frame import PROVIDER, Asked, look_of
from app.web.gmail_addon.widgets import Card, Places, asking_for, clicked, first
from app.web.limits import count_member

LONGEST_BODY = 200_000

# What opens the add-on: Gmail calls these by itself, and shows the card.
TRIGGERS: Mapping[str, Callable[[Asked], Card]] = {
    "home": reading.home,
    "message": reading.message,
    "settings": reading.settings,
}
# What buttons call to see something else.
QUESTIONS: Mapping[str, Callable[[Asked], dict[str, Any]]] = {
    "back": reading.back,
    "refresh": reading.refresh,
    "permit": reading.permit,
    "conversation": reading.show_conversation,
    "review": reading.show_review,
    "ask_settings": reading.show_settings,
    "search": reading.search,
    "ask_unlink": reading.ask_unlink,
    "ask_move": reading.ask_move,
    "ask_create": reading.ask_create,
    "smart_bcc": reading.smart_bcc,
}
# What buttons, fields and switches change something with.
CHOICES: Mapping[str, Callable[[Asked], dict[str, Any]]] = {
    "link": choices.link,
    "unlink": choices.unlink,
    "dismiss": choices.dismiss,
    "create_person": choices.create_person,
    "create_item": choices.create_item,
    "set_auto_link": choices.set_auto_link,
    "set_visibility": choices.set_visibility,
    "leave": choices.leave,
}
CLICKS = {**QUESTIONS, **CHOICES}

log = structlog.get_logger(__name__)


def blueprint(installation: Installation) -> Blueprint:
    """Build the functions of the add-on."""
    functions = Blueprint("gmail_addon", __name__)
    places = Places(installation.settings.public_base_url)

    def run(name: str) -> Response:
        connector: object = installation.mail.get(PROVIDER)
        if not isinstance(connector, AddonConnector):
            abort(404)
        try:
            call = connector.read_addon_call(_as_plain_data(), places.function(name))
        except NotificationForged:
            abort(401)
        except NotificationMalformed:
            abort(400)
        except VerificationUnavailable:
            log.warning("add-on call not verifiable now")
            abort(503)
        return jsonify(answer(installation, name, call))

    for name in (*TRIGGERS, *CLICKS):
        functions.add_url_rule(f"/gmail/{name}", name, partial(run, name), methods=["POST"])
    return functions


def answer(installation: Installation, name: str, call: AddonCall) -> dict[str, Any]:
    """Return what a function answers to a verified call."""
    if not call.user_id:
        if name == "permit":
            return asking_for(call.missing)
        return _shown(name, other_cards.permission_card(look_of(installation, call, None), knows_who=False))
    signed = addons.member_of(installation, PROVIDER, call.user_id, call.issuer)
    look = look_of(installation, call, signed)
    if signed is None:
        return _shown(name, other_cards.connect_card(look, addons.invite(installation, PROVIDER, call)))
    asked = Asked(installation, signed, call, look)
    try:
        if name in CHOICES or asked.field("q"):
            count_member(signed.team.id, signed.member.id)
        return first(TRIGGERS[name](asked)) if name in TRIGGERS else CLICKS[name](asked)
    except RequestRefused as error:
        return _refused(asked, name, sentence(error.reason, error.params, look.locale))
    except Unsupported as error:  # its message is the sentence of what the CRM cannot do
        return _refused(asked, name, str(error))
    except ProviderError:
        return _refused(asked, name, look.text["addon_gmail_rests"])


def _shown(name: str, card: Card) -> dict[str, Any]:
    """Show a card in place of what was asked for."""
    return first(card) if name in TRIGGERS else clicked({"updateCard": card})


def _refused(asked: Asked, name: str, why: str) -> dict[str, Any]:
    """Say why not: on a card of its own where nothing is shown yet, else for a moment over the card that is there."""
    if name in TRIGGERS or name == "refresh":
        return _shown(name, other_cards.problem_card(asked.look, why))
    return clicked(said=why)


def _as_plain_data() -> PushRequest:
    request.max_content_length = LONGEST_BODY + 1
    body = request.get_data(cache=False)
    if len(body) > LONGEST_BODY:
        abort(413)
    headers = {name.lower(): value for name, value in request.headers}
    return PushRequest(request.method, headers, request.args.to_dict(), body)
