# SPDX-License-Identifier: BSD-2-Clause
"""The plots of a report, from the summary. Each is a name for its file and a drawing."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .catalog import MMU_WINDOWS, PERCENTILES
from .matrix import Group, show_size
from .results import CellResult
from .stats import Spread, round_ratios, spread
from .summary import Block, has_latencies, medians
from .svg import Drawing, LogScale, class_of, linear_ticks
from .tables import number

BAR, GAP = 10, 14
LEFT, RIGHT, WIDTH = 130, 110, 860
CPU_MAX = 6.0  # the baseline's CPU time, this often, ends the axis; longer bars are cut


@dataclass(frozen=True)
class Bar:
    manager: str
    ratio: Spread
    label: str


@dataclass(frozen=True)
class Plot:
    name: str
    drawing: Drawing


def file_name(*words: object) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", " ".join(str(word) for word in words).lower()).strip("-")


def label(group: Group) -> str:
    if group.live is None:
        return group.workload
    return f"{group.workload} {show_size(group.live)}"


def cost_bars(block: Block, cells: Sequence[CellResult]) -> list[Bar]:
    """Of the headline metric, as costs: a rate is turned round, so that longer is worse always."""
    by_name = {cell.cell.manager: cell.samples(block.metric.name) for cell in cells}
    base = by_name.get(block.baseline, {})
    bars = []
    for row in block.rows:
        mine = by_name[row.manager]
        pair = (base, mine) if block.metric.more_is_better else (mine, base)
        ratio = spread([value for value in round_ratios(*pair) if value > 0])
        if ratio and row.value:
            bars.append(Bar(row.manager, ratio, f"{number(row.value.median)} {block.metric.unit}"))
    return bars


def memory_bars(block: Block, cells: Sequence[CellResult]) -> list[Bar]:
    by_name = {cell.cell.manager: cell.samples("rss_peak_bytes") for cell in cells}
    base = by_name.get(block.baseline, {})
    bars = []
    for row in block.rows:
        ratio = spread([value for value in round_ratios(by_name[row.manager], base) if value > 0])
        if ratio and row.rss:
            bars.append(Bar(row.manager, ratio, f"{number(row.rss.median / 2**20)} MiB"))
    return bars


def ratio_chart(
    title: str, under: str, sections: Sequence[tuple[str, str, list[Bar]]]
) -> Drawing | None:
    """Bars from 1 to the ratio on a logarithmic axis; sections: (label, baseline, bars)."""
    sections = [one for one in sections if one[2]]
    if not sections:
        return None
    rows = sum(len(bars) for _, _, bars in sections)
    managers = list(dict.fromkeys(bar.manager for _, _, bars in sections for bar in bars))
    drawing = Drawing(WIDTH, 110 + rows * (BAR + 3) + len(sections) * GAP, title)
    drawing.text(0, 16, title, "title")
    drawing.text(0, 33, under, "small")
    top = drawing.legend(managers, 0, 54) + 8
    ratios = [bar.ratio for _, _, bars in sections for bar in bars]
    ends = [end for ratio in ratios for end in (ratio.q1, ratio.q3)]
    scale = LogScale([*ends, 0.5, 2.0], LEFT, WIDTH - RIGHT)
    bottom = top + rows * (BAR + 3) + len(sections) * GAP - 6
    drawing.height = bottom + 22
    for tick in scale.ticks:
        drawing.line(scale(tick), top - 4, scale(tick), bottom, "axis" if tick == 1 else "grid")
        drawing.text(scale(tick), bottom + 14, f"{tick:g}", "small", "middle")
    y = float(top)
    for name, base, bars in sections:
        drawing.text(0, y + 9, name)
        if len(bars) > 1:
            drawing.text(0, y + 22, f"to {base}", "small")
        for bar in bars:
            _ratio_bar(drawing, scale, y, bar)
            y += BAR + 3
        y += GAP
    return drawing


def _ratio_bar(drawing: Drawing, scale: LogScale, y: float, bar: Bar) -> None:
    of = bar.ratio
    one, end = scale(1), scale(of.median)
    words = f"{number(of.median)} [{number(of.q1)}, {number(of.q3)}]"
    tip = f"{bar.manager}: {words}, {bar.label}"
    drawing.rect(min(one, end), y, abs(end - one), BAR, f"bar {class_of(bar.manager)}", tip)
    middle = y + BAR / 2
    drawing.line(scale(of.q1), middle, scale(of.q3), middle, "whisker")
    for place in (scale(of.q1), scale(of.q3)):
        drawing.line(place, middle - 3, place, middle + 3, "whisker")
    right = max(one, end, scale(of.q3))
    drawing.text(right + 5, y + 9, f"{number(of.median)}  {bar.label}", "small")


def cpu_chart(title: str, blocks: Sequence[Block]) -> Drawing | None:
    """CPU time, mutators' and collector's, of which the baseline's whole is 1."""
    sections = []
    for block in blocks:
        base = next((row for row in block.rows if row.manager == block.baseline), None)
        if base is None or base.mutators is None or base.collector is None:
            continue
        whole = base.mutators.median + base.collector.median
        rows = [row for row in block.rows if row.mutators and row.collector]
        if whole > 0 and rows:
            sections.append((block, whole, rows))
    if not sections:
        return None
    managers = list(dict.fromkeys(row.manager for _, _, rows in sections for row in rows))
    drawing = Drawing(WIDTH, 0, title)
    drawing.text(0, 16, title, "title")
    under = "CPU time for the same work, the baseline's is 1: mutators (full), collector (pale)"
    drawing.text(0, 33, under, "small")
    top = y = drawing.legend(managers, 0, 54) + 8
    high = max(
        (row.mutators.median + row.collector.median) / whole
        for _, whole, rows in sections
        for row in rows
        if row.mutators and row.collector
    )
    ticks = linear_ticks(min(high, CPU_MAX))
    unit = (WIDTH - LEFT - RIGHT) / ticks[-1]
    bottom = top + sum(len(rows) * (BAR + 3) + GAP for _, _, rows in sections) - 6
    for tick in ticks:
        place = LEFT + tick * unit
        drawing.line(place, top - 4, place, bottom, "axis" if tick in (0, 1) else "grid")
        drawing.text(place, bottom + 14, f"{tick:g}", "small", "middle")
    for block, whole, rows in sections:
        drawing.text(0, y + 9, label(block.group))
        if len(rows) > 1:
            drawing.text(0, y + 22, f"to {block.baseline}", "small")
        for row in rows:
            if row.mutators and row.collector:
                parts = row.mutators.median / whole, row.collector.median / whole
                _cpu_bar(drawing, y, row.manager, parts, unit, ticks[-1])
            y += BAR + 3
        y += GAP
    drawing.height = bottom + 22
    return drawing


