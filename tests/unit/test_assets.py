"""The build hook fetches what browsers load once for each lock, whole or with a reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import hatch_build

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project that has the two files of npm alone."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Put a file for each one that is wanted where npm would; return the folders in which it was asked."""
    folders: list[Path] = []

    def install(folder: Path) -> None:
        folders.append(folder)
        for file in hatch_build.FILES:
            path = folder / "node_modules" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{file} {len(folders)}", "utf-8")

    monkeypatch.setattr(hatch_build, "_install", install)
    return folders


def vendor(project: Path) -> Path:
    return project / "app" / "web" / "static" / "vendor"


def test_files_are_fetched_once_for_a_lock(project: Path, fetched: list[Path]) -> None:
    hatch_build.fetch(project)
    hatch_build.fetch(project)
    assert len(fetched) == 1
    assert {path.name for path in vendor(project).iterdir()} == set(hatch_build.FILES.values()) | {".stamp"}


def test_a_changed_lock_fetches_again(project: Path, fetched: list[Path]) -> None:
    hatch_build.fetch(project)
    with (project / "package-lock.json").open("a", encoding="utf-8") as lock:
        lock.write("\n")
    hatch_build.fetch(project)
    assert (vendor(project) / "htmx.min.js").read_text("utf-8").endswith(" 2")


def test_a_missing_file_fetches_again(project: Path, fetched: list[Path]) -> None:
    hatch_build.fetch(project)
    (vendor(project) / "htmx.min.js").unlink()
    hatch_build.fetch(project)
    assert len(fetched) == 2
    assert (vendor(project) / "htmx.min.js").is_file()


def test_without_a_registry_the_build_says_what_it_needs() -> None:
    told = hatch_build._trouble("connect ECONNREFUSED")
    assert "npm registry" in told
    assert "ECONNREFUSED" in told


def test_the_lock_names_no_host_and_vouches_for_every_package() -> None:
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert installed
    assert not [name for name, package in installed.items() if "resolved" in package]
    assert not [name for name, package in installed.items() if not package["integrity"].startswith("sha512-")]


@pytest.mark.parametrize("sheet", sorted((ROOT / "app/web/static").glob("*.css")), ids=lambda path: path.name)
def test_no_page_is_locked_to_an_orientation(sheet: Path) -> None:
    assert "orientation" not in sheet.read_text("utf-8")
