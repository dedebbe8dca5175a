"""The cards about one conversation: where it stands, what it could be linked to, who takes part, and the questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from app import audience
from app.audience import Preview
from app.beside import Beside, Counterpart, Crm, Told
from app.linking.reasons import kind_word, sentence
from app.linking.suggest import Suggestion
from app.model import Item, ItemKind, ItemRef, Link
from app.ports import SearchHit
from app.smart_bcc import Addresses
from app.web.gmail_addon.frame import Look
from app.web.gmail_addon.widgets import (
    Card,
    Stood,
    Widget,
    act,
    button,
    buttons,
    card,
    choice,
    field,
    line,
    paragraph,
    section,
    visit,
)

SHOWN_EVIDENCE = 2
MOST_NAMED = 6


def conversation_card(look: Look, shown: Told, beside: Beside, made_choice: str, *, takes_mail: bool) -> Card:
    """Show a conversation: linked to what and why, or what it could be linked to."""
    conversation = str(shown.told["id"])
    may_link = shown.seen.may_link
    sections = [
        section(_notices(look, beside.crm)),
        section(_state(look, shown, made_choice, takes_mail=takes_mail)),
        section(_suggestions(look, shown, made_choice) if may_link else (), look.text["suggestions"]),
        section(
            _search(look, conversation) if may_link else (), look.text["change_link" if shown.link else "link_existing"]
        ),
        section(_people(look, beside, made_choice, conversation=conversation), look.text["people"], folded_after=4),
        section(_creating(look, shown, beside)),
    ]
    footer = button(look.text["addon_open"], visit(look.places.page(f"/conversations/{conversation}")))
    return card("conversation", sections, footer=footer)


def not_stored_card(look: Look, beside: Beside, invitation: str) -> Card:
    """Show a message that is in no conversation here: it has just arrived, or its mailbox is not connected."""
    text = look.text
    if beside.is_connected:
        first = [
            line(text["addon_not_stored"], bold=True),
            paragraph(text["addon_not_stored_hint"]),
            buttons(button(text["addon_refresh"], act(look.places.function("refresh")), filled=True)),
        ]
        if beside.internet_id:
            doctor = look.places.page(f"/doctor?{urlencode({'q': beside.internet_id})}")
            first.append(buttons(button(text["addon_doctor"], visit(doctor))))
    else:
        url = look.places.page(f"/gmail/connect/{invitation}")
        first = [
            line(text["addon_other_mailbox"], bold=True),
            paragraph(text["addon_other_mailbox_hint"]),
            buttons(button(text["addon_connect"], visit(url, then_reload=True), filled=True)),
        ]
    people = _people(look, beside, "")
    return card("message", [section(_notices(look, beside.crm)), section(first), section(people, text["people"])])


def unlink_card(look: Look, conversation: str, link: Link, made_choice: str, *, sees_item: bool) -> Card:
    """Ask before a link is taken off."""
    title = link.title if sees_item else look.text["hidden_item"]
    carried = {"c": conversation, "n": made_choice, **Stood(above=1).parameters}
    asked = [
        paragraph(look.text["addon_unlink_question"].format(item=title)),
        paragraph(look.text["unlink_hint"]),
        buttons(
            button(look.text["unlink"], act(look.places.function("unlink"), **carried), filled=True),
            button(look.text["addon_keep"], act(look.places.function("back"))),
        ),
    ]
    return card("unlink", [section(asked)])


def move_card(
    look: Look,
    conversation: str,
    link: Link,
    item: Item,
    preview: Preview,
    made_choice: str,
    stood: Stood,
    *,
    sees_item: bool,
) -> Card:
    """Ask before a link is replaced, naming both items (T7) and who can read the conversation then (B7)."""
    title = link.title if sees_item else look.text["hidden_item"]
    question = sentence("confirm_move", {"item": title, "kind": link.ref.kind, "other": item.title}, look.locale)
    carried = {"c": conversation, "n": made_choice, "i": str(item.ref), "m": "1", **stood.parameters}
    click = act(look.places.function("link"), **carried)
    asked = [
        paragraph(question),
        readers_line(look, preview),
        buttons(
            button(look.text["addon_move"], click, filled=True),
            button(look.text["addon_keep"], act(look.places.function("back"))),
        ),
    ]
    return card("move", [section(asked)])


def hits_card(
    look: Look,
    conversation: str,
    query: str,
    hits: Sequence[SearchHit],
    previews: Mapping[ItemRef, Preview],
    made_choice: str,
    *,
    is_linked: bool,
) -> Card:
    """Show the items that were searched for, and the search again."""
    lines = [
        (
            hit.ref,
            line(
                hit.title,
                top=_kind_and_state(look, hit.ref.kind, hit.state),
                bottom=hit.organization_name,
                end=_link_button(look, conversation, str(hit.ref), made_choice, Stood(above=1), is_linked=is_linked),
            ),
        )
        for hit in hits
    ]
    found = with_readers(look, lines, previews) or [paragraph(look.text["nothing_found"])]
    heading = look.text["addon_hits"].format(query=query)
    return card("hits", [section(found, heading), section(_search(look, conversation, query))])


def create_card(
    look: Look, conversation: str, kind: ItemKind, title: str, people: Sequence[Counterpart], made_choice: str
) -> Card:
    """Ask for what a new item needs."""
    text = look.text
    options = [(each.address, _known_as(each)) for each in people] + [("", text["addon_for_nobody"])]
    click = act(look.places.function("create_item"), c=conversation, n=made_choice, k=kind, d="1")
    asked: list[Widget] = [
        field("title", text["addon_title"], value=title),
        choice("person", text["addon_for"], options, options[0][0]),
        buttons(button(text["addon_create"], click, filled=True)),
    ]
    return card("create", [section(asked, text[f"addon_create_{kind}"])])


def addresses_card(look: Look, addresses: Addresses) -> Card:
    """Show where mail for an item may be sent, as text to select: a card has no button that copies."""
    text = look.text
    shown = [
        paragraph(text["bcc_item_hint"]),
        line(addresses.own, top=text["bcc_own"], bottom=text["bcc_own_hint"]),
        line(addresses.team, top=text["bcc_team"], bottom=text["bcc_team_hint"]),
    ]
    return card("smart_bcc", [section(shown, text["bcc_item"])])


# --- pieces ---


def _notices(look: Look, crm: Crm) -> list[Widget]:
    if not crm.is_connected:
        return [paragraph(look.text["addon_no_crm"])]
    return [paragraph(look.text["addon_crm_rests"])] if crm.is_in_trouble else []


def _state(look: Look, shown: Told, made_choice: str, *, takes_mail: bool) -> list[Widget]:
    """Say in one line where the conversation is, then why, then what can be done about it."""
    text, link = look.text, shown.link
    subject = shown.seen.subject or text["no_subject"]
    if link is None:
        decision = shown.told["decision"]
        label = text["dismissed"] if shown.told["dismissed"] else text["not_linked"]
        state = [line(decision["sentence"] if decision else label, top=f"{label} · {subject}")]
    else:
        sees_item = shown.seen.sees_item
        title = (link.title or str(link.ref)) if sees_item else text["hidden_item"]
        page = visit(look.places.page(f"/items/{link.ref.kind}/{link.ref.external_id}")) if sees_item else None
        top = text["addon_linked"].format(kind=kind_word(link.ref.kind, look.locale))
        state = [line(title, top=top, bottom=_made(look, shown, link), bold=True, click=page)]
        if link.origin == "automatic" and shown.told["decision"]:
            state.append(paragraph(shown.told["decision"]["sentence"]))
    if not shown.seen.may_link:
        state.append(paragraph(sentence("not_owner", {}, look.locale)))
    made = _state_buttons(look, shown, made_choice, takes_mail=takes_mail)
    return [*state, buttons(*made)] if made else state


def _state_buttons(look: Look, shown: Told, made_choice: str, *, takes_mail: bool) -> list[dict[str, Any]]:
    text, places, here = look.text, look.places, str(shown.told["id"])
    made = []
    if shown.seen.may_link and shown.link is not None:
        made.append(button(text["unlink"], act(places.function("ask_unlink"), c=here)))
    if shown.seen.may_link and shown.link is None and not shown.told["dismissed"]:
        made.append(button(text["dismiss"], act(places.function("dismiss"), c=here, n=made_choice)))
    if takes_mail and shown.link is not None and shown.seen.sees_item:
        made.append(button(text["bcc_item"], act(places.function("smart_bcc"), c=here)))
    return made


def _made(look: Look, shown: Told, link: Link) -> str:
    date = look.day(link.made_at)
    if link.origin != "manual":
        return look.text["addon_linked_automatically"].format(date=date)
    if shown.made_by:
        return look.text["addon_linked_by_hand"].format(member=shown.made_by, date=date)
    return look.text["addon_linked_by_somebody"].format(date=date)


def _suggestions(look: Look, shown: Told, made_choice: str) -> list[Widget]:
    conversation = str(shown.told["id"])
    lines = [
        (each.ref, suggestion_line(look, each, conversation, made_choice, Stood(), is_linked=shown.link is not None))
        for each in shown.suggestions
    ]
    return with_readers(look, lines, shown.previews) or ([] if shown.link else [paragraph(look.text["no_suggestions"])])


def suggestion_line(
    look: Look, each: Suggestion, conversation: str, made_choice: str, stood: Stood, *, is_linked: bool
) -> Widget:
    """Show one suggestion with what speaks for it and its button."""
    told = [sentence(evidence.code, evidence.params, look.locale) for evidence in each.evidence[:SHOWN_EVIDENCE]]
    return line(
        each.title,
        top=_kind_and_state(look, each.ref.kind, each.state),
        bottom=" ".join(told),
        bold=True,
        end=_link_button(look, conversation, str(each.ref), made_choice, stood, is_linked=is_linked),
    )


def with_readers(
    look: Look, lines: Iterable[tuple[ItemRef, Widget]], previews: Mapping[ItemRef, Preview]
) -> list[Widget]:
    """Say below the lines of items who could read the conversation then (B7): once, or each when they differ."""
    shown = list(lines)
    of_all = audience.same([previews[ref] for ref, _ in shown if ref in previews])
    if of_all:
        return [*(widget for _, widget in shown), readers_line(look, of_all)]
    found: list[Widget] = []
    for ref, widget in shown:
        found += [widget, readers_line(look, previews[ref])] if ref in previews else [widget]
    return found


def readers_line(look: Look, preview: Preview) -> Widget:
    """Say who reads more after linking, and what the note in the CRM then holds."""
    text = look.text
    names = [
        each.name if each.level == "full" else f"{each.name} ({text[f'reads_{each.level}']})"
        for each in preview.more[:MOST_NAMED]
    ]
    left = f" +{len(preview.more) - MOST_NAMED}" if len(preview.more) > MOST_NAMED else ""
    more = f"{text['preview_more']} {', '.join(names)}{left}." if names else text["preview_none"]
    return line(more, bottom=text[f"preview_note_{preview.level}"])


def _link_button(
    look: Look, conversation: str, item: str, made_choice: str, stood: Stood, *, is_linked: bool
) -> dict[str, Any]:
    carried = {"c": conversation, "i": item, **stood.parameters}
    if is_linked:
        return button(look.text["addon_change"], act(look.places.function("ask_move"), **carried))
    return button(look.text["addon_link"], act(look.places.function("link"), n=made_choice, **carried))


def _kind_and_state(look: Look, kind: str, state: str) -> str:
    word = look.text.get(f"item_state_{state}", state)
    return look.kind(kind) if state == "open" else f"{look.kind(kind)} · {word}"


def _search(look: Look, conversation: str, query: str = "") -> list[Widget]:
    click = act(look.places.function("search"), c=conversation)
    return [field("q", look.text["addon_search"], value=query), buttons(button(look.text["find"], click))]


def _people(look: Look, beside: Beside, made_choice: str, *, conversation: str = "") -> list[Widget]:
    """Show who takes part, each leading to the person of the CRM, or with a button that makes one."""
    may_create = bool(conversation and beside.crm.makes_persons and beside.told and beside.told.seen.may_link)
    made = []
    for each in beside.people:
        end = None
        if each.person is None and may_create:
            click = act(look.places.function("create_person"), c=conversation, n=made_choice, a=each.address)
            end = button(look.text["addon_create_person"], click)
        record = visit(look.places.page(f"/items/{each.person.ref}")) if each.person else None
        name, organization = _known_as(each), each.person.organization_name if each.person else ""
        address = each.address if each.address != name else ""
        made.append(
            line(
                name,
                top=look.text["addon_in_crm" if each.person else "addon_not_in_crm"],
                bottom=" · ".join(filter(None, (address, organization))),
                click=record,
                end=end,
            )
        )
    return made


def _known_as(each: Counterpart) -> str:
    return each.person.name if each.person and each.person.name else each.name or each.address


def _creating(look: Look, shown: Told, beside: Beside) -> list[Widget]:
    """Offer to make an item of a conversation with somebody who is not ours, while it has none."""
    if shown.link is not None or not shown.seen.may_link or not beside.people:
        return []
    here = str(shown.told["id"])
    offered = [
        button(look.text[f"addon_create_{kind}"], act(look.places.function("ask_create"), c=here, k=kind))
        for kind in beside.crm.kinds
    ]
    return [buttons(*offered)] if offered else []
