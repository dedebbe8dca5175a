"""Measures the goals of threats.md: `python -m tests.trust [S4 …] [--json FILE]`; exit status 1 for a bar not met."""

from __future__ import annotations

import sys

import tests.trust
from tests.measuring import main

if __name__ == "__main__":
    sys.exit(main(tests.trust, "s", __doc__))
