"""Draws cards as Gmail's side panel shows them, near enough to judge them by. Part of the simulator.

What Gmail reads as HTML (lines, paragraphs, headings of sections) is put in as it is, so a card that does not escape
what others wrote shows it here; everything else is text. Clicks are numbered in their order on the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

STYLE = """
* { box-sizing: border-box; }
body { margin: 0; font: 14px/20px Roboto, "Google Sans", Arial, sans-serif; color: #1f1f1f; background: #f6f8fc; }
a { color: inherit; }
header.top { padding: 12px 20px; font-size: 18px; color: #444746; }
header.top select { margin-left: 12px; }
.mail { display: grid; grid-template-columns: minmax(0, 1fr) 300px; gap: 12px; padding: 0 12px 24px;
  align-items: start; }
.pane { background: #fff; border-radius: 16px; padding: 16px 20px; min-height: 480px; }
.list a { display: grid; grid-template-columns: 14rem 1fr auto; gap: 12px; padding: 8px; text-decoration: none;
  border-bottom: 1px solid #eceff1; }
.list a:hover { box-shadow: 0 1px 3px #0003; }
h1 { font-size: 22px; font-weight: 400; line-height: 28px; margin: 0 0 12px; }
pre { white-space: pre-wrap; font: inherit; }
.panel { background: #fff; border-radius: 16px; width: 300px; overflow: hidden; border: 1px solid #e0e3e7; }
.panel .name { display: flex; gap: 8px; align-items: center; padding: 12px 16px; border-bottom: 1px solid #e0e3e7;
  font-weight: 500; }
.panel .name img { width: 20px; height: 20px; }
.panel .name button { margin-left: auto; }
.heading { display: flex; gap: 10px; align-items: center; padding: 12px 16px 0; font-weight: 500; font-size: 16px; }
.heading img { width: 32px; height: 32px; }
section { padding: 8px 16px; border-bottom: 1px solid #e0e3e7; }
section > h2 { margin: 4px 0; font-size: 14px; font-weight: 500; color: #444746; }
.widget { margin: 8px 0; overflow-wrap: anywhere; }
.line { display: flex; gap: 8px; align-items: center; }
.line > div { flex: 1; min-width: 0; }
.label { color: #5f6368; font-size: 12px; line-height: 16px; }
.buttons { display: flex; flex-wrap: wrap; gap: 4px 8px; }
button { font: inherit; font-weight: 500; color: #0b57d0; background: none; border: 0; border-radius: 4px;
  padding: 6px 8px; cursor: pointer; text-align: left; }
button:hover { background: #0b57d014; }
button.filled, footer button { color: #fff; background: #0b57d0; padding: 6px 16px; }
button.whole { color: inherit; font-weight: 400; padding: 0; flex: 1; min-width: 0; }
input[type=text], select { font: inherit; width: 100%; padding: 8px; border: 1px solid #747775; border-radius: 4px; }
label { display: block; color: #5f6368; font-size: 12px; }
footer { padding: 12px 16px; }
footer button { width: 100%; text-align: center; }
.said { position: sticky; bottom: 0; background: #303030; color: #f2f2f2; padding: 10px 16px; }
"""


@dataclass
class Drawing:
    """A card while it is drawn: the clicks found so far, each an `onClick` or an action of the card."""

    clicks: list[Mapping[str, Any]] = field(default_factory=list)

    def number(self, click: Mapping[str, Any]) -> int:
        """Remember a click; return its number."""
        self.clicks.append(click)
        return len(self.clicks) - 1


def draw(card: Mapping[str, Any]) -> tuple[str, list[Mapping[str, Any]]]:
    """Return a card as HTML, and what its numbered clicks do."""
    drawing = Drawing()
    parts = [_heading(card.get("header"))]
    parts += [_section(drawing, each) for each in card.get("sections", ())]
    footer = card.get("fixedFooter", {}).get("primaryButton")
    if footer:
        parts.append(f"<footer>{_button(drawing, footer)}</footer>")
    return "".join(parts), drawing.clicks


def _heading(header: Mapping[str, Any] | None) -> str:
    if not header:
        return ""
    image = f'<img src="{escape(header["imageUrl"])}" alt="">' if header.get("imageUrl") else ""
    return f'<div class="heading">{image}<span>{escape(header["title"])}</span></div>'


def _section(drawing: Drawing, section: Mapping[str, Any]) -> str:
    heading = f"<h2>{section['header']}</h2>" if section.get("header") else ""
    widgets = [f'<div class="widget">{_widget(drawing, each)}</div>' for each in section["widgets"]]
    shown = section.get("uncollapsibleWidgetsCount", len(widgets)) if section.get("collapsible") else len(widgets)
    folded = "".join(widgets[shown:])
    more = f"<details><summary>⌄</summary>{folded}</details>" if folded else ""
    return f"<section>{heading}{''.join(widgets[:shown])}{more}</section>"


def _widget(drawing: Drawing, widget: Mapping[str, Any]) -> str:
    if "textParagraph" in widget:
        return str(widget["textParagraph"]["text"])
    if "decoratedText" in widget:
        return _line(drawing, widget["decoratedText"])
    if "buttonList" in widget:
        buttons = "".join(_button(drawing, each) for each in widget["buttonList"]["buttons"])
        return f'<div class="buttons">{buttons}</div>'
    if "textInput" in widget:
        return _field(widget["textInput"])
    if "selectionInput" in widget:
        return _choice(drawing, widget["selectionInput"])
    raise ValueError(f"no such widget: {sorted(widget)}")


def _line(drawing: Drawing, line: Mapping[str, Any]) -> str:
    def label(key: str) -> str:
        return f'<div class="label">{line[key]}</div>' if line.get(key) else ""

    inside = f"{label('topLabel')}<div>{line['text']}</div>{label('bottomLabel')}"
    if "onClick" in line:
        number = drawing.number(line["onClick"])
        inside = f'<button class="whole" name="press" value="{number}">{inside}</button>'
    else:
        inside = f"<div>{inside}</div>"
    end = _button(drawing, line["button"]) if "button" in line else ""
    if "switchControl" in line:
        end = _switch(drawing, line["switchControl"])
    return f'<div class="line">{inside}{end}</div>'


def _switch(drawing: Drawing, switch: Mapping[str, Any]) -> str:
    number = drawing.number({"action": switch["onChangeAction"]})
    checked = " checked" if switch.get("selected") else ""
    return (
        f'<input type="checkbox" name="{escape(switch["name"])}" value="{escape(switch["value"])}"{checked}'
        f' aria-label="{escape(switch["name"])}" data-press="{number}">'
    )


def _button(drawing: Drawing, button: Mapping[str, Any]) -> str:
    number = drawing.number(button["onClick"])
    filled = ' class="filled"' if button.get("type") == "FILLED" else ""
    return f'<button{filled} name="press" value="{number}">{escape(button["text"])}</button>'


def _field(field_: Mapping[str, Any]) -> str:
    name, label = escape(field_["name"]), escape(field_.get("label", ""))
    value = escape(field_.get("value", ""))
    return f'<label>{label}<input type="text" name="{name}" value="{value}"></label>'


def _choice(drawing: Drawing, choice: Mapping[str, Any]) -> str:
    press = ""
    if "onChangeAction" in choice:
        press = f' data-press="{drawing.number({"action": choice["onChangeAction"]})}"'
    options = "".join(
        f'<option value="{escape(each["value"])}"{" selected" if each.get("selected") else ""}>{escape(each["text"])}'
        "</option>"
        for each in choice["items"]
    )
    label = escape(choice.get("label", ""))
    return f'<label>{label}<select name="{escape(choice["name"])}"{press}>{options}</select></label>'
