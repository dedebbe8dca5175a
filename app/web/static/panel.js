// Tells Pipedrive that the panel is there and how high it is; a panel is 100 to 750 pixels high.
"use strict";

(async () => {
  const height = Math.min(750, Math.max(100, document.documentElement.scrollHeight));
  await new AppExtensionsSDK().initialize({ size: { height } });
})();
