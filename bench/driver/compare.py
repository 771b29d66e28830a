# SPDX-License-Identifier: BSD-2-Clause
"""Two runs, A and B: for each cell and metric B / A, and whether that is beyond the noise.

"Beyond" means that the exact two-sided rank sum test over the rounds gives a p of at most ALPHA.
It assumes nothing of how figures are distributed. With five rounds on either side it asks that no
figure of one run lies among those of the other; with fewer it can never be that sure, and the
comparison says so. The interval shown beside is the bootstrap's, of the ratio of the medians.

The rounds of one run know only the noise within it. Between two runs a machine may change its
pace: then everything moves, the managers that did not change as well, and that is how one sees it.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .catalog import headline, more_is_better
from .errors import BenchError
from .matrix import Cell
from .results import CellResult, Results
from .stats import bootstrap_ratio, mann_whitney, smallest_p, spread
from .tables import NONE, Table, number

ALPHA = 0.01


@dataclass(frozen=True)
class Change:
    cell: Cell
    metric: str
    before: float
    after: float
    ratio: float | None
    interval: tuple[float, float] | None
    p: float
    verdict: str
    beyond: bool


def pair(a: Results, b: Results, common: bool) -> list[tuple[CellResult, CellResult]]:
    """The cells of both. BenchError when they differ, unless the common ones are asked for."""
    theirs = {cell.cell: cell for cell in b.cells}
    mine = {cell.cell: cell for cell in a.cells}
    only = [cell for cell in mine if cell not in theirs], [c for c in theirs if c not in mine]
    if any(only) and not common:
        examples = [f"{cells[0].title()} only in {n}" for cells, n in zip(only, "AB") if cells]
        count = len(only[0]) + len(only[1])
        raise BenchError(f"{count} cells differ ({'; '.join(examples)}); --common leaves them out")
    pairs = [(one, theirs[cell]) for cell, one in mine.items() if cell in theirs]
    if not pairs:
        raise BenchError("no cell is in both")
    return pairs


def conditions(a: Results, b: Results) -> list[str]:
    """What else differs between the runs."""
    found = []
    keys = ("cpu", "cores_usable", "kernel", "governor", "compiler", "options", "packages")
    for key in keys:
        if a.machine.get(key) != b.machine.get(key):
            found.append(f"{key}: {a.machine.get(key)} in A, {b.machine.get(key)} in B")
    for key in ("seconds", "seed"):
        if getattr(a, key) != getattr(b, key):
            found.append(f"{key}: {getattr(a, key)} in A, {getattr(b, key)} in B")
    found += [f"{name} is not complete" for name, of in (("A", a), ("B", b)) if not of.complete]
    return found


def _verdict(metric: str, before: float, after: float, p: float, counts: tuple[int, int]) -> str:
    if smallest_p(*counts) > ALPHA:
        return "too few rounds"
    if p > ALPHA:
        return "within noise"
    if metric.startswith("gyre_"):
        return "differs"  # more of these is neither better nor worse
    return "better" if (after > before) == more_is_better(metric) else "worse"


def change(a: CellResult, b: CellResult, metric: str) -> Change | None:
    """None when either has no such figure."""
    mine, theirs = list(a.samples(metric).values()), list(b.samples(metric).values())
    before, after = spread(mine), spread(theirs)
    if before is None or after is None:
        return None
    p = mann_whitney(mine, theirs)
    verdict = _verdict(metric, before.median, after.median, p, (len(mine), len(theirs)))
    ratio = after.median / before.median if before.median else None
    return Change(
        a.cell,
        metric,
        before.median,
        after.median,
        ratio,
        bootstrap_ratio(mine, theirs),
        p,
        verdict,
        verdict in ("better", "worse", "differs"),
    )


def compare(a: Results, b: Results, *, every: bool = False, common: bool = False) -> list[Change]:
    """The headline metric of each cell; every: all metrics that both have."""
    found = []
    for mine, theirs in pair(a, b, common):
        metrics = [headline(a.workloads[mine.cell.group.workload]).name]
        if every:
            metrics += [name for run in mine.runs for name in run.metrics]
        for metric in dict.fromkeys(metrics):
            one = change(mine, theirs, metric)
            if one is not None:
                found.append(one)
    return found


def lost(a: Results, b: Results, *, common: bool = False) -> list[str]:
    """Cells that have figures in one run only."""
    found = []
    for mine, theirs in pair(a, b, common):
        has = [any(run.status == "ok" for run in cell.runs) for cell in (mine, theirs)]
        if has[0] != has[1]:
            found.append(f"{mine.cell.title()}: figures only in {'A' if has[0] else 'B'}")
    return found


def table(changes: Sequence[Change]) -> Table:
    rows = []
    for one in changes:
        low, high = one.interval or (None, None)
        rows.append(
            [
                one.cell.title(),
                one.metric,
                number(one.before),
                number(one.after),
                NONE if one.ratio is None else f"{one.ratio:.3f}",
                NONE if low is None or high is None else f"{low:.3f} to {high:.3f}",
                f"{one.p:.3f}",
                f"* {one.verdict}" if one.beyond else one.verdict,
            ]
        )
    beyond = sum(one.beyond for one in changes)
    return Table(
        "B / A",
        ["cell", "metric", "A", "B", "B / A", "95 % interval", "p", "verdict"],
        rows,
        [f"{beyond} of {len(changes)} beyond noise (p at most {ALPHA:g}), marked *"],
        text_columns=2,
    )
