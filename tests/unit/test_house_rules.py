"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("app", "connectors") for path in (ROOT / folder).rglob("*.py"))
PURE = sorted(
    path
    for path in SOURCES
    if path.is_relative_to(ROOT / "app" / "linking")
    or path in (ROOT / "app" / "model.py", ROOT / "app" / "errors.py")
    or path.name in ("normalize.py", "mapping.py")
)
# Time and ids come in as arguments; what asks the machine for them gives another answer every time.
ASKS_THE_MACHINE = frozenset(
    {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "dt.now", "uuid.uuid1", "uuid.uuid4"}
)
# A name that says nothing gathers what belongs elsewhere.
NAMELESS = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "tools"})
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_code_asks_the_machine_nothing(path: Path) -> None:
    asked = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert not asked & ASKS_THE_MACHINE


def test_every_pure_module_is_in_the_purity_contract() -> None:
    contract = next(c for c in SETTINGS["tool"]["importlinter"]["contracts"] if c["id"] == "purity")
    guarded = set(contract["source_modules"])
    missing = [name for name in map(name_of, PURE) if name not in guarded and not name.startswith("app.linking")]
    assert "app.linking" in guarded
    assert missing == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [name_of(path) for path in SOURCES if path.stem in NAMELESS or path.parent.name in NAMELESS] == []


def test_every_module_says_what_lives_in_it() -> None:
    silent = [
        name_of(path)
        for path in SOURCES
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_importing_the_core_does_not_import_flask() -> None:
    tree = ast.parse((ROOT / "app" / "__init__.py").read_text("utf-8"))
    assert [type(node).__name__ for node in tree.body] == ["Expr"]


@pytest.mark.xdist_group("some")
def test_a_group_of_tests_goes_to_one_worker(request: pytest.FixtureRequest) -> None:
    """What is set up for a group is set up once; pytest-xdist knows the group by how the test's id ends."""
    is_spread = hasattr(request.config, "workerinput")
    assert request.node.nodeid.endswith("@some") == is_spread
