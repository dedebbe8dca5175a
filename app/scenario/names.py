"""What a scenario defines, so that every reference can be checked where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import yaml

from app.scenario.nodes import error_at, text_of, texts_of


@dataclass(slots=True)
class Names:
    """Every name defined in the file, later events included: a message may refer to one that arrives after it."""

    members: dict[str, str] = field(default_factory=dict)  # e-mail in lower case, or name -> e-mail
    accounts: dict[str, str] = field(default_factory=dict)  # address or alias in lower case -> address
    messages: set[str] = field(default_factory=set)
    items: set[str] = field(default_factory=set)  # "deal/d1"
    persons: set[str] = field(default_factory=set)
    organizations: set[str] = field(default_factory=set)

    def define(self, known: set[str], name: str, node: yaml.Node) -> str:
        """Add a name to one of the sets, refusing a second definition."""
        if name in known:
            raise error_at(node, f"{name!r} is defined twice")
        known.add(name)
        return name

    def define_account(self, address: str, spellings: Iterable[str], node: yaml.Node) -> None:
        """Add an account with all its addresses."""
        for spelling in {spelling.lower() for spelling in spellings}:
            if spelling in self.accounts:
                raise error_at(node, f"{spelling!r} belongs to two accounts")
            self.accounts[spelling] = address

    def member(self, node: yaml.Node) -> str:
        """Return the e-mail of the member named by e-mail or by name."""
        return self._found(self.members, node, "member")

    def account(self, node: yaml.Node) -> str:
        """Return the address of the account named by its address or an alias."""
        return self._found(self.accounts, node, "account")

    def message(self, node: yaml.Node) -> str:
        """Return the key of a message."""
        return self._known(self.messages, node, "message with the key")

    def item(self, node: yaml.Node) -> str:
        """Return an item written as kind/id."""
        return self._known(self.items, node, "item")

    def person(self, node: yaml.Node) -> str:
        """Return the id of a person."""
        return self._known(self.persons, node, "person")

    def organization(self, node: yaml.Node) -> str:
        """Return the id of an organization."""
        return self._known(self.organizations, node, "organization")

    def record(self, kind: str, node: yaml.Node) -> str:
        """Return the id of a record of that kind."""
        written = text_of(node, "an id")
        known = {"person": self.persons, "organization": self.organizations}.get(kind)
        if written not in known if known is not None else f"{kind}/{written}" not in self.items:
            raise error_at(node, f"no {kind} {written!r} in this scenario")
        return written

    def reference(self, node: yaml.Node) -> str:
        """Return the key of a message, or a literal Message-ID in angle brackets."""
        written = text_of(node, "a reference")
        return written if written.startswith("<") else self.message(node)

    def all_messages(self, node: yaml.Node, what: str) -> tuple[str, ...]:
        """Return a list of keys of messages."""
        texts_of(node, what)
        return tuple(self.message(entry) for entry in node.value)

    def _known(self, known: set[str], node: yaml.Node, what: str) -> str:
        written = text_of(node, f"the {what}")
        if written not in known:
            raise error_at(node, f"no {what} {written!r} in this scenario")
        return written

    def _found(self, known: dict[str, str], node: yaml.Node, what: str) -> str:
        written = text_of(node, f"the {what}")
        found = known.get(written) or known.get(written.lower())
        if found is None:
            raise error_at(node, f"no {what} {written!r} in this scenario")
        return found
