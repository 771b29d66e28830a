# SPDX-License-Identifier: BSD-2-Clause
"""Drawings: SVG without scripts, readable on light and dark grounds, alone or within a page.

Colours are classes, so that one style sheet serves all drawings of a page; a drawing that is
written to a file of its own carries the sheet with it. A manager has the same colour everywhere.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

# (light, dark). The engines are blue; who frees by hand is warm or grey; other collectors are red.
COLOURS = {
    "tagged": ("#1259c3", "#6aa5ff"),
    "recycler": ("#28a0b8", "#5fd0e0"),
    "malloc": ("#4d4d4d", "#c4c4c4"),
    "mimalloc": ("#d97706", "#f5a742"),
    "jemalloc": ("#a3851a", "#d9c25a"),
    "counts": ("#2e8b57", "#6fd39b"),
    "bdwgc": ("#b3261e", "#ff8a80"),
    "bdwgc-incremental": ("#c2569b", "#f2a0d3"),
    "none": ("#a9a9a9", "#7d7d7d"),
}
_LIGHT = {"ink": "#1c1c1c", "muted": "#666666", "grid": "#dddddd", "ground": "#ffffff"}
_DARK = {"ink": "#e6e6e6", "muted": "#a0a0a0", "grid": "#3a3a3a", "ground": "#161616"}
_DASHES = {"recycler": "6 3", "jemalloc": "6 3", "bdwgc-incremental": "6 3", "none": "2 3"}


def class_of(manager: str) -> str:
    return "m-" + (manager if manager in COLOURS else "none")


def _colours(index: int) -> str:
    names = (_LIGHT, _DARK)[index]
    rules = [f"--{name}:{value};" for name, value in names.items()]
    rules += [f"--{class_of(name)}:{pair[index]};" for name, pair in COLOURS.items()]
    return "".join(rules)


def style_sheet() -> str:
    """Of drawings, and the colours of the page around them."""
    rules = [
        f":root{{{_colours(0)}color-scheme:light dark}}",
        f"@media (prefers-color-scheme:dark){{:root{{{_colours(1)}}}}}",
        "svg text{font:12px system-ui,sans-serif;fill:var(--ink)}",
        "svg .small{font-size:10.5px;fill:var(--muted)}",
        "svg .title{font-size:13.5px;font-weight:600}",
        "svg .grid{stroke:var(--grid);stroke-width:1;fill:none}",
        "svg .axis{stroke:var(--muted);stroke-width:1.2;fill:none}",
        "svg .whisker{stroke:var(--ink);stroke-width:1;fill:none}",
        "svg .bar{fill:currentColor}",
        "svg .rest{fill:currentColor;fill-opacity:.4}",
        "svg .series{stroke:currentColor;stroke-width:1.8;fill:none;stroke-linejoin:round}",
        "svg .ground{fill:var(--ground)}",
    ]
    rules += [f".{class_of(name)}{{color:var(--{class_of(name)})}}" for name in COLOURS]
    return "\n".join(rules)


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


class Drawing:
    """Elements in the order in which they are drawn. Lengths are pixels, y grows downwards."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._parts: list[str] = []

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        ends = f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"'
        self._parts.append(f'<line class="{kind}" {ends}/>')

    def rect(self, x: float, y: float, width: float, height: float, kind: str, tip: str) -> None:
        size = f'x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0.5))}" height="{_n(height)}"'
        self._parts.append(f'<rect class="{kind}" {size}><title>{escape(tip)}</title></rect>')

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        where = f'x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"'
        self._parts.append(f'<text class="{kind}" {where}>{escape(text)}</text>')

    def series(self, points: Sequence[tuple[float, float]], manager: str, tip: str) -> None:
        """A line with a dot at each point."""
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        dash = f' stroke-dasharray="{_DASHES[manager]}"' if manager in _DASHES else ""
        centres = [f'cx="{_n(x)}" cy="{_n(y)}"' for x, y in points]
        dots = "".join(f'<circle class="bar" {centre} r="2.4"/>' for centre in centres)
        line = f'<polyline class="series" points="{path}"{dash}/>'
        self._parts.append(
            f'<g class="{class_of(manager)}"><title>{escape(tip)}</title>{line}{dots}</g>'
        )

    def legend(self, managers: Sequence[str], x: float, y: float) -> float:
        """In lines that fit the width; returns the y below them."""
        place = x
        for name in managers:
            needed = 26 + 7 * len(name)
            if place > x and place + needed > self.width:
                place, y = x, y + 18
            self.rect(place, y - 9, 10, 10, f"bar {class_of(name)}", name)
            self.text(place + 15, y, name)
            place += needed
        return y + 18

    def render(self, alone: bool) -> str:
        """alone: as a file; otherwise for a page that has the style sheet."""
        size = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}" width="{_n(self.width)}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} height="{_n(self.height)}" '
        head += f'role="img" aria-label={quoteattr(self.title)}>'
        if alone:
            head += f"<style>{escape(style_sheet())}</style>"
            head += '<rect class="ground" width="100%" height="100%"/>'
        return head + "\n" + "\n".join(self._parts) + "\n</svg>\n"


class LogScale:
    """Values above 0 to places; the ends are made round, so that ticks stand on them."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self.ticks = _log_ticks(min(positive), max(positive))
        self.start, self.end = start, end
        self._low, self._high = math.log(self.ticks[0]), math.log(self.ticks[-1])

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.ticks[0]), self.ticks[-1])
        part = (math.log(inside) - self._low) / (self._high - self._low)
        return self.start + part * (self.end - self.start)


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 of each decade from below low to above high; decades alone when these are many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1
    steps = (1, 2, 5) if math.log10(high / low) < 2.5 else (1,)
    every = [step * 10.0**decade for decade in range(first - 1, last + 1) for step in steps]
    below = max(tick for tick in every if tick <= low * 1.0000001)
    above = min(tick for tick in every if tick >= high * 0.9999999 and tick > below)
    return [tick for tick in every if below <= tick <= above]


def linear_ticks(high: float) -> list[float]:
    """From 0 to above high, four to ten of them."""
    step = 10.0 ** math.floor(math.log10(high)) if high > 0 else 1.0
    for part in (0.2, 0.5, 1.0):
        if high / (step * part) <= 9:
            step *= part
            break
    count = max(1, math.ceil(high / step - 1e-9))
    return [round(i * step, 12) for i in range(count + 1)]
