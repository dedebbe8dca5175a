"""P14: from the start of `threadlink demo` to the first link, packages installed."""

from __future__ import annotations

import json
import subprocess
import sys
import time

from tests.bench.row import Row

BAR_S = 15.0


def measure() -> list[Row]:
    """Run the command as a person would and take the later of its own figure and ours."""
    started = time.perf_counter()
    finished = subprocess.run(
        [sys.executable, "-m", "app.cli", "demo", "--once", "--json"], capture_output=True, check=True, timeout=300
    )
    whole_s = time.perf_counter() - started
    inside = json.loads(finished.stdout)["seconds"]
    # The command counts from when its modules are loaded; loading them is part of what a person waits for.
    imports_s = max(whole_s - inside["whole"], 0.0)
    first_link_s = inside["first_link"] + imports_s
    ok = first_link_s < BAR_S
    return [Row("P14", "first link after `threadlink demo`", first_link_s, None, "s", None, f"< {BAR_S:.0f} s", ok)]
