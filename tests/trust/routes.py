"""How each route and each command is asked for what the asker must not see; a new one without a row fails S4.

`{name}` stands for an id of the hidden team (world.World.ids). A row says why it is left out, or how it is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.web.gmail_addon import CLICKS, TRIGGERS
from app.web.outlook_pane import PARTS

_ENDING = frozenset({
    "decline", "delete", "disconnect", "discard", "end", "end-others", "forget", "leave", "remove", "revoke",
    "sign-out", "unbind",
})  # fmt: skip
Access = Literal["members", "administrators", "everybody"]


@dataclass(frozen=True)
class Ask:
    """A request for what is hidden: the path, and one of query, form and JSON. `query` may be asked in several ways."""

    path: str
    query: Sequence[Mapping[str, str]] = ({},)
    form: Mapping[str, str] | None = None
    json: Any = None
    access: Access = "members"
    shows_owner: bool = False  # the owner is answered with a canary: the row can find a leak
    headers: Mapping[str, str] = field(default_factory=dict)
    # Why it does nothing even for who may, though it is a POST: the row can find no change. "" for one that does.
    idle: str = ""

    @property
    def changes(self) -> bool:
        """Whether who may is let through."""
        return not self.idle and "{unknown}" not in repr((self.path, self.form, self.headers))

    @property
    def ends(self) -> bool:
        """Whether it ends what other rows ask for."""
        return self.path.rpartition("/")[2] in _ENDING


@dataclass(frozen=True)
class Command:
    """A command line for what is hidden; --team and --as are the reader's."""

    words: str
    shows_owner: bool = False


_NO_ISSUER, _NOT_PROVEN = "nobody to sign in with is set up", "a vendor must have signed it"
_SPENT = "an earlier row has used up what it names"
_WORDS = ({"q": "canary"}, {"q": "{message_id}"})
_RULES = {"retroactive": "message", "blocklist_scope": "sole", "max_counterparts": "5"}
_ITEM = {"kind": "deal", "id": "{item_id}"}

# Gmail's add-on, as the person that Google says the reader is. Every choice is one that the reader was given: what is
# judged is the reader's rights.
_IN_GMAIL = {"c": "{conversation}", "i": "{item}", "a": "{account}", "k": "deal", "n": "{once}"}
_OF_THE_LINKED = {"c": "{linked}", "n": "{once_linked}"}
_GMAIL_MORE: Mapping[str, Mapping[str, str]] = {
    "ask_unlink": _OF_THE_LINKED,
    "ask_move": {**_OF_THE_LINKED, "i": "deal/d78"},
    "unlink": _OF_THE_LINKED,
    "create_person": {"a": "{stranger}"},
}
_GMAIL_SHOWS = frozenset({
    "home", "message", "settings", "refresh", "permit", "conversation", "review", "ask_settings", "search",
    "ask_unlink", "ask_move", "ask_create",
})  # fmt: skip


def _of_gmail(name: str) -> Ask:
    # Whom we do not know is shown how to become known: everybody gets a card.
    call = {
        "user_id": "user {reader}",
        "message_id": "m1",
        "parameters": {} if name == "leave" else {**_IN_GMAIL, **_GMAIL_MORE.get(name, {})},
        "inputs": {"q": ["canary"], "title": ["New"], "auto_link": ["on"], "visibility": ["full"]},
    }
    headers = {"Authorization": "Bearer good"}
    return Ask(f"/gmail/{name}", json=call, access="everybody", headers=headers, shows_owner=name in _GMAIL_SHOWS)


# The Outlook pane, with the bearer of who Microsoft says the reader is.
_IN_OUTLOOK = {
    "message": "{message_id}", "c": "{conversation}", "item": "{item}", "kind": "deal", "q": "canary", "n": "{once}",
    "address": "{stranger}", "title": "New",
}  # fmt: skip
_OUTLOOK_MORE: Mapping[str, Mapping[str, str]] = {
    "ask_unlink": _OF_THE_LINKED,
    "ask_move": {**_OF_THE_LINKED, "item": "deal/d78"},
    "unlink": _OF_THE_LINKED,
    "link_many": {"n": "{once_many}", "move": "1"},
}
_OUTLOOK_SHOWS = frozenset({"item", "conversation", "search", "ask_unlink", "ask_move", "ask_create", "items"})


