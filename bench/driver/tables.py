# SPDX-License-Identifier: BSD-2-Clause
"""The tables, as rows of text that plain text, Markdown and HTML share, and the first two of these.

A Table is a heading, column names and cells that are ready to be read; the first column is text,
the others are figures.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from . import goals, machine
from .catalog import MMU_WINDOWS, PERCENTILES, manager_order
from .matrix import show_size
from .results import CellResult, Results
from .stats import Spread, round_ratios, spread
from .summary import Block, block, gyre_cells, has_latencies, medians, phases

NONE = "–"


@dataclass
class Table:
    heading: str
    columns: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    text_columns: int = 1  # so many from the left are words; the last one of some tables, too


def number(value: float | None) -> str:
    """Three digits, more of large ones."""
    if value is None:
        return NONE
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:#.3g}" if size else "0"


def middle(of: Spread | None) -> str:
    return number(of.median if of else None)


def full(of: Spread | None) -> str:
    """The median and, in brackets, the quartiles."""
    return f"{number(of.median)} [{number(of.q1)}, {number(of.q3)}]" if of else NONE


def percent(of: Spread | None) -> str:
    return f"{of.median:.1%}" if of else NONE


def mebibytes(of: Spread | None) -> str:
    return number(of.median / 2**20) if of else NONE


def cost_table(of: Block) -> Table:
    unit = of.unit
    rows = []
    for row in of.rows:
        rows.append(
            [
                row.manager,
                full(row.value),
                full(row.ratio),
                middle(row.wall),
                middle(row.mutators),
                middle(row.collector),
                percent(row.share),
                middle(row.bound_wall),
                middle(row.bound_cpu),
                mebibytes(row.rss),
            ]
        )
    notes = [f"{row.manager}: {row.note}" for row in of.rows if row.note]
    if all(row.ratio is None for row in of.rows):
        notes.append(f"no figure of {of.baseline}, the baseline")
    return Table(
        heading=of.group.title(),
        columns=[
            "manager",
            of.metric.title(),
            f"ratio to {of.baseline}",
            f"wall, {unit}",
            f"CPU of mutators, {unit}",
            f"CPU of collector, {unit}",
            "collector's share",
            "overhead at least, wall",
            "overhead at least, CPU",
            "memory, MiB",
        ],
        rows=rows,
        notes=notes,
    )


def latency_table(title: str, cells: Sequence[CellResult], base_name: str) -> Table:
    """Medians over the rounds of each percentile; ratios, by rounds, of those with a goal."""
    base = next((cell for cell in cells if cell.cell.manager == base_name), None)
    rows = []
    for cell in cells:
        figures = medians(cell)
        row = [cell.cell.manager]
        row += [number(figures.get(f"lat_{p}_us")) for p in PERCENTILES]
        for metric in ("lat_p99.9_us", "lat_max_us"):
            theirs = base.samples(metric) if base else {}
            row.append(full(spread(round_ratios(cell.samples(metric), theirs))))
        row += [number(figures.get(name)) for name, _, _ in MMU_WINDOWS]
        row.append(number(figures.get("pace_reached_mops")))
        rows.append(row)
    return Table(
        heading=f"{title}: latencies",
        columns=[
            "manager",
            *(f"{p}, us" for p in PERCENTILES),
            f"p99.9 to {base_name}",
            f"max to {base_name}",
            *(f"MMU {label}" for _, _, label in MMU_WINDOWS),
            "pace, M/s",
        ],
        rows=rows,
    )


def gyre_table(results: Results) -> Table | None:
    """Where the collector spends its time, and its other figures: a column for each cell's."""
    cells = gyre_cells(results)
    if not cells:
        return None
    names = list(dict.fromkeys(p for cell in cells for p, _, _ in phases(medians(cell))))
    others = dict.fromkeys(
        name
        for cell in cells
        for name in medians(cell)
        if name.startswith("gyre_") and not name.startswith("gyre_s_")
    )
    rows = []
    for cell in cells:
        figures = medians(cell)
        shares = {name: (seconds, share) for name, seconds, share in phases(figures)}
        row = [cell.cell.title()]
        for name in names:
            seconds, share = shares.get(name, (None, 0.0))
            row.append(NONE if seconds is None else f"{number(seconds)} ({share:.0%})")
        row += [number(figures.get(name)) for name in others]
        rows.append(row)
    labels = [f"{name}, s" for name in names] + [o.removeprefix("gyre_") for o in others]
    return Table("The collector's own table", ["cell", *labels], rows)


