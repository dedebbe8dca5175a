"""The product as a World to play scenarios in: names of the scenario in, names of the scenario out.

People act through app.links with their own rights; the CRM is changed as somebody who works in it would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from app import accounts, links, review, undoing
from app.demo.stage import Stage
from app.errors import RequestRefused, Unsupported
from app.model import Conversation, Message
from app.scenario import model as scenes
from app.scenario.check import ActionOutcome, ConversationOutcome, Outcome, Questions, Readable
from app.scenario.run import Delivery
from app.store import accounts as account_rows
from app.store import conversations, decisions, queue
from app.store.decisions import StoredDecision


class DemoWorld:
    """A stage, with the keys under which the scenario knows its messages and actions."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._keys: dict[tuple[str, str], str] = {}  # (mailbox, provider id) -> key
        self._batches: dict[int, str] = {}  # event index -> batch of the action

    def advance(self, to: datetime) -> None:
        """Move the clock, and let the schedules run that the time between calls for."""
        self._stage.advance(to)

    def settle(self) -> None:
        """Wait until nothing is left to do."""
        self._stage.settle()

    def deliver(self, delivery: Delivery) -> None:
        """Put a copy into its mailbox; the simulator pushes."""
        simulator = self._stage.simulators[self._stage.scenario.account(delivery.mailbox).provider]
        provider_id = simulator.deliver(delivery.mailbox, delivery.raw, at=delivery.at, folder=delivery.folder)
        self._keys[delivery.mailbox, provider_id] = delivery.key
        self._stage.delivered.add((delivery.mailbox, provider_id))

    def change_crm(self, event: scenes.CrmEvent) -> None:
        """Change a record, and hint as the CRM's webhook would."""
        operation, records = event.operation, self._stage.crm_records
        if isinstance(operation, scenes.CreateRecord):
            self._stage.put(operation.record)
        elif isinstance(operation, scenes.ChangeRecord):
            records.change(operation.kind, operation.id, operation.changes)
        elif isinstance(operation, scenes.DeleteRecord):
            records.delete(operation.kind, operation.id)
        elif isinstance(operation, scenes.RestoreRecord):
            records.restore(operation.kind, operation.id)
        elif isinstance(operation, scenes.ConvertLead):
            records.convert_lead(operation.lead, operation.deal)
        else:
            records.merge_persons(operation.gone, operation.into)
        with self._stage.team() as connection:
            queue.defer(
                connection, "refresh_mirror", [({"team_id": self._stage.team_id}, f"mirror:{self._stage.team_id}")]
            )

    def act(self, event: scenes.ActionEvent) -> ActionOutcome:
        """Let a member act through app.links, with that member's rights."""
        try:
            with self._stage.team() as connection:
                acting = links.Acting(self._stage.team_id, self._stage.members[event.member], self._stage.clock.now())
                self._batches[event.index] = acting.batch_id
                return self._act(connection, acting, event.action)
        except RequestRefused as refusal:
            return ActionOutcome(refused=refusal.reason)

    def fault(self, event: scenes.FaultEvent) -> None:
        """Arm a fault of a simulated provider or CRM."""
        simulator = self._stage.simulator_of(event.provider)
        if simulator is None or event.kind not in simulator.fault_kinds:
            known = ", ".join(sorted(simulator.fault_kinds)) if simulator else ", ".join(self._stage.simulators)
            raise Unsupported(f"event {event.index}: {event.provider} has no fault {event.kind!r}; known: {known}")
        simulator.fault(event.kind, **dict(event.params))

    def snapshot(self, asked: Questions) -> Outcome:
        """Say what there is now, in the names of the scenario."""
        with self._stage.team() as connection:
            addresses = {account.id: account.address for account in account_rows.accounts(connection)}
            ids = connection.execute(sa.text("SELECT id FROM conversation WHERE merged_into IS NULL")).scalars().all()
            found = conversations.load(connection, ids)
            decided = decisions.current(connection, ids)
            claims: dict[int, list[int]] = dict(
                connection.execute(
                    sa.text("SELECT conversation_id, array_agg(other_id) FROM merge_pair GROUP BY conversation_id")
                ).all()
            )
            rows = connection.execute(sa.text("SELECT account_id, provider_id, state, rule FROM discovered_message"))
            became = {(addresses[row.account_id], row.provider_id): row.rule or row.state for row in rows}
            readable = {
                (member, key): self._readable(connection, member, key, found, addresses)
                for member, key in asked.readable
            }
        return Outcome(
            conversations=tuple(
                self._conversation(conversation, decided.get(conversation.id), claims, addresses)
                for conversation in found
            ),
            notes={name: tuple(self._stage.crm_records.notes(*name.split("/", 1))) for name in asked.notes},
            readable=readable,
            recorded={
                (key, mailbox): became[mailbox, provider_id]
                for (mailbox, provider_id), key in self._keys.items()
                if (mailbox, provider_id) in became
            },
        )

    # --- acting ---

    def _act(self, connection: sa.Connection, acting: links.Acting, action: scenes.Action) -> ActionOutcome:
        if isinstance(action, scenes.BulkLinkAction):
            return self._bulk_link(connection, acting, action)
        if isinstance(action, scenes.UndoAction):
            undoing.undo(connection, acting, self._batches[action.event])
        elif isinstance(action, scenes.SetAccountAction):
            accounts.set_auto_link(connection, acting.member, action.address, action.auto_link, acting.now)
        else:
            self._act_on_one(connection, acting, action)
        return ActionOutcome()

    def _act_on_one(
        self,
        connection: sa.Connection,
        acting: links.Acting,
        action: scenes.LinkAction
        | scenes.UnlinkAction
        | scenes.DismissAction
        | scenes.AcceptAction
        | scenes.SetVisibilityAction,
    ) -> None:
        conversation_id = self._conversation_ids(connection, [action.conversation])[action.conversation]
        if isinstance(action, scenes.LinkAction):
            links.link(connection, acting, conversation_id, self._stage.ref(action.item), move=True)
        elif isinstance(action, scenes.UnlinkAction):
            links.unlink(connection, acting, conversation_id)
        elif isinstance(action, scenes.DismissAction):
            links.dismiss(connection, acting, conversation_id)
        elif isinstance(action, scenes.SetVisibilityAction):
            links.set_visibility(connection, acting, conversation_id, action.level)
        else:
            review.accept(connection, acting, conversation_id)

    def _bulk_link(
        self, connection: sa.Connection, acting: links.Acting, action: scenes.BulkLinkAction
    ) -> ActionOutcome:
        ids = self._conversation_ids(connection, action.conversations)
        result = links.bulk_link(
            connection, acting, list(ids.values()), self._stage.ref(action.item), elsewhere=action.elsewhere
        )
        return ActionOutcome(
            linked=frozenset(key for key, i in ids.items() if i in result.linked),
            not_linked={key: result.not_linked[i] for key, i in ids.items() if i in result.not_linked},
        )

    def _conversation_ids(self, connection: sa.Connection, keys: Sequence[str]) -> dict[str, int]:
        """Return the conversation of each message key; 0, which nobody may see, for one that is not stored."""
        rows = connection.execute(
            sa.text(
                """
                SELECT a.address, c.provider_id, m.conversation_id FROM message_copy c
                JOIN account a ON a.team_id = c.team_id AND a.id = c.account_id
                JOIN message m ON m.team_id = c.team_id AND m.id = c.message_id
                """
            )
        )
        stored = {self._keys.get((row.address, row.provider_id)): row.conversation_id for row in rows}
        return {key: stored.get(key, 0) for key in keys}

    # --- looking ---

    def _readable(
        self,
        connection: sa.Connection,
        member: str,
        key: str,
        found: Sequence[Conversation],
        addresses: Mapping[int, str],
    ) -> Readable:
        for conversation in found:
            for message in conversation.messages:
                if key in self._keys_of(message, addresses):
                    seen = links.see(connection, self._stage.members[member], [conversation.id]).get(conversation.id)
                    level = seen.level_of(message) if seen else "private"
                    return Readable(subject=level in ("subject", "full"), text=level == "full")
        return Readable(subject=False, text=False)

    def _conversation(
        self,
        conversation: Conversation,
        decided: StoredDecision | None,
        claims: Mapping[int, Sequence[int]],
        addresses: Mapping[int, str],
    ) -> ConversationOutcome:
        primary = conversation.primary_link
        decision = decided.decision if decided else None
        return ConversationOutcome(
            id=str(conversation.id),
            messages=tuple(self._keys_of(message, addresses) for message in conversation.messages),
            link=self._stage.name_of(primary.ref) if primary else None,
            origin=primary.origin if primary else None,
            outcome=decision.outcome if decision else None,
            reason=decision.reason if decision else None,
            candidates=frozenset(
                self._stage.name_of(c.ref) for c in (decision.candidates if decision else ()) if c.ruled_out is None
            ),
            persons=self._related(conversation, "person"),
            organizations=self._related(conversation, "organization"),
            claims=frozenset(str(other) for other in claims.get(conversation.id, ())),
        )

    def _related(self, conversation: Conversation, kind: str) -> frozenset[str]:
        names = (self._stage.name_of(link.ref) for link in conversation.links if link.ref.kind == kind)
        return frozenset(name.partition("/")[2] for name in names)

    def _keys_of(self, message: Message, addresses: Mapping[int, str]) -> frozenset[str]:
        names = {(addresses[copy.account_id], copy.provider_id) for copy in message.copies}
        return frozenset(self._keys[name] for name in names if name in self._keys)
