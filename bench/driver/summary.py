# SPDX-License-Identifier: BSD-2-Clause
"""From the samples to the figures that all tables and plots show. Pure functions.

Costs are taken apart as Cai, Blackburn, Bond and Maas do ("Distilling the Real Cost of Production
Garbage Collectors", ISPASS 2022): nobody knows what a program would cost without any memory
management, but it is at most what the cheapest manager costs less what is plainly the collector's.
A manager's cost over that is a lower bound of its overhead. Here per operation, by rounds:

    CPU    all CPU time of the process; plainly the collector's is what its own threads took and
           what remained to be done when the mutators had ended
    wall   time of the mutators. No part of it is plainly the collector's: none stops the world
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from .catalog import GYRE, PERCENTILES, PHASES, Metric, baseline, headline, manager_order
from .matrix import Group
from .results import CellResult, Results
from .stats import Spread, round_ratios, spread

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """A manager in a group. None: the worker did not say, or every run failed."""

    manager: str
    value: Spread | None
    ratio: Spread | None  # to the baseline, by rounds
    wall: Spread | None
    mutators: Spread | None
    collector: Spread | None
    share: Spread | None  # the collector's, of the CPU time
    bound_wall: Spread | None  # lower bounds of the overhead
    bound_cpu: Spread | None
    rss: Spread | None
    runs: int  # that gave figures
    note: str  # why others did not


@dataclass(frozen=True)
class Block:
    """The rows of a group, the headline metric, and what costs are told in."""

    group: Group
    metric: Metric
    baseline: str
    unit: str  # of wall, mutators and collector
    rows: list[Row]


def _per_operation(metrics: Metrics, seconds: float) -> float:
    """In ns, or the seconds themselves when the worker counts no operations."""
    operations = metrics.get("operations", 0.0)
    return seconds * 1e9 / operations if operations > 0 else seconds


def wall_cost(metrics: Metrics) -> float | None:
    if "ns_per_op" in metrics:
        return metrics["ns_per_op"]
    if "seconds" in metrics:
        return _per_operation(metrics, metrics["seconds"])
    return _per_operation(metrics, metrics["wall_s"]) if "wall_s" in metrics else None


def mutator_cost(metrics: Metrics) -> float | None:
    if "mutator_cpu_s" not in metrics:
        return None
    return _per_operation(metrics, metrics["mutator_cpu_s"])


def collector_cost(metrics: Metrics) -> float | None:
    if "mutator_cpu_s" not in metrics:
        return None
    # The process's time less the threads' may come out a little below 0: two clocks were read.
    others = max(metrics.get("other_cpu_s", 0.0), 0.0)
    return _per_operation(metrics, others + max(metrics.get("drain_cpu_s", 0.0), 0.0))


def cpu_cost(metrics: Metrics) -> float | None:
    mutators, collector = mutator_cost(metrics), collector_cost(metrics)
    return None if mutators is None or collector is None else mutators + collector


def collector_share(metrics: Metrics) -> float | None:
    whole, collector = cpu_cost(metrics), collector_cost(metrics)
    return collector / whole if whole and collector is not None else None


def derived(result: CellResult, cost: Callable[[Metrics], float | None]) -> dict[int, float]:
    """A figure made of others, by round."""
    found = {}
    for run in result.runs:
        value = cost(run.metrics) if run.status == "ok" else None
        if value is not None:
            found[run.round] = value
    return found


def lower_bounds(
    results: Sequence[CellResult],
    cost: Callable[[Metrics], float | None],
    attributable: Callable[[Metrics], float | None],
) -> list[list[float]]:
    """For each cell of a group, cost / best of (cost - attributable) over the group, by rounds."""
    costs = [derived(result, cost) for result in results]
    parts = [derived(result, attributable) for result in results]
    best: dict[int, float] = {}
    for whole, part in zip(costs, parts):
        for number, value in whole.items():
            rest = value - part.get(number, 0.0)
            if rest > 0:
                best[number] = min(best.get(number, rest), rest)
    return [round_ratios(whole, best) for whole in costs]


def note_of(result: CellResult, rounds: int) -> str:
    """What went wrong in a cell, in a line; "" when nothing did."""
    troubles = result.troubles()
    if troubles:
        first = troubles[0]
        times = f" ({len(troubles)} of {rounds} rounds)" if first.status == "failed" else ""
        return f"{first.status}{times}: {first.reason}"
    return "" if len(result.runs) == rounds else f"{len(result.runs)} of {rounds} rounds"


def block(results: Results, group: Group, overrides: Mapping[str, str] | None = None) -> Block:
    """overrides: of the baselines, over those of the file."""
    cells = sorted(results.groups()[group], key=lambda one: manager_order(one.cell.manager))
    workload = results.workloads[group.workload]
    metric = headline(workload)
    base_name = baseline(group.workload, {**results.baselines, **(overrides or {})})
    base = next((c.samples(metric.name) for c in cells if c.cell.manager == base_name), {})
    # The wall time of a paced run is its pace, no cost.
    wall = wall_cost if workload.kind != "latency" else (lambda metrics: None)
    bounds_wall = lower_bounds(cells, wall, lambda metrics: 0.0)
    bounds_cpu = lower_bounds(cells, cpu_cost, collector_cost)
    rows = []
    for result, bound_wall, bound_cpu in zip(cells, bounds_wall, bounds_cpu):
        samples = result.samples(metric.name)
        rows.append(
            Row(
                manager=result.cell.manager,
                value=spread(list(samples.values())),
                ratio=spread(round_ratios(samples, base)),
                wall=_spread(derived(result, wall)),
                mutators=_spread(derived(result, mutator_cost)),
                collector=_spread(derived(result, collector_cost)),
                share=_spread(derived(result, collector_share)),
                bound_wall=spread(bound_wall),
                bound_cpu=spread(bound_cpu),
                rss=_spread(result.samples("rss_peak_bytes")),
                runs=sum(run.status == "ok" for run in result.runs),
                note=note_of(result, results.rounds),
            )
        )
    counted = any(run.metrics.get("operations", 0) > 0 for cell in cells for run in cell.runs)
    return Block(group, metric, base_name, "ns/op" if counted else "s", rows)


def blocks(results: Results, overrides: Mapping[str, str] | None = None) -> list[Block]:
    return [block(results, group, overrides) for group in results.groups()]


def _spread(samples: Mapping[int, float]) -> Spread | None:
    return spread(list(samples.values()))


def medians(result: CellResult) -> dict[str, float]:
    """Of every metric that the worker printed."""
    names = dict.fromkeys(name for run in result.runs for name in run.metrics)
    found = {}
    for name in names:
        of = _spread(result.samples(name))
        if of is not None:
            found[name] = of.median
    return found


def has_latencies(cells: Sequence[CellResult]) -> bool:
    return any(f"lat_{p}_us" in run.metrics for c in cells for run in c.runs for p in PERCENTILES)


def phases(figures: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """(phase, seconds, share) of the collector's wall time, from the medians of a gyre cell."""
    names = [p for p in PHASES if f"gyre_s_{p}" in figures]
    names += [
        name.removeprefix("gyre_s_")
        for name in figures
        if name.startswith("gyre_s_") and name.removeprefix("gyre_s_") not in PHASES
    ]
    whole = sum(figures[f"gyre_s_{name}"] for name in names)
    return [
        (name, figures[f"gyre_s_{name}"], figures[f"gyre_s_{name}"] / whole if whole else 0.0)
        for name in names
    ]


def gyre_cells(results: Results) -> list[CellResult]:
    """Those with a table of the collector's own."""
    return [
        cell
        for cell in results.cells
        if cell.cell.manager in GYRE
        and any(name.startswith("gyre_") for run in cell.runs for name in run.metrics)
    ]
