"""P6: suggestions and search in a mirror of 1,000,000 persons and as many items, against one of 10,000.

As the app role, under row-level security; both teams in the same tables, asked in turn.
"""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from app import links, review
from app.store import embedded, lookups, mirror
from app.store.database import Database
from app.store.migrate import migrate
from app.store.roles import OWNER
from tests.bench.growth import Ask, growth
from tests.bench.row import Row
from tests.integration.building import ADA, Office

SMALL, LARGE = 10_000, 1_000_000
ROUNDS = 60
# One person and one item a number; a hundred persons share an organization. Titles draw on 5,000 words.
FILL = """
INSERT INTO mirror_organization (team_id, connection_id, company, external_id, name)
  SELECT {team}, {crm}, 'fake', 'o' || n, 'Organization ' || n FROM generate_series(0, {count} / 100) n;
INSERT INTO mirror_person (team_id, connection_id, company, external_id, name, organization_id, created_at, updated_at)
  SELECT {team}, {crm}, 'fake', 'p' || n, 'Person ' || n, 'o' || n / 100, now() - interval '90 days', now()
  FROM generate_series(1, {count}) n;
INSERT INTO mirror_address (team_id, connection_id, company, person_id, address, match_key)
  SELECT {team}, {crm}, 'fake', 'p' || n, 'person' || n || '@customer.test', 'person' || n || '@customer.test'
  FROM generate_series(1, {count}) n;
INSERT INTO mirror_item (team_id, connection_id, company, kind, external_id, title, search, state, organization_id,
                         created_at, updated_at)
  SELECT {team}, {crm}, 'fake', (ARRAY['deal','lead','project'])[1 + n % 3], 'i' || n, title, lower(title),
    CASE WHEN n % 4 = 0 THEN 'open' ELSE 'won' END, 'o' || n / 100, at, at
  FROM (SELECT n, 'Offer number' || n || ' word' || (n::bigint * 7919) % 5000 || ' word' || n % 4999 AS title,
          now() - interval '60 days' - n * interval '1 second' AS at FROM generate_series(1, {count}) n) AS made;
INSERT INTO mirror_item_person (team_id, connection_id, company, kind, item_id, person_id, role)
  SELECT {team}, {crm}, 'fake', (ARRAY['deal','lead','project'])[1 + n % 3], 'i' || n, 'p' || n, 'contact'
  FROM generate_series(1, {count}) n;
"""


class Mirrored:
    """A team with a mirror of `count` persons and items, and a conversation with one of them."""

    def __init__(self, url: str, database: Database, count: int) -> None:
        with database.without_team() as connection:
            team_id = lookups.add_team(connection, f"{count:,} persons")
        self.office = Office(database, team_id)
        self.office.mailbox(ADA)
        self._count = count
        with psycopg.connect(url) as connection:
            connection.execute(f"SET ROLE {OWNER}".encode())
            connection.execute(FILL.format(team=team_id, crm=self.office.connection.id, count=count).encode())
        self._conversation = 0

    def receive(self) -> None:
        """Receive a mail of a person in the middle of the mirror."""
        sender = f"person{self._count // 2}@customer.test"
        self._conversation = self.office.mail("m1", sender, ADA, subject="word17 please")

    def search(self, chance: random.Random) -> int:
        """Search as somebody types: a word that many titles have, one that one has, two words, and one nobody has."""
        number = chance.randrange(1, self._count)
        query = chance.choice(
            ["offer", f"number{number}", f"word{number % 5000}", f"offer word{chance.randrange(50)}", "nothing like it"]
        )
        with self.office.database.for_team(self.office.team_id) as connection:
            return len(mirror.search_items(connection, query))

    def suggest(self, _chance: random.Random) -> int:
        """Suggest for the conversation, as the page does."""
        with self.office.database.for_team(self.office.team_id) as connection:
            seen = links.see(connection, self.office.members[ADA], [self._conversation])[self._conversation]
            return len(review.suggestions(connection, seen))


def measure() -> list[Row]:
    """Fill both mirrors, then ask them in turn."""
    with TemporaryDirectory(prefix="tl-") as folder:
        path = Path(folder)
        path.chmod(0o711)
        with embedded.start(path, {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}) as server:
            migrate(server.url)
            database = Database(server.url)
            try:
                small, large = (Mirrored(server.url, database, count) for count in (SMALL, LARGE))
                with psycopg.connect(server.url, autocommit=True) as connection:
                    connection.execute(f"SET ROLE {OWNER}".encode())
                    connection.execute("VACUUM ANALYZE")
                for team in (small, large):
                    team.receive()
                return [
                    _row("search", small.search, large.search),
                    _row("suggestions for a conversation", small.suggest, large.suggest),
                ]
            finally:
                database.close()


def _row(what: str, small: Ask, large: Ask) -> Row:
    return growth(
        "P6", f"{what} in a mirror of {LARGE:,} persons and items ({{p95}}), against {SMALL:,}", small, large, ROUNDS
    )