def _cpu_bar(
    drawing: Drawing,
    y: float,
    manager: str,
    parts: tuple[float, float],
    unit: float,
    end: float,
) -> None:
    mutators, collector = parts
    shown = min(mutators, end)
    kind = class_of(manager)
    tip = f"{manager}: mutators {number(mutators)}, collector {number(collector)}"
    drawing.rect(LEFT, y, shown * unit, BAR, f"bar {kind}", tip)
    rest = min(mutators + collector, end) - shown
    if rest > 0:
        drawing.rect(LEFT + shown * unit, y, rest * unit, BAR, f"rest {kind}", tip)
    text = number(mutators + collector)
    if collector > 0.005 * mutators:
        text += f" = {number(mutators)} + {number(collector)}"
    if mutators + collector > end:
        text = f"→ {text}"
    drawing.text(LEFT + (shown + rest) * unit + 5, y + 9, text, "small")


def _panel(title: str, managers: Sequence[str]) -> tuple[Drawing, float, float]:
    """A drawing with its legend, and the top and bottom of the area that is left."""
    drawing = Drawing(420, 330, title)
    drawing.text(0, 16, title, "title")
    top = drawing.legend(managers, 0, 38) + 6
    drawing.height = top + 240
    return drawing, top, top + 210


def latency_chart(
    group: Group, cells: Sequence[CellResult], scale_of: Sequence[CellResult]
) -> Drawing | None:
    """Percentiles by manager; scale_of: the cells that share one axis, so that sizes compare."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for cell in cells:
        figures = medians(cell)
        values = [(i, figures.get(f"lat_{p}_us", 0.0)) for i, p in enumerate(PERCENTILES)]
        if any(value > 0 for _, value in values):
            lines[cell.cell.manager] = [(i, value) for i, value in values if value > 0]
    if not lines:
        return None
    title = f"{label(group)}: latency, us"
    drawing, top, bottom = _panel(title, list(lines))
    every = [
        value
        for cell in scale_of
        for name, value in medians(cell).items()
        if name in {f"lat_{p}_us" for p in PERCENTILES} and value > 0
    ]
    scale = LogScale(every, bottom, top)
    for tick in scale.ticks:
        drawing.line(50, scale(tick), 410, scale(tick), "grid")
        drawing.text(44, scale(tick) + 4, f"{tick:,.10g}", "small", "end")
    step = 340 / (len(PERCENTILES) - 1)
    for i, name in enumerate(PERCENTILES):
        drawing.text(60 + i * step, bottom + 16, name, "small", "middle")
    for manager, values in lines.items():
        points = [(60 + i * step, scale(value)) for i, value in values]
        tip = ", ".join(f"{PERCENTILES[i]} {number(value)} us" for i, value in values)
        drawing.series(points, manager, f"{manager}: {tip}")
    return drawing


def mmu_chart(group: Group, cells: Sequence[CellResult]) -> Drawing | None:
    """Minimum mutator utilization: of any window so long, the share the mutators had at least
    (Cheng and Blelloch, PLDI 2001)."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for cell in cells:
        figures = medians(cell)
        values = [(i, figures[n]) for i, (n, _, _) in enumerate(MMU_WINDOWS) if n in figures]
        if values:
            lines[cell.cell.manager] = values
    if not lines:
        return None
    drawing, top, bottom = _panel(f"{label(group)}: MMU by window", list(lines))
    for i in range(5):
        y = bottom + (top - bottom) * i / 4
        drawing.line(50, y, 410, y, "grid")
        drawing.text(44, y + 4, f"{i / 4:g}", "small", "end")
    step = 340 / (len(MMU_WINDOWS) - 1)
    for i, (_, _, name) in enumerate(MMU_WINDOWS):
        drawing.text(60 + i * step, bottom + 16, name, "small", "middle")
    for manager, values in lines.items():
        points = [(60 + i * step, bottom + (top - bottom) * value) for i, value in values]
        tip = ", ".join(f"{MMU_WINDOWS[i][2]} {value:.3f}" for i, value in values)
        drawing.series(points, manager, f"{manager}: {tip}")
    return drawing


