"""CSV files for the CRM: what they may look like, and what is said when they are wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app import crm_seed
from app.crm_seed import SeedRow
from app.errors import SeedError
from app.model import ItemRef
from app.testing.crm_stage import read_changes
from app.testing.fake_crm import FakeCrm
from app.testing.fakes import SteppedClock

SAMPLE = """\
kind,id,name,emails,organization,person,participants,status,created_at
deal,d1,Rollout,,o1,p1,p2;p3,open,2026-02-01T10:00:00Z
person,p1,Bea Işık,bea@acme.test;Bea@Home.test,o1,,,,
person,p2,Can Öztürk,can@acme.test,,,,,
person,p3,Ğ,,,,,,
organization,o1,Acme,,,,,,
lead,l1,"Training, two days",,,p2,,archived,2026-02-03
project,x1,Move,,o1,,,,
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file; text is written as UTF-8."""

    def file(content: str | bytes, name: str = "crm.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return file


def test_a_file_is_read_row_by_row(write: Write) -> None:
    path = write(SAMPLE)
    rows = crm_seed.parse([path])
    assert rows[0] == SeedRow(
        where=f"{path}:2",
        kind="deal",
        id="d1",
        name="Rollout",
        organization="o1",
        person="p1",
        participants=("p2", "p3"),
        created_at=datetime(2026, 2, 1, 10, tzinfo=UTC),
    )
    assert rows[1].emails == ("bea@acme.test", "bea@home.test")
    assert (rows[5].name, rows[5].status) == ("Training, two days", "archived")
    assert rows[5].created_at == datetime(2026, 2, 3, tzinfo=UTC)
    assert len(rows) == 7


def test_rows_fill_a_crm_whatever_their_order_and_again_without_doubles(write: Write) -> None:
    crm = FakeCrm(SteppedClock())
    for _ in range(2):
        counts = crm_seed.seed(crm, crm_seed.parse([write(SAMPLE)]))
    assert counts == {"person": 3, "organization": 1, "deal": 1, "lead": 1, "project": 1}
    deal = crm.get(ItemRef("deal", "d1"))
    assert deal is not None
    assert (deal.title, deal.created_at) == ("Rollout", datetime(2026, 2, 1, 10, tzinfo=UTC))
    assert crm.people_by_address(["bea@home.test"])[0].organization_name == "Acme"
    assert read_changes(crm).states() == {"deal/d1": "open", "lead/l1": "archived", "project/x1": "open"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1254"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_spreadsheets_of_every_country_are_understood(write: Write, encoding: str, separator: str) -> None:
    lines = [["id", "kind", "title"], ["p1", "Person", "Çağrı Işık İğdır"]]
    path = write("\r\n".join(separator.join(line) for line in lines).encode(encoding))
    (row,) = crm_seed.parse([path])
    assert (row.kind, row.id, row.name) == ("person", "p1", "Çağrı Işık İğdır")


def test_several_addresses_fit_into_one_cell_of_a_file_with_semicolons(write: Write) -> None:
    (row,) = crm_seed.parse([write('kind;id;name;emails\nperson;1;Bea;"a@acme.test; b@acme.test"\n')])
    assert row.emails == ("a@acme.test", "b@acme.test")
    (row,) = crm_seed.parse([write("kind;id;name;emails\nperson;1;Bea;a@acme.test|b@acme.test\n")])
    assert row.emails == ("a@acme.test", "b@acme.test")


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("'=1+1", "=1+1"),
        ("'+90 212", "+90 212"),
        ("'-x", "-x"),
        ("'@home", "@home"),
        ("=1+1", "=1+1"),
        ("'s-Hertogenbosch", "'s-Hertogenbosch"),
        ("O'=x", "O'=x"),
        ("'x'=1", "'x'=1"),
    ],
)
def test_an_apostrophe_that_kept_a_cell_from_running_is_taken_off(write: Write, cell: str, name: str) -> None:
    (row,) = crm_seed.parse([write(f"kind,id,name\ndeal,1,{cell}\n")])
    assert row.name == name


def test_blank_lines_and_empty_cells_at_the_end_say_nothing(write: Write) -> None:
    rows = crm_seed.parse([write("kind,id,name\n\n ,,\nperson,1,Bea,,\nperson,2,Can\n")])
    assert [row.id for row in rows] == ["1", "2"]


def test_files_that_belong_together_refer_to_each_other(write: Write) -> None:
    people = write("kind,id,name,organization\nperson,p1,Bea,o1\n", "people.csv")
    companies = write("kind,id,name\norganization,o1,Acme\n", "companies.csv")
    assert len(crm_seed.parse([people, companies])) == 2
    with pytest.raises(SeedError, match=r"people\.csv:2: no row has the organization o1$"):
        crm_seed.parse([people])


def test_a_cell_may_span_lines_and_the_error_names_its_last(write: Write) -> None:
    with pytest.raises(SeedError, match=r"crm\.csv:4: kind 'x' is none of"):
        crm_seed.parse([write('kind,id,name\ndeal,1,"a\nb"\nx,2,c\n')])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r":1: the first line must name the columns, and 'kind'"),
        ("kind,name\ndeal,x\n", r":1: the first line must name the columns, and 'id'"),
        ("kind,id,name,title\n", r":1: a column is named twice"),
        ("kind,id,name,phone\n", r":1: no column 'phone'; there are created_at, emails"),
        ("kind,id,name\ndeal,1,x,y\n", r":2: more cells than columns"),
        ("kind,id,name\n,1,x\n", r":2: 'kind' is empty"),
        ("kind,id,name\ninvoice,1,x\n", r":2: kind 'invoice' is none of organization, person, deal, lead, project"),
        ("kind,id,name\ndeal,,x\n", r":2: 'id' is empty"),
        ("kind,id,name\ndeal,1,\n", r":2: 'name' is empty"),
        ("kind,id,name\ndeal,a\x00,x\n", r":2: id must be printable"),
        (f"kind,id,name\ndeal,{'1' * 201},x\n", r":2: id must be printable and at most 200 characters long"),
        ("kind,id,name,status\ndeal,1,x,sold\n", r":2: status 'sold' is none of open, won"),
        ("kind,id,name,created_at\ndeal,1,x,yesterday\n", r":2: created_at 'yesterday' is no time such as 2026-02-01"),
        ("kind,id,name,emails\nperson,1,x,bea at acme\n", r":2: 'bea at acme' is no e-mail address"),
        ("kind,id,name,emails\ndeal,1,x,bea@acme.test\n", r":2: deal has no 'emails'"),
        ("kind,id,name,status\nperson,1,x,open\n", r":2: person has no 'status'"),
        ("kind,id,name,person\ndeal,1,x,p1\n", r":2: no row has the person p1"),
        ("kind,id,name,participants\ndeal,1,x,p1\n", r":2: no row has the person p1"),
        ("kind,id,name\ndeal,1,x\nlead,1,y\ndeal,1,z\n", r":4: deal 1 was written before, at .*crm\.csv:2"),
        ('kind,id,name\ndeal,1,"x\n', r":2: no CSV"),
        ('kind,id,name\ndeal,1,"x"y\n', r":2: no CSV"),
        (f"kind,id,name\ndeal,1,{'x' * 200_000}\n", r":2: no CSV"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(write: Write, text: str, message: str) -> None:
    with pytest.raises(SeedError, match=message):
        crm_seed.parse([write(text)])


def test_nothing_is_written_when_a_later_row_is_wrong(write: Write) -> None:
    with pytest.raises(SeedError):
        crm_seed.parse([write("kind,id,name\nperson,1,Bea\n"), write("kind,id,name\nperson,2,\n", "more.csv")])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    with pytest.raises(SeedError, match=r"missing\.csv: cannot be read"):
        crm_seed.parse([tmp_path / "missing.csv"])
    with pytest.raises(SeedError, match="cannot be read"):
        crm_seed.parse([tmp_path])
    monkeypatch.setattr(crm_seed, "MAX_FILE_BYTES", 3)
    with pytest.raises(SeedError, match="larger than"):
        crm_seed.parse([write(SAMPLE)])
