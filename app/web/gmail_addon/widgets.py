"""What cards of the Gmail add-on are made of: small functions that return the dictionaries Google reads.

Where Google reads simple HTML (lines, paragraphs, headings of sections) text is escaped here (threats.md W12): callers
hand over plain text. Images come from our own icons alone. Vendor page:
developers.google.com/workspace/add-ons/reference/rpc/google.apps.card.v1
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from app.linking.text import one_line

Card = dict[str, Any]
Widget = dict[str, Any]
Click = dict[str, Any]

# Characters; a card is about 300 px wide.
LONGEST_LINE = 300
LONGEST_LABEL = 160
LONGEST_BUTTON = 60


@dataclass(frozen=True, slots=True)
class Stood:
    """Where a button stands: on the card that is shown again after it acted, or so many cards above that one."""

    card: str = "conversation"  # or "review"
    above: int = 0

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> Stood:
        """Read what a button brought back."""
        above = parameters.get("d", "")
        card = "review" if parameters.get("b") == "review" else "conversation"
        return cls(card, int(above) if above in ("1", "2") else 0)

    @property
    def parameters(self) -> dict[str, str]:
        """Return what a button carries."""
        return {"b": "review" if self.card == "review" else "", "d": str(self.above) if self.above else ""}

    def higher(self) -> Stood:
        """Return where the buttons of a card stand that is put over this one."""
        return Stood(self.card, self.above + 1)


@dataclass(frozen=True, slots=True)
class Places:
    """Where buttons lead: every address begins with the public one."""

    base: str

    def function(self, name: str) -> str:
        """Return the URL of a function of the add-on; Google's token for it is made for this very URL."""
        return f"{self.base}/gmail/{name}"

    def page(self, path: str) -> str:
        """Return the address of a page of ours."""
        return f"{self.base}{path}"

    def icon(self, size: int) -> str:
        """Return the address of our mark."""
        return f"{self.base}/icons/threadlink-{size}.png"


def act(url: str, **parameters: str) -> Click:
    """Call a function of the add-on; parameters are ids alone, and are judged again when they come back."""
    given = [{"key": key, "value": value} for key, value in parameters.items() if value]
    return {"action": {"function": url, "parameters": given, "loadIndicator": "SPINNER"}}


def visit(url: str, *, then_reload: bool = False) -> Click:
    """Open a page of ours; with `then_reload` over the card, which is loaded again when the page is closed."""
    if then_reload:
        return {"openLink": {"url": url, "openAs": "OVERLAY", "onClose": "RELOAD"}}
    return {"openLink": {"url": url, "openAs": "FULL_SIZE", "onClose": "NOTHING"}}


def button(label: str, click: Click, *, filled: bool = False) -> dict[str, Any]:
    """Make a button; its label is our own text."""
    return {
        "text": one_line(label, LONGEST_BUTTON),
        "onClick": click,
        **({"type": "FILLED"} if filled else {}),
    }


def buttons(*made: dict[str, Any]) -> Widget:
    """Put buttons in a row."""
    return {"buttonList": {"buttons": list(made)}}


def paragraph(text: str) -> Widget:
    """Say something."""
    return {"textParagraph": {"text": _safe(text, LONGEST_LINE * 2)}}


def line(
    text: str,
    *,
    top: str = "",
    bottom: str = "",
    bold: bool = False,
    click: Click | None = None,
    end: dict[str, Any] | None = None,
) -> Widget:
    """Say something with a label above and below; `end` is a button or a switch at its end."""
    shown = _safe(text, LONGEST_LINE)
    made: dict[str, Any] = {"text": f"<b>{shown}</b>" if bold else shown, "wrapText": True}
    if top:
        made["topLabel"] = _safe(top, LONGEST_LABEL)
    if bottom:
        made["bottomLabel"] = _safe(bottom, LONGEST_LABEL)
    if click:
        made["onClick"] = click
    if end:
        made |= {"switchControl": end} if "controlType" in end else {"button": end}
    return {"decoratedText": made}


def switch(name: str, *, is_on: bool, click: Click) -> dict[str, Any]:
    """Make a switch for the end of a line; its field is named `name`."""
    return {
        "name": name,
        "value": "on",
        "selected": is_on,
        "controlType": "SWITCH",
        "onChangeAction": click["action"],
    }


def field(name: str, label: str, *, value: str = "") -> Widget:
    """Make a field for one line of text."""
    made = {"name": name, "label": label, "type": "SINGLE_LINE"}
    return {"textInput": {**made, **({"value": one_line(value, LONGEST_LINE)} if value else {})}}


def choice(
    name: str, label: str, options: Iterable[tuple[str, str]], chosen: str, *, click: Click | None = None
) -> Widget:
    """Make a drop-down of (value, text); with `click` choosing acts at once."""
    items = [
        {"text": one_line(text, LONGEST_LABEL), "value": value, "selected": value == chosen} for value, text in options
    ]
    made: dict[str, Any] = {"name": name, "label": label, "type": "DROPDOWN", "items": items}
    return {"selectionInput": {**made, **({"onChangeAction": click["action"]} if click else {})}}


def section(widgets: Sequence[Widget], heading: str = "", *, folded_after: int = 0) -> dict[str, Any]:
    """Put widgets together; with `folded_after` the others show when somebody unfolds them."""
    made: dict[str, Any] = {"widgets": list(widgets)}
    if heading:
        made["header"] = _safe(heading, LONGEST_LABEL)
    if folded_after and len(widgets) > folded_after:
        made |= {"collapsible": True, "uncollapsibleWidgetsCount": folded_after}
    return made


def card(
    name: str,
    sections: Iterable[dict[str, Any]],
    *,
    footer: dict[str, Any] | None = None,
    title: str = "",
    icon: str = "",
) -> Card:
    """Make a card of the sections that hold something; `title` is our own text."""
    made: Card = {"name": name, "sections": [each for each in sections if each["widgets"]]}
    if title:
        made["header"] = {"title": title, **({"imageUrl": icon, "imageType": "SQUARE"} if icon else {})}
    if footer:
        made["fixedFooter"] = {"primaryButton": footer}
    return made


# --- the answer around a card ---


def first(shown: Card) -> dict[str, Any]:
    """Answer a trigger: the add-on was opened."""
    return {"action": {"navigations": [{"pushCard": shown}]}}


def clicked(*navigations: dict[str, Any], said: str = "", has_changed: bool = False) -> dict[str, Any]:
    """Answer a click; `said` shows for a moment, `has_changed` makes Gmail forget cards it kept."""
    action: dict[str, Any] = {}
    if navigations:
        action["navigations"] = list(navigations)
    if said:
        action["notification"] = {"text": one_line(said, LONGEST_LABEL * 2)}
    return {"renderActions": {"action": action}, **({"stateChanged": True} if has_changed else {})}


def asking_for(permissions: Sequence[str]) -> dict[str, Any]:
    """Have Google ask the person for permissions again."""
    return {"requesting_google_scopes": {"scopes": list(permissions)}}


def _safe(text: str, longest: int) -> str:
    return escape(one_line(text, longest), quote=False)
