"""A CRM adapter in somebody else's package: written by `crm new`, found by its entry point, held to the suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from app import cli
from app.cli.frame import run

pytestmark = pytest.mark.integration

ENTRY_POINTS = """
[threadlink.crm]
acme = threadlink_acme:create
[threadlink.crm_consent]
acme = threadlink_acme:consent
"""
# An adapter that does everything: the shipped fake under another name.
WHOLE = """
from app.testing.fake_crm import FakeCrm


class AcmeAdapter(FakeCrm):
    def __init__(self, settings, connection, clock):
        super().__init__(clock)
"""


@pytest.fixture
def package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(cli.threadlink, ["crm", "new", "acme", "--into", str(tmp_path), "--json"]) == 0
    return Path(json.loads(capsys.readouterr().out)["package"])


def check(words: Sequence[str], package: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool in the package, installed as pip installs one: its files and its entry points on the path."""
    facts = package / "threadlink_acme-0.1.0.dist-info"
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: threadlink-acme\nVersion: 0.1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def conformance(package: Path) -> subprocess.CompletedProcess[str]:
    plain = ("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist", "-q")
    return check(["pytest", *plain], package)


def test_the_skeleton_fails_the_suite_and_says_what_to_write(package: Path) -> None:
    done = conformance(package)
    assert done.returncode == 1
    for what in (
        "who_am_i: ask for the current user and its company",
        "records: return what puts records into the CRM",
    ):
        assert f"NotImplementedError: {what}" in done.stdout
    assert "error during collection" not in done.stdout


def test_the_skeleton_is_clean_code(package: Path) -> None:
    for words in (
        ["ruff", "check", "--isolated", "."],
        ["ruff", "format", "--isolated", "--check", "--line-length=120"],
    ):
        done = check(words, package)
        assert done.returncode == 0, done.stdout
    done = check(["mypy", "--strict", "threadlink_acme"], package)
    assert done.returncode == 0, done.stdout


def test_an_adapter_in_somebody_elses_package_passes_the_suite(package: Path) -> None:
    (package / "threadlink_acme" / "adapter.py").write_text(WHOLE)
    test = package / "tests" / "test_conformance.py"
    told = 'raise NotImplementedError("records: return what puts records into the CRM that the adapter talks to")'
    assert told in test.read_text()
    test.write_text(test.read_text().replace(told, "return adapter"))
    done = conformance(package)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", ["", "a", "Acme", "1acme", "class", "../acme", "a-b", "x" * 31])
def test_a_name_that_is_no_name_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(cli.threadlink, ["crm", "new", name, "--into", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_touched(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "README.md").write_text("mine")
    assert run(cli.threadlink, ["crm", "new", "acme", "--into", str(package.parent)]) == 2
    assert (package / "README.md").read_text() == "mine"
