"""Draws the bitmaps of the mark from threadlink.svg in every size that vendors ask for: python manifest/icons/draw.py.

The bitmaps are committed, so that neither an installation nor a build needs what draws them; a test draws them again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import resvg_py

HERE = Path(__file__).parent
# Outlook's ribbon and store, Gmail's card headers, Microsoft 365's list of apps, Outlook mobile in three densities.
SIZES = (16, 20, 24, 25, 32, 40, 48, 50, 64, 75, 80, 96, 128, 144, 192)
OUTLINE_SIZE = 32


def drawn() -> Mapping[str, bytes]:
    """Return file name to bitmap."""
    mark = (HERE / "threadlink.svg").read_text("utf-8")
    outline = re.sub(r"\s*<rect class=\"ground\"[^>]*/>", "", mark)
    bitmaps = {f"threadlink-{size}.png": _bitmap(mark, size) for size in SIZES}
    return {**bitmaps, f"outline-{OUTLINE_SIZE}.png": _bitmap(outline, OUTLINE_SIZE)}


def _bitmap(svg: str, size: int) -> bytes:
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size))


if __name__ == "__main__":
    for name, bitmap in drawn().items():
        (HERE / name).write_bytes(bitmap)
