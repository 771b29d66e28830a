# SPDX-License-Identifier: BSD-2-Clause
"""The JSON file of a run: written, read, checked. docs/benchmarks.md describes it.

It keeps each metric of each run as the worker printed it. Everything else, ratios and medians
too, is made from these when it is shown, so that an old file gains from a new table.
"""
from __future__ import annotations

import json
import math
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .catalog import Workload
from .errors import BenchError
from .matrix import PINS, Cell, Group

FORMAT = "gyre-bench"
VERSION = 1
STATUSES = ("ok", "failed", "skipped", "timeout")


@dataclass
class Run:
    """One process of a cell."""

    round: int
    status: str  # of STATUSES
    reason: str = ""  # unless ok
    metrics: dict[str, float] = field(default_factory=dict)
    started: float = 0.0  # seconds since the start of the whole run
    took_s: float = 0.0
    steal: float = 0.0  # share of the machine's time that other guests of its host took


@dataclass
class CellResult:
    cell: Cell
    runs: list[Run] = field(default_factory=list)

    def samples(self, metric: str) -> dict[int, float]:
        """Its values by round."""
        return {
            run.round: run.metrics[metric]
            for run in self.runs
            if run.status == "ok" and metric in run.metrics
        }

    def troubles(self) -> list[Run]:
        return [run for run in self.runs if run.status != "ok"]


@dataclass
class Results:
    command: list[str]
    seed: int
    rounds: int
    seconds: float
    workloads: dict[str, Workload]
    cells: list[CellResult]
    machine: dict[str, Any] = field(default_factory=dict)
    commit: str | None = None
    started: str = ""
    ended: str = ""
    complete: bool = False  # False: interrupted, or still running
    absent: list[str] = field(default_factory=list)  # managers without a worker in the build
    baselines: dict[str, str] = field(default_factory=dict)  # overrides; "": all workloads

    def groups(self) -> dict[Group, list[CellResult]]:
        found: dict[Group, list[CellResult]] = {}
        for result in self.cells:
            found.setdefault(result.cell.group, []).append(result)
        return found

    def to_json(self) -> dict[str, Any]:
        cells = []
        for result in self.cells:
            runs = [asdict(run) for run in result.runs]
            cell = {**asdict(result.cell.group), "manager": result.cell.manager, "runs": runs}
            cells.append(cell)
        return {
            "format": FORMAT,
            "version": VERSION,
            "command": self.command,
            "commit": self.commit,
            "started": self.started,
            "ended": self.ended,
            "complete": self.complete,
            "seed": self.seed,
            "rounds": self.rounds,
            "seconds": self.seconds,
            "machine": self.machine,
            "absent": self.absent,
            "baselines": self.baselines,
            "workloads": {name: asdict(w) for name, w in self.workloads.items()},
            "cells": cells,
        }


def save(results: Results, path: Path) -> None:
    """In one step: whoever reads the file, or is killed here, finds the old one or the new one."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".")
        try:
            os.fchmod(handle, 0o644)
            with open(handle, "w", encoding="utf-8") as file:
                json.dump(results.to_json(), file, indent=1, allow_nan=False)
                file.write("\n")
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}") from error


def load(path: Path) -> Results:
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BenchError(f"{path}: not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BenchError(f"{path}: not a file of gyre-bench")
    if data.get("version") != VERSION:
        raise BenchError(f"{path}: version {data.get('version')!r}, this one reads {VERSION}")
    try:
        return _from_json(data)
    except KeyError as error:
        raise BenchError(f"{path}: {error.args[0]!r} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BenchError(f"{path}: {error}") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _from_json(data: dict[str, Any]) -> Results:
    return Results(
        command=[_typed(word, str, "a word of command") for word in data["command"]],
        seed=_typed(data["seed"], int, "seed"),
        rounds=_typed(data["rounds"], int, "rounds"),
        seconds=_number(data["seconds"], "seconds"),
        workloads={name: _workload(name, of) for name, of in data["workloads"].items()},
        cells=_cells(data["cells"], data["workloads"]),
        machine=_typed(data["machine"], dict, "machine"),
        commit=data["commit"],
        started=_typed(data["started"], str, "started"),
        ended=_typed(data["ended"], str, "ended"),
        complete=_typed(data["complete"], bool, "complete"),
        absent=[_typed(name, str, "a name in absent") for name in data["absent"]],
        baselines=_typed(data["baselines"], dict, "baselines"),
    )


def _workload(name: str, data: dict[str, Any]) -> Workload:
    keys = ("name", "unit", "kind", "what")
    return Workload(*(_typed(data[key], str, f"{key} of {name}") for key in keys))


def _cells(data: list[dict[str, Any]], workloads: dict[str, Any]) -> list[CellResult]:
    found: dict[Cell, CellResult] = {}
    for one in data:
        if one["workload"] not in workloads:
            raise ValueError(f"a cell of {one['workload']!r}, which is not among the workloads")
        if one["pin"] not in PINS:
            raise ValueError(f"a cell's pin is {one['pin']!r}")
        live = one["live"]
        group = Group(
            one["workload"],
            _typed(one["threads"], int, "threads"),
            None if live is None else _typed(live, int, "live"),
            one["pin"],
        )
        cell = Cell(group, _typed(one["manager"], str, "manager"))
        if cell in found:
            raise ValueError(f"two cells {cell.title()}")
        found[cell] = CellResult(cell, [_run(run) for run in one["runs"]])
    return list(found.values())


def _run(data: dict[str, Any]) -> Run:
    if data["status"] not in STATUSES:
        raise ValueError(f"a run's status is {data['status']!r}")
    return Run(
        round=_typed(data["round"], int, "round"),
        status=data["status"],
        reason=_typed(data["reason"], str, "reason"),
        metrics={name: _number(value, name) for name, value in data["metrics"].items()},
        started=_number(data["started"], "started"),
        took_s=_number(data["took_s"], "took_s"),
        steal=_number(data["steal"], "steal"),
    )


def _typed(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{what} is {value!r}, not of type {kind.__name__}")
    return value


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{what} is {value!r}, not a number")
    return float(value)
