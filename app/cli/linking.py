"""explain, link, unlink, dismiss, undo, trust: what a conversation is linked to, why, and a person's choice."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import click
import sqlalchemy as sa

from app import links, undoing, work
from app.acting import NOBODYS, Acting
from app.cli.choosing import acting_as, as_member, conversation_of, member_of, team_of, team_option
from app.cli.frame import Answer, Command, opened
from app.errors import NotFound
from app.explain import explain as explain_conversation
from app.linking.reasons import sentence
from app.model import ITEM_KINDS, ItemRef
from app.store import crm, merges, teams
from app.store.work import Work

_LONGEST_NUMBER = 19  # what PostgreSQL holds


@click.command(cls=Command)
@click.argument("conversation")
@as_member
@team_option
def explain(conversation: str, member: str | None, team: str | None) -> Answer:
    """Say what a conversation is linked to, why, and what would change that.

    CONVERSATION is its id, or the Message-ID of one of its messages.
    """
    with acting_as(member, team) as (connection, acting):
        conversation_id = conversation_of(connection, conversation)
        seen = links.see(connection, acting.member, [conversation_id]).get(conversation_id)
        if seen is None:
            raise NotFound
        found = teams.team(connection)
        told = explain_conversation(connection, seen, found.locale if found else "en")
    return Answer(told, list(explained(told)))


@click.command(cls=Command)
@click.argument("conversation")
@click.argument("item", metavar="KIND/ID")
@click.option("--move", is_flag=True, help="Take it off the item it is linked to now.")
@as_member
@team_option
def link(conversation: str, item: str, move: bool, member: str | None, team: str | None) -> Answer:
    """Link a conversation to an item, such as deal/42, by hand."""
    with acting_as(member, team) as (connection, acting):
        conversation_id = conversation_of(connection, conversation)
        links.link(connection, acting, conversation_id, _item(connection, item), move=move)
    return _acted(acting, "linked", f"Linked to {item}.")


@click.command(cls=Command)
@click.argument("conversation")
@as_member
@team_option
def unlink(conversation: str, member: str | None, team: str | None) -> Answer:
    """Take a conversation off its item; automatic linking does not put it back."""
    with acting_as(member, team) as (connection, acting):
        links.unlink(connection, acting, conversation_of(connection, conversation))
    return _acted(acting, "unlinked", sentence("unlinked"))


@click.command(cls=Command)
@click.argument("conversation")
@as_member
@team_option
def dismiss(conversation: str, member: str | None, team: str | None) -> Answer:
    """Say that a conversation is not about any item, until it has a new candidate."""
    with acting_as(member, team) as (connection, acting):
        links.dismiss(connection, acting, conversation_of(connection, conversation))
    return _acted(acting, "dismissed", sentence("dismissed"))


@click.command(cls=Command)
@click.argument("action")
@as_member
@team_option
def undo(action: str, member: str | None, team: str | None) -> Answer:
    """Take a choice back, or the merge of two conversations.

    ACTION is the id that link, unlink or dismiss answered with, or merge/N as explain names it (for 30 days).
    """
    kind, _, number = action.partition("/")
    if kind == "merge" and number.isdecimal() and len(number) < _LONGEST_NUMBER:
        with acting_as(member, team) as (connection, acting):
            undoing.undo_merge(connection, acting, merges.survivor_of(connection, int(number)) or NOBODYS, int(number))
        return _acted(acting, "merge_undone", sentence("merge_undone"))
    try:
        batch_id = str(uuid.UUID(action))
    except ValueError:
        raise click.BadParameter(f"{action!r} is no id of an action, and no merge/N.", param_hint="ACTION") from None
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            acting = Acting(team_id, member_of(connection, member), installation.clock.now())
            undone = work.undo(connection, acting, batch_id)
        if isinstance(undone, Work):  # in parts, here; should this process die, a worker goes on
            work.run(installation, team_id, undone.id)
    return _acted(acting, "undone", sentence("undone"))


@click.command(cls=Command)
@click.argument("conversation")
@as_member
@team_option
def trust(conversation: str, member: str | None, team: str | None) -> Answer:
    """Say that the sender of a conversation is genuine, although the mail provider could not verify it.

    The newest such message then counts as if it had just arrived: it joins what it answers, and may be linked.
    """
    with acting_as(member, team) as (connection, acting):
        links.trust_sender(connection, acting, conversation_of(connection, conversation))
    return _acted(acting, "sender_trusted", sentence("sender_trusted"))


def explained(told: dict[str, Any]) -> Iterator[str]:
    """Say an explanation in lines."""
    linked = told["link"]
    yield f"{told['subject'] or '(no subject shown)'}  [{told['id']}]"
    yield f"  {', '.join(told['accounts'])}; messages: {len(told['messages'])}"
    yield (
        f"  linked to {linked['kind']}/{linked['id']} {linked['title']} ({linked['origin']})"
        if linked
        else "  not linked"
    )
    decision = told["decision"]
    if decision is None:
        return
    yield f"  {decision['sentence']}"
    for candidate in decision["candidates"]:
        why_not = f": {candidate['why_not']}" if candidate["why_not"] else ""
        yield f"  - {candidate['kind']}/{candidate['id']} {candidate['title']}{why_not}"
        for evidence in candidate["evidence"]:
            yield f"      {evidence}"
    action = told.get("action")
    if action:
        yield f"  What would change it: {action['label']}"
    for merge in told.get("merged", ()):
        yield f"  Another conversation was joined to it; to take that back: threadlink undo {merge}"


def _item(connection: sa.Connection, item: str) -> ItemRef:
    kind, _, external_id = item.partition("/")
    if kind not in ITEM_KINDS or not external_id:
        raise click.BadParameter(
            f"{item!r} is no item: say KIND/ID with {', '.join(ITEM_KINDS)}.", param_hint="KIND/ID"
        )
    if not crm.connections(connection):
        raise click.UsageError("The team has no CRM: connect one with `threadlink crm connect`.")
    return crm.item_ref(connection, kind, external_id)


def _acted(acting: links.Acting, outcome: str, line: str) -> Answer:
    return Answer({"outcome": outcome, "action": acting.batch_id}, [line])
