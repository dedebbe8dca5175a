"""manifest: what an administrator installs at Google or Microsoft, made for this installation."""

from __future__ import annotations

import json
from pathlib import Path

import click

from app import manifest as manifests
from app.cli.frame import Answer, Group

_BASE_URL = click.option(
    "--base-url", required=True, metavar="URL", help="The https address at which this installation is reached."
)
_OUT = click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="here",
    help="Where to write.",
)

manifest = Group("manifest", help="Write what Google and Microsoft install to show threadlink beside a message.")


@manifest.command("gmail")
@_BASE_URL
@_OUT
def gmail(base_url: str, folder: Path) -> Answer:
    """Write the deployment of the Gmail add-on."""
    deployment = manifests.gmail(manifests.site(base_url).base_url)
    content = json.dumps(deployment, ensure_ascii=False, indent=2) + "\n"
    written = _write(folder, {"gmail-deployment.json": content.encode()})
    return Answer({"files": written, "deployment": deployment}, [f"wrote {name}" for name in written])


@manifest.command("outlook")
@_BASE_URL
@click.option(
    "--pane-base-url", default="", metavar="URL", help="The address of the pane, where it has one of its own."
)
@click.option(
    "--microsoft-client-id", default="", metavar="ID", help="The Entra application that the pane signs in with."
)
@click.option(
    "--multi-select", is_flag=True, help="Link several selected messages; asks to read and write the whole mailbox."
)
@_OUT
def outlook(base_url: str, pane_base_url: str, microsoft_client_id: str, folder: Path, *, multi_select: bool) -> Answer:
    """Write both manifests of the Outlook add-in: XML for every Outlook, and the package of the unified one."""
    place = manifests.site(base_url, pane_base_url, microsoft_client_id, multi_select=multi_select)
    made = manifests.outlook_files(place)
    written = _write(folder, {f"outlook-{name}": content for name, content in made.items()})
    return Answer({"files": written}, [f"wrote {name}" for name in written])


def _write(folder: Path, contents: dict[str, bytes]) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in contents]
