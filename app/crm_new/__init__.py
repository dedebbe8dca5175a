"""Writes the package of a new CRM adapter: `threadlink crm new NAME`. What stands in it: template/, one file each.

The package is whole and installable; its conformance test fails until the adapter does what CrmAdapterSuite asks.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

from app.errors import SeedError

_NAME = re.compile(r"[a-z][a-z0-9_]{1,29}")
# Where each template goes; $module is filled in.
FILES: Mapping[str, str] = {
    "pyproject.txt": "pyproject.toml",
    "readme.txt": "README.md",
    "package.txt": "$module/__init__.py",
    "adapter.txt": "$module/adapter.py",
    "auth.txt": "$module/auth.py",
    "mapping.txt": "$module/mapping.py",
    "settings.txt": "$module/settings.py",
    "conformance.txt": "tests/test_conformance.py",
}


def write(name: str, into: Path) -> Path:
    """Write the package `threadlink-NAME` below a folder and return where; nothing that exists is touched.

    Raises SeedError for a name that is no Python name in lower case, and when the folder is there already.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise SeedError(f"{name!r} is no name for an adapter: 2 to 30 of a-z, 0-9 and _, beginning with a letter.")
    target = into / f"threadlink-{name.replace('_', '-')}"
    if target.exists():
        raise SeedError(f"{target} exists already. Choose another name, or another folder with --into.")
    filled = {"name": name, "module": f"threadlink_{name}", "cls": name.title().replace("_", ""), "env": name.upper()}
    for template, place in FILES.items():
        text = files("app.crm_new").joinpath("template", template).read_text("utf-8")
        path = target / Template(place).substitute(filled)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(filled), "utf-8")
    return target