def _of_outlook(name: str) -> Ask:
    form = {} if name == "leave" else {**_IN_OUTLOOK, **_OUTLOOK_MORE.get(name, {})}
    headers = {"Authorization": "Bearer {bearer}"}
    return Ask(f"/outlook/{name}", form=form, access="everybody", headers=headers, shows_owner=name in _OUTLOOK_SHOWS)


ROUTES: Mapping[str, Ask] = {
    # for everybody
    "GET /healthz": Ask("/healthz", access="everybody"),
    "GET /readyz": Ask("/readyz", access="everybody"),
    "GET /metrics": Ask("/metrics", access="everybody"),
    "GET /static/<path:filename>": Ask("/static/members.css", access="everybody"),
    "GET /sign-in": Ask("/sign-in", access="everybody"),
    "GET /sign-in/<token>": Ask("/sign-in/{unknown}", access="everybody"),
    "POST /sign-in/<token>": Ask("/sign-in/{unknown}", form={}, access="everybody"),
    "POST /sign-in/<issuer>/start": Ask("/sign-in/google/start", form={}, access="everybody", idle=_NO_ISSUER),
    "GET /sign-in/<issuer>/callback": Ask(
        "/sign-in/google/callback", query=({"state": "{unknown}", "code": "x"},), access="everybody"
    ),
    "POST /sign-in/<issuer>/choose": Ask(
        "/sign-in/google/choose", form={"state": "{unknown}", "team": "{team}"}, access="everybody"
    ),
    "GET /invitation/<token>": Ask("/invitation/{unknown}", access="everybody"),
    "POST /invitation/<token>": Ask("/invitation/{unknown}", form={}, access="everybody"),
    "POST /invitation/<token>/<issuer>": Ask("/invitation/{unknown}/google", form={}, access="everybody"),
    "GET /connect/<token>": Ask("/connect/{unknown}", access="everybody"),
    "POST /connect/<token>": Ask("/connect/{unknown}", form={"auto_link": "on"}, access="everybody"),
    "GET /connect/<provider>/callback": Ask(
        "/connect/gmail/callback", query=({"state": "{unknown}", "code": "x"},), access="everybody"
    ),
    "POST /connect/<provider>/confirm": Ask(
        "/connect/gmail/confirm", form={"state": "{unknown}", "meant": "yes"}, access="everybody"
    ),
    "GET /connect/crm/<token>": Ask("/connect/crm/{unknown}", access="everybody"),
    "POST /connect/crm/<token>": Ask("/connect/crm/{unknown}", form={}, access="everybody"),
    "GET /connect/crm/<adapter>/callback": Ask(
        "/connect/crm/pipedrive/callback", query=({"state": "{unknown}", "code": "x"},), access="everybody"
    ),
    "DELETE /connect/crm/<adapter>/callback": Ask(
        "/connect/crm/pipedrive/callback", json={"company_id": 1}, access="everybody", idle=_NOT_PROVEN
    ),
    "POST /webhooks/<provider>": Ask("/webhooks/gmail", json={"message": {}}, access="everybody", idle=_NOT_PROVEN),
    "POST /webhooks/crm/<public_id>": Ask(
        "/webhooks/crm/{crm_connection}", json={"meta": {}}, access="everybody", idle=_NOT_PROVEN
    ),
    "GET /api/docs": Ask("/api/docs", access="everybody"),
    "GET /api/docs/<chapter>": Ask("/api/docs/conversations", access="everybody"),
    "GET /api/openapi.json": Ask("/api/openapi.json", access="everybody"),
    # pages
    "GET /": Ask("/", access="everybody"),
    "GET /inbox": Ask(
        "/inbox",
        query=({}, {"s": "canary"}, {"state": "linked"}, {"about": "person/p1"}),
        shows_owner=True,
    ),
    "GET /inbox/new": Ask("/inbox/new", query=({"after": "2000-01-01T00:00:00+00:00", "rows": "1"},), shows_owner=True),
    "POST /inbox/filters": Ask("/inbox/filters", form={"name": "Mine", "view": "s=canary"}),
    "POST /inbox/filters/<uuid:saved>/delete": Ask("/inbox/filters/{saved}/delete", form={}),
    "POST /last-action/dismiss": Ask("/last-action/dismiss", form={"action": "{action}"}),
    "GET /review": Ask("/review", shows_owner=True),
    "GET /review/changed": Ask("/review/changed"),
    "GET /conversations/<uuid:conversation>/pick": Ask(
        "/conversations/{conversation}/pick", query=({}, {"q": "canary"}, {"item": "{item}"}), shows_owner=True
    ),
    "POST /conversations/pick": Ask("/conversations/pick", form={"c": "{conversation}", "q": "canary"}),
    "POST /conversations/dismiss": Ask("/conversations/dismiss", form={"c": "{conversation}"}),
    "GET /conversations/<uuid:conversation>": Ask(
        "/conversations/{conversation}", query=({}, *_WORDS), shows_owner=True
    ),
    "POST /conversations/<uuid:conversation>/link": Ask("/conversations/{conversation}/link", form={"item": "{item}"}),
    "POST /conversations/<uuid:conversation>/unlink": Ask("/conversations/{linked}/unlink", form={}),
    "POST /conversations/<uuid:conversation>/dismiss": Ask("/conversations/{linked}/dismiss", form={}),
    "POST /conversations/<uuid:conversation>/visibility": Ask(
        "/conversations/{conversation}/visibility", form={"level": "full"}
    ),
    "POST /conversations/<uuid:conversation>/trust": Ask("/conversations/{doubted}/trust", form={}),
    "POST /conversations/<uuid:conversation>/part": Ask(
        "/conversations/{conversation}/part", form={"merged": "{linked}"}
    ),
    "POST /conversations/<uuid:conversation>/create-person": Ask(
        "/conversations/{conversation}/create-person", form={"address": "{stranger}", "name": "New", "once": "{once}"}
    ),
    "POST /conversations/<uuid:conversation>/create-item": Ask(
        "/conversations/{conversation}/create-item",
        form={"kind": "deal", "title": "New", "address": "", "once": "{once}"},
    ),
    "GET /conversations/<uuid:conversation>/move": Ask(
        "/conversations/{linked}/move", query=({"item": "deal/d78"},), shows_owner=True
    ),
    "GET /conversations/<uuid:conversation>/messages/<uuid:message>/original": Ask(
        "/conversations/{conversation}/messages/{message}/original", shows_owner=True
    ),
    "GET /conversations/<uuid:conversation>/messages/<uuid:message>/attachments/<int:number>": Ask(
        "/conversations/{conversation}/messages/{message}/attachments/0", shows_owner=True
    ),
    "GET /conversations/<uuid:conversation>/messages/<uuid:message>/open": Ask(
        "/conversations/{conversation}/messages/{message}/open"
    ),
    "POST /conversations/link": Ask("/conversations/link", form={"c": "{conversation}", "item": "{item}"}),
    "POST /undo": Ask("/undo", form={"action": "{action}"}),
    "POST /offers/<uuid:offer>/accept": Ask("/offers/{offer}/accept", form={}),
    "POST /offers/<uuid:offer>/decline": Ask("/offers/{offer}/decline", form={}, idle=_SPENT),
    "GET /items/<kind>/<path:external_id>": Ask("/items/{item}", shows_owner=True),
    "GET /doctor": Ask("/doctor", query=(*_WORDS, {"q": "canary", "all": "1"}), shows_owner=True),
    "GET /preferences": Ask("/preferences", shows_owner=True),
    "POST /preferences": Ask("/preferences", form={"locale": "en", "time_zone": "UTC"}),
    "GET /preferences/email-sync": Ask("/preferences/email-sync", shows_owner=True),
    "POST /preferences/email-sync/<uuid:account>": Ask("/preferences/email-sync/{account}", form={"auto_link": "off"}),
    "GET /preferences/sign-in": Ask("/preferences/sign-in", shows_owner=True),
    "POST /preferences/sign-in/<issuer>": Ask("/preferences/sign-in/google", form={}, idle=_NO_ISSUER),
    "POST /preferences/sign-in/<uuid:identity>/unbind": Ask("/preferences/sign-in/{identity}/unbind", form={}),
    "POST /preferences/sessions/<uuid:session>/end": Ask("/preferences/sessions/{session}/end", form={}),
    "POST /preferences/sessions/end-others": Ask("/preferences/sessions/end-others", form={}),
    "GET /preferences/smart-bcc": Ask("/preferences/smart-bcc", shows_owner=True),
    "POST /preferences/smart-bcc/change": Ask("/preferences/smart-bcc/change", form={}),
    "POST /preferences/smart-bcc/change-team": Ask(
        "/preferences/smart-bcc/change-team", form={}, access="administrators"
    ),
    "POST /preferences/smart-bcc/held/<uuid:mail>/release": Ask("/preferences/smart-bcc/held/{held}/release", form={}),
    "POST /preferences/smart-bcc/held/<uuid:mail>/discard": Ask(
        "/preferences/smart-bcc/held/{held}/discard", form={}, idle=_SPENT
    ),
    "POST /preferences/smart-bcc/senders": Ask("/preferences/smart-bcc/senders", form={"address": "new@kum.test"}),
    "POST /preferences/smart-bcc/senders/ask": Ask(
        "/preferences/smart-bcc/senders/ask", form={"address": "x@kum.test"}
    ),
    "POST /preferences/smart-bcc/senders/unsigned": Ask(
        "/preferences/smart-bcc/senders/unsigned", form={"address": "{other_address}", "unsigned": "on"}
    ),
    "POST /preferences/smart-bcc/senders/forget": Ask(
        "/preferences/smart-bcc/senders/forget", form={"address": "{other_address}"}
    ),
    "GET /preferences/smart-bcc/verify/<token>": Ask("/preferences/smart-bcc/verify/{unknown}"),
    "POST /preferences/smart-bcc/verify/<token>": Ask("/preferences/smart-bcc/verify/{unknown}", form={}),
    "GET /preferences/keys": Ask("/preferences/keys", shows_owner=True),
    "POST /preferences/keys": Ask("/preferences/keys", form={"name": "another"}),
    "POST /preferences/keys/<uuid:key>/revoke": Ask("/preferences/keys/{key}/revoke", form={}),
    "GET /preferences/email-sync/<uuid:account>/health": Ask("/preferences/email-sync/{account}/health"),
    "POST /preferences/email-sync/connect": Ask("/preferences/email-sync/connect", form={"provider": "gmail"}),
    "POST /preferences/email-sync/<uuid:account>/visibility": Ask(
        "/preferences/email-sync/{account}/visibility", form={"visibility": "full"}
    ),
    "POST /preferences/email-sync/<uuid:account>/collaborators": Ask(
        "/preferences/email-sync/{shared}/collaborators", form={"member": "{member}"}, access="administrators"
    ),
    "POST /preferences/email-sync/<uuid:account>/pause": Ask("/preferences/email-sync/{account}/pause", form={}),
    "POST /preferences/email-sync/<uuid:account>/resume": Ask("/preferences/email-sync/{account}/resume", form={}),
    "GET /preferences/email-sync/<uuid:account>/folders": Ask(
        "/preferences/email-sync/{account}/folders", shows_owner=True
    ),
    "POST /preferences/email-sync/<uuid:account>/folders": Ask(
        "/preferences/email-sync/{account}/folders", form={"reads": "chosen", "folder": "Label_1"}
    ),
    "GET /preferences/email-sync/<uuid:account>/disconnect": Ask("/preferences/email-sync/{account}/disconnect"),
    "POST /preferences/email-sync/<uuid:account>/disconnect": Ask(
        "/preferences/email-sync/{account}/disconnect", form={"stored": "erase"}
    ),
    "GET /settings/crm": Ask("/settings/crm", access="administrators"),
    "POST /settings/crm/connect": Ask("/settings/crm/connect", form={"crm": "embedded"}, access="administrators"),
    "POST /settings/crm/retry": Ask("/settings/crm/retry", form={}, access="administrators"),
    "GET /settings/crm/disconnect": Ask("/settings/crm/disconnect", access="administrators"),
    "POST /settings/crm/disconnect": Ask("/settings/crm/disconnect", form={}, access="administrators"),
    "GET /settings/crm/install": Ask("/settings/crm/install", access="administrators"),
    "POST /settings/crm/install": Ask(
        "/settings/crm/install", form={}, access="administrators", idle="no code of a shop waits in the browser"
    ),
    "POST /settings/crm/install/<adapter>": Ask(
        "/settings/crm/install/pipedrive", form={"state": "{unknown}", "meant": "yes"}, access="administrators"
    ),
    "GET /settings/accounts": Ask("/settings/accounts", access="administrators"),
    "POST /settings/accounts/connect": Ask(
        "/settings/accounts/connect",
        form={"provider": "gmail", "address": "sales@elsewhere.test", "member": "{member}"},
        access="administrators",
    ),
    "GET /settings": Ask("/settings", access="administrators"),
    "GET /settings/audit": Ask("/settings/audit", query=({}, {"member": "{member}"}), access="administrators"),
    "POST /settings/audit/export": Ask("/settings/audit/export", form={}, access="administrators"),
    "GET /settings/members": Ask("/settings/members", access="administrators"),
    "POST /settings/members/invite": Ask(
        "/settings/members/invite", form={"name": "New", "email": "new@x.test"}, access="administrators"
    ),
    "POST /settings/members/<uuid:member>/role": Ask(
        "/settings/members/{colleague}/role", form={"role": "admin"}, access="administrators"
    ),
    "POST /settings/members/<uuid:member>/remove": Ask(
        "/settings/members/{colleague}/remove", form={}, access="administrators"
    ),
    "POST /settings/members/invitations/<uuid:invitation>/revoke": Ask(
        "/settings/members/invitations/{invitation}/revoke", form={}, access="administrators"
    ),
    "POST /settings/members/joining": Ask(
        "/settings/members/joining",
        form={"issuer": "google", "organization": "canary7team.test"},
        access="administrators",
    ),
    "GET /settings/policy": Ask("/settings/policy", query=({}, {"address": "x@canary.test"}), access="administrators"),
    "POST /settings/policy": Ask("/settings/policy", form={**_RULES, "blocklist": "x.test"}, access="administrators"),
    "GET /settings/replay": Ask("/settings/replay", access="administrators"),
    "POST /settings/replay": Ask("/settings/replay", form={"days": "366"}, access="administrators"),
    "GET /settings/team": Ask("/settings/team", access="administrators"),
    "POST /settings/team": Ask("/settings/team", form={"locale": "en", "plan": "growth"}, access="administrators"),
    "GET /work/<uuid:public_id>": Ask("/work/{work}", shows_owner=True),
    "POST /work/<uuid:public_id>/begin": Ask("/work/{work}/begin", form={"elsewhere": "move"}),
    "GET /settings/webhooks": Ask("/settings/webhooks", access="administrators"),
    "POST /settings/webhooks": Ask("/settings/webhooks", form={"url": "https://hooks.test/"}, access="administrators"),
    "GET /settings/webhooks/<uuid:webhook>": Ask("/settings/webhooks/{webhook}", access="administrators"),
    **{
        f"POST /settings/webhooks/<uuid:webhook>/{name}": Ask(
            f"/settings/webhooks/{{webhook}}/{name}", form={}, access="administrators"
        )
        for name in ("rotate", "enable", "test", "remove")
    },
    "GET /panels/<adapter>": Ask(
        "/panels/fake", query=({"user": "user {reader}", "item": "{item_id}"},), access="everybody", shows_owner=True
    ),
    **{
        f"POST /panels/<adapter>/{what}": Ask(
            f"/panels/fake/{what}", form={"pass": "{pass}", **form}, access="everybody"
        )
        for what, form in (
            ("link", {"c": "{conversation}"}),
            ("unlink", {"c": "{linked}"}),
            ("undo", {"action": "{action}"}),
        )
    },
    "GET /panels/<adapter>/connect/<company>/<token>": Ask("/panels/fake/connect/fake/{invited_panel}"),
    "POST /panels/<adapter>/connect/<company>/<token>": Ask("/panels/fake/connect/fake/{invited_panel}", form={}),
    # the API
    "GET /api/v1/accounts": Ask("/api/v1/accounts"),
    "POST /api/v1/accounts/<uuid:account>/auto-link": Ask(
        "/api/v1/accounts/{account}/auto-link", json={"auto_link": False}
    ),
    "GET /api/v1/conversations": Ask(
        "/api/v1/conversations", query=({}, {"q": "canary"}, {"about": "person/p1"}), shows_owner=True
    ),
    "GET /api/v1/conversations/<uuid:conversation>/decisions": Ask(
        "/api/v1/conversations/{linked}/decisions", shows_owner=True
    ),
    "GET /api/v1/conversations/<uuid:conversation>": Ask("/api/v1/conversations/{conversation}", shows_owner=True),
    "GET /api/v1/conversations/<uuid:conversation>/messages": Ask(
        "/api/v1/conversations/{conversation}/messages", shows_owner=True
    ),
    "GET /api/v1/conversations/<uuid:conversation>/suggestions": Ask("/api/v1/conversations/{linked}/suggestions"),
    "POST /api/v1/conversations/<uuid:conversation>/link": Ask(
        "/api/v1/conversations/{conversation}/link", json={"item": _ITEM}
    ),
    "POST /api/v1/conversations/<uuid:conversation>/unlink": Ask("/api/v1/conversations/{linked}/unlink", json={}),
    "POST /api/v1/conversations/<uuid:conversation>/dismiss": Ask("/api/v1/conversations/{linked}/dismiss", json={}),
    "POST /api/v1/conversations/<uuid:conversation>/visibility": Ask(
        "/api/v1/conversations/{conversation}/visibility", json={"level": "full"}
    ),
    "POST /api/v1/conversations/<uuid:conversation>/trust": Ask("/api/v1/conversations/{conversation}/trust", json={}),
    "POST /api/v1/conversations/bulk-dismiss": Ask(
        "/api/v1/conversations/bulk-dismiss", json={"conversations": ["{conversation}", "{linked}"]}
    ),
    "POST /api/v1/conversations/bulk-link": Ask(
        "/api/v1/conversations/bulk-link", json={"conversations": ["{conversation}", "{linked}"], "item": _ITEM}
    ),
    "GET /api/v1/doctor": Ask("/api/v1/doctor", query=_WORDS, shows_owner=True),
    "GET /api/v1/items": Ask("/api/v1/items", query=({"q": "canary"}, {"q": "rollout"}), shows_owner=True),
    "GET /api/v1/items/<any(deal, lead, project):kind>/<string:item>": Ask("/api/v1/items/{item}", shows_owner=True),
    "GET /api/v1/items/<any(deal, lead, project):kind>/<string:item>/conversations": Ask(
        "/api/v1/items/{item}/conversations", shows_owner=True
    ),
    "POST /api/v1/items": Ask(
        "/api/v1/items", json={"kind": "deal", "title": "New", "person": "p2", "conversation": "{conversation}"}
    ),
    "POST /api/v1/persons": Ask("/api/v1/persons", json={"name": "Bea", "addresses": ["cem@kum.test"]}),
    "POST /api/v1/offers/<uuid:offer>/accept": Ask("/api/v1/offers/{offer}/accept", json={}),
    "POST /api/v1/offers/<uuid:offer>/decline": Ask("/api/v1/offers/{offer}/decline", json={}, idle=_SPENT),
    "GET /api/v1/review": Ask("/api/v1/review", shows_owner=True),
    "GET /api/v1/webhooks": Ask("/api/v1/webhooks", access="administrators"),
    "POST /api/v1/webhooks": Ask(
        "/api/v1/webhooks",
        json={"url": "https://hooks.test/", "kinds": ["conversation.linked"]},
        access="administrators",
    ),
    "GET /api/v1/webhooks/<uuid:webhook>/deliveries": Ask(
        "/api/v1/webhooks/{webhook}/deliveries", access="administrators"
    ),
    **{
        f"POST /api/v1/webhooks/<uuid:webhook>/{name}": Ask(
            f"/api/v1/webhooks/{{webhook}}/{name}",
            json={},
            access="administrators",
            idle=_SPENT if name == "remove" else "",
        )
        for name in ("rotate", "enable", "test", "remove")
    },
    "GET /api/v1/policy": Ask("/api/v1/policy", access="administrators"),
    "PUT /api/v1/policy": Ask("/api/v1/policy", json={"max_counterparts": 9}, access="administrators"),
    "POST /api/v1/policy/dry-run": Ask(
        "/api/v1/policy/dry-run", json={"blocklist": ["elsewhere.test"]}, access="administrators"
    ),
    "POST /api/v1/replay": Ask("/api/v1/replay", json={"days": 366}, access="administrators"),
    "GET /api/v1/work/<uuid:work>": Ask("/api/v1/work/{work}", shows_owner=True),
    "POST /api/v1/work/<uuid:work>/begin": Ask("/api/v1/work/{work}/begin", json={}),
    "POST /api/v1/undo": Ask("/api/v1/undo", json={"action": "{action}"}),
    "GET /icons/<name>.png": Ask("/icons/none.png", access="everybody"),
    "GET /<any(gmail, outlook):host>/connect/<token>": Ask("/outlook/connect/{invited_outlook}", access="everybody"),
    "POST /<any(gmail, outlook):host>/connect/<token>": Ask("/gmail/connect/{invited_gmail}", form={}),
    "POST /<any(gmail, outlook):host>/connect/<token>/mailbox": Ask(
        "/outlook/connect/{invited_outlook}/mailbox", form={}
    ),
    "GET /outlook/pane": Ask("/outlook/pane", access="everybody"),
    "GET /outlook/dialog": Ask("/outlook/dialog", access="everybody"),
    "POST /outlook/session": Ask(
        "/outlook/session", form={}, access="everybody", headers={"Authorization": "Bearer {unknown}"}
    ),
    **{f"POST /outlook/{name}": _of_outlook(name) for name in PARTS},
    **{f"POST /gmail/{name}": _of_gmail(name) for name in (*TRIGGERS, *CLICKS)},
    # last: it ends the session of who asks
    "POST /sign-out": Ask("/sign-out", form={}, access="everybody"),
}

