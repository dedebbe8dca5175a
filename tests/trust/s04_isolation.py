"""S4: every route and every command, asked by readers for what they must not see.

A leak is a canary in an answer (threats.md C11, C12), a changed row, another answer than for what is not there
(conversations.md V6), an answer to somebody who was removed (T13), or an administrator's page for a member. Who may is
asked too: a row that shows the owner nothing, or that is refused to everybody, could find nothing.
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import re
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from cryptography.fernet import Fernet
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from app import cli, log
from app.cli.frame import run
from app.linking.reasons import sentence
from app.store import embedded
from app.store.database import Database
from app.store.migrate import migrate
from tests.bench.row import Row
from tests.conftest import Server
from tests.integration.web.conftest import ORIGIN
from tests.trust.routes import COMMANDS, ROUTES, Ask, Command
from tests.trust.world import ADMINISTRATOR, OWNER, READERS, Reader, World, world

SHOWN_LEAKS = 20
# How an add-on or a page says that it looked no further.
_REFUSED = tuple(json.dumps(sentence(code, {}, "en"))[1:-1] for code in ("not_found", "choice_expired", "pass_expired"))
Leak = tuple[str, str, str]  # reader, route or command, what was wrong


def routes(world: World) -> set[str]:
    """Return every route of the application as `METHOD rule`."""
    return {
        f"{method} {rule.rule}"
        for rule in world.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def commands(group: click.Group = cli.threadlink, name: str = "threadlink") -> Iterator[str]:
    """Name every command."""
    for command in group.commands.values():
        full = f"{name} {command.name}"
        if isinstance(command, click.Group):
            yield from commands(command, full)
        else:
            yield full


def uncovered(world: World) -> list[str]:
    """Return the routes and commands that have no row, the rows of none, and those that ask another route."""
    astray = {route for route, ask in ROUTES.items() if not _arrives(world, route, ask)}
    return sorted((routes(world) ^ ROUTES.keys()) | astray | (set(commands()) ^ COMMANDS.keys()))


def leaks(world: World, reader: Reader) -> list[Leak]:
    """Ask every route as a reader; return what was wrong."""
    before, found = world.fingerprint(reader), list[Leak]()
    for route, ask in ROUTES.items():
        for query in ask.query:
            answer = ask_as(world, reader, route, ask, query)
            found += [(reader.name, route, wrong) for wrong in _wrong(reader, ask, answer)]
            if _names_hidden(reader, ask, query) and _shown(world.ids, answer) != _unknown(world, reader, route, query):
                found.append((reader.name, route, "answered otherwise than for what is not there"))
    after = world.fingerprint(reader)
    return found + [
        (reader.name, "all routes", f"{table} changed") for table in before if before[table] != after[table]
    ]


def blind(world: World) -> list[str]:
    """Return the routes that show the owner no canary although their rows say so."""
    return [
        route
        for route, ask in ROUTES.items()
        if ask.shows_owner
        and not any("canary7" in ask_as(world, OWNER, route, ask, query).get_data(as_text=True) for query in ask.query)
    ]


def powerless(world: World) -> list[tuple[str, int, str]]:
    """Return the rows that change nothing even for who may: what they are refused for, everybody is refused for.

    The owner asks, and an administrator what is for administrators; what ends something is asked last.
    """
    found = []
    asked = {route: ask for route, ask in ROUTES.items() if not route.startswith("GET ") and ask.changes}
    for route, ask in sorted(asked.items(), key=lambda row: row[1].ends):
        reader = ADMINISTRATOR if ask.access == "administrators" else OWNER
        answer = ask_as(world, reader, route, ask, {})
        told = answer.get_data(as_text=True)
        if answer.status_code in (401, 403, 404) or any(said in told for said in _REFUSED):
            found.append((route, answer.status_code, told[:200]))
    return found


def unowned(world: World) -> list[str]:
    """Ask as a colleague for every change of a conversation that the colleague sees and does not own (S14).

    Returns the tables that changed.
    """
    seen, reader = world.ids["seen"], READERS[3]
    ids = {
        **world.ids,
        **dict.fromkeys(("conversation", "linked", "doubted"), seen),
        "action": world.ids["action_seen"],
        "item": "deal/d78",  # another than it is linked to
        "item_id": "d78",
    }
    before = world.of_conversation(world.ids["seen_number"])
    shown = ask_as(world, reader, "GET /conversations/", Ask("/conversations/{conversation}"), {}, ids)
    assert shown.status_code == 200
    for route, ask in ROUTES.items():
        if not route.startswith("GET ") and any(f"{{{name}}}" in repr(ask) for name in ids.keys() & _OF_ADA):
            ask_as(world, reader, route, ask, {}, ids)
    after = world.of_conversation(world.ids["seen_number"])
    return [table for table in before if before[table] != after[table]]


def command_leaks(world: World, reader: Reader) -> list[Leak]:
    """Run every command as a reader; return what was wrong. The settings must name the world's database."""
    before, found = world.fingerprint(reader), list[Leak]()
    for name, row in COMMANDS.items():
        if isinstance(row, Command):
            said = _said(world, reader, row)
            found += [(reader.name, name, f"said {canary}") for canary in reader.canaries if canary in said]
    after = world.fingerprint(reader)
    changed = [table for table in before if before[table] != after[table]]
    return found + [(reader.name, "all commands", f"{table} changed") for table in changed]


