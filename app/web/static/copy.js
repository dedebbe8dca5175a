// Shows the buttons that copy a field, where a page may write to the clipboard (only in a secure context).
"use strict";
(() => {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const field = document.getElementById(button.dataset.copy);
    button.addEventListener("click", async () => {
      field.select(); // so that the keys do it where the browser refuses
      try {
        await navigator.clipboard.writeText(field.value);
      } catch {
        field.focus();
        return;
      }
      const told = document.createElement("div");
      told.className = "done";
      told.append(Object.assign(document.createElement("p"), { textContent: button.dataset.done }));
      document.getElementById("status").replaceChildren(told);
    });
    button.hidden = false;
  }
})();