def trouble_table(results: Results) -> Table | None:
    """Each cell with a run that gave no figures, and each manager that was not built."""
    rows = []
    for cell in results.cells:
        seen: dict[tuple[str, str], list[int]] = {}
        for run in cell.troubles():
            seen.setdefault((run.status, run.reason), []).append(run.round)
        for (status, reason), rounds in seen.items():
            where = ", ".join(str(one) for one in rounds)
            rows.append([cell.cell.title(), status, where, reason])
        if not cell.runs:
            rows.append([cell.cell.title(), "not run", NONE, "the run was interrupted"])
    for name in results.absent:
        rows.append([f"all of {name}", "not built", NONE, "no worker in the build directory"])
    if not rows:
        return None
    return Table("Without figures", ["cell", "status", "rounds", "reason"], rows, text_columns=4)


def goal_table(results: Results) -> Table | None:
    found = goals.outcomes(results)
    if not found:
        return None
    rows = []
    for one in found:
        rows.append(
            [
                one.goal.what,
                str(one.group.threads),
                one.group.pin,
                one.goal.text(),
                one.verdict,
                f"{full(one.value)} {one.goal.unit}" if one.value else NONE,
                f"{middle(one.base)} ({one.goal.base})" if one.base else NONE,
                full(one.ratio),
                percent(one.share),
            ]
        )
    return Table(
        heading=f"Goals of the default engine ({goals.DEFAULT_ENGINE})",
        columns=[
            "what",
            "threads",
            "core",
            "goal",
            "verdict",
            "figure",
            "baseline",
            "ratio",
            "collector",
        ],
        rows=rows,
        text_columns=5,
    )


def machine_table(results: Results) -> Table:
    rows = [["command", " ".join(results.command)]]
    rows += [["commit", results.commit or "not in a git tree"]]
    rows += [["started", results.started], ["ended", results.ended]]
    rows += [["rounds", f"{results.rounds} of {results.seconds:g} s, seed {results.seed}"]]
    rows += [[name, value] for name, value in machine.lines(results.machine)]
    return Table("Conditions", ["what", "value"], rows, text_columns=2)


def group_tables(results: Results, overrides: Mapping[str, str] | None = None) -> list[Table]:
    """In the order of the run: of each group its costs, then its latencies where it has some."""
    found = []
    for group, cells in results.groups().items():
        of = block(results, group, overrides)
        found.append(cost_table(of))
        if has_latencies(cells):
            found.append(latency_table(group.title(), cells, of.baseline))
    return found


def brief_tables(results: Results, overrides: Mapping[str, str] | None = None) -> list[Table]:
    """A table for each number of threads and pinning: a row for each workload and size, a column
    for each manager, with the median of the workload's first metric and in brackets the median of
    the ratios to the baseline."""
    blocks = [block(results, group, overrides) for group in results.groups()]
    managers = list(dict.fromkeys(row.manager for of in blocks for row in of.rows))
    managers.sort(key=manager_order)
    columns = ["workload, unit", "baseline", *managers]
    found: dict[str, Table] = {}
    for of in blocks:
        heading = replace(of.group, live=None).configuration()
        table = found.setdefault(heading, Table(heading, columns, [], text_columns=2))
        rows = {row.manager: row for row in of.rows}
        size = f" {show_size(of.group.live)}" if of.group.live is not None else ""
        cells = [f"{of.group.workload}{size}, {of.metric.unit}", of.baseline]
        for name in managers:
            row = rows.get(name)
            ratio = f" ({middle(row.ratio)})" if row and row.ratio else ""
            cells.append(f"{middle(row.value)}{ratio}" if row and row.value else NONE)
        table.rows.append(cells)
    return list(found.values())


def all_tables(results: Results, overrides: Mapping[str, str] | None = None) -> list[Table]:
    found: list[Table | None] = [goal_table(results), *group_tables(results, overrides)]
    found += [gyre_table(results), trouble_table(results), machine_table(results)]
    return [table for table in found if table is not None]


def compact(table: Table) -> Table:
    """Without the columns that say nothing in any row."""
    keep = [
        i
        for i in range(len(table.columns))
        if i < table.text_columns or any(row[i] != NONE for row in table.rows)
    ]
    return Table(
        table.heading,
        [table.columns[i] for i in keep],
        [[row[i] for i in keep] for row in table.rows],
        table.notes,
        table.text_columns,
    )


def plain(table: Table) -> str:
    """For a terminal."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    text = [table.heading]
    for line in lines:
        padded = [
            word.ljust(width) if i < table.text_columns else word.rjust(width)
            for i, (word, width) in enumerate(zip(line, widths))
        ]
        text.append("  " + "  ".join(padded).rstrip())
    text += [f"  {note}" for note in table.notes]
    return "\n".join(text) + "\n"


def markdown(table: Table) -> str:
    def line(words: Sequence[str]) -> str:
        return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"

    rule = ["---" if i < table.text_columns else "--:" for i in range(len(table.columns))]
    text = [f"### {table.heading}", "", line(table.columns), line(rule)]
    text += [line(row) for row in table.rows]
    if table.notes:
        text += ["", *(f"- {note}" for note in table.notes)]
    return "\n".join(text) + "\n"
