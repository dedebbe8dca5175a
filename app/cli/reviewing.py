"""review and offers: what waits for a member's choice, and what earlier mail a new item could gather."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import click

from app import offers as offering
from app import review as reviewing
from app.cli.choosing import acting_as, as_member, member_of, team_of, team_option
from app.cli.frame import Answer, Command, Group, opened
from app.store import teams


@click.command(cls=Command)
@as_member
@team_option
def review(member: str | None, team: str | None) -> Answer:
    """List what needs a choice, with its suggestions ranked, and the offers of new or reopened items.

    Only what the member may link.
    """
    with opened() as installation:
        team_id = team_of(installation, team)
        with installation.database.for_team(team_id) as connection:
            reader = member_of(connection, member)
            found = teams.team(connection)
            locale = found.locale if found else "en"
            choices = reviewing.choices(connection, reader)
            offered = offering.standing(connection, reader)
    document = {
        "choices": [reviewing.document(each, locale) for each in choices],
        "offers": [offering.document(each) for each in offered],
    }
    return Answer(document, list(_lines(document)))


offers = Group("offers", help="Answer the offers of new or reopened items; see them with `threadlink review`.")


@offers.command(cls=Command)
@click.argument("offer")
@as_member
@team_option
def accept(offer: str, member: str | None, team: str | None) -> Answer:
    """Link the earlier conversations of an offer to its item, as one action that can be undone."""
    public_id = _id(offer)
    with acting_as(member, team) as (connection, acting):
        result = offering.accept(connection, acting, public_id)
    document = {
        "outcome": "accepted",
        "action": result.batch_id,
        "linked": len(result.linked),
        "not_linked": len(result.not_linked),
    }
    return Answer(
        document, [f"Linked {len(result.linked)} conversations. To take it back: threadlink undo {result.batch_id}"]
    )


@offers.command(cls=Command)
@click.argument("offer")
@as_member
@team_option
def decline(offer: str, member: str | None, team: str | None) -> Answer:
    """Take an offer away, for everybody in the team."""
    public_id = _id(offer)
    with acting_as(member, team) as (connection, acting):
        offering.decline(connection, acting, public_id)
    return Answer({"outcome": "declined"}, ["The offer is gone."])


def _lines(document: dict[str, Any]) -> Iterator[str]:
    if not document["choices"] and not document["offers"]:
        yield "Nothing waits for a choice."
    for choice in document["choices"]:
        yield f"{choice['subject'] or '(no subject shown)'}  [{choice['id']}]"
        yield f"  {choice['sentence']}"
        for number, each in enumerate(choice["suggestions"], start=1):
            yield f"  {number}. {each['kind']}/{each['id']} {each['title']}: {'; '.join(each['evidence'])}"
    for offer in document["offers"]:
        item, count = offer["item"], len(offer["conversations"])
        yield f"{item['kind']}/{item['id']} {item['title']}: {count} earlier conversations match  [{offer['id']}]"
        for conversation in offer["conversations"]:
            yield f"  - {conversation['subject'] or '(no subject shown)'}  [{conversation['id']}]"


def _id(offer: str) -> str:
    try:
        return str(uuid.UUID(offer))
    except ValueError:
        raise click.BadParameter(f"{offer!r} is no id of an offer.", param_hint="OFFER") from None