def blind_commands(world: World) -> list[str]:
    """Return the commands that show the owner no canary although their rows say so."""
    rows = {name: row for name, row in COMMANDS.items() if isinstance(row, Command) and row.shows_owner}
    return [name for name, row in rows.items() if "canary7" not in _said(world, OWNER, row)]


def measure() -> list[Row]:
    """Run the whole matrix on an embedded server of its own, each reader in a new world."""
    log.configure("CRITICAL")
    with tempfile.TemporaryDirectory(prefix="tl-", dir="/tmp") as folder:  # a short path: a socket lives in it
        Path(folder).chmod(0o711)
        with embedded.start(Path(folder) / "data") as server:
            migrate(server.url)
            os.environ |= {"DATABASE_URL": server.url, "THREADLINK_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
            return _measured(Server(server.url, None))


@contextlib.contextmanager
def _fresh(server: Server) -> Iterator[World]:
    server.empty()
    database = Database(server.url)
    try:
        with world(database) as made:
            yield made
    finally:
        database.close()


def _measured(server: Server) -> list[Row]:
    found: list[Leak] = []
    for reader in READERS:
        with _fresh(server) as hidden:
            found += leaks(hidden, reader) + command_leaks(hidden, reader)
    with _fresh(server) as hidden:
        found += [(READERS[3].name, "what is not owned", f"{table} changed") for table in unowned(hidden)]
    with _fresh(server) as hidden:
        unasked = [*uncovered(hidden), *blind(hidden), *blind_commands(hidden)]
        unasked += [f"{route}: {status} {told}" for route, status, told in powerless(hidden)]
    for line in [*unasked, *found[:SHOWN_LEAKS]]:
        print(line, file=sys.stderr)
    requests = sum(len(ask.query) for ask in ROUTES.values()) + sum(isinstance(c, Command) for c in COMMANDS.values())
    total = len(ROUTES) + len(COMMANDS)
    return [
        Row(
            "S4",
            "routes and commands without a row that can find a leak",
            len(unasked),
            total,
            "rows",
            None,
            "0",
            not unasked,
        ),
        Row(
            "S4",
            "leaks to readers of other teams and in the team",
            len(found),
            requests * len(READERS),
            "leaks",
            None,
            "0",
            not found,
        ),
    ]


def _arrives(world: World, route: str, ask: Ask) -> bool:
    method, rule = route.split(" ", 1)
    try:
        found, _ = world.app.url_map.bind("").match(_filled(world.ids, ask.path), method, return_rule=True)
    except HTTPException:  # answered before any view is asked: such a row could find nothing
        return False
    return found.rule == rule


def ask_as(
    world: World,
    reader: Reader,
    route: str,
    ask: Ask,
    query: Mapping[str, str],
    ids: Mapping[str, str] | None = None,
) -> TestResponse:
    method, rule = route.split(" ", 1)
    is_api = rule.startswith("/api/")
    client: FlaskClient = world.app.test_client() if is_api else world.browser(reader)
    ids = {**(ids or world.ids), **world.carried(reader, ids or world.ids)}
    headers = {"Origin": ORIGIN, **_filled(ids, ask.headers)}
    if is_api:
        headers["Authorization"] = f"Bearer {world.key(reader)}"
    return client.open(
        _filled(ids, ask.path),
        method=method,
        base_url=ORIGIN,
        headers=headers,
        query_string=_filled(ids, query),
        data=_filled(ids, ask.form),
        json=_filled(ids, ask.json),
        buffered=True,
    )


# What a row may name that is hidden from who is not in the team, and from who is.
_OF_THE_TEAM = frozenset({"item", "item_id", "offer", "webhook", "invitation", "colleague", "member", "shared"})
_OF_ADA = frozenset({
    "account", "action", "conversation", "doubted", "held", "identity", "key", "linked", "message", "message_id",
    "saved", "session", "work",
})  # fmt: skip


_MADE = re.compile(r"gAAAA[\w=-]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # what is sealed, and ids of actions


def _names_hidden(reader: Reader, ask: Ask, query: Mapping[str, str]) -> bool:
    """Whether a row asks a reader who is nobody's administrator here for what does not exist for that reader (V6)."""
    if reader.is_out or (reader.team == OWNER.team and reader.is_admin):
        return False
    hidden = _OF_ADA if reader.team == OWNER.team else _OF_ADA | _OF_THE_TEAM
    return any(f"{{{name}}}" in repr((ask.path, query, ask.form, ask.json)) for name in hidden)


def _unknown(world: World, reader: Reader, route: str, query: Mapping[str, str]) -> tuple[int, str, str]:
    """Return what a reader is answered about ids of nothing."""
    hidden = _OF_ADA if reader.team == OWNER.team else _OF_ADA | _OF_THE_TEAM
    ids = {**world.ids, **{name: _of_nothing(name) for name in hidden}}
    return _shown(ids, ask_as(world, reader, route, ROUTES[route], query, ids))


def _of_nothing(name: str) -> str:
    made = {"item": "deal/d0", "item_id": "d0", "message_id": "<none@x.test>"}
    return made.get(name) or str(uuid.uuid4())


def _shown(ids: Mapping[str, str], answer: TestResponse) -> tuple[int, str, str]:
    """Return an answer without the ids that it was asked with."""
    named = {ids[name]: name for name in _OF_ADA | _OF_THE_TEAM}
    # Ids of actions go first: a short id may stand inside of one.
    told = _MADE.sub(lambda found: named.get(found[0], "made"), answer.get_data(as_text=True))
    for name in _OF_ADA | _OF_THE_TEAM:
        told = told.replace(html.escape(ids[name]), name).replace(quote(ids[name]), name).replace(ids[name], name)
    said = sorted(re.split(r"[,{}]", told))  # a document is sorted by its ids
    return answer.status_code, _MADE.sub("made", answer.headers.get("Location", "")), "\n".join(said)


def _wrong(reader: Reader, ask: Ask, answer: TestResponse) -> Iterator[str]:
    told = answer.get_data(as_text=True) + str(answer.headers)
    yield from (f"said {canary}" for canary in reader.canaries if canary in told)
    if answer.status_code >= 500 and answer.status_code != 503:
        yield f"answered {answer.status_code}"
    is_let_in = answer.status_code < 300 or (answer.status_code == 303 and answer.headers["Location"] != "/sign-in")
    if reader.is_out and ask.access != "everybody" and is_let_in:
        yield "let in somebody who was removed"
    if ask.access == "administrators" and not reader.is_admin and is_let_in:
        yield "let a member into an administrator's page"


def _said(world: World, reader: Reader, row: Command) -> str:
    words = [_filled(world.ids, word) for word in row.words.split()]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        run(cli.threadlink, [*words, "--team", reader.team, "--as", reader.email, "--json"])
    return out.getvalue() + err.getvalue()


def _filled(ids: Mapping[str, str], value: Any) -> Any:
    """Put the ids of the hidden team where a row names them."""
    if isinstance(value, str):
        return value.format_map(ids) if "{" in value else value
    if isinstance(value, Mapping):
        return {name: _filled(ids, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(ids, each) for each in value]
    return value