def bar_plots(
    blocks: Sequence[Block], groups: dict[Group, list[CellResult]]
) -> list[tuple[str, list[Plot]]]:
    """(configuration, plots): costs, CPU and memory of all workloads, by threads and pinning."""
    found = []
    for key in dict.fromkeys((block.group.threads, block.group.pin) for block in blocks):
        of = [block for block in blocks if (block.group.threads, block.group.pin) == key]
        name = Group("", key[0], None, key[1]).configuration()
        costs = [(label(b.group), b.baseline, cost_bars(b, groups[b.group])) for b in of]
        memory = [(label(b.group), b.baseline, memory_bars(b, groups[b.group])) for b in of]
        under = "ratio to the baseline by rounds, median and quartiles, logarithmic; less is better"
        drawings = (
            ("cost", ratio_chart(f"Cost: {name}", under, costs)),
            ("cpu", cpu_chart(f"CPU time: {name}", of)),
            ("memory", ratio_chart(f"Memory, resident at the peak: {name}", under, memory)),
        )
        plots = [Plot(file_name(kind, *key), drawing) for kind, drawing in drawings if drawing]
        if plots:
            found.append((name, plots))
    return found


def latency_plots(groups: dict[Group, list[CellResult]]) -> list[tuple[str, list[Plot]]]:
    """(workload and configuration, plots): percentiles, then MMU, of each size."""
    found: dict[tuple[str, int, str], list[Group]] = {}
    for group, cells in groups.items():
        if has_latencies(cells):
            found.setdefault((group.workload, group.threads, group.pin), []).append(group)
    result = []
    for (workload, threads, pin), of in found.items():
        every = [cell for group in of for cell in groups[group]]
        plots = []
        for kind in ("latency", "mmu"):
            for group in of:
                cells = groups[group]
                if kind == "latency":
                    drawing = latency_chart(group, cells, every)
                else:
                    drawing = mmu_chart(group, cells)
                if drawing:
                    name = file_name(kind, workload, group.live or "", threads, pin)
                    plots.append(Plot(name, drawing))
        result.append((Group(workload, threads, None, pin).title(), plots))
    return result
