// Signs the person in at Microsoft for the Outlook pane: through Outlook itself, else in a window of its own.
// Exports one function, threadlinkToken(mayAsk): an access token for our own API. Nothing is kept in the browser.
"use strict";

(() => {
  const registration = document.body.dataset;
  let client = null; // msal, as Outlook's broker
  let kept = ""; // what the window brought, while it lasts: a window every ten minutes is too much

  function isNested() {
    return Office.context.requirements.isSetSupported("NestedAppAuth", "1.1");
  }

  // learn.microsoft.com/office/dev/add-ins/develop/enable-nested-app-authentication-in-your-add-in
  async function nested(mayAsk) {
    client ??= await msal.createNestablePublicClientApplication({
      auth: { clientId: registration.clientId, authority: registration.authority },
      cache: { cacheLocation: "memoryStorage" },
    });
    // Without a hint msal does not know whom to ask for: the broker has no account yet.
    const asked = { scopes: [registration.scope], loginHint: Office.context.mailbox.userProfile.emailAddress };
    try {
      return (await client.acquireTokenSilent(asked)).accessToken;
    } catch (error) {
      if (!mayAsk) throw error;
      return (await client.acquireTokenPopup(asked)).accessToken;
    }
  }

  function inWindow() {
    return new Promise((resolve, reject) => {
      const url = `${location.origin}/outlook/dialog?hint=${encodeURIComponent(Office.context.mailbox.userProfile.emailAddress)}`;
      Office.context.ui.displayDialogAsync(url, { height: 60, width: 30 }, (opened) => {
        if (opened.status !== Office.AsyncResultStatus.Succeeded) {
          reject(new Error("no window"));
          return;
        }
        const dialog = opened.value;
        dialog.addEventHandler(Office.EventType.DialogMessageReceived, (told) => {
          dialog.close();
          const answer = JSON.parse(told.message);
          if (answer.token) resolve(answer.token);
          else reject(new Error(answer.error));
        });
        dialog.addEventHandler(Office.EventType.DialogEventReceived, () => reject(new Error("window closed")));
      });
    });
  }

  function endsAt(token) {
    const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(atob(claims)).exp * 1000;
  }

  window.threadlinkToken = async (mayAsk) => {
    if (isNested()) return nested(mayAsk);
    if (mayAsk) kept = await inWindow();
    else if (!kept || endsAt(kept) < Date.now()) throw new Error("a window must be asked for");
    return kept;
  };
})();
