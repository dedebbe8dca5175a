// Shows the buttons that copy a field, and says when one did: on a page, and in what htmx brings later.
"use strict";
(() => {
  const reveal = (root) => root.querySelectorAll("button[data-copy]").forEach((button) => (button.hidden = false));

  // The old way first: it works over http too, and in a frame that was not given the clipboard (Outlook's pane).
  async function copy(field) {
    field.select();
    if (document.execCommand("copy")) return true;
    try {
      await navigator.clipboard.writeText(field.value);
      return true;
    } catch {
      field.focus(); // with its text selected: the keys do it
      return false;
    }
  }

  document.addEventListener("click", async ({ target }) => {
    const button = target.closest("button[data-copy]");
    if (!button || !(await copy(document.getElementById(button.dataset.copy)))) return;
    const told = document.createElement("div");
    told.className = "done";
    told.append(Object.assign(document.createElement("p"), { textContent: button.dataset.done }));
    document.getElementById("status").replaceChildren(told);
  });
  document.addEventListener("htmx:afterSwap", (event) => reveal(event.detail.target));
  reveal(document);
})();