_OPERATOR = "for who has the machine: it acts for no member"

COMMANDS: Mapping[str, Command | str] = {
    "threadlink demo": "makes a team of its own",
    **dict.fromkeys(
        (
            "threadlink serve", "threadlink web", "threadlink worker", "threadlink smtp", "threadlink migrate",
            "threadlink rotate-keys",
            "threadlink teams add", "threadlink teams list", "threadlink members add", "threadlink members list",
            "threadlink accounts add", "threadlink accounts list", "threadlink accounts pause",
            "threadlink accounts resume", "threadlink accounts disconnect", "threadlink crm connect",
            "threadlink crm status", "threadlink crm disconnect", "threadlink crm seed", "threadlink sign-in",
        ),
        _OPERATOR,
    ),
    "threadlink crm new": "writes files",
    "threadlink manifest gmail": "writes files",
    "threadlink manifest outlook": "writes files",
    "threadlink threads": "reads files",
    "threadlink accounts auto-link": Command("accounts auto-link ada@northwind.test off"),
    "threadlink api-keys add": Command("api-keys add another"),
    "threadlink api-keys list": Command("api-keys list", shows_owner=True),
    "threadlink api-keys revoke": Command("api-keys revoke {key}"),
    "threadlink members invite": Command("members invite new@x.test"),
    "threadlink members role": Command("members role leo@northwind.test member"),
    "threadlink members remove": Command("members remove leo@northwind.test"),
    "threadlink explain": Command("explain {message_id}", shows_owner=True),
    "threadlink link": Command("link {conversation} {item}"),
    "threadlink unlink": Command("unlink {linked}"),
    "threadlink dismiss": Command("dismiss {linked}"),
    "threadlink undo": Command("undo {action}"),
    "threadlink trust": Command("trust {conversation}"),
    "threadlink review": Command("review", shows_owner=True),
    "threadlink offers accept": Command("offers accept {offer}"),
    "threadlink offers decline": Command("offers decline {offer}"),
    "threadlink replay": Command("replay --since 400d"),
    "threadlink doctor": Command("doctor canary", shows_owner=True),
}  # fmt: skip
