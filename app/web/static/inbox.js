// Makes the pages quick that work without it: keys as in Gmail, the number of ticks, news without reloading.
"use strict";
(() => {
  const LOOK_EVERY_MS = 20_000;
  const REVIEW_EVERY_MS = 60_000;
  const SHORT_MS = 400;
  const body = document.body;
  const stops = () => [...document.querySelectorAll("li.row, section.choice")];
  const stopOf = (element) => element?.closest?.("li.row, section.choice");
  let current = null; // the id of the row or choice that keys act on

  const here = () => stopOf(document.activeElement) ?? (current && document.getElementById(current));

  function goTo(stop) {
    if (!stop) return;
    current = stop.id;
    (stop.matches("li.row") ? stop.querySelector("a.open") : stop).focus();
    stop.scrollIntoView({ block: "nearest" });
  }

  function move(by) {
    const all = stops();
    const at = all.indexOf(here());
    goTo(all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))]);
  }

  // On the page of a conversation the list goes on at its neighbours.
  function step(by) {
    if (stops().length) move(by);
    else document.querySelector(`.neighbours a[rel="${by > 0 ? "next" : "prev"}"]`)?.click();
  }

  // --- ticks ---

  const ticks = () => [...document.querySelectorAll("#rows input.tick")];

  function count() {
    const shown = document.getElementById("ticked");
    if (!shown) return;
    const n = ticks().filter((tick) => tick.checked).length;
    const isWhole = n > 0 && n === ticks().length;
    const all = document.getElementById("tick-all"); // all that match, on every page
    if (all && !isWhole) all.checked = false;
    shown.textContent = n ? shown.dataset.words.replace("{n}", all?.checked ? all.dataset.n : n) : "";
    shown.closest("form").classList.toggle("is-idle", n === 0);
    shown.closest("form").classList.toggle("is-whole", isWhole);
  }

  let lastTicked = null; // with Shift the rows from there on are ticked alike, as in Gmail

  document.addEventListener("click", (event) => {
    if (!event.target.matches("#rows input.tick")) return;
    const all = ticks();
    const ends = [all.indexOf(event.target), all.indexOf(lastTicked)].sort((a, b) => a - b);
    if (event.shiftKey && ends[0] >= 0) {
      for (const tick of all.slice(ends[0], ends[1] + 1)) tick.checked = event.target.checked;
      count();
    }
    lastTicked = event.target;
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("input.tick, #tick-all")) count();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#tick-page, [data-close]");
    if (!link) return;
    if (link.id === "tick-page") {
      event.preventDefault();
      const all = ticks();
      const on = !all.every((tick) => tick.checked);
      for (const tick of all) tick.checked = on;
      count();
    } else if (link.closest(".pick")) {
      event.preventDefault();
      close(link.closest(".pick"));
    }
  });

  function close(picker) {
    picker.replaceChildren();
    goTo(stopOf(picker));
  }

  // --- keys ---

  const typing = (element) => element.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
  const press = (stop, key) => stop?.querySelector(`[data-key="${CSS.escape(key)}"]`)?.click();
  let pressed = ""; // the g before i or r

  const does = {
    j: () => step(1),
    k: () => step(-1),
    x: () => {
      const tick = here()?.querySelector("input.tick");
      tick?.click();
    },
    l: () => {
      const choose = document.getElementById("choose"); // on the page of a conversation one chooses with Enter
      if (choose) choose.querySelector("button, input[type=search]")?.focus();
      else press(here() ?? stops()[0], "l");
    },
    Enter: () => here()?.querySelector("a.open, h2 a, .asked a")?.click(),
    s: () => move(1),
    "/": () => (document.getElementById("s") ?? document.querySelector("main input[type=search]"))?.focus(),
    z: () => document.querySelector('#status [data-key="z"]')?.click(),
    "?": () => document.getElementById("keys")?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const picker = event.target.closest(".pick");
      if (picker) close(picker);
      return;
    }
    if (!("keys" in body.dataset) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target) || document.querySelector("dialog[open]")) return;
    const key = event.key;
    if (pressed === "g" && (key === "i" || key === "r")) {
      pressed = "";
      location.assign(key === "i" ? "/inbox" : "/review");
      return;
    }
    pressed = key === "g" ? "g" : "";
    if (key === "Enter" && event.target !== body && !event.target.matches("section.choice")) return;
    if (key in does) {
      event.preventDefault();
      does[key]();
    } else if (/^[Len1-9]$/.test(key)) {
      event.preventDefault();
      press(here() ?? stops()[0] ?? document.querySelector("main"), key);
    }
  });
  document.addEventListener("focusin", (event) => {
    const stop = stopOf(event.target);
    if (stop) current = stop.id;
  });

  // --- what htmx changes in place ---

  let next = null; // where to go on when a choice is settled and its section goes

  document.addEventListener("htmx:beforeSwap", (event) => {
    // Rows of other pages change too: what has no place here is left out.
    const parts = document.createElement("template");
    parts.innerHTML = event.detail.serverResponse;
    for (const part of parts.content.querySelectorAll("[hx-swap-oob]")) {
      if (!document.getElementById(part.id)) part.remove();
    }
    event.detail.serverResponse = parts.innerHTML;
    const section = event.detail.target;
    if (section.matches?.("section.choice") && event.detail.shouldSwap) next = section.nextElementSibling?.id ?? section.previousElementSibling?.id;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const target = event.detail.elt;
    if (target.matches?.(".pick")) (target.querySelector(".offer") ?? target.querySelector("input[type=search], button"))?.focus();
    if (next) {
      goTo(document.getElementById(next));
      next = null;
    }
    count();
  });
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    // A row that was written anew has lost the focus that it had.
    if (event.detail.target.id === current && !stopOf(document.activeElement)) goTo(document.getElementById(current));
    if (event.detail.target.id === "status") document.getElementById("picked")?.replaceChildren();
  });
  document.addEventListener("htmx:load", () => {
    const seen = new Set(); // a conversation with a new mail moves to the top
    for (const row of document.querySelectorAll("#rows > li.row")) {
      if (seen.has(row.id)) row.remove();
      seen.add(row.id);
    }
  });
  document.addEventListener("htmx:responseError", (event) => {
    let title = body.dataset.failed;
    try {
      title = JSON.parse(event.detail.xhr.responseText).title;
    } catch {
      // not an answer of ours
    }
    tell(title);
  });
  document.addEventListener("htmx:sendError", () => tell(body.dataset.failed));

  // What takes longer than a blink says so.
  let waits = 0;
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.matches("#fresh, #review-changed")) return;
    clearTimeout(waits);
    waits = setTimeout(() => tell(body.dataset.waits, "waits"), SHORT_MS);
  });
  document.addEventListener("htmx:afterRequest", () => {
    clearTimeout(waits);
    document.querySelector("#status .waits")?.remove();
  });

  function tell(text, how = "failed") {
    const told = document.createElement("div");
    told.className = `done ${how}`;
    told.append(Object.assign(document.createElement("p"), { textContent: text }));
    for (const earlier of document.querySelectorAll("#status .failed, #status .waits")) earlier.remove();
    document.getElementById("status").append(told); // beside the undo, which stays
  }

  // Folded messages are part of what is printed.
  addEventListener("beforeprint", () => {
    for (const message of document.querySelectorAll("details.message")) message.open = true;
  });

  // --- what came since ---

  const look = (id) => {
    const element = document.getElementById(id);
    if (element && document.visibilityState === "visible") htmx.trigger(element, "look");
  };
  setInterval(() => look("fresh"), LOOK_EVERY_MS);
  setInterval(() => look("review-changed"), REVIEW_EVERY_MS);
  document.addEventListener("visibilitychange", () => ["fresh", "review-changed"].forEach(look));

  body.classList.add("has-script");
  count();
})();
