// The window that signs in where Outlook does not do it itself: to Microsoft, back here, and the token to the pane.
"use strict";

Office.onReady(async () => {
  const registration = document.body.dataset;
  const tell = (answer) => Office.context.ui.messageParent(JSON.stringify(answer));
  const client = new msal.PublicClientApplication({
    auth: {
      clientId: registration.clientId,
      authority: registration.authority,
      redirectUri: `${location.origin}/outlook/dialog`,
    },
    cache: { cacheLocation: "sessionStorage" }, // of this window alone: it is closed a moment later
  });
  try {
    await client.initialize();
    const signedIn = await client.handleRedirectPromise({ navigateToLoginRequestUrl: false });
    if (signedIn) tell({ token: signedIn.accessToken });
    else {
      const loginHint = new URLSearchParams(location.search).get("hint") ?? undefined;
      await client.acquireTokenRedirect({ scopes: [registration.scope], loginHint });
    }
  } catch (error) {
    tell({ error: String(error.errorCode ?? error.name) });
  }
});
