"""P7: the inbox of an account that holds 1,000,000 conversations, against one of 10,000: a page, its counts, a search.

As the application's role under row-level security; each answer is what the page works out, members' rights included.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from app import inbox
from app.inbox import Wanted
from app.store import embedded, lookups
from app.store.database import Database
from app.store.inbox import Place, State
from app.store.migrate import migrate
from app.store.roles import OWNER
from tests.bench.growth import Ask, growth
from tests.bench.row import Row
from tests.integration.building import ADA, Office

SMALL, LARGE, ROUNDS = 10_000, 1_000_000, 100
NEWEST = datetime(2026, 3, 1, tzinfo=UTC)

# Conversation n has one mail. Of its words one is its own, one it shares with 99 others, some with a fiftieth or with
# all: so a search finds as many in the small account as in the large one.
FILL = """
SELECT set_config('threadlink.team', '{team}', false);
INSERT INTO conversation (team_id, id, subject, first_message_at, last_message_at, message_count)
  OVERRIDING SYSTEM VALUE
  SELECT {team}, {base} + n, 'Offer ' || n, t, t, 1
  FROM generate_series(1, {count}) n, LATERAL (SELECT timestamptz '2026-03-01' - n * interval '1 minute' AS t) a;
INSERT INTO message (team_id, id, conversation_id, mid_hash, fingerprint, internet_id, subject, base_subject, at)
  OVERRIDING SYSTEM VALUE
  SELECT {team}, {base} + n, {base} + n, sha256(n::text::bytea), sha256(n::text::bytea), '<' || n || '@x.test>',
         'Offer ' || n, 'offer ' || n, timestamptz '2026-03-01' - n * interval '1 minute'
  FROM generate_series(1, {count}) n;
INSERT INTO message_copy (team_id, message_id, account_id, provider_id, at, snippet)
  SELECT {team}, {base} + n, {account}, 'bench' || n, timestamptz '2026-03-01' - n * interval '1 minute',
         'about word' || n % {words}
  FROM generate_series(1, {count}) n;
INSERT INTO participant (team_id, message_id, position, role, address, name)
  SELECT {team}, {base} + n, 0, 'from', 'person' || n % 1000 || '@customer.test', 'Person ' || n % 1000
  FROM generate_series(1, {count}) n;
INSERT INTO inbox_entry (team_id, account_id, conversation_id, state, last_message_at, words)
  SELECT {team}, {account}, {base} + n, (ARRAY['linked','unlinked','review','linked'])[n % 4 + 1],
         timestamptz '2026-03-01' - n * interval '1 minute',
         'offer number' || n || ' word' || n % {words} || ' kind' || n % 50 || ' person person' || n % 1000
           || ' customer test'
  FROM generate_series(1, {count}) n;
"""


def added_team(database: Database, name: str) -> int:
    """Add a team and return its id."""
    with database.without_team() as connection:
        return lookups.add_team(connection, name)


class Held:
    """A team whose member holds so many conversations in one account."""

    def __init__(self, url: str, database: Database, count: int, base: int) -> None:
        self._count = count
        self._database = database
        self._office = Office(database, added_team(database, f"Bench {count}"))
        account = self._office.mailbox(ADA)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"SET ROLE {OWNER}".encode())
            connection.execute(
                FILL.format(
                    team=self._office.team_id, account=account.id, count=count, base=base, words=count // 100
                ).encode()
            )

    def first_page(self, _chance: random.Random) -> int:
        """Show the inbox."""
        return self._listed()

    def filtered(self, chance: random.Random) -> int:
        """Show a state, somewhere in the middle."""
        at = datetime.fromtimestamp(NEWEST.timestamp() - chance.randrange(SMALL - 1000) * 60, UTC)
        states: tuple[State, ...] = ("linked", "review", "unlinked")
        return self._listed(chance.choice(states), Place(at, 2**62))

    def search(self, chance: random.Random) -> int:
        """Search as somebody types: words that all have, that many have, that one has, and that nobody has."""
        number = chance.randrange(1, self._count)
        query = chance.choice(
            [
                "offer",
                f"number{number}",
                f"word{number % (self._count // 100)}",
                f"offer kind{chance.randrange(50)}",
                "nothing like it",
            ]
        )
        return self._listed(query=query)

    def _listed(self, state: State | None = None, after: Place | None = None, query: str = "") -> int:
        with self._database.for_team(self._office.team_id) as connection:
            member = self._office.members[ADA]
            return len(inbox.listing(connection, member, "en", Wanted(state, query), after).rows)


def measure() -> list[Row]:
    """Fill both accounts, then ask for them in turn."""
    with TemporaryDirectory(prefix="tl-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        settings = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}
        with embedded.start(path, settings) as server:
            migrate(server.url)
            database = Database(server.url, statement_timeout_s=600)
            try:
                small = Held(server.url, database, SMALL, 10_000_000)
                large = Held(server.url, database, LARGE, 20_000_000)
                with psycopg.connect(server.url, autocommit=True) as connection:
                    connection.execute(f"SET ROLE {OWNER}".encode())
                    connection.execute("VACUUM ANALYZE")
                return [
                    _row("first page with its counts", small.first_page, large.first_page),
                    _row("page of a state", small.filtered, large.filtered),
                    _row("search", small.search, large.search),
                ]
            finally:
                database.close()


def _row(what: str, small: Ask, large: Ask) -> Row:
    return growth("P7", f"{what} of {LARGE:,} conversations ({{p95}}), against {SMALL:,}", small, large, ROUNDS)
