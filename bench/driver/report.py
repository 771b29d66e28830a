# SPDX-License-Identifier: BSD-2-Clause
"""The page of a run: one file with its style and plots within, and the plots as files beside it."""
from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from . import plots, tables
from .errors import BenchError
from .results import Results
from .summary import blocks
from .svg import style_sheet

_STYLE = """
body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.4rem 0 .6rem;
border-bottom:1px solid var(--grid);padding-bottom:.2rem}
h3{font-size:1rem;margin:1.4rem 0 .4rem}
p{max-width:48rem;margin:.4rem 0}
.muted,figcaption{color:var(--muted);font-size:.88rem}
.wide{overflow-x:auto}
.plots{display:flex;flex-wrap:wrap;gap:1.5rem}
figure{margin:0 0 1rem;overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;text-align:right;white-space:nowrap;
border-bottom:1px solid var(--grid)}
th{color:var(--muted);font-weight:500;vertical-align:bottom;white-space:normal;min-width:4.5rem}
th.text,td.text{text-align:left}td.long{white-space:normal;min-width:20rem}
ul{margin:.3rem 0;padding-left:1.2rem}nav a{margin-right:1rem}a{color:var(--m-tagged)}
@media print{body{max-width:none}}
"""

_METHOD = (
    "Each cell is a process; the managers of a group follow each other in a round. Figures are"
    " medians over the rounds, with quartiles in brackets; ratios are taken round by round. Wall is"
    " the mutators' time; the CPU time of the mutators and of everything else is told apart."
    " “Overhead at least” is the cost over the best of all managers’ cost less their collector’s:"
    " a lower bound of what the manager costs."
)


def _table(table: tables.Table) -> str:
    table = tables.compact(table)

    def kind(i: int) -> str:
        if i >= table.text_columns:
            return ""
        return ' class="text long"' if i and i == len(table.columns) - 1 else ' class="text"'

    head = "".join(f"<th{kind(i)}>{escape(name)}</th>" for i, name in enumerate(table.columns))
    lines = [f'<h3>{escape(table.heading)}</h3><div class="wide"><table>']
    lines.append(f"<thead><tr>{head}</tr></thead><tbody>")
    for row in table.rows:
        body = "".join(f"<td{kind(i)}>{escape(word)}</td>" for i, word in enumerate(row))
        lines.append(f"<tr>{body}</tr>")
    lines.append("</tbody></table></div>")
    if table.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
        lines.append(f'<ul class="muted">{notes}</ul>')
    return "\n".join(lines)


def _section(name: str, title: str, body: str) -> tuple[str, str]:
    link = f'<a href="#{name}">{escape(title)}</a>'
    return link, f'<section id="{name}"><h2>{escape(title)}</h2>\n{body}\n</section>'


def _figures(of: list[tuple[str, list[plots.Plot]]]) -> str:
    parts = []
    for title, some in of:
        figures = "".join(f"<figure>{plot.drawing.render(False)}</figure>" for plot in some)
        parts.append(f'<h3>{escape(title)}</h3><div class="plots">{figures}</div>')
    return "\n".join(parts)


def page(
    results: Results, overrides: Mapping[str, str] | None = None
) -> tuple[str, list[plots.Plot]]:
    """The HTML, and the plots that are in it."""
    groups = results.groups()
    bars = plots.bar_plots(blocks(results, overrides), groups)
    latencies = plots.latency_plots(groups)
    goal, gyre, trouble = (
        of(results) for of in (tables.goal_table, tables.gyre_table, tables.trouble_table)
    )
    sections = []
    if goal:
        sections.append(_section("goals", "Goals", _table(goal)))
    if bars:
        sections.append(_section("costs", "Costs, CPU time, memory", _figures(bars)))
    if latencies:
        sections.append(_section("latencies", "Latencies", _figures(latencies)))
    cells = "\n".join(_table(table) for table in tables.group_tables(results, overrides))
    sections.append(_section("figures", "Figures", cells))
    if gyre:
        sections.append(_section("collector", "The collector's phases", _table(gyre)))
    if trouble:
        sections.append(_section("failed", "Cells without figures", _table(trouble)))
    what = [[one.name, one.unit, one.kind, one.what] for one in results.workloads.values()]
    listed = tables.Table("Workloads", ["name", "unit", "kind", "what"], what, text_columns=4)
    conditions = _table(tables.machine_table(results)) + _table(listed)
    sections.append(_section("conditions", "Machine, commands, workloads", conditions))
    cpu = results.machine.get("cpu") or "an unknown processor"
    about = f"{results.rounds} rounds of {results.seconds:g} s on {cpu}, {results.started}"
    if not results.complete:
        about += " — interrupted: not all cells have all rounds"
    body = "\n".join(text for _, text in sections)
    html = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>gyre: benchmarks</title>
<style>{style_sheet()}{_STYLE}</style></head><body>
<h1>gyre: benchmarks</h1>
<p class="muted">{escape(about)}</p>
<p>{escape(_METHOD)}</p>
<nav>{" ".join(link for link, _ in sections)}</nav>
{body}
</body></html>
"""
    return html, [plot for _, some in (*bars, *latencies) for plot in some]


def write(results: Results, target: Path, overrides: Mapping[str, str] | None = None) -> list[Path]:
    """target: the page (FILE.html), or a folder for index.html. The plots go to the same folder."""
    is_page = target.suffix == ".html"
    path = target if is_page else target / "index.html"
    html, drawn = page(results, overrides)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
        written = [path]
        for plot in drawn:
            name = f"{path.stem}-{plot.name}.svg" if is_page else f"{plot.name}.svg"
            file = path.parent / name
            file.write_text(plot.drawing.render(True), encoding="utf-8")
            written.append(file)
    except OSError as error:
        raise BenchError(f"cannot write {error.filename or path}: {error.strerror}") from error
    return written
