# SPDX-License-Identifier: BSD-2-Clause
"""The commands run, report, table and compare. Exit status: 0, 2 for bad usage or input, 130 for a
run that was interrupted (its file is written). No measurement makes it fail."""
from __future__ import annotations

import argparse
import datetime
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import compare, goals, machine, matrix, report, run, tables
from .catalog import MANAGERS, QUICK_SIZES, SIZES, THREADS, Workload
from .errors import BenchError
from .results import CellResult, Results, load, save

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTED = 130
WHOLE = (5, 1.0)  # rounds, seconds
QUICK = (2, 0.05)


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(word for word in text.split(",") if word))


def _threads(text: str) -> list[int]:
    try:
        found = [int(word) for word in _names(text)]
    except ValueError:
        found = []
    if not found or min(found) < 1:
        raise BenchError(f"not numbers of threads: {text!r} (as in 1,2)")
    return found


def _pins(text: str) -> list[str]:
    found = _names(text)
    if not found or any(pin not in matrix.PINS for pin in found):
        raise BenchError(f"not a list of {', '.join(matrix.PINS)}: {text!r}")
    return found


def _sizes(options: Sequence[str]) -> dict[str, list[int]]:
    """LIST for all workloads that have one ("") or WORKLOAD=LIST."""
    found = {}
    for option in options:
        name, equals, values = option.rpartition("=")
        if not values or (equals and not name):
            raise BenchError(f"not a list of sizes: {option!r} (as in 1M,8M or trees=18,20)")
        found[name] = [matrix.parse_size(word) for word in _names(values)]
    return found


def _baselines(options: Sequence[str]) -> dict[str, str]:
    found = {}
    for option in options:
        name, _, manager = option.rpartition("=")
        if manager not in MANAGERS:
            raise BenchError(f"unknown manager {manager!r} of --baseline")
        found[name] = manager
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gyre-bench",
        description="Runs gyre's benchmarks, makes tables and pages of them, compares two runs.",
        epilog="docs/benchmarks.md describes the method and the file.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    baseline = argparse.ArgumentParser(add_help=False)
    baseline.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="[WORKLOAD=]MANAGER",
        help="ratios to this manager (mimalloc for churn, rings and trees, else malloc)",
    )

    one = commands.add_parser("run", parents=[baseline], help="measure the matrix")
    one.add_argument("--build", type=Path, metavar="DIR", help="build directory (build/release)")
    one.add_argument("--workloads", metavar="A,B", help="all that the workers have, by default")
    one.add_argument("--managers", metavar="A,B", help="all that were built, by default")
    one.add_argument("--threads", metavar="1,2", help="mutators, where they are not set (1,2)")
    one.add_argument(
        "--live",
        action="append",
        default=[],
        metavar="[WORKLOAD=]1M,8M",
        help="live objects of the latency workloads (paced: 1M,4M,8M); the depth of trees (20)",
    )
    one.add_argument("--rounds", type=int, metavar="N", help=f"rounds ({WHOLE[0]})")
    one.add_argument("--seconds", type=float, metavar="S", help=f"of one cell ({WHOLE[1]:g})")
    one.add_argument("--seed", type=int, default=1, metavar="N", help="of the first round (1)")
    one.add_argument("--pin", metavar="spare,shared", help="where mutators run (spare,shared)")
    one.add_argument("--timeout", type=float, metavar="S", help="of one cell (120 + 10 x seconds)")
    one.add_argument("--goals", action="store_true", help="the cells of the goals, and their table")
    one.add_argument("--quick", action="store_true", help="tiny cells: shows only that all works")
    one.add_argument("--dry-run", action="store_true", help="name the cells and run none")
    one.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="the samples")
    one.set_defaults(do=_run)

    one = commands.add_parser("report", parents=[baseline], help="an HTML page and SVG plots")
    one.add_argument("file", type=Path, metavar="FILE.json")
    one.add_argument("-o", "--output", type=Path, metavar="DIR|FILE.html")
    one.set_defaults(do=_report)

    one = commands.add_parser("table", parents=[baseline], help="the tables")
    one.add_argument("file", type=Path, metavar="FILE.json")
    one.add_argument("--markdown", action="store_true", help="for docs/performance.md")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--goals", action="store_true", help="the table of goals only")
    which.add_argument("--brief", action="store_true", help="managers side by side")
    one.set_defaults(do=_table)

    one = commands.add_parser("compare", help="B / A, and what is beyond the noise")
    one.add_argument("a", type=Path, metavar="A.json")
    one.add_argument("b", type=Path, metavar="B.json")
    one.add_argument("--all", action="store_true", help="all metrics, not only each cell's first")
    one.add_argument("--common", action="store_true", help="only the cells that both have")
    one.set_defaults(do=_compare)
    return parser


def _known_workloads(workers: Sequence[run.Worker]) -> dict[str, Workload]:
    """By the first worker that has each. They are built from one source, so they agree."""
    found: dict[str, Workload] = {}
    for worker in workers:
        for name, workload in worker.workloads.items():
            found.setdefault(name, workload)
    return found


def _chosen_sizes(options: Any, known: dict[str, Workload]) -> dict[str, list[int]]:
    asked = _sizes(options.live)
    unknown = [name for name in asked if name and name not in known]
    if unknown:
        raise BenchError(f"--live of an unknown workload {unknown[0]!r}")
    sizes = {name: list(of) for name, of in (QUICK_SIZES if options.quick else SIZES).items()}
    if "" in asked:
        latencies = [name for name, of in known.items() if of.kind == "latency"]
        sizes.update({name: asked[""] for name in latencies})
    sizes.update({name: of for name, of in asked.items() if name})
    return sizes


