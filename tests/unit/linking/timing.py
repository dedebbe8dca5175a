"""How the cost of a parser grows with its input: a ratio taken in one run, never seconds."""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time

# What growth() may answer: linear cost gives about 4, quadratic 16; half-way is exponent 1.5.
LINEAR = 8.0


def growth(parse: Callable[[int], object], size: int, rounds: int = 7) -> float:
    """Return the cost at four times the size over the cost at size, the best of some rounds each.

    Processor time of this thread alone, so that a busy machine does not count. `parse` is called with a size and does
    the work; it may build the input too, since that is linear.
    """
    small = large = float("inf")
    for _ in range(rounds):
        small = min(small, _cost(parse, size))
        large = min(large, _cost(parse, 4 * size))
    return large / small


def _cost(parse: Callable[[int], object], size: int) -> float:
    start = thread_time()
    parse(size)
    return thread_time() - start
