"""The other addresses a member sends to Smart BCC from: added by the member, verified by a letter to the address.

One letter a day goes to an address, whoever of the installation asks, and only to what somebody who is signed in
typed (threats.md P7). Verifying asks for both: what the letter said, and the member who asked for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa

from app import outgoing_mail
from app.accounts import audit
from app.acting import Acting
from app.errors import Conflict, InvalidRequest, NotFound
from app.installation import Installation
from app.linking.addresses import normalize
from app.outgoing_mail import Letter
from app.smart_bcc import hashed, judge_again
from app.store import smart_bcc as rows

MOST_ADDRESSES = 20
ASK_AGAIN_AFTER = timedelta(days=1)

_SUBJECT = {
    "en": "Is this your address?",
    "tr": "Bu adres sizin mi?",
}
_TEXT = {
    "en": (
        "{name} of {team} wants to send mail to threadlink from {address}.\n\n"
        "If that is you, open this link while you are signed in, and confirm:\n{url}\n\n"
        "If it is not, do nothing: no further letter is sent without somebody asking again.\n"
    ),
    "tr": (
        "{team} ekibinden {name}, threadlink'e {address} adresinden e-posta göndermek istiyor.\n\n"
        "Siz iseniz, oturumunuz açıkken bu bağlantıyı açıp onaylayın:\n{url}\n\n"
        "Değilseniz bir şey yapmanız gerekmez: biri yeniden istemedikçe başka mesaj gönderilmez.\n"
    ),
}


def add(connection: sa.Connection, acting: Acting, written: str) -> str:
    """Note another address of a member, not verified yet; return it. Raises InvalidRequest, Conflict (too_many)."""
    address = normalize(written)
    if address is None:
        raise InvalidRequest([{"field": "address", "message": "is no e-mail address"}])
    known = rows.member_addresses(connection, acting.member.id)
    if len(known) >= MOST_ADDRESSES and address not in {each.address for each in known}:
        raise Conflict("too_many_addresses", n=MOST_ADDRESSES)
    rows.add_member_address(connection, acting.team_id, acting.member.id, address)
    audit(connection, acting.team_id, acting.member.id, "add_sender_address", {}, acting.now)
    return address


def letter_to(
    installation: Installation, connection: sa.Connection, acting: Acting, address: str, *, team: str, locale: str
) -> Letter:
    """Make the letter that verifies an address, and note that it goes out; send() it once this is committed.

    Raises Conflict (no_outgoing_mail; asked_today), NotFound.
    """
    if not outgoing_mail.is_set_up(installation.settings):
        raise Conflict("no_outgoing_mail")
    member = acting.member
    if address not in {each.address for each in rows.member_addresses(connection, member.id)}:
        raise NotFound
    token = secrets.token_urlsafe(24)
    since = acting.now - ASK_AGAIN_AFTER
    if not rows.ask_member_address(connection, member.id, address, hashed(token), acting.now, since):
        raise Conflict("asked_today", address=address)
    url = f"{installation.settings.public_base_url}/preferences/smart-bcc/verify/{token}"
    said: Mapping[str, str] = {"name": member.name, "team": team, "address": address, "url": url}
    language = locale if locale in _TEXT else "en"
    text = _TEXT[language].format(**said)
    return Letter(member.name, address, language, _SUBJECT[language], text, f"verify {token}")


def verify(connection: sa.Connection, acting: Acting, token: str) -> str:
    """Note that a member read the letter to an address; return the address. Raises NotFound (link_not_valid).

    What is held back because nobody knew the address is judged again.
    """
    address = rows.verify_member_address(connection, acting.member.id, hashed(token), acting.now)
    if address is None:
        raise NotFound("link_not_valid")
    judge_again(connection, acting, address)
    audit(connection, acting.team_id, acting.member.id, "verify_sender_address", {}, acting.now)
    return address


def set_unsigned(connection: sa.Connection, acting: Acting, address: str, unsigned: bool) -> None:
    """Say that mail from an address is taken as the member's although nothing proves it, or no longer. Raises NotFound.

    For domains without DKIM: whoever knows the member's Smart BCC address can then send in the member's name. The
    team's own address, which is no secret, asks for proof all the same.
    """
    if address not in rows.known_addresses(connection, acting.member.id):
        raise NotFound
    rows.set_unsigned(connection, acting.team_id, acting.member.id, address, unsigned)
    detail = {"unsigned": unsigned}
    audit(connection, acting.team_id, acting.member.id, "set_unsigned_address", detail, acting.now)


def forget(connection: sa.Connection, acting: Acting, address: str) -> None:
    """Forget another address of a member, verified or not."""
    rows.forget_member_address(connection, acting.member.id, address)
    audit(connection, acting.team_id, acting.member.id, "forget_sender_address", {}, acting.now)
