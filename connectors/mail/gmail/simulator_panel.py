"""Gmail in a browser, as far as an add-on needs it: mailboxes, an open message, and the add-on's cards beside it.

Everything goes the real way: each click is a signed call over HTTP to the address that the add-on's deployment or its
card names, and the answer moves the cards as Gmail would. Part of the simulator.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qs, quote

import requests

from connectors.mail.gmail.simulator_addon import AddonClick, SimulatedAddon
from connectors.mail.gmail.simulator_cards import STYLE, draw
from connectors.mail.gmail.simulator_mailbox import SimulatedMailbox, SimulatedMessage
from connectors.simulated_http import Call, Reply

PATH = "/mail"
LOCALES = ("en", "tr")
TIMEOUT_S = 30.0
# A field that acts when it is changed, as in Gmail.
SCRIPT = """
for (const field of document.querySelectorAll("[data-press]")) field.addEventListener("change", () => {
  const press = document.createElement("input");
  Object.assign(press, {type: "hidden", name: "press", value: field.dataset.press});
  field.form.append(press); field.form.submit();
});
"""


@dataclass
class Stack:
    """The cards that lie on each other beside one message, and what was said last."""

    cards: list[dict[str, Any]] = field(default_factory=list)
    said: str = ""

    def show(self, answer: Mapping[str, Any]) -> None:
        """Do what an answer of the add-on says."""
        action = answer.get("action") or answer.get("renderActions", {}).get("action", {})
        self.said = action.get("notification", {}).get("text", "")
        if "requesting_google_scopes" in answer:
            self.said = "Google asks for: " + ", ".join(answer["requesting_google_scopes"]["scopes"])
        for navigation in action.get("navigations", ()):
            if "pushCard" in navigation:
                self.cards.append(navigation["pushCard"])
            elif "updateCard" in navigation:
                self.cards[-1:] = [navigation["updateCard"]]
            elif navigation.get("popToRoot"):
                del self.cards[1:]
            elif navigation.get("pop") and len(self.cards) > 1:
                self.cards.pop()


class Panel:
    """Pages of a simulated Gmail with one add-on installed."""

    def __init__(
        self, mailboxes: Mapping[str, SimulatedMailbox], addon: SimulatedAddon, deployment: Mapping[str, Any]
    ) -> None:
        self._mailboxes = mailboxes
        self._addon = addon
        self._addon.scopes = tuple(deployment["oauthScopes"])
        self._addon_of = deployment["addOns"]
        self._stacks: dict[tuple[str, str, str], Stack] = {}

    def answer(self, call: Call) -> Reply:
        """Answer a request below /mail."""
        _, _, address, message_id = [*call.path.split("/", 3), "", ""][:4]
        locale = call.one("hl") if call.one("hl") in LOCALES else LOCALES[0]
        mailbox = self._mailboxes.get(address)
        if mailbox is None:
            return _page("Simulated Gmail", _accounts(self._mailboxes))
        message = mailbox.messages.get(message_id)
        key = (address, message_id, locale)
        if call.method == "POST":
            moved = self._press(key, parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True))
            return moved or Reply(303, headers={"Location": f"{_path(address, message_id)}?hl={locale}&on=1"})
        if call.one("on") != "1" or key not in self._stacks:
            self._open(key)
        shown = _opened(message) if message else _listed(mailbox, locale)
        return _page(address, f'<div class="mail"><div class="pane">{shown}</div>{self._panel(key)}</div>')

    def _open(self, key: tuple[str, str, str]) -> None:
        """Do what Gmail does when a message is opened, or when none is."""
        gmail = self._addon_of["gmail"]
        url = gmail["contextualTriggers"][0]["onTriggerFunction"] if key[1] else gmail["homepageTrigger"]["runFunction"]
        self._stacks[key] = Stack()
        self._call(key, url, {}, {})

    def _press(self, key: tuple[str, str, str], form: Mapping[str, list[str]]) -> Reply | None:
        """Press what was pressed; return where to go when that is a page."""
        stack = self._stacks.get(key)
        if stack is None or not stack.cards:
            self._open(key)
            return None
        pressed = form.get("press", ["back"])[-1]
        if pressed == "back":
            stack.show({"renderActions": {"action": {"navigations": [{"pop": True}]}}})
            return None
        _, clicks = draw(stack.cards[-1])
        click = clicks[int(pressed)]
        if "openLink" in click:
            return Reply(303, headers={"Location": click["openLink"]["url"]})
        action = click["action"]
        given = {each["key"]: each["value"] for each in action["parameters"]}
        self._call(key, action["function"], given, {name: form[name] for name in form if name != "press"})
        return None

    def _call(
        self,
        key: tuple[str, str, str],
        url: str,
        parameters: Mapping[str, str],
        inputs: Mapping[str, Sequence[str]],
    ) -> None:
        address, message_id, locale = key
        click = AddonClick(address, message_id, parameters, inputs, locale)
        headers, body = self._addon.call(url, click)
        answered = requests.post(url, data=body, headers=headers, timeout=TIMEOUT_S)
        if answered.status_code == 200:
            self._stacks[key].show(answered.json())
        else:
            self._stacks[key].said = f"The add-on answered {answered.status_code}: {answered.text[:200]}"

    def _panel(self, key: tuple[str, str, str]) -> str:
        stack, common = self._stacks[key], self._addon_of["common"]
        card = draw(stack.cards[-1])[0] if stack.cards else ""
        back = '<button name="press" value="back">←</button>' if len(stack.cards) > 1 else ""
        logo = f'<img src="{escape(common["logoUrl"])}" alt="">'
        said = f'<div class="said" role="status">{escape(stack.said)}</div>' if stack.said else ""
        name = f'<div class="name">{logo}{escape(common["name"])}{back}</div>'
        action = f"{_path(key[0], key[1])}?hl={key[2]}"
        return f'<form class="panel" method="post" action="{escape(action)}">{name}{card}{said}</form>'


def _accounts(mailboxes: Mapping[str, SimulatedMailbox]) -> str:
    links = "".join(
        f'<a href="{_path(address)}?hl={locale}"><span>{escape(address)}</span><span>{locale}</span></a>'
        for address in sorted(mailboxes)
        for locale in LOCALES
    )
    return f'<div class="pane list" style="margin: 12px">{links}</div>'


def _listed(mailbox: SimulatedMailbox, locale: str) -> str:
    newest = sorted(mailbox.messages.values(), key=lambda each: each.at, reverse=True)
    rows = [(each, email.message_from_bytes(each.raw, policy=email.policy.default)) for each in newest[:100]]
    links = "".join(
        f'<a href="{_path(mailbox.address, each.id)}?hl={locale}"><span>{escape(str(mail["from"]))}</span>'
        f"<span>{escape(str(mail['subject']))}</span><span>{each.at:%d.%m. %H:%M}</span></a>"
        for each, mail in rows
    )
    return f'<h1>{escape(mailbox.address)}</h1><div class="list">{links}</div>'


def _opened(message: SimulatedMessage) -> str:
    mail = email.message_from_bytes(message.raw, policy=email.policy.default)
    body = mail.get_body(("plain",))
    text = body.get_content() if body else ""
    head = f"<p><b>{escape(str(mail['from']))}</b><br>{escape(str(mail['to']))} · {message.at:%d.%m.%Y %H:%M}</p>"
    return f"<h1>{escape(str(mail['subject']))}</h1>{head}<pre>{escape(text)}</pre>"


def _path(address: str, message_id: str = "") -> str:
    return "/".join(filter(None, (PATH, quote(address), message_id)))


def _page(title: str, body: str) -> Reply:
    top = f'<header class="top"><a href="{PATH}">Simulated Gmail</a></header>'
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    looks = f'<link rel="icon" href="data:,"><style>{STYLE}</style>'
    shown = f'<!doctype html><html lang="en">{head}{looks}{top}<main>{body}</main><script>{SCRIPT}</script></html>'
    return Reply(200, shown.encode(), "text/html; charset=UTF-8")
