"""crm new: the package of a new adapter."""

from __future__ import annotations

from pathlib import Path

import click

from app import crm_new as packages
from app.cli.frame import Answer, Command


@click.command("new", cls=Command)
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default="this folder",
    help="Where the package is written.",
)
def new_crm(name: str, into: Path) -> Answer:
    """Write the package of an adapter for the CRM NAME, with a conformance test that fails until it is done."""
    target = packages.write(name, into)
    lines = [f"Wrote {target}. Install it with `uv pip install -e {target}`, then run `pytest -x` in it."]
    return Answer({"package": str(target)}, lines)
