"""How much slower a question is in a large store than in a small one."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

from tests.bench.row import Row

BAR, BAR_MS = 1.5, 100.0
Ask = Callable[[random.Random], int]  # returns how much was found


def growth(bar_id: str, what: str, small: Ask, large: Ask, rounds: int) -> Row:
    """Ask both in turn, `rounds` times, and compare the means; `what` may say {p95}, in milliseconds."""
    for ask in (small, large):
        assert sum(ask(random.Random(seed)) for seed in range(20)) > 0
    times: dict[Ask, list[float]] = {small: [], large: []}
    for seed in range(rounds):
        for ask in (small, large):
            start = time.perf_counter()
            ask(random.Random(seed))
            times[ask].append((time.perf_counter() - start) * 1000)
    ours, reference = statistics.fmean(times[large]), statistics.fmean(times[small])
    p95 = statistics.quantiles(times[large], n=20)[-1]
    return Row(
        bar_id,
        what.format(p95=f"p95 {p95:.1f} ms"),
        ours,
        reference,
        "ms",
        ours / reference,
        f"<= {BAR}, p95 < {BAR_MS:.0f} ms",
        ours / reference <= BAR and p95 < BAR_MS,
    )
