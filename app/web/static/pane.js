// The Outlook pane: which message is open, who asks, and the parts of the page that answer. The server decides.
"use strict";

(() => {
  const READY_WITHIN_MS = 15_000;
  const RENEW_BEFORE_MS = 30_000;
  const SESSION_WITHIN_MS = 20_000;
  const byId = (id) => document.getElementById(id);
  const item = byId("item");
  const told = byId("told");
  let locale = document.documentElement.lang;
  let language = locale;
  let asked = 0; // of the message that is open now: an answer for an earlier one is not shown
  let key = ""; // of that message
  let isMany = false; // several are selected: then none of them is open
  let bearer = "";
  let endsAt = 0;
  let renewing = null;
  const issue = new WeakMap(); // form -> how to send it once more
  const asker = new WeakMap(); // question -> the form that it answers

  // --- what is shown without asking the server ---

  function state(name) {
    return document.querySelector(`template[data-locale="${locale}"][data-state="${name}"]`).content.cloneNode(true);
  }

  const show = (name) => item.replaceChildren(state(name));

  function tell(text) {
    told.textContent = text;
    told.hidden = text === "";
  }

  function speak(displayLanguage) {
    language = displayLanguage || language;
    const known = [...document.querySelectorAll("template")].map((each) => each.dataset.locale);
    const wanted = language.slice(0, 2).toLowerCase();
    locale = known.includes(wanted) ? wanted : locale;
    document.documentElement.lang = locale;
    byId("refresh").textContent = byId("refresh").dataset[locale];
  }

  // --- Outlook's colours ---

  function brightness(colour) {
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    return (red * 299 + green * 587 + blue * 114) / 1000;
  }

  function paint(theme) {
    const is = (colour) => /^#[0-9a-f]{6}$/i.test(colour ?? "");
    if (!theme || !is(theme.bodyBackgroundColor) || !is(theme.bodyForegroundColor)) return;
    const root = document.documentElement;
    root.dataset.theme = brightness(theme.bodyBackgroundColor) < 128 ? "dark" : "light";
    root.style.setProperty("--ground", theme.bodyBackgroundColor);
    root.style.setProperty("--ink", theme.bodyForegroundColor);
  }

  // --- who asks ---

  async function begin(mayAsk) {
    const token = await threadlinkToken(mayAsk);
    const answer = await fetch("/outlook/session", {
      method: "POST",
      headers: { Authorization: `Bearer ${token}` },
      credentials: "omit",
      signal: AbortSignal.timeout(SESSION_WITHIN_MS),
    });
    if (!answer.ok) throw Object.assign(new Error("refused"), { status: answer.status });
    const begun = await answer.json();
    bearer = begun.bearer;
    endsAt = Date.now() + begun.lasts_s * 1000;
  }

  const renew = (mayAsk) => (renewing ??= begin(mayAsk).finally(() => (renewing = null)));

  async function withBearer(send, mayAsk = false) {
    const of = asked;
    try {
      if (Date.now() > endsAt - RENEW_BEFORE_MS) await renew(mayAsk);
    } catch (error) {
      // A TypeError is how fetch() says that the network failed; what comes from msal wants a person.
      const isAway = error.status >= 500 || error instanceof TypeError || error.name === "TimeoutError";
      if (of !== asked) return;
      show(isAway ? "offline" : error.status ? "not_let_in" : "sign_in");
      if (mayAsk && !isAway && !error.status) tell(state("not_signed_in").textContent.trim());
      return;
    }
    if (of === asked) send();
  }

  document.addEventListener("htmx:confirm", (event) => {
    const { elt, issueRequest } = event.detail;
    if (!event.detail.path.startsWith("/outlook/")) return;
    event.preventDefault();
    issue.set(elt, { send: () => issueRequest(true), again: true });
    withBearer(() => issueRequest(true));
  });

  document.addEventListener("htmx:configRequest", (event) => {
    Object.assign(event.detail.headers, {
      Authorization: `Bearer ${bearer}`,
      "Accept-Language": language,
      "Pane-Asked": String(asked),
    });
  });

  // --- answers ---

  const isLate = (detail) => detail.requestConfig.headers["Pane-Asked"] !== String(asked);

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (isLate(event.detail)) event.detail.shouldSwap = false;
    else if (event.detail.xhr.status < 300) tell("");
  });

  // Not `autofocus`: browsers do not let a frame of another address take the focus by itself.
  document.addEventListener("htmx:afterSwap", (event) => {
    byId("status").replaceChildren();
    asker.set(event.detail.target, event.detail.requestConfig.elt);
    event.detail.target.querySelector("[data-focus]")?.focus();
  });

  document.addEventListener("htmx:responseError", (event) => {
    const { detail } = event;
    if (isLate(detail)) return;
    const kept = issue.get(detail.elt);
    if (detail.xhr.status === 401 && kept?.again) {
      kept.again = false;
      endsAt = 0;
      withBearer(kept.send);
      return;
    }
    let why = "";
    try {
      why = JSON.parse(detail.xhr.responseText).title;
    } catch {
      why = state(detail.xhr.status >= 500 ? "offline" : "refused").textContent.trim();
    }
    item.querySelector("[data-loading]")?.remove();
    tell(why);
  });

  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => {
      if (!isLate(event.detail)) tell(state("offline").textContent.trim());
    });
  }

  document.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-close], [data-sign-in]");
    if (!pressed) return;
    if (pressed.matches("[data-close]")) {
      const ask = pressed.closest(".ask");
      ask.replaceChildren();
      asker.get(ask)?.querySelector("button")?.focus();
    } else {
      tell("");
      show("loading");
      withBearer(() => look(true), true);
    }
  });

  // --- which message ---

  function ask(form, fields) {
    form.replaceChildren(
      ...fields.map(([name, value]) => Object.assign(document.createElement("input"), { type: "hidden", name, value })),
    );
    show("loading");
    htmx.trigger(form, "look");
  }

  function threadOf(open) {
    const { mailbox } = Office.context;
    // Not on mobile; null on some Macs (office-js 5875): the Message-ID is what counts.
    const convert = mailbox.convertToRestId?.bind(mailbox);
    const version = Office.MailboxEnums?.RestVersion?.v2_0;
    return (open.conversationId && convert && version && convert(open.conversationId, version)) || open.conversationId || "";
  }

  const look = (isForced = false) => (isMany ? lookAtSelected(isForced) : lookAtOpen(isForced));

  function lookAtOpen(isForced) {
    const open = Office.context.mailbox.item;
    const isRead = Boolean(open) && typeof open.subject === "string";
    const now = isRead ? `${open.internetMessageId ?? ""} ${open.itemId ?? ""}` : open ? "compose" : "none";
    if (now === key && !isForced) return;
    key = now;
    asked += 1;
    tell("");
    if (!isRead) {
      show(open ? "compose" : "no_item");
      return;
    }
    ask(byId("look"), [
      ["message", open.internetMessageId ?? ""],
      ["thread", threadOf(open)],
      ["sender", open.from?.emailAddress ?? ""],
      ["sender_name", open.from?.displayName ?? ""],
      ["subject", open.subject],
    ]);
  }

  function lookAtSelected(isForced) {
    Office.context.mailbox.getSelectedItemsAsync((selected) => {
      const messages = selected.status === Office.AsyncResultStatus.Succeeded ? selected.value : [];
      const ids = messages.map((each) => each.internetMessageId).filter(Boolean);
      isMany = ids.length > 1;
      if (!isMany) {
        lookAtOpen(isForced);
        return;
      }
      if (ids.join(" ") === key && !isForced) return;
      key = ids.join(" ");
      asked += 1;
      tell("");
      ask(byId("look-many"), ids.map((each) => ["message", each]));
    });
  }

  // --- beginning ---

  function begun() {
    const { mailbox, requirements } = Office.context;
    speak(Office.context.displayLanguage);
    paint(Office.context.officeTheme);
    mailbox.addHandlerAsync(Office.EventType.ItemChanged, () => look());
    if (Office.EventType.OfficeThemeChanged) {
      mailbox.addHandlerAsync(Office.EventType.OfficeThemeChanged, (event) => paint(event.officeTheme));
    }
    if (requirements.isSetSupported("Mailbox", "1.13")) {
      mailbox.addHandlerAsync(Office.EventType.SelectedItemsChanged, () => lookAtSelected(false));
    }
    // ItemChanged is not always fired (office-js 3470, 4960, 5965), and somebody may come back from a page of ours.
    window.addEventListener("focus", () => look(item.querySelector("a.button") !== null));
    look();
  }

  byId("refresh").addEventListener("click", () => {
    if (window.Office?.context?.mailbox) look(true);
    else location.reload();
  });
  show("loading");
  const blocked = setTimeout(() => show("blocked"), READY_WITHIN_MS);
  if (window.Office) {
    Office.onReady(() => {
      clearTimeout(blocked);
      begun();
    });
  } else {
    clearTimeout(blocked);
    show("blocked");
  }
})();
