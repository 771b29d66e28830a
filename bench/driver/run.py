# SPDX-License-Identifier: BSD-2-Clause
"""One cell as a process, and all cells in rounds.

A worker that fails, hangs, or prints what it should not makes a failed run with its reason and
nothing else: the others go on. A cell that its manager cannot do, or that did not end in time, is
not tried again. The file is written after each round, and at the end of an interrupted run.
"""
from __future__ import annotations

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from . import machine
from .catalog import MANAGERS, Workload, parse_list
from .errors import BenchError
from .matrix import Cell, schedule
from .results import CellResult, Results, Run

SKIPPED = 3  # the exit status of a worker that says `skip REASON`
_SHOWN = 300  # characters of what a worker said on stderr


@dataclass(frozen=True)
class Worker:
    """An executable, and what its --list says."""

    manager: str
    program: Path
    workloads: dict[str, Workload]


def find_build(root: Path) -> Path:
    """The build directory that is taken when none is named: the first one with workers in it."""
    for name in ("build/release", "build/test/release", "build"):
        if _programs(root / name):
            return root / name
    raise BenchError("no worker in build/release or build: build gyre first, or name --build DIR")


def _programs(build: Path) -> dict[str, Path]:
    """The workers of a build directory, or of the folder bench in one, by manager."""
    for folder in (build / "bench", build):
        found = {name: folder / f"bench-{name}" for name in MANAGERS}
        found = {name: path for name, path in found.items() if os.access(path, os.X_OK)}
        found = {name: path for name, path in found.items() if path.is_file()}
        if found:
            return found
    return {}


def find_workers(build: Path, asked: Sequence[str] | None) -> tuple[list[Worker], list[str]]:
    """The workers asked for, or all there are; and the names of the known ones that are not."""
    if not build.is_dir():
        raise BenchError(f"no build directory {build}")
    programs = _programs(build)
    for name in asked or ():
        if name not in MANAGERS:
            raise BenchError(f"unknown manager {name!r}: there are {', '.join(MANAGERS)}")
        if name not in programs:
            raise BenchError(f"no worker bench-{name} in {build}")
    if not programs:
        raise BenchError(f"no worker in {build}: bench-{MANAGERS[0]} and others are built there")
    names = [name for name in MANAGERS if name in (asked or programs)]
    absent = [name for name in MANAGERS if name not in programs]
    return [_ask(name, programs[name]) for name in names], absent


def _ask(manager: str, program: Path) -> Worker:
    try:
        done = subprocess.run(
            [program, "--list"], capture_output=True, text=True, timeout=20, check=False
        )
        if done.returncode != 0:
            said = done.stderr.strip()[-_SHOWN:]
            raise BenchError(f"{program} --list: exit status {done.returncode}: {said}")
        return Worker(manager, program, {one.name: one for one in parse_list(done.stdout)})
    except subprocess.TimeoutExpired:
        raise BenchError(f"{program} --list: no end") from None
    except (OSError, ValueError) as error:
        raise BenchError(f"{program}: {error}") from error


def parse_metrics(text: str) -> dict[str, float]:
    """The lines NAME VALUE. ValueError says what is wrong with the first one that is not."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) != 2:
            raise ValueError(f"not NAME VALUE: {line!r}")
        try:
            value = float(words[1])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"not a number: {line!r}")
        if words[0] in found:
            raise ValueError(f"twice: {words[0]}")
        found[words[0]] = value
    if not found:
        raise ValueError("nothing was printed")
    return found


def run_cell(program: Path, words: Sequence[str], number: int, timeout: float) -> Run:
    """One process. It has a session of its own: a Ctrl-C is the driver's, and what hangs is killed
    with all that it started."""
    begin, before = time.monotonic(), machine.cpu_times()
    try:
        process = subprocess.Popen(
            [program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        return Run(number, "failed", f"cannot be started: {error.strerror}")
    try:
        out, err = process.communicate(timeout=timeout)
        run = _outcome(number, process.returncode, out, err)
    except subprocess.TimeoutExpired:
        run = Run(number, "timeout", f"no end within {timeout:g} s")
    finally:
        _kill(process)
    run.took_s = time.monotonic() - begin
    run.steal = machine.steal_share(before, machine.cpu_times())
    return run


def _kill(process: subprocess.Popen[str]) -> None:
    """All of its session that still runs. Once it was waited for its id may be another's."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def _outcome(number: int, status: int, out: str, err: str) -> Run:
    if status == SKIPPED:
        words = out.strip().splitlines()[-1:] or [""]
        reason = words[0].removeprefix("skip").strip()
        return Run(number, "skipped", reason or "no reason given")
    if status != 0:
        if status < 0:
            try:
                reason = f"killed by {signal.Signals(-status).name}"
            except ValueError:
                reason = f"killed by signal {-status}"
        else:
            reason = f"exit status {status}"
        said = " ".join(err.split())[-_SHOWN:]
        return Run(number, "failed", f"{reason}: {said}" if said else reason)
    try:
        return Run(number, "ok", metrics=parse_metrics(out))
    except ValueError as error:
        return Run(number, "failed", f"its output: {error}")


