"""Microsoft Graph, with msal and one guarded HTTP client; pushes come from Graph's subscriptions.

What is asked of Graph, below GRAPH_API_URL; `{user}` is an object id, or the address of a shared mailbox. Every request
carries `Prefer: IdType="ImmutableId"`, every part of a $batch as well.

| Request | What for |
|---|---|
| GET /me?$select=id,mail,userPrincipalName | who consented |
| GET /users/{user}?$select=id,mail,userPrincipalName,proxyAddresses,otherMails | own addresses, who it is |
| GET /users/{user}/mailFolders/{inbox …}?$select=id | well-known folders: seven parts of one $batch; 404 when missing |
| GET /users/{user}/mailFolders/delta?$select=id,parentFolderId | new, moved and deleted folders |
| GET /users/{user}/mailFolders/{id}/messages/delta?$select=…&$filter=receivedDateTime ge … | what changed |
| GET /users/{user}/messages?$select=…&$filter=receivedDateTime ge …&$orderby=receivedDateTime asc&$top=… | history |
| GET /users/{user}/messages/{id}?$select=…&$expand=… | reading; without $expand after `@removed` |
| GET /users/{user}/messages/{id}/$value | the MIME of a bounce: a part whose body is base64 text |
| POST, PATCH, DELETE /subscriptions, GET /subscriptions | pushes, to PUBLIC_BASE_URL/webhooks/graph for both kinds |

Folders and messages are asked for in a $batch of 20 parts at most. Below GRAPH_LOGIN_URL msal asks
/{tenant}/v2.0/.well-known/openid-configuration and the endpoints named there; consent of an administrator is asked
for at /{tenant}/v2.0/adminconsent, and the keys that sign rich notifications and the pane's tokens are at
/common/discovery/v2.0/keys. A simulator may be plain http: its endpoints are then asked over http whatever scheme
they are named with.
"""

from __future__ import annotations

from app.ports import Services
from connectors.mail.graph.connector import GraphConnector
from connectors.mail.graph.settings import load


def create(services: Services) -> GraphConnector:
    """Build the connector from the operator's settings. Raises SettingsError when one is wrong."""
    return GraphConnector(load(services.environ), services)
