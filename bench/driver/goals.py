# SPDX-License-Identifier: BSD-2-Clause
"""The goals of the default engine, and whether a run reached them. Nothing fails by it."""
from __future__ import annotations

from dataclasses import dataclass

from .catalog import DEFAULT_ENGINE, THREADS
from .matrix import Group
from .results import CellResult, Results
from .stats import Spread, round_ratios, spread
from .summary import collector_share, derived

MANAGERS = ("tagged", "recycler", "malloc", "mimalloc")
M = 1_000_000


@dataclass(frozen=True)
class Goal:
    """A limit of the engine's figure, or of its ratio to a baseline's."""

    what: str
    workload: str
    live: int | None
    metric: str
    unit: str
    limit: float
    base: str | None = None  # None: the figure itself is compared with the limit
    at_least: bool = False  # the limit is a lower one
    strict: bool = False  # and itself is not enough

    @property
    def threads(self) -> int:
        return THREADS.get(self.workload, 1)

    def text(self) -> str:
        if self.base and self.strict:
            return f"{'above' if self.at_least else 'below'} {self.base}"
        of = f"{self.limit:g} x {self.base}" if self.base else f"{self.limit:,.0f} {self.unit}"
        return f"at {'least' if self.at_least else 'most'} {of}"

    def holds(self, value: float) -> bool:
        if self.strict and value == self.limit:
            return False
        return value >= self.limit if self.at_least else value <= self.limit


def _paced(live: int) -> list[Goal]:
    size = f"paced, {live // M} M live"
    return [
        Goal(f"{size}: p99.9", "paced", live, "lat_p99.9_us", "us", 2, "malloc"),
        Goal(f"{size}: longest", "paced", live, "lat_max_us", "us", 2, "malloc"),
    ]


GOALS = (
    Goal("acyclic churn", "churn", None, "ns_per_op", "ns", 1, "mimalloc", strict=True),
    Goal("rings of 2 to 10", "rings", None, "mops", "M/s", 1, "mimalloc", True, True),
    Goal("store, 4 k objects", "stores4k", None, "ns_per_op", "ns", 2, "malloc"),
    Goal("store, 1 M objects", "stores1m", None, "ns_per_op", "ns", 2, "malloc"),
    Goal("trees of depth 20", "trees", 20, "seconds", "s", 2, "mimalloc"),
    *_paced(8 * M),
    *_paced(4 * M),
    *_paced(1 * M),
    Goal("memory beyond the user's", "bytes", None, "bytes_per_object_over", "bytes/object", 8),
    Goal("journals", "journals", None, "entries_per_s", "entries/s", 30e6, at_least=True),
)


@dataclass(frozen=True)
class Outcome:
    goal: Goal
    group: Group
    value: Spread | None  # of the default engine
    base: Spread | None
    ratio: Spread | None  # by rounds
    share: Spread | None  # of the CPU time that the collector took
    verdict: str


def workloads() -> list[str]:
    return list(dict.fromkeys(goal.workload for goal in GOALS))


def sizes() -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for goal in GOALS:
        if goal.live is not None and goal.live not in found.setdefault(goal.workload, []):
            found[goal.workload].append(goal.live)
    return found


def _verdict(goal: Goal, of: Spread | None) -> str:
    if of is None:
        return "not measured"
    reached = goal.holds(of.median)
    word = "reached" if reached else "not reached"
    # The quartiles fall on both sides of the limit.
    return word if goal.holds(of.q1) == goal.holds(of.q3) else f"{word}, within the noise"


def outcomes(results: Results) -> list[Outcome]:
    """Of all goals whose cells are in the results, for each pinning."""
    found = []
    groups = results.groups()
    for goal in GOALS:
        for group, cells in groups.items():
            key = (group.workload, group.threads, group.live)
            if key == (goal.workload, goal.threads, goal.live):
                found.append(_outcome(goal, group, cells))
    return found


def _outcome(goal: Goal, group: Group, cells: list[CellResult]) -> Outcome:
    by_name = {cell.cell.manager: cell for cell in cells}
    mine = by_name.get(DEFAULT_ENGINE)
    other = by_name.get(goal.base or "")
    samples = mine.samples(goal.metric) if mine else {}
    base = other.samples(goal.metric) if other else {}
    ratio = spread(round_ratios(samples, base))
    value = spread(list(samples.values()))
    share = spread(list(derived(mine, collector_share).values())) if mine else None
    verdict = _verdict(goal, ratio if goal.base else value)
    return Outcome(goal, group, value, spread(list(base.values())), ratio, share, verdict)
