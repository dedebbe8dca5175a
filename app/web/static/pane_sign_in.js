// Signs the person in at Microsoft for the Outlook pane: through Outlook itself, else in a window of its own.
// Exports one function, threadlinkToken(mayAsk): an access token for our own API. Nothing is kept in the browser.
"use strict";

(() => {
  const SAYS_NO = ["user_canceled", "no_network_connectivity"]; // of msal's errors: no reason for another window
  const registration = document.body.dataset;
  let broker = null; // msal with Outlook behind it; `undefined` once it is known that there is none
  let kept = ""; // what the window brought, while it lasts: a window every ten minutes is too much

  // learn.microsoft.com/office/dev/add-ins/develop/enable-nested-app-authentication-in-your-add-in
  async function findBroker() {
    if (!Office.context.requirements.isSetSupported("NestedAppAuth", "1.1")) return undefined;
    let found;
    const options = {
      auth: { clientId: registration.clientId, authority: registration.authority },
      cache: { cacheLocation: "memoryStorage" },
    };
    // Without a bridge to Outlook msal makes a client that signs in by itself, which it cannot do in a frame; the
    // function given here is called for one with a bridge alone.
    await msal.createNestablePublicClientApplication(options, undefined, (its, controller) => {
      found = new msal.PublicClientApplication(its, controller);
      return found;
    });
    return found;
  }

  async function nested(mayAsk) {
    // Without a hint msal does not know whom to ask for: the broker has no account yet.
    const asked = { scopes: [registration.scope], loginHint: Office.context.mailbox.userProfile.emailAddress };
    try {
      return (await broker.acquireTokenSilent(asked)).accessToken;
    } catch (error) {
      if (!mayAsk) throw error;
    }
    try {
      return (await broker.acquireTokenPopup(asked)).accessToken;
    } catch (error) {
      if (SAYS_NO.includes(error.errorCode)) throw error;
      broker = undefined; // some Outlooks say that they sign in, and fail (office-js 5209, 6610, 6691)
      return inWindow();
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
          if (answer.token) resolve((kept = answer.token));
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
    if (broker === null) broker = await findBroker();
    if (broker) return nested(mayAsk);
    if (mayAsk) return inWindow();
    if (!kept || endsAt(kept) < Date.now()) throw new Error("a window must be asked for");
    return kept;
  };
})();
