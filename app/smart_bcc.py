"""Smart BCC addresses: how they are made, shown and changed, and what is held back of the mail that came to them.

An address is `slug+token@domain`. The token is an HMAC over whose it is and what for, so it can be shown again and
cannot be guessed; the database knows only its hash. The team's own address, `slug@domain`, is no secret: it takes mail
from the team's members alone.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from base64 import b32encode
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from app.accounts import audit, current_team
from app.acting import Acting
from app.errors import Conflict, NotFound
from app.installation import Installation
from app.model import Account, ItemRef, Member
from app.ports import Change, ConnectedMailbox, Subscription
from app.store import accounts, discovered, queue
from app.store import smart_bcc as rows
from app.store.smart_bcc import HeldMail
from app.store.teams import Team

PROVIDER = accounts.SMART_BCC
MOST_HELD = 200
_TOKEN_BYTES = 10
_SLUG_CHARS = 20
_FOR_EVER = timedelta(days=3650)  # nothing has to be renewed: mail comes as long as the address stands
_NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a member may send copies of mail: the own address, and the team's."""

    own: str
    team: str


def is_offered(installation: Installation) -> bool:
    """Say whether this installation takes mail itself."""
    return bool(installation.settings.mail_domain)


def addresses(installation: Installation, connection: sa.Connection, member: Member, item: ItemRef | None) -> Addresses:
    """Return the addresses of a member and of the team, for an item or (None) for any; they are made when first asked.

    Raises Conflict (smart_bcc_off) when the installation takes no mail.
    """
    if not is_offered(installation):
        raise Conflict("smart_bcc_off")
    team = current_team(connection)
    account_of(installation, connection, member)
    return Addresses(
        _address(installation, connection, team, member.id, item), _address(installation, connection, team, None, item)
    )


def team_address(installation: Installation, connection: sa.Connection) -> str:
    """Return the team's own address; "" where the installation takes no mail."""
    return _address(installation, connection, current_team(connection), None, None) if is_offered(installation) else ""


def change_addresses(installation: Installation, connection: sa.Connection, member: Member) -> None:
    """Give a member another own address, and others for items: from now on the old ones are unknown.

    One who ended the account begins again with it.
    """
    now = installation.clock.now()
    account = account_of(installation, connection, member)
    if account.state == "disconnected":
        accounts.reconnect(connection, account.id, account.address, auto_link=account.auto_link, now=now)
        accounts.set_subscription(connection, account.id, Subscription(PROVIDER, now + _FOR_EVER))
        accounts.set_state(connection, account.id, "live", now)
    addresses(installation, connection, member, None)
    row = rows.find_address(connection, member.id, None)
    if row is None:
        raise NotFound
    team = current_team(connection)
    version = row.version + 1
    rows.change_address(connection, row.id, version, hashed(_token(installation, team, member.id, None, version)), now)
    rows.forget_item_addresses(connection, member.id)
    audit(connection, team.id, member.id, "change_smart_bcc_address", {}, now)


def change_team_addresses(installation: Installation, connection: sa.Connection, administrator: Member) -> None:
    """Give the team's addresses for items other tokens; the team's own address, which has none, stays."""
    team = current_team(connection)
    slug = _slug(connection, team)
    row = rows.find_address(connection, None, None)
    if row is not None:
        rows.change_address(connection, row.id, row.version + 1, hashed(slug), installation.clock.now())
    rows.forget_item_addresses(connection, None)
    audit(connection, team.id, administrator.id, "change_team_smart_bcc", {}, installation.clock.now())


def account_of(installation: Installation, connection: sa.Connection, member: Member) -> Account:
    """Return the account that holds what a member sends to Smart BCC; it is made when first asked for.

    It is named after the member's address, unless somebody who had that address before has the name.
    """
    known = accounts.account_of_owner(connection, PROVIDER, member.id)
    if known is not None:
        return known
    domain, team, now = installation.settings.mail_domain, current_team(connection), installation.clock.now()
    address = f"{member.email.replace('@', '=')}@{domain}"
    if accounts.account_by_address(connection, address) is not None:
        address = f"{member.public_id}@{domain}"
    account_id = accounts.add(
        connection,
        team.id,
        PROVIDER,
        "personal",
        ConnectedMailbox(member.public_id, member.public_id, address, {}),
        owner_id=member.id,
        auto_link=True,
        history_from=None,
        now=now,
    )
    accounts.set_own_addresses(connection, account_id, [f"{_slug(connection, team)}@{domain}"])
    accounts.set_subscription(connection, account_id, Subscription(PROVIDER, now + _FOR_EVER))
    accounts.set_state(connection, account_id, "live", now)
    return accounts.account(connection, account_id)


