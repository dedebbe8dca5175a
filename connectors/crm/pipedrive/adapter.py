"""Pipedrive as a CrmAdapter: the facade over reading, writing, catching up and webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.errors import Gone, Rejected, Unavailable, Unsupported
from app.model import ITEM_KINDS, Item, ItemKind, ItemRef, Person
from app.ports import (
    Clock,
    CrmCapabilities,
    CrmChanges,
    CrmConnection,
    CrmEvent,
    CrmIdentity,
    CrmUser,
    LinkWrite,
    Merge,
    PushRequest,
    SearchHit,
    WrittenLink,
)
from connectors.crm.pipedrive import mapping, operations
from connectors.crm.pipedrive.api import PipedriveApi
from connectors.crm.pipedrive.changes import PipedriveChanges
from connectors.crm.pipedrive.consent import MODES, identity_of
from connectors.crm.pipedrive.failures import PROVIDER
from connectors.crm.pipedrive.records import PipedriveRecords
from connectors.crm.pipedrive.settings import PipedriveSettings
from connectors.crm.pipedrive.smart_bcc import SmartBcc
from connectors.crm.pipedrive.webhooks import PipedriveWebhooks
from connectors.crm.pipedrive.writing import MAIL_MAY_DOUBLE, MAIL_STAYS, THREAD_STAYS, PipedriveWriting
from connectors.crm.words import addresses_of, line, words

MAX_HITS = 100
NO_PROJECTS = "The company's Pipedrive plan has no projects."
ONE_PERSON = "A Pipedrive note shows on one person and one organization: the first of the conversation."
LEADS_LAG = "Pipedrive lists no deleted leads: one is noticed by its webhook, or when something is written to it."


class PipedriveCrm:
    """One team's Pipedrive: ports.CrmAdapter, CrmRereading, CrmSubscribing, CrmDirectory and CrmRevoking.

    Of the connection's settings it reads `mode`, `daily_tokens`, `projects` and `visibility_groups`.
    """

    def __init__(
        self,
        settings: PipedriveSettings,
        clock: Clock,
        connection: CrmConnection,
        public_base_url: str,
        api: PipedriveApi | None = None,
    ) -> None:
        chosen = connection.settings
        mode = chosen.get("mode") if chosen.get("mode") in MODES else settings.write_mode
        has_projects = chosen.get("projects") is not False
        kinds: frozenset[ItemKind] = frozenset(kind for kind in ITEM_KINDS if has_projects or kind != "project")
        groups = chosen.get("visibility_groups") is True
        tokens = chosen.get("daily_tokens")
        self._connection_id = connection.id
        self._api = api or PipedriveApi(
            settings,
            clock,
            connection.credentials,
            meter_key=(connection.company, connection.public_id),
            daily_tokens=tokens if isinstance(tokens, int) and tokens > 0 else None,
        )
        self._records = PipedriveRecords(self._api, clock, connection.id, kinds, groups=groups)
        self._changes = PipedriveChanges(
            self._api, self._records, clock, connection.id, kinds, groups=groups, catch_up_s=settings.catch_up_s
        )
        self._writing = PipedriveWriting(self._api, str(mode), public_base_url, SmartBcc(settings))
        self._webhooks = PipedriveWebhooks(self._api, connection.credentials, connection.public_id, connection.company)
        missing = {"deleted_leads": LEADS_LAG}
        missing |= {"unlink": THREAD_STAYS} if mode == "native_thread" else {}
        missing |= {"unlink": MAIL_STAYS, "once": MAIL_MAY_DOUBLE} if mode == "smart_bcc" else {}
        missing |= {"several_persons": ONE_PERSON} if mode in {"note", "native_thread"} else {}
        missing |= {} if has_projects else {"projects": NO_PROJECTS}
        self.capabilities = CrmCapabilities(kinds=kinds, webhooks=True, read_through=True, missing=missing)

    @property
    def tokens_spent_today(self) -> int:
        """Return what this process spent of the company's API tokens today."""
        return self._api.meter.spent_today

    # --- reading ---

    def who_am_i(self) -> CrmIdentity:
        """Return whose Pipedrive it is."""
        return identity_of(self._api.me())

    def people_by_address(self, addresses: Sequence[str]) -> list[Person]:
        """Return every person with one of the addresses; 20 tokens an address, and 1 for each person found.

        Pipedrive's exact match is compared again, for it has matched parts of addresses before.
        """
        found: dict[str, Person] = {}
        for address in addresses_of(addresses):
            if "@" not in address:
                continue
            params = {"term": address, "fields": "email", "exact_match": True}
            for row in self._api.rows(operations.SEARCH_PERSONS, params=params, limit=MAX_HITS):
                hit = row["item"] if isinstance(row.get("item"), dict) else {}
                external_id = mapping.number(hit.get("id"))
                if external_id is None or external_id in found or address not in mapping.emails(hit.get("emails")):
                    continue
                owner = hit.get("organization")
                name = owner.get("name") if isinstance(owner, dict) else None
                person = self._records.person(external_id, name if isinstance(name, str) else "")
                if person is not None and not person.deleted and address in person.addresses:
                    found[external_id] = person
        return list(found.values())

    def items_of_people(self, persons: Sequence[ItemRef]) -> list[Item]:
        """Return the deals, leads and projects of these persons, in any state."""
        ids = dict.fromkeys(ref.external_id for ref in persons if self._is_ours(ref) and ref.kind == "person")
        return self._records.items_of(list(ids))

    def search(self, query: str, kinds: Sequence[str] = (), limit: int = 20) -> list[SearchHit]:
        """Find items by words of their title with Pipedrive's own search, closed ones included."""
        wanted = [kind for kind in (kinds or ITEM_KINDS) if kind in self.capabilities.kinds]
        term = line(query, 200)
        if not wanted or not words(query) or len(term) < 2:
            return []
        limit = max(1, min(limit, MAX_HITS))
        params = {"term": term, "item_types": ",".join(wanted), "fields": "title"}
        rows, _ = next(iter(self._api.pages(operations.SEARCH_ITEMS, params=params, limit=limit)))
        hits = [hit for row in rows if (hit := mapping.hit(row, self._connection_id)) and hit.state != "deleted"]
        return [hit for hit in hits if hit.ref.kind in wanted][:limit]

    def get(self, ref: ItemRef) -> Item | None:
        """Return the item as it is now; None when Pipedrive does not know it."""
        if ref.kind not in self.capabilities.kinds or not self._is_ours(ref):
            return None
        return self._records.item(ref.kind, ref.external_id)

    def changes_since(self, cursor: str | None) -> Iterator[CrmChanges]:
        """Yield what changed; nothing when the last pass was less than PIPEDRIVE_CATCH_UP_S ago."""
        return self._changes.since(cursor)

    def read_records(self, records: Sequence[ItemRef], merges: Sequence[Merge] = ()) -> CrmChanges:
        """Return these records as they are now, and the merges that Pipedrive confirms."""
        return self._records.read(records, merges)

    def users(self) -> list[CrmUser]:
        """Return everybody who works in the company's Pipedrive."""
        rows = self._api.rows_of_one(operations.USERS)
        return [user for row in rows if (user := mapping.user(row))]

    # --- creating ---

    def create_person(self, name: str, addresses: Sequence[str], organization: ItemRef | None = None) -> Person:
        """Create a person; the first address is the primary one."""
        emails = [
            {"value": address, "primary": place == 0, "label": "work"}
            for place, address in enumerate(addresses_of(addresses))
        ]
        body = {"name": line(name), "emails": emails, **_number("org_id", organization)}
        made = self._api.data(operations.ADD_PERSON, body=body)
        person = self._records.person(mapping.number(made.get("id")) or "0")
        if person is None:
            raise Unavailable("Pipedrive made a person and does not show it", provider=PROVIDER, operation="add_person")
        return person

    def create_item(
        self, kind: ItemKind, title: str, person: ItemRef | None, organization: ItemRef | None = None
    ) -> Item:
        """Create an open item. Pipedrive refuses a lead that is nobody's."""
        if kind not in self.capabilities.kinds:
            raise Unsupported(NO_PROJECTS, provider=PROVIDER, operation="create_item")
        if kind == "deal":
            body = {"title": line(title), **_number("person_id", person), **_number("org_id", organization)}
            made = self._api.data(operations.ADD_DEAL, body=body)
        elif kind == "lead":
            if person is None and organization is None:
                raise Rejected("A lead needs a person or an organization.", provider=PROVIDER, operation="add_lead")
            body = {"title": line(title), **_number("person_id", person), **_number("organization_id", organization)}
            made = self._api.data(operations.ADD_LEAD, body=body)
        else:
            body = {"title": line(title), **_numbers("person_ids", person), **_numbers("org_ids", organization)}
            made = self._api.data(operations.ADD_PROJECT, body=body)
        item = self._records.item(kind, str(made.get("id")))
        if item is None:
            raise Unavailable("Pipedrive made an item and does not show it", provider=PROVIDER, operation="create_item")
        return item

    # --- conversations on records ---

    def find_link(self, write: LinkWrite) -> WrittenLink | None:
        """Look for our own marker on the item."""
        return self._writing.find(write)

    def write_link(self, write: LinkWrite) -> WrittenLink:
        """Show the conversation on the item, in one call. Raises Gone for a deleted item."""
        return self._writing.write(write)

    def update_link(self, written: WrittenLink, write: LinkWrite) -> WrittenLink:
        """Bring it up to date in place. Raises Gone when somebody deleted it."""
        return self._writing.update(written, write)

    def remove_link(self, written: WrittenLink, item: ItemRef) -> None:  # noqa: ARG002 - a note knows where it is
        """Take it off the item; what is gone already is no error. Raises Unsupported for a mail thread."""
        try:
            self._writing.remove(written)
        except Gone:
            return

    # --- webhooks and access ---

    def read_webhook(self, request: PushRequest) -> list[CrmEvent]:
        """Verify and decode a webhook."""
        return self._webhooks.read(request)

    def subscribe(self, url: str) -> None:
        """Have Pipedrive send webhooks to this URL."""
        self._webhooks.subscribe(url)

    def unsubscribe(self) -> None:
        """End the webhooks."""
        self._webhooks.unsubscribe()

    def revoke(self) -> None:
        """End a consent; an API token is ended by its user, in Pipedrive."""
        self._api.revoke()

    def _is_ours(self, ref: ItemRef) -> bool:
        return ref.connection_id in (0, self._connection_id) and mapping.is_id(ref.kind, ref.external_id)


def _number(name: str, ref: ItemRef | None) -> dict[str, int]:
    return {} if ref is None or not mapping.is_id(ref.kind, ref.external_id) else {name: int(ref.external_id)}


def _numbers(name: str, ref: ItemRef | None) -> dict[str, list[int]]:
    return {name: list(_number(name, ref).values())} if ref is not None else {}
