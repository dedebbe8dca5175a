"""Measures what performance.md asks for: `python -m tests.bench [P1 P4 …] [--json FILE]`.

Every figure is a ratio taken in one run, or a count. Exit status 1 when a bar is not met.
"""

from __future__ import annotations

import sys

import tests.bench
from tests.measuring import main

if __name__ == "__main__":
    sys.exit(main(tests.bench, "p", __doc__))
