# SPDX-License-Identifier: BSD-2-Clause
"""The cells of a run and the order in which they run. Pure functions.

A cell is one worker's process: workload, manager, threads, size and pinning. The cells that are
compared with each other, the managers of one such group, follow each other in a round: A B C, and
in the next round A B C again. The groups of one workload follow each other, too.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .errors import BenchError

PINS = ("spare", "shared")
_SUFFIXES = {"k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


@dataclass(frozen=True)
class Group:
    """Cells that are compared: they differ in the manager only."""

    workload: str
    threads: int
    live: int | None  # None: the workload's own size
    pin: str

    def title(self) -> str:
        return f"{self.workload}, {self.configuration()}"

    def configuration(self) -> str:
        parts = ["1 thread" if self.threads == 1 else f"{self.threads} threads"]
        if self.live is not None:
            name = "depth" if self.workload == "trees" else "live"
            parts.append(f"{name} {show_size(self.live)}")
        parts.append("a spare core" if self.pin == "spare" else "shared cores")
        return ", ".join(parts)


@dataclass(frozen=True)
class Cell:
    group: Group
    manager: str

    def title(self) -> str:
        return f"{self.group.workload}, {self.manager}, {self.group.configuration()}"

    def arguments(self, seconds: float, seed: int) -> list[str]:
        """What follows the program's name."""
        group = self.group
        words = [group.workload, "--threads", str(group.threads)]
        if group.live is not None:
            words += ["--live", str(group.live)]
        return [*words, "--seconds", f"{seconds:g}", "--seed", str(seed), "--pin", group.pin]


def parse_size(text: str) -> int:
    """1000, 20k, 1M, 1.5M: decimal thousands."""
    factor = _SUFFIXES.get(text[-1:].lower(), 1)
    digits = text[:-1] if factor > 1 else text
    try:
        value = float(digits) * factor
        if value != int(value) or value < 1:
            raise ValueError
    except (ValueError, OverflowError):
        raise BenchError(f"not a size: {text!r} (as in 1000, 20k, 8M)") from None
    return int(value)


def show_size(value: int) -> str:
    for suffix, factor in (("M", 1_000_000), ("k", 1_000)):
        if value >= factor and value % (factor // 10) == 0:
            return f"{value / factor:g} {suffix}"
    return str(value)


def pins_for(threads: int, asked: Sequence[str], cores: int) -> list[str]:
    """The pinnings that so many threads can have. Without a core left over there is `shared` only,
    whatever was asked for: a cell must not bear a label that its run cannot keep."""
    possible = [pin for pin in asked if pin != "spare" or threads < cores]
    return possible or ["shared"]


def groups(
    workloads: Sequence[str],
    threads: Mapping[str, Sequence[int]],
    sizes: Mapping[str, Sequence[int]],
    pins: Sequence[str],
    cores: int,
) -> list[Group]:
    """The groups in their order; threads: of each workload; sizes: its --live values, none: its
    own."""
    found = []
    for workload in workloads:
        for live in sizes.get(workload) or [None]:
            for count in threads[workload]:
                for pin in pins_for(count, pins, cores):
                    found.append(Group(workload, count, live, pin))
    return list(dict.fromkeys(found))


def cells(group_list: Sequence[Group], managers: Sequence[str]) -> list[Cell]:
    """Of all groups, the managers of a group next to each other."""
    return [Cell(group, manager) for group in group_list for manager in managers]


def schedule(cell_list: Sequence[Cell], rounds: int) -> Iterator[tuple[int, Cell]]:
    """(round from 1, cell): all cells once in each round."""
    for number in range(1, rounds + 1):
        for cell in cell_list:
            yield number, cell
