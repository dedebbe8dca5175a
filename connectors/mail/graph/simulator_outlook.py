"""Outlook on the web, as far as a task pane needs it: mailboxes, an open message, and our page framed beside it.

The pane runs as it does in Outlook, in a frame of another address and behind its own policies; what is replaced is
Microsoft's script, which here asks the page around the frame which message is open, and for the tokens that msal wants.
Part of the simulator.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from connectors.mail.graph.simulator_login import TENANT_ID, TOKEN_LASTS_S
from connectors.mail.graph.simulator_mailbox import SimulatedMailbox, SimulatedMessage
from connectors.mail.graph.simulator_view import conversation_id
from connectors.simulated_http import Call, Reply, json_reply

PATH = "/owa"
SCRIPT_PATH = "/office.js"
LOCALES = {"en": "en-US", "tr": "tr-TR"}
THEMES = {
    "light": {"bodyBackgroundColor": "#ffffff", "bodyForegroundColor": "#242424"},
    "dark": {"bodyBackgroundColor": "#292929", "bodyForegroundColor": "#ffffff"},
}
# How Outlook signs in for the pane: by itself, after asking the person, not at all (a window does), or it says that it
# does and msal finds nobody to ask, or is refused.
SIGN_INS = ("nested", "asks", "window", "broken", "refuses")
MOST_LISTED = 100

# Stands in for Microsoft's script: learn.microsoft.com/javascript/api/office
OFFICE_JS = """
"use strict";
(() => {
  const handlers = {};
  const succeeded = "succeeded";
  const CLOSED = 12006; // the person closed the window
  const has = { Mailbox: 1.13 };
  const host = { host: "Outlook", platform: "OfficeOnline" };
  let selected = [];
  let ready;
  const begun = new Promise((resolve) => (ready = resolve));
  const fire = (type, event) => (handlers[type] ?? []).forEach((handler) => handler(event));
  const mailbox = {
    item: null,
    userProfile: { emailAddress: "" },
    addHandlerAsync: (type, handler) => (handlers[type] ??= []).push(handler),
    convertToRestId: (id) => id.replaceAll("/", "-").replaceAll("+", "_"),
    getSelectedItemsAsync: (done) => done({ status: succeeded, value: selected }),
  };
  const context = {
    mailbox,
    requirements: { isSetSupported: (name, version) => has[name] >= Number(version) },
    ui: {
      // The window is one of the browser's; what it tells, it tells the page that opened it.
      displayDialogAsync: (url, _options, opened) => {
        const shown = open(url, "_blank", "popup");
        const told = {};
        const closing = setInterval(() => {
          if (!shown.closed) return;
          clearInterval(closing);
          told.dialogEventReceived?.({ error: CLOSED });
        }, 250);
        addEventListener("message", ({ source, data }) => {
          if (source === shown) told.dialogMessageReceived?.({ message: data });
        });
        const close = () => {
          clearInterval(closing);
          shown.close();
        };
        opened({ status: succeeded, value: { close, addEventHandler: (type, handler) => (told[type] = handler) } });
      },
      messageParent: (message) => opener.postMessage(message, location.origin),
    },
  };
  // Nested app authentication: msal asks the program around the page, in JSON.
  const asked = new Map(); // requestId -> how to answer it
  const bridge = new EventTarget();
  bridge.postMessage = (text) => {
    const { requestId, method } = JSON.parse(text);
    const answer = (given) => {
      const data = JSON.stringify({ messageType: "NestedAppAuthResponse", requestId, success: true, ...given });
      bridge.dispatchEvent(new MessageEvent("message", { data }));
    };
    if (method === "GetInitContext") {
      answer({ initContext: { sdkName: "outlook", sdkVersion: "1.0", capabilities: { queryAccount: false } } });
    } else {
      asked.set(requestId, answer);
      parent.postMessage({ ask: "token", requestId, method }, "*");
    }
  };
  addEventListener("message", ({ source, data }) => {
    if (source !== parent) return;
    if ("answered" in data) asked.get(data.answered)(data.given);
    if ("state" in data) {
      const { item, address, language, theme, signIn } = data.state;
      mailbox.item = item;
      mailbox.userProfile.emailAddress = address;
      Object.assign(context, { displayLanguage: language, officeTheme: theme });
      if (signIn !== "window") has.NestedAppAuth = 1.1;
      if (signIn !== "broken") window.nestedAppAuthBridge = bridge;
      ready(host);
    }
    if ("item" in data) {
      mailbox.item = data.item;
      selected = data.item ? [data.item] : [];
      fire("olkItemSelectedChanged", {});
      fire("olkSelectedItemsChanged", {});
    }
    if ("selected" in data) {
      mailbox.item = null; // of several none is open
      selected = data.selected;
      fire("olkSelectedItemsChanged", {});
      fire("olkItemSelectedChanged", {});
    }
  });
  window.Office = {
    context,
    onReady: (then) => begun.then(then),
    AsyncResultStatus: { Succeeded: succeeded },
    EventType: {
      ItemChanged: "olkItemSelectedChanged",
      SelectedItemsChanged: "olkSelectedItemsChanged",
      DialogMessageReceived: "dialogMessageReceived",
      DialogEventReceived: "dialogEventReceived",
    },
    MailboxEnums: { RestVersion: { v2_0: "v2.0" } },
  };
  // As Microsoft's does: a page that may be framed must not lean on it.
  history.pushState = history.replaceState = null;
  if (parent !== window) parent.postMessage({ ask: "state" }, "*");
  else if (opener) ready(host); // a window that the pane opened
})();
"""

_PAGE_SCRIPT = """
const shown = JSON.parse(document.getElementById("mails").textContent);
const pane = document.querySelector("iframe");
const tell = (what) => pane.contentWindow.postMessage(what, "*");
const open = (item) => { shown.state.item = item; tell({ item }); };
addEventListener("message", async ({ source, data }) => {
  if (source !== pane.contentWindow) return;
  if (data.ask === "state") tell({ state: shown.state });
  if (data.ask !== "token") return;
  const refused = {
    asks: data.method === "GetToken" && { status: "USER_INTERACTION_REQUIRED", code: "consent_required" },
    refuses: { status: "PERSISTENT_ERROR", code: "server_error" },
  }[shown.state.signIn];
  const given = refused ? { success: false, error: refused } : await (await fetch(shown.token)).json();
  tell({ answered: data.requestId, given });
});
for (const button of document.querySelectorAll("button[data-mail]")) button.addEventListener("click", () => {
  document.querySelector("[aria-current]")?.removeAttribute("aria-current");
  if (button.dataset.mail) button.setAttribute("aria-current", "true");
  open(shown.items[button.dataset.mail] ?? null);
});
document.getElementById("all").addEventListener("click", () => tell({ selected: Object.values(shown.items) }));
"""

_STYLE = """
* { box-sizing: border-box; }
body { margin: 0; font: 14px/20px "Segoe UI", system-ui, sans-serif; color: #242424; background: #f5f5f5; }
header { padding: 8px 16px; color: #fff; background: #0f6cbd; } header a { color: inherit; }
main { display: flex; gap: 8px; padding: 8px; height: calc(100vh - 36px); }
.list { flex: 1; overflow: auto; background: #fff; border: 1px solid #e0e0e0; }
.list a, .list button { display: block; width: 100%; padding: 8px 12px; border: 0; border-bottom: 1px solid #eee;
  font: inherit; text-align: left; color: inherit; background: none; cursor: pointer; }
.list [aria-current] { background: #ebf3fc; }
iframe { flex: none; width: 320px; height: 100%; border: 1px solid #e0e0e0; background: #fff; }
"""


class SimulatedOutlook:
    """Pages of a simulated Outlook on the web with our pane beside its messages."""

    def __init__(self, mailboxes: Mapping[str, SimulatedMailbox], pane_url: str, token: Callable[[str], str]) -> None:
        self._mailboxes = mailboxes
        self._pane_url = pane_url
        self._token = token

    def answer(self, call: Call) -> Reply:
        """Answer a request below /owa."""
        _, _, address, rest = [*call.path.split("/", 3), "", ""][:4]
        mailbox = self._mailboxes.get(address)
        if mailbox is None:
            return _page("Simulated Outlook", _accounts(self._mailboxes))
        if rest == "token":
            return json_reply(self._answer_of_broker(mailbox))
        locale = call.one("hl") if call.one("hl") in LOCALES else "en"
        theme = call.one("theme") if call.one("theme") in THEMES else "light"
        sign_in = call.one("signin") if call.one("signin") in SIGN_INS else SIGN_INS[0]
        return self._opened(mailbox, locale, theme, sign_in)

    def _answer_of_broker(self, mailbox: SimulatedMailbox) -> dict[str, Any]:
        """Return what Outlook answers msal: the tokens, and whose they are."""
        token = self._token(mailbox.address)
        return {
            "token": {"access_token": token, "id_token": token, "token_type": "Bearer", "expires_in": TOKEN_LASTS_S},
            "account": {
                "environment": "login.windows.net",
                "homeAccountId": f"{mailbox.user_id}.{TENANT_ID}",
                "localAccountId": mailbox.user_id,
                "tenantId": TENANT_ID,
                "username": mailbox.address,
            },
        }

    def _opened(self, mailbox: SimulatedMailbox, locale: str, theme: str, sign_in: str) -> Reply:
        listed = sorted(mailbox.messages.values(), key=lambda each: each.at, reverse=True)[:MOST_LISTED]
        state = {
            "item": None,
            "address": mailbox.address,
            "language": LOCALES[locale],
            "theme": THEMES[theme],
            "signIn": sign_in,
        }
        shown = {
            "state": state,
            "items": {each.id: _item(mailbox, each) for each in listed},
            "token": f"{PATH}/{quote(mailbox.address)}/token",
        }
        rows = "".join(
            f'<button data-mail="{escape(each.id)}"><b>{escape(_sender(each)["name"])}</b><br>'
            f"{escape(each.mail.subject)}</button>"
            for each in listed
        )
        tools = '<button data-mail="">Close the message</button><button id="all">Select all</button>'
        data = json.dumps(shown).replace("<", "\\u003c")
        frame = f'<iframe src="{escape(self._pane_url)}" title="threadlink"></iframe>'
        script = f'<script type="application/json" id="mails">{data}</script><script>{_PAGE_SCRIPT}</script>'
        return _page(mailbox.address, f'<div class="list">{rows}{tools}</div>{frame}{script}')


def _item(mailbox: SimulatedMailbox, message: SimulatedMessage) -> dict[str, Any]:
    """Return a message as Office.js shows one that is read; conversation ids are Exchange's own, with other signs."""
    mail = message.mail
    return {
        "itemId": message.default_id,
        "internetMessageId": mail.internet_id,
        "conversationId": conversation_id(mailbox, message).replace("-", "/").replace("_", "+"),
        "subject": mail.subject,
        "from": {"emailAddress": _sender(message)["address"], "displayName": _sender(message)["name"]},
    }


def _sender(message: SimulatedMessage) -> Mapping[str, str]:
    named: list[dict[str, Any]] = message.mail.recipients("From")
    return named[0]["emailAddress"] if named else {"name": "", "address": ""}


def _accounts(mailboxes: Mapping[str, SimulatedMailbox]) -> str:
    links = "".join(
        f'<a href="{PATH}/{quote(address)}?hl={locale}&amp;theme={theme}">{escape(address)} · {locale} · {theme}</a>'
        for address in sorted(mailboxes)
        for locale in LOCALES
        for theme in THEMES
    )
    return f'<div class="list">{links}</div>'


def _page(title: str, body: str) -> Reply:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    looks = f'<link rel="icon" href="data:,"><style>{_STYLE}</style>'
    top = f'<header><a href="{PATH}">Simulated Outlook</a></header>'
    page = f'<!doctype html><html lang="en">{head}{looks}{top}<main>{body}</main></html>'
    return Reply(200, page.encode(), "text/html; charset=UTF-8")