def _plan(options: Any) -> tuple[Results, list[run.Worker]]:
    if options.goals and (options.workloads or options.threads or options.live):
        raise BenchError("--goals chooses --workloads, --threads and --live itself")
    build = options.build or run.find_build(ROOT)
    managers = _names(options.managers) if options.managers is not None else None
    if managers == []:
        raise BenchError("--managers names none")
    workers, absent = run.find_workers(build, managers)
    if options.goals and managers is None:
        workers = [worker for worker in workers if worker.manager in goals.MANAGERS]
        absent = [name for name in absent if name in goals.MANAGERS]
    elif managers is not None:
        absent = []
    known = _known_workloads(workers)
    names = list(known)
    if options.goals:
        names = goals.workloads()
    elif options.workloads is not None:
        names = _names(options.workloads)
    for name in names:
        if name not in known:
            raise BenchError(f"unknown workload {name!r}: there are {', '.join(known) or 'none'}")
    if not names:
        raise BenchError("no workload")
    rounds, seconds = QUICK if options.quick else WHOLE
    rounds = options.rounds if options.rounds is not None else rounds
    seconds = options.seconds if options.seconds is not None else seconds
    if rounds < 1 or not 0 < seconds < 86400:
        raise BenchError("--rounds is at least 1, --seconds above 0")
    if options.timeout is not None and not options.timeout > 0:
        raise BenchError("--timeout is above 0")
    asked = [1] if options.goals else _threads(options.threads or "1,2")
    threads = {name: [THREADS[name]] if name in THREADS else asked for name in names}
    sizes = goals.sizes() if options.goals else _chosen_sizes(options, known)
    pins = _pins(options.pin or ",".join(matrix.PINS))
    cores = len(os.sched_getaffinity(0))
    group_list = matrix.groups(names, threads, sizes, pins, cores)
    cells = matrix.cells(group_list, [worker.manager for worker in workers])
    results = Results(
        command=["gyre-bench", *sys.argv[1:]],
        seed=options.seed,
        rounds=rounds,
        seconds=seconds,
        workloads={name: known[name] for name in names},
        cells=[CellResult(cell) for cell in cells],
        machine=machine.describe(build),
        commit=machine.commit(ROOT),
        absent=absent,
        baselines=_baselines(options.baseline),
    )
    return results, workers


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def _interrupt(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


def _run(options: Any) -> int:
    results, workers = _plan(options)
    if options.dry_run:
        for cell in results.cells:
            print(cell.cell.title())
        print(f"{len(results.cells)} cells, {results.rounds} rounds")
        return 0
    path = options.output
    if path is not None and not path.parent.is_dir():
        raise BenchError(f"no folder {path.parent}")
    results.started = _now()
    ticks = machine.cpu_times()

    def keep() -> None:
        results.ended = _now()
        results.machine["steal"] = machine.steal_share(ticks, machine.cpu_times())
        results.machine["load_after"] = list(os.getloadavg())
        if path is not None:
            save(results, path)

    # Handlers of our own, as a shell starts what it runs in the background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    timeout = options.timeout or 120 + 10 * results.seconds
    try:
        run.measure(results, workers, timeout=timeout, out=sys.stderr, save=keep)
        results.complete = True
    except KeyboardInterrupt:
        print("\ngyre-bench: interrupted", file=sys.stderr)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    keep()
    _show(results, {}, which="goals" if options.goals else "all", markdown=False)
    if path is not None:
        print(f"samples: {path}")
    return 0 if results.complete else INTERRUPTED


def _show(results: Results, overrides: dict[str, str], *, which: str, markdown: bool) -> None:
    if which == "goals":
        found = [tables.goal_table(results), tables.trouble_table(results)]
        shown = [table for table in found if table is not None]
    elif which == "brief":
        shown = tables.brief_tables(results, overrides)
    else:
        shown = tables.all_tables(results, overrides)
    text = tables.markdown if markdown else tables.plain
    print("\n".join(text(tables.compact(table)) for table in shown))


def _report(options: Any) -> int:
    results = load(options.file)
    target = options.output or options.file.with_suffix(".html")
    written = report.write(results, target, _baselines(options.baseline))
    print(f"{written[0]} and {len(written) - 1} plots")
    return 0


def _table(options: Any) -> int:
    results = load(options.file)
    if options.goals and tables.goal_table(results) is None:
        raise BenchError(f"{options.file}: no cell of a goal (--goals measures them)")
    overrides = _baselines(options.baseline)
    which = "goals" if options.goals else "brief" if options.brief else "all"
    _show(results, overrides, which=which, markdown=options.markdown)
    return 0


def _compare(options: Any) -> int:
    a, b = load(options.a), load(options.b)
    changes = compare.compare(a, b, every=options.all, common=options.common)
    for line in compare.conditions(a, b):
        print(f"note: {line}")
    for line in compare.lost(a, b, common=options.common):
        print(f"note: {line}")
    print(tables.plain(compare.table(changes)), end="")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(words)
    try:
        status: int = options.do(options)
        sys.stdout.flush()
        return status
    except BenchError as error:
        print(f"gyre-bench: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read the tables has seen enough; nothing may be flushed to them at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
