"""The cards around the conversations: homepage, review queue, settings, and what is said when something is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app import audience
from app.audience import Preview
from app.inbox import Listing, Row
from app.linking.reasons import kind_word, sentence
from app.linking.visibility import LEVELS
from app.model import Account, ItemRef
from app.review import Choice
from app.signing_in import SignedIn
from app.store.accounts import SMART_BCC
from app.store.inbox import COUNTED_UP_TO, State
from app.web.gmail_addon.conversation_cards import readers_line, suggestion_line, with_readers
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
    line,
    paragraph,
    section,
    switch,
    visit,
)

MOST_RECENT = 6
MOST_CHOICES = 4
SUGGESTIONS_OF_A_CHOICE = 2
MOST_ACCOUNTS = 6


def home_card(look: Look, listing: Listing) -> Card:
    """Show what waits for the member, and the newest conversations."""
    text = look.text
    review = button(text["addon_show"], act(look.places.function("review")))
    unlinked = button(text["addon_show"], visit(look.places.page("/inbox?state=unlinked")))
    waiting = [
        line(_counted(look, listing.counts, "review"), top=text["addon_to_review"], end=review),
        line(_counted(look, listing.counts, "unlinked"), top=text["addon_unlinked"], end=unlinked),
    ]
    recent = [_row(look, row) for row in listing.rows[:MOST_RECENT]] or [paragraph(text["empty_all"])]
    more = [buttons(button(text["addon_settings"], act(look.places.function("ask_settings"))))]
    return card(
        "home",
        [section(waiting), section(recent, text["addon_recent"]), section(more)],
        footer=button(text["addon_open_inbox"], visit(look.places.page("/inbox"))),
    )


def review_card(look: Look, choices: Sequence[tuple[Choice, Mapping[ItemRef, Preview], str]]) -> Card:
    """Show the newest conversations that need a choice, each with its best suggestions.

    With each comes who could read it then (said once where it is the same), and what its buttons carry.
    """
    of_all = audience.same([preview for _, previews, _ in choices for preview in previews.values()])
    sections = [section(_choice(look, each, {} if of_all else previews, made)) for each, previews, made in choices]
    if of_all:
        sections.append(section([readers_line(look, of_all)]))
    nothing = section([] if sections else [paragraph(look.text["addon_nothing_to_review"])])
    footer = button(look.text["addon_open"], visit(look.places.page("/review")))
    return card("review", [*sections, nothing], footer=footer)


def settings_card(
    look: Look, signed: SignedIn, accounts: Sequence[Account], smart_bcc_address: str, *, may_leave: bool
) -> Card:
    """Show the member's mailboxes with their switches, and where copies of mail may be sent ("" for nowhere)."""
    text = look.text
    who = [paragraph(text["addon_signed_in"].format(member=signed.member.name, team=signed.team.name))]
    if may_leave:
        who.append(buttons(button(text["addon_leave"], act(look.places.function("leave")))))
    mailboxes = [account for account in accounts if account.provider != SMART_BCC]
    shown = [section(_account(look, account), account.address) for account in mailboxes[:MOST_ACCOUNTS]]
    if not shown:
        shown = [section([paragraph(text["no_accounts"])])]
    smart_bcc = [line(smart_bcc_address, top=text["bcc_own"], bottom=text["bcc_own_hint"])] if smart_bcc_address else []
    for account in accounts:
        smart_bcc += _account(look, account) if account.provider == SMART_BCC else []
    footer = button(text["addon_open"], visit(look.places.page("/preferences/email-sync")))
    return card("settings", [*shown, section(smart_bcc, text["smart_bcc"]), section(who)], footer=footer)


def connect_card(look: Look, invitation: str) -> Card:
    """Ask somebody whom we do not know to say who they are."""
    url = look.places.page(f"/gmail/connect/{invitation}")
    asked = [
        paragraph(look.text["addon_unknown"]),
        buttons(button(look.text["addon_connect"], visit(url, then_reload=True), filled=True)),
    ]
    return card("connect", [section(asked)], title=look.text["addon_unknown_title"], icon=look.places.icon(128))


def permission_card(look: Look, *, knows_who: bool) -> Card:
    """Say which permission is missing, and have Google ask for it again."""
    text = look.text
    asked = [
        paragraph(text["addon_permission_message" if knows_who else "addon_permission_who"]),
        buttons(button(text["addon_permit"], act(look.places.function("permit")), filled=True)),
    ]
    return card("permission", [section(asked)], title=text["addon_permission_title"], icon=look.places.icon(128))


def problem_card(look: Look, why: str) -> Card:
    """Say what did not work, and let it be tried again."""
    again = button(look.text["addon_refresh"], act(look.places.function("refresh")))
    return card("problem", [section([line(look.text["addon_problem"], bold=True), paragraph(why), buttons(again)])])


# --- pieces ---


def _counted(look: Look, counts: Mapping[State, int], state: State) -> str:
    n = counts[state]
    shown = _number(n, look.locale)
    if n >= COUNTED_UP_TO:
        return look.text["addon_n_or_more"].format(n=shown)
    return look.text["addon_n_conversations"].format(n=shown)


def _number(n: int, locale: str) -> str:
    return f"{n:,}" if locale == "en" else f"{n:,}".replace(",", ".")


def _row(look: Look, row: Row) -> Widget:
    people = ", ".join(row.people) or look.text["nobody"]
    if row.more_people:
        people = f"{people} +{row.more_people}"
    return line(
        row.seen.subject or look.text["no_subject"],
        top=f"{people} · {look.day(row.at)}",
        bottom=_standing(look, row),
        click=act(look.places.function("conversation"), c=row.seen.conversation.public_id),
    )


def _standing(look: Look, row: Row) -> str:
    if row.link is not None:
        title = (row.link.title or str(row.link.ref)) if row.seen.sees_item else look.text["hidden_item"]
        return f"{title} · {kind_word(row.link.ref.kind, look.locale)}"
    if row.state == "dismissed":
        return look.text["dismissed"]
    return row.reason or look.text["not_linked"]


def _choice(look: Look, each: Choice, previews: Mapping[ItemRef, Preview], made_choice: str) -> list[Widget]:
    conversation = each.seen.conversation.public_id
    params = each.decision.params if each.may_name else {}
    shown = [
        line(
            each.seen.subject or look.text["no_subject"],
            bottom=sentence(each.reason, params, look.locale),
            bold=True,
            click=act(look.places.function("conversation"), c=conversation),
        )
    ]
    stood = Stood("review")
    is_linked = each.seen.conversation.primary_link is not None
    lines = [
        (suggestion.ref, suggestion_line(look, suggestion, conversation, made_choice, stood, is_linked=is_linked))
        for suggestion in each.suggestions[:SUGGESTIONS_OF_A_CHOICE]
    ]
    shown += with_readers(look, lines, previews)
    click = act(look.places.function("dismiss"), c=conversation, n=made_choice, **stood.parameters)
    return [*shown, buttons(button(look.text["none_of_these"], click))]


def _account(look: Look, account: Account) -> list[Widget]:
    text = look.text
    switched = switch(
        "auto_link", is_on=account.auto_link, click=act(look.places.function("set_auto_link"), a=account.public_id)
    )
    is_news = account.state != "live" and f"account_{account.state}" in text
    levels = [(level, text[f"addon_visibility_{level}"]) for level in LEVELS]
    chosen = act(look.places.function("set_visibility"), a=account.public_id)
    return [
        line(text["addon_auto_link"], bottom=text[f"account_{account.state}"] if is_news else "", end=switched),
        choice("visibility", text["addon_visibility"], levels, account.visibility, click=chosen),
    ]
