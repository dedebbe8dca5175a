"""Somebody at a desk who works with Tryton (ports.CrmRecords): through its RPC, as its own clients do.

The database is reached directly only for what Tryton lets nobody do: a date of creation in the past, an opportunity
that is won (its sale would have to be confirmed), one that comes back from its history, and an empty desk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.errors import Rejected
from app.model import ItemKind
from tests.tryton.rpc import ADMIN, ADMIN_PASSWORD, TrytonRpc
from tests.tryton.server import RELATION, TrytonServer

PARTY, OPPORTUNITY, WORK = "party.party", "sale.opportunity", "project.work"
_MODELS = {"person": PARTY, "organization": PARTY, "lead": OPPORTUNITY, "deal": OPPORTUNITY, "project": WORK}
_BUTTONS = {"lost": "lost", "archived": "cancel"}
_CLEARED = (
    *("ir_note", "ir_note_read", "ir_model_log", "res_user_warning", "party_relation", "party_contact_mechanism"),
    *("party_address", "sale_opportunity", "sale_opportunity__history", "project_work"),
)
_NOT_IN_A_NAME = re.compile(r"[\t\n\r\x0b\x0c]")  # what Tryton refuses in a name


class TrytonDesk:
    """Keeps records under the caller's ids."""

    def __init__(self, server: TrytonServer) -> None:
        self._server = server
        self.rpc = TrytonRpc(server.url, ADMIN, ADMIN_PASSWORD)
        self.ids: dict[tuple[str, str], int] = {}
        self._deleted: dict[int, dict[str, Any]] = {}
        (self._relation,) = self.rpc.call("party.relation.type.search", [["name", "=", RELATION]], 0, None, None)

    def clear(self) -> None:
        """Leave nothing but the company and its employee."""
        for table in _CLEARED:
            self._server.execute(f"DELETE FROM {table}")
        self._server.execute(
            "DELETE FROM party_party WHERE id NOT IN (SELECT party FROM company_company"
            " UNION SELECT party FROM company_employee)"
        )

    # --- ports.CrmRecords ---

    def put_organization(self, external_id: str, name: str) -> None:
        """Create a party without an address."""
        self.ids["organization", external_id] = self._create(PARTY, name=name)

    def put_person(
        self, external_id: str, name: str, addresses: Sequence[str], organization: str | None = None
    ) -> None:
        """Create a party with addresses who works for another."""
        relations = [{"to": self._id("organization", organization), "type": self._relation}] if organization else []
        self.ids["person", external_id] = self._create(
            PARTY,
            name=name,
            contact_mechanisms=[["create", _mechanisms(addresses)]],
            relations=[["create", relations]],
        )

    def put_item(
        self,
        kind: ItemKind,
        external_id: str,
        title: str,
        *,
        state: str = "open",
        created_at: datetime | None = None,
        person: str | None = None,
        participants: Sequence[str] = (),
        organization: str | None = None,
    ) -> None:
        """Create an opportunity (it begins as a lead) or a project; there is no place for participants."""
        name = _NOT_IN_A_NAME.sub(" ", title)
        people = self._people(kind, person, organization)
        if kind == "project":
            number = self._create(WORK, name=name, type="project", **people)
        else:
            if kind == "deal" and not people["party"]:
                people["party"] = self._create(PARTY, name="Somebody")  # an opportunity needs one
            number = self._create(OPPORTUNITY, description=name, **people)
        self.ids[kind, external_id] = number
        if kind == "deal":
            self._click("opportunity", number)
        self._set_state(kind, number, state)
        if created_at is not None:
            table = "project_work" if kind == "project" else "sale_opportunity"
            at, now = _sql(created_at), _sql(datetime.now(UTC))
            self._server.execute(f"UPDATE {table} SET create_date = ?, write_date = ? WHERE id = ?", at, now, number)

    def change(self, kind: str, external_id: str, changes: Mapping[str, Any]) -> None:
        """Set fields of a record."""
        number, model = self._id(kind, external_id), _MODELS[kind]
        values: dict[str, Any] = {}
        for name, value in changes.items():
            if name == "emails":
                old = self.rpc.call("party.contact_mechanism.search", [["party", "=", number]], 0, None, None)
                values["contact_mechanisms"] = [["delete", old], ["create", _mechanisms(value)]]
            elif name == "person":
                values["contact"] = self._mechanism(self._id("person", value))
            elif name != "status":
                values["description" if model == OPPORTUNITY else "name"] = value
        if values:
            self.rpc.call(f"{model}.write", [number], values)
        if "status" in changes:  # last, for nothing of a closed opportunity can be changed
            self._set_state(kind, number, changes["status"])

    def delete(self, kind: str, external_id: str) -> None:
        """Archive a party; cancel and delete an opportunity, which is kept to come back."""
        number = self._id(kind, external_id)
        if _MODELS[kind] == PARTY:
            self.rpc.call(f"{PARTY}.write", [number], {"active": False})
        elif _MODELS[kind] == WORK:
            self.rpc.call(f"{WORK}.delete", [number])
        else:
            self._deleted[number] = self._row(number)
            self._rewrite(number, state="cancelled")
            self.rpc.call(f"{OPPORTUNITY}.delete", [number])

    def restore(self, kind: str, external_id: str) -> None:
        """Bring a record back."""
        number = self._id(kind, external_id)
        if _MODELS[kind] == PARTY:
            self.rpc.call(f"{PARTY}.write", [number], {"active": True})
        else:
            row = self._deleted.pop(number)
            columns = ", ".join(f'"{name}"' for name in row)
            values = ", ".join("?" for _ in row)
            self._server.execute(f"INSERT INTO sale_opportunity ({columns}) VALUES ({values})", *row.values())
            self._rewrite(number, state=row["state"])

    def convert_lead(self, lead: str, deal: str) -> None:
        """Make an opportunity of a lead."""
        number = self.ids["deal", deal] = self._id("lead", lead)
        self._click("opportunity", number)

    def merge_persons(self, gone: str, into: str) -> None:
        """Replace a party by another, confirming that their names differ, and take its addresses into use again."""
        source, destination = self._id("person", gone), self._id("person", into)
        mechanisms = self.rpc.call("party.contact_mechanism.search", [["party", "=", source]], 0, None, None)
        name = f"party.replace name {source} {destination}"
        self.rpc.call("res.user.warning.create", [{"name": name, "user": self.rpc.user_id, "always": False}])
        session, *_ = self.rpc.send("wizard.party.replace.create", self.rpc.context)
        active = {"active_model": PARTY, "active_id": source, "active_ids": [source]}
        asked = {"ask": {"source": source, "destination": destination}}
        self.rpc.send("wizard.party.replace.execute", session, asked, "replace", {**self.rpc.context, **active})
        self.rpc.send("wizard.party.replace.delete", session, self.rpc.context)
        self.rpc.call("party.contact_mechanism.write", mechanisms, {"active": True})

    def notes(self, kind: str, external_id: str) -> list[str]:
        """Return the notes on a record as Tryton shows them, oldest first."""
        resource = f"{_MODELS[kind]},{self._id(kind, external_id)}"
        rows = self.rpc.call(
            "ir.note.search_read", [["resource", "=", resource]], 0, None, [["id", "ASC"]], ["message"]
        )
        return [row["message"] for row in rows]

    # --- pieces ---

    def _id(self, kind: str, external_id: str) -> int:
        if (kind, external_id) not in self.ids:
            raise Rejected(f"There is no {kind} {external_id}.")
        return self.ids[kind, external_id]

    def _create(self, model: str, **values: Any) -> int:
        (number,) = self.rpc.call(f"{model}.create", [values])
        return int(number)

    def _people(self, kind: str, person: str | None, organization: str | None) -> dict[str, int | None]:
        contact = self._id("person", person) if person else None
        party = self._id("organization", organization) if organization else None
        if kind == "project" or contact is None or party is None:
            return {"party": contact or party}
        return {"party": party, "contact": self._mechanism(contact)}

    def _mechanism(self, party: int) -> int:
        found = self.rpc.call("party.contact_mechanism.search", [["party", "=", party]], 0, 1, None)
        return int(found[0])

    def _click(self, button: str, number: int) -> None:
        self.rpc.call(f"{OPPORTUNITY}.{button}", [number])

    def _set_state(self, kind: str, number: int, state: str) -> None:
        if kind == "project":
            name, progress = {"open": ("Open", None), "completed": ("Done", 1.0)}[state]
            (status,) = self.rpc.call("project.work.status.search", [["name", "=", name]], 0, None, None)
            self.rpc.call(f"{WORK}.write", [number], {"status": status, "progress": progress})
        elif state == "won":
            self._rewrite(number, state="won")
        elif state != "open":
            self._click(_BUTTONS[state], number)

    def _row(self, number: int) -> dict[str, Any]:
        columns = [row[1] for row in self._server.execute("PRAGMA table_info(sale_opportunity)")]
        (row,) = self._server.execute(f"SELECT {', '.join(columns)} FROM sale_opportunity WHERE id = ?", number)
        return dict(zip(columns, row, strict=True))

    def _rewrite(self, number: int, *, state: str) -> None:
        """Write a state with its line of history, as Tryton does."""
        now = _sql(datetime.now(UTC))
        self._server.execute("UPDATE sale_opportunity SET state = ?, write_date = ? WHERE id = ?", state, now, number)
        columns = ", ".join(self._row(number))
        self._server.execute(
            f"INSERT INTO sale_opportunity__history ({columns}) SELECT {columns} FROM sale_opportunity WHERE id = ?",
            number,
        )


def _mechanisms(addresses: Sequence[str]) -> list[dict[str, str]]:
    return [{"type": "email", "value": address} for address in addresses]


def _sql(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
