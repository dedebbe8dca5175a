"""Runs the rows of a package of measurements, prints one table, and writes it as JSON."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

from tests.bench.row import Row


def main(package: ModuleType, letter: str, description: str | None) -> int:
    """Run the rows asked for on the command line; return 0 when every bar is met."""
    known = _rows(package, letter)
    parser = argparse.ArgumentParser(prog=f"python -m {package.__name__}", description=description)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"which rows ({', '.join(known)}); all without")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    asked = parser.parse_args()
    unknown = [row for row in asked.rows if row.upper() not in known]
    if unknown:
        parser.error(f"unknown rows: {', '.join(unknown)}")
    rows: list[Row] = []
    for name in [row.upper() for row in asked.rows] or known:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        rows += importlib.import_module(known[name]).measure()
    print(table(rows))
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    return 0 if all(row.ok for row in rows) else 1


def _rows(package: ModuleType, letter: str) -> dict[str, str]:
    """Return the module of each row, by its number."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith(letter) and module.name[1:3].isdigit():
            found[f"{letter.upper()}{int(module.name[1:3])}"] = f"{package.__name__}.{module.name}"
    return found


def table(rows: list[Row]) -> str:
    """Return the rows as one Markdown table."""
    lines = ["| # | what | ours | reference | ratio | bar | |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        reference = "" if row.reference is None else f"{row.reference:,.1f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        verdict = "met" if row.ok else "NOT MET"
        ours = f"{row.ours:,.1f} {row.unit}"
        lines.append(f"| {row.id} | {row.what} | {ours} | {reference} | {ratio} | {row.bar} | {verdict} |")
    return "\n".join(lines)
