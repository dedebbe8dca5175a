"""How the cost of a parser grows with its input: a ratio taken in one run, never seconds."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter


def growth(parse: Callable[[int], object], size: int, rounds: int = 5) -> float:
    """Return cost at twice the size over cost at size, best of some rounds each: about 2 when linear, 4 when not.

    `parse` is called with a size and does the work; the input may be built inside, since that is linear.
    """
    return _best(parse, 2 * size, rounds) / _best(parse, size, rounds)


def _best(parse: Callable[[int], object], size: int, rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = perf_counter()
        parse(size)
        best = min(best, perf_counter() - start)
    return best
