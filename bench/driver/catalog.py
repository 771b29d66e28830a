# SPDX-License-Identifier: BSD-2-Clause
"""Managers, workloads and metrics: what their figures mean.

Which workloads exist, the workers say (--list). Here is only what the driver must know of some of
them to choose sizes and baselines, and which metric answers the question of a workload.
"""
from __future__ import annotations

from dataclasses import dataclass

# In the order of every table, and of every round.
MANAGERS = (
    "tagged",
    "recycler",
    "malloc",
    "mimalloc",
    "jemalloc",
    "counts",
    "bdwgc",
    "bdwgc-incremental",
    "none",
)
GYRE = ("tagged", "recycler")
DEFAULT_ENGINE = "tagged"

# What a manager is compared with: the fastest program by hand where memory is the work, the usual
# one where stores or delays are.
BASELINES = {"churn": "mimalloc", "rings": "mimalloc", "trees": "mimalloc"}
OTHER_BASELINE = "malloc"

# The argument --live of a worker: live objects, or the depth of the trees. Others have their own.
SIZES = {"paced": (1_000_000, 4_000_000, 8_000_000), "trees": (20,)}
# Workloads with a set number of threads, whose parts differ: one that makes garbage, one that is
# asked how long it waits.
THREADS = {"paced": 2, "flatout": 2}
QUICK_SIZES = {"paced": (20_000,), "trees": (10,)}

PERCENTILES = ("p50", "p90", "p99", "p99.9", "p99.99", "max")
MMU_WINDOWS = (
    ("mmu_100us", 1e-4, "100 us"),
    ("mmu_1ms", 1e-3, "1 ms"),
    ("mmu_10ms", 1e-2, "10 ms"),
    ("mmu_100ms", 1e-1, "100 ms"),
    ("mmu_1s", 1.0, "1 s"),
)
PHASES = ("wait", "count", "release", "verdict", "near", "far", "flush")


@dataclass(frozen=True)
class Workload:
    """What a worker's --list says of one."""

    name: str
    unit: str
    kind: str  # throughput, latency, once
    what: str


@dataclass(frozen=True)
class Metric:
    """A figure of a worker: its name there, its unit in tables, and which way is better."""

    name: str
    unit: str
    more_is_better: bool = False

    def title(self) -> str:
        better = "more" if self.more_is_better else "less"
        return f"{self.name}, {self.unit} ({better} is better)"


def headline(workload: Workload) -> Metric:
    """The metric that answers the question of a workload, by the unit that its --list names."""
    unit = workload.unit
    if unit == "us":
        return Metric("lat_p99.9_us", "us")
    if unit == "s":
        return Metric("seconds", "s")
    if unit.startswith("bytes"):
        return Metric("bytes_per_object_over", unit)
    if unit.endswith("/s"):
        name = "entries_per_s" if "entries" in unit or workload.name == "journals" else "mops"
        return Metric(name, "entries/s" if name == "entries_per_s" else unit, True)
    return Metric("ns_per_op", unit)


def more_is_better(name: str) -> bool:
    """Of any metric that a worker may print, for comparisons."""
    return name in ("mops", "entries_per_s", "pace_reached_mops") or name.startswith("mmu_")


def baseline(workload: str, overrides: dict[str, str]) -> str:
    """The manager that others are compared with; overrides: by workload, or "" for all."""
    return overrides.get(workload) or overrides.get("") or BASELINES.get(workload, OTHER_BASELINE)


def manager_order(name: str) -> tuple[int, str]:
    """A sort key: the known ones first, in their order."""
    return (MANAGERS.index(name) if name in MANAGERS else len(MANAGERS), name)


def parse_list(text: str) -> list[Workload]:
    """The lines of a worker's --list. ValueError names the line that is not one."""
    found = []
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) != 4 or not parts[0]:
            raise ValueError(f"a line of --list is not NAME, unit, kind, description: {line!r}")
        found.append(Workload(*parts))
    return found
