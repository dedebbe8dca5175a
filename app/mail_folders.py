"""Which labels or folders of an account are read: what there is to choose from, and the choice.

Sent mail is always read, and of a team account the inbox. The provider is asked outside of any transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from app import accounts
from app.errors import AccessRevoked, InvalidRequest, Unsupported
from app.installation import Installation
from app.model import Account, Member
from app.ports import Mailbox, MailFolder
from app.store import account_folders, queue


def offered(installation: Installation, account: Account) -> Sequence[MailFolder]:
    """Ask the provider what there is to choose from. Raises ProviderError."""
    connector = installation.mail.get(account.provider)
    if connector is None or not connector.capabilities.folders:
        raise Unsupported("This mail lies in no labels or folders.", provider=account.provider)
    if account.state == "disconnected":
        raise AccessRevoked(provider=account.provider, operation="folders")
    return connector.list_folders(Mailbox(account, installation.credentials_of(account)))


def choose(installation: Installation, member: Member, account: Account, ids: Collection[str] | None) -> None:
    """Limit what is read of an account that the member may change to these labels or folders; None: everything is read.

    What is stored stays. Mail that was left out until now and no longer is gets read as far back as the account goes.
    Raises ProviderError, and InvalidRequest when none of them is there.
    """
    chosen = _chosen(account, offered(installation, account), ids) if ids is not None else frozenset[str]()
    with installation.database.for_team(account.team_id) as connection:
        before = accounts.changeable(connection, member, account.public_id)
        if not account_folders.set_folders(connection, account.id, chosen):
            return
        queue.hint_accounts(connection, [account.id])
        detail = {"account": account.public_id, "folders": sorted(chosen), "before": sorted(before.folders)}
        accounts.audit(connection, account.team_id, member.id, "set_folders", detail, installation.clock.now())


def _chosen(account: Account, there: Sequence[MailFolder], ids: Collection[str]) -> frozenset[str]:
    """Return those of the ids that are there, with the inbox of a team account. Raises InvalidRequest for none."""
    always = account.kind == "team"
    chosen = frozenset(each.id for each in there if each.id in ids or (always and each.well_known == "inbox"))
    if not chosen:
        raise InvalidRequest([{"field": "folder", "message": "must name a label or folder of the mailbox"}])
    return chosen