def clock(seconds: float) -> str:
    """3:07, 1:02:10."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """What is done and how long the rest will take, on a terminal; silent elsewhere."""

    def __init__(self, plan: Sequence[tuple[int, Cell]], out: TextIO) -> None:
        self.left: list[Cell] = [cell for _, cell in plan]
        self.count = len(plan)
        self.took: dict[Cell, list[float]] = {}
        self.out = out
        self.shown = out.isatty()
        self.begin = time.monotonic()

    def remaining(self) -> float | None:
        """A cell is expected to take as long as in the rounds before, one that has not run yet as
        long as those that have, on average. None before the first."""
        means = {cell: sum(times) / len(times) for cell, times in self.took.items()}
        if not means:
            return None
        typical = sum(means.values()) / len(means)
        return sum(means.get(cell, typical) for cell in self.left)

    def start(self, number: int, rounds: int, cell: Cell) -> None:
        if not self.shown:
            return
        left = self.remaining()
        rest = "" if left is None else f", about {clock(left)} left"
        done = self.count - len(self.left)
        line = f"[{done + 1}/{self.count}] round {number} of {rounds}: {cell.title()}"
        elapsed = clock(time.monotonic() - self.begin)
        print(f"\r\033[K{line}; {elapsed}{rest}", end="", file=self.out, flush=True)

    def done(self, cell: Cell, took: float | None) -> None:
        """took: None when the cell was not tried."""
        self.left.pop(0)
        if took is not None:
            self.took.setdefault(cell, []).append(took)

    def say(self, text: str) -> None:
        print(("\r\033[K" if self.shown else "") + text, file=self.out, flush=True)

    def end(self) -> None:
        if self.shown:
            print("\r\033[K", end="", file=self.out, flush=True)


def measure(
    results: Results,
    workers: Sequence[Worker],
    *,
    timeout: float,
    out: TextIO,
    save: Callable[[], Any],
) -> None:
    """Runs all cells of results in rounds and fills them; calls save after each round.

    A KeyboardInterrupt ends the run between two cells or within one, whose process is killed; the
    caller writes what there is.
    """
    by_name = {worker.manager: worker for worker in workers}
    cells = {result.cell: result for result in results.cells}
    plan = list(schedule(list(cells), results.rounds))
    progress = Progress(plan, out)
    last = 1
    for number, cell in plan:
        if number != last:
            save()
            last = number
        result = cells[cell]
        if any(run.status in ("skipped", "timeout") for run in result.runs):
            progress.done(cell, None)
            continue
        progress.start(number, results.rounds, cell)
        started = time.monotonic() - progress.begin
        run = _measure_cell(by_name[cell.manager], cell, number, results, timeout)
        run.started = started
        result.runs.append(run)
        progress.done(cell, run.took_s)
        if run.status in ("failed", "timeout"):
            progress.say(f"{cell.title()}, round {number}: {run.status}: {run.reason}")
    progress.end()


def _measure_cell(
    worker: Worker, cell: Cell, number: int, results: Results, timeout: float
) -> Run:
    if cell.group.workload not in worker.workloads:
        return Run(number, "skipped", f"bench-{worker.manager} has no such workload")
    # The same seed for all managers of a round, another one in the next.
    words = cell.arguments(results.seconds, results.seed + number - 1)
    return run_cell(worker.program, words, number, timeout)
