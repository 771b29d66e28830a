# SPDX-License-Identifier: BSD-2-Clause
"""Medians, quartiles, ratios by rounds, and the tests behind "within noise". Pure functions.

Medians and quartiles rather than means: what disturbs a run makes it slower, never faster, and a
single disturbed round must not move the figure. Quartiles interpolate linearly between the order
statistics (type 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", 1996).
"""
from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EXACT_MAX = 40  # observations, above which mann_whitney takes the normal approximation


@dataclass(frozen=True)
class Spread:
    """A median with its quartiles, of so many values."""

    median: float
    q1: float
    q3: float
    count: int


def quantile(ordered: Sequence[float], p: float) -> float:
    """Of values in order; p from 0 to 1."""
    place = p * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    part = place - below
    if part == 0:
        return ordered[below]
    return ordered[below] * (1 - part) + ordered[above] * part


def spread(values: Sequence[float]) -> Spread | None:
    """None of no values."""
    if not values:
        return None
    ordered = sorted(values)
    return Spread(
        quantile(ordered, 0.5), quantile(ordered, 0.25), quantile(ordered, 0.75), len(ordered)
    )


def round_ratios(mine: Mapping[int, float], base: Mapping[int, float]) -> list[float]:
    """mine / base in each round that has both.

    Two cells of a round ran within seconds of each other, so that what slows a machine for minutes
    slows both and falls out of their ratio; it does not fall out of the ratio of two medians.
    """
    return [mine[r] / base[r] for r in sorted(mine.keys() & base.keys()) if base[r] != 0]


def bootstrap_ratio(
    a: Sequence[float], b: Sequence[float], *, seed: int = 1, resamples: int = 1000
) -> tuple[float, float] | None:
    """The 95 % percentile interval of median(b) / median(a), both resampled with replacement
    (Efron, "Bootstrap Methods", 1979). Always the same for the same values and seed. None where
    a median of a is 0."""
    if not a or not b:
        return None
    dice = random.Random(seed)
    ratios = []
    for _ in range(resamples):
        below = quantile(sorted(dice.choices(a, k=len(a))), 0.5)
        above = quantile(sorted(dice.choices(b, k=len(b))), 0.5)
        if below == 0:
            return None
        ratios.append(above / below)
    ratios.sort()
    return quantile(ratios, 0.025), quantile(ratios, 0.975)


def mann_whitney(a: Sequence[float], b: Sequence[float]) -> float:
    """The two-sided p of the rank sum test (Mann and Whitney, 1947): how probable a difference of
    ranks as large as this one is when a and b come from one distribution.

    Exact, ties included, up to EXACT_MAX observations: all ways are counted in which len(a) of the
    ranks that there are could have fallen to a. Above, the normal approximation.
    """
    if not a or not b:
        return 1.0
    ranks = _doubled_ranks([*a, *b])
    total = sum(ranks)
    sum_a = sum(ranks[: len(a)])
    # Twice the rank sum, and twice its mean, so that all are whole numbers: mean = total |a| / n.
    n = len(ranks)
    distance = abs(sum_a * n - total * len(a))
    if n > EXACT_MAX:
        squares = sum(rank * rank for rank in ranks) - total * total / n
        variance = len(a) * len(b) * squares / (n * (n - 1))
        if variance <= 0:
            return 1.0
        return 2 * (1 - statistics.NormalDist().cdf(distance / n / math.sqrt(variance)))
    ways: list[dict[int, int]] = [{0: 1}] + [{} for _ in a]
    for rank in ranks:
        for size in range(len(a), 0, -1):
            for before, count in ways[size - 1].items():
                ways[size][before + rank] = ways[size].get(before + rank, 0) + count
    last = ways[len(a)]
    extreme = sum(c for s, c in last.items() if abs(s * n - total * len(a)) >= distance)
    return extreme / sum(last.values())


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, equal ones sharing the mean of theirs."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    ranks = [0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in range(start, end):
            ranks[order[place]] = start + 1 + end
        start = end
    return ranks


def smallest_p(count_a: int, count_b: int) -> float:
    """What mann_whitney can say at best of so many values: 2 of all ways."""
    return min(1.0, 2 / math.comb(count_a + count_b, count_a))