def identified_by(local_part: str) -> bytes:
    """Return the hash under which an address is known, by its token or, when it has none, by its slug."""
    slug, plus, token = local_part.lower().partition("+")
    return hashed(token if plus else slug)


# --- mail that is held back ---


def held_for(connection: sa.Connection, member: Member) -> list[HeldMail]:
    """Return the mail to a member's addresses that waits for the member to say what it is, the newest first."""
    own = [a.id for a in accounts.accounts(connection) if a.provider == PROVIDER and a.owner_id == member.id]
    return rows.held(connection, own, MOST_HELD)


def release(installation: Installation, connection: sa.Connection, member: Member, public_id: str) -> None:
    """Let a held mail be read as if it had been sent as it says. Raises NotFound."""
    mail = _held(connection, member, public_id)
    team, now = current_team(connection), installation.clock.now()
    rows.release(connection, mail.id, member.id)
    discovered.record(connection, team.id, mail.account_id, [Change(mail.provider_id)], now)
    queue.hint_accounts(connection, [mail.account_id])
    audit(connection, team.id, member.id, "release_mail", {"why": mail.why}, now)


def judge_again(connection: sa.Connection, acting: Acting, sender: str) -> None:
    """Have what is held back of a sender judged again, who is known to be the member from now on."""
    mails = [mail for mail in held_for(connection, acting.member) if mail.sender == sender]
    rows.forget_judgement(connection, [mail.id for mail in mails])
    for account_id in {mail.account_id for mail in mails}:  # one, but for a member who was removed and came back
        changes = [Change(mail.provider_id) for mail in mails if mail.account_id == account_id]
        discovered.record(connection, acting.team_id, account_id, changes, acting.now)
    queue.hint_accounts(connection, sorted({mail.account_id for mail in mails}))


def discard(installation: Installation, connection: sa.Connection, member: Member, public_id: str) -> None:
    """Delete a held mail unread. Raises NotFound."""
    mail = _held(connection, member, public_id)
    rows.discard(connection, mail.id)
    now = installation.clock.now()
    audit(connection, current_team(connection).id, member.id, "discard_mail", {"why": mail.why}, now)


def _held(connection: sa.Connection, member: Member, public_id: str) -> HeldMail:
    found = next((mail for mail in held_for(connection, member) if mail.public_id == public_id), None)
    if found is None:
        raise NotFound
    return found


# --- making addresses ---


def _address(
    installation: Installation, connection: sa.Connection, team: Team, member_id: int | None, item: ItemRef | None
) -> str:
    slug = _slug(connection, team)
    if member_id is None and item is None:
        return f"{slug}@{installation.settings.mail_domain}"
    row = rows.find_address(connection, member_id, item)
    version = row.version if row else _version(connection, member_id)
    token = _token(installation, team, member_id, item, version)
    if row is None:
        rows.add_address(connection, team.id, member_id, item, slug=slug, version=version, token_hash=hashed(token))
    return f"{row.slug if row else slug}+{token}@{installation.settings.mail_domain}"


def _version(connection: sa.Connection, member_id: int | None) -> int:
    """Return the version of an address that is made now: those for items go with the one for any."""
    own = rows.find_address(connection, member_id, None)
    return own.version if own else 1


def _token(installation: Installation, team: Team, member_id: int | None, item: ItemRef | None, version: int) -> str:
    purpose = f"{item.connection_id}/{item.kind}/{item.external_id}" if item else "any"
    said = "\n".join(("smart_bcc", team.public_id, str(member_id or "team"), purpose, str(version)))
    digest = hmac.digest(installation.secret, said.encode(), "sha256")
    return b32encode(digest[:_TOKEN_BYTES]).decode("ascii").lower()


def hashed(token: str) -> bytes:
    """Return how a token is stored."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _slug(connection: sa.Connection, team: Team) -> str:
    """Return the readable part of the team's addresses: made once, so that a team that is renamed keeps it."""
    row = rows.find_address(connection, None, None)
    if row is not None:
        return row.slug
    plain = unicodedata.normalize("NFKD", team.name.replace("ı", "i").lower()).encode("ascii", "ignore").decode()
    name = _NOT_IN_SLUG.sub("-", plain)[:_SLUG_CHARS].strip("-") or "team"
    mark = hashlib.sha256(team.public_id.encode()).hexdigest()[:6]  # two teams of one name
    slug = f"{name}-{mark}"
    rows.add_address(connection, team.id, None, None, slug=slug, version=1, token_hash=hashed(slug))
    return slug
