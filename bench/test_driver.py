#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The driver's tests: its parts alone, then its commands with workers whose figures are made up.

No benchmark runs here, and no time is judged but that of a worker that hangs.
"""
import contextlib
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from driver import catalog, cli, compare, goals, matrix, plots, report, run  # noqa: E402
from driver import stats, summary, svg, tables  # noqa: E402
from driver.errors import BenchError  # noqa: E402
from driver.matrix import Cell, Group  # noqa: E402
from driver.results import CellResult, Results, Run, load, save  # noqa: E402

CHURN = Group("churn", 1, None, "spare")
PACED = Group("paced", 2, 8_000_000, "shared")
LISTED = {
    "churn": catalog.Workload("churn", "ns/object", "throughput", "objects"),
    "rings": catalog.Workload("rings", "Mobj/s", "throughput", "rings <of> objects & more"),
    "paced": catalog.Workload("paced", "us", "latency", "paced"),
}


def cell(group, manager, figures):
    """figures: of each round, a dict; None: the run failed."""
    runs = [
        Run(i, "ok", metrics=of) if of is not None else Run(i, "failed", "exit status 1: <no>")
        for i, of in enumerate(figures, 1)
    ]
    return CellResult(Cell(group, manager), runs)


def results(cells, **more):
    rounds = max(len(one.runs) for one in cells)
    return Results(["gyre-bench", "run"], 1, rounds, 1.0, LISTED, cells, complete=True, **more)


def recorded():
    """A run with everything a report can show: three kinds of workloads, failures, phases."""

    def latency(factor):
        of = {f"lat_{p}_us": factor * 3.0**i for i, p in enumerate(catalog.PERCENTILES)}
        of.update({name: 0.5 + 0.1 * i for i, (name, _, _) in enumerate(catalog.MMU_WINDOWS)})
        return of | {"mutator_cpu_s": 1.0, "other_cpu_s": 0.5 * factor, "operations": 1e6}

    def churn(ns, other):
        cpu = {"mutator_cpu_s": 1.0, "other_cpu_s": other, "operations": 1e9 / ns}
        return cpu | {"ns_per_op": ns, "mops": 1e3 / ns, "rss_peak_bytes": ns * 2**20}

    phases = {f"gyre_s_{name}": float(i) for i, name in enumerate(catalog.PHASES, 1)}
    rings = Group("rings", 2, None, "shared")
    return results(
        [
            cell(CHURN, "tagged", [churn(8.0 + i, 0.25) | phases for i in range(3)]),
            cell(CHURN, "mimalloc", [churn(10.0 + i, 0.0) for i in range(3)]),
            cell(CHURN, "bdwgc", [churn(900.0, 0.0), None, churn(800.0, 0.0)]),
            cell(rings, "tagged", [churn(20.0, 0.5)] * 3),
            cell(rings, "mimalloc", [churn(10.0, 0.0)] * 3),
            cell(PACED, "tagged", [latency(1.5)] * 3),
            cell(PACED, "malloc", [latency(1.0)] * 3),
            cell(PACED, "counts", [None] * 3),
        ],
        absent=["jemalloc"],
        machine={"cpu": "a <processor>", "steal": 0.01, "options": {"checks": False}},
    )


class Statistics(unittest.TestCase):
    def test_spread(self):
        self.assertEqual(stats.spread([3, 1, 2, 5, 4]), stats.Spread(3, 2, 4, 5))
        self.assertEqual(stats.spread([1, 2, 3, 4]), stats.Spread(2.5, 1.75, 3.25, 4))
        self.assertEqual(stats.spread([7]), stats.Spread(7, 7, 7, 1))
        self.assertIsNone(stats.spread([]))

    def test_ratios_are_taken_round_by_round(self):
        # The machine is twice as slow in round 2. The ratio of the medians would be 1.5.
        mine, base = {1: 10, 2: 20, 4: 30}, {1: 10, 2: 20, 3: 10, 4: 0}
        self.assertEqual(stats.round_ratios(mine, base), [1, 1])
        self.assertEqual(stats.round_ratios({1: 1}, {2: 1}), [])

    def test_bootstrap(self):
        a, b = [10, 11, 12, 10, 11], [20, 22, 24, 20, 22]
        low, high = stats.bootstrap_ratio(a, b, seed=7)
        self.assertEqual((low, high), stats.bootstrap_ratio(a, b, seed=7))
        self.assertTrue(1.6 < low < 2 < high < 2.5, (low, high))
        self.assertEqual(stats.bootstrap_ratio([2, 2], [3, 3]), (1.5, 1.5))
        self.assertIsNone(stats.bootstrap_ratio([0, 0], [1, 1]))
        self.assertIsNone(stats.bootstrap_ratio([], [1]))

    def test_rank_sum(self):
        five, above = [1, 2, 3, 4, 5], [6, 7, 8, 9, 10]
        self.assertAlmostEqual(stats.mann_whitney(five, above), 2 / 252)
        self.assertAlmostEqual(stats.mann_whitney(above, five), 2 / 252)
        self.assertAlmostEqual(stats.smallest_p(5, 5), 2 / 252)
        # By hand: of 20 ways to choose 3 of 6 ranks, 4 are as far from the mean as 1 + 2 + 4.
        self.assertAlmostEqual(stats.mann_whitney([1, 2, 4], [3, 5, 6]), 4 / 20)
        self.assertEqual(stats.mann_whitney([1, 1, 1], [1, 1, 1]), 1)
        # Ties share a rank: 1.5, 1.5 | 3.5, 3.5, twice among 6 ways.
        self.assertAlmostEqual(stats.mann_whitney([1, 1], [2, 2]), 2 / 6)

    def test_rank_sum_of_many(self):
        many = list(range(21))
        self.assertAlmostEqual(stats.mann_whitney(many, many), 1)
        self.assertLess(stats.mann_whitney(many, [30 + i for i in many]), 1e-6)
        self.assertEqual(stats.mann_whitney([1] * 30, [1] * 30), 1)


class Matrix(unittest.TestCase):
    def test_managers_are_interleaved_and_workloads_adjacent(self):
        threads = {"churn": [1], "paced": [1]}
        found = matrix.groups(["churn", "paced"], threads, {"paced": [5, 6]}, ["shared"], 2)
        order = list(matrix.schedule(matrix.cells(found, ["a", "b", "c"]), 2))
        self.assertEqual([c.manager for _, c in order], list("abc") * 6)
        self.assertEqual([number for number, _ in order], [1] * 9 + [2] * 9)
        once = [(c.group.workload, c.group.live) for _, c in order[:9]]
        self.assertEqual(once, [("churn", None)] * 3 + [("paced", 5)] * 3 + [("paced", 6)] * 3)
        self.assertEqual([c for _, c in order[9:]], [c for _, c in order[:9]])

    def test_no_spare_core(self):
        found = matrix.groups(["churn"], {"churn": [1, 2, 3]}, {}, ["spare", "shared"], 2)
        pins = [(group.threads, group.pin) for group in found]
        self.assertEqual(pins, [(1, "spare"), (1, "shared"), (2, "shared"), (3, "shared")])
        only = matrix.groups(["churn"], {"churn": [2]}, {}, ["spare"], 2)
        self.assertEqual([group.pin for group in only], ["shared"])

    def test_sizes(self):
        self.assertEqual([matrix.parse_size(w) for w in ("20", "5k", "1.5M")], [20, 5000, 1500000])
        self.assertEqual([matrix.show_size(v) for v in (20, 5000, 1500000)], ["20", "5 k", "1.5 M"])
        for bad in ("", "M", "-1", "0", "1.5", "1e999", "nan", "x"):
            with self.assertRaises(BenchError, msg=bad):
                matrix.parse_size(bad)

    def test_arguments(self):
        words = " ".join(Cell(PACED, "tagged").arguments(0.5, 9))
        expected = "paced --threads 2 --live 8000000 --seconds 0.5 --seed 9 --pin shared"
        self.assertEqual(words, expected)


class Output(unittest.TestCase):
    def test_metrics(self):
        found = run.parse_metrics("a 1\nlat_p99.9_us 2.5e3\n")
        self.assertEqual(found, {"a": 1, "lat_p99.9_us": 2500})
        for bad in ("", "a", "a b", "a 1 2", "a nan", "a inf", "a 1\na 2"):
            with self.assertRaises(ValueError, msg=bad):
                run.parse_metrics(bad)

    def test_list(self):
        listed = catalog.parse_list("churn\tns/object\tthroughput\tmakes objects\n")
        self.assertEqual(catalog.headline(listed[0]).name, "ns_per_op")
        with self.assertRaises(ValueError):
            catalog.parse_list("churn ns/object\n")

    def test_headlines(self):
        units = {"Mobj/s": "mops", "s": "seconds", "us": "lat_p99.9_us", "ns/store": "ns_per_op"}
        units |= {"bytes/object": "bytes_per_object_over", "Mentries/s": "entries_per_s"}
        for unit, name in units.items():
            metric = catalog.headline(catalog.Workload("any", unit, "throughput", ""))
            self.assertEqual(metric.name, name)
            self.assertEqual(metric.more_is_better, catalog.more_is_better(name))

    def test_remaining_time(self):
        cells = matrix.cells([CHURN], ["a", "b"])
        progress = run.Progress(list(matrix.schedule(cells, 2)), io.StringIO())
        self.assertIsNone(progress.remaining())
        progress.done(cells[0], 3.0)
        self.assertEqual(progress.remaining(), 9)
        progress.done(cells[1], 1.0)
        self.assertEqual(progress.remaining(), 4)
        progress.done(cells[0], None)
        self.assertEqual(progress.remaining(), 1)

    def test_progress_only_on_a_terminal(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        cells = matrix.cells([CHURN], ["a"])
        for out, shown in ((io.StringIO(), False), (Terminal(), True)):
            run.Progress([(1, cells[0])], out).start(1, 1, cells[0])
            self.assertEqual("[1/1] round 1 of 1: churn, a" in out.getvalue(), shown)


class Summary(unittest.TestCase):
    def test_costs(self):
        one = {"operations": 1e9, "mutator_cpu_s": 8, "other_cpu_s": 2, "drain_cpu_s": 1}
        two = {"operations": 1e9, "mutator_cpu_s": 10, "other_cpu_s": -0.001}
        of = results([cell(CHURN, "mimalloc", [two]), cell(CHURN, "tagged", [one])])
        block = summary.block(of, CHURN)
        self.assertEqual([row.manager for row in block.rows], ["tagged", "mimalloc"])
        tagged, mimalloc = block.rows
        self.assertEqual((tagged.mutators.median, tagged.collector.median), (8, 3))
        self.assertEqual(mimalloc.collector.median, 0)
        self.assertAlmostEqual(tagged.share.median, 3 / 11)
        # At best 8 without the collector: that is what both are measured against.
        self.assertAlmostEqual(tagged.bound_cpu.median, 11 / 8)
        self.assertAlmostEqual(mimalloc.bound_cpu.median, 10 / 8)

    def test_baselines(self):
        self.assertEqual(catalog.baseline("churn", {}), "mimalloc")
        self.assertEqual(catalog.baseline("paced", {}), "malloc")
        self.assertEqual(catalog.baseline("churn", {"": "none"}), "none")
        self.assertEqual(catalog.baseline("churn", {"": "none", "churn": "counts"}), "counts")
        block = summary.block(recorded(), CHURN, {"churn": "bdwgc"})
        self.assertAlmostEqual(block.rows[0].ratio.median, (8 / 900 + 10 / 800) / 2)

    def test_failures_are_shown(self):
        text = tables.plain(tables.trouble_table(recorded()))
        self.assertIn("churn, bdwgc, 1 thread, a spare core", text)
        self.assertIn("all of jemalloc", text)
        block = summary.block(recorded(), CHURN)
        self.assertIn("failed (1 of 3 rounds): exit status 1", block.rows[2].note)
        self.assertEqual(block.rows[2].runs, 2)

    def test_numbers(self):
        shown = [tables.number(value) for value in (0, 0.5, 0.01234, 1, 12.34, 1234567.8)]
        self.assertEqual(shown, ["0", "0.500", "0.0123", "1.00", "12.3", "1,234,568"])

    def test_markdown(self):
        text = tables.markdown(tables.Table("a", ["b", "c"], [["x|y", "1"]], ["note"]))
        self.assertEqual(text, "### a\n\n| b | c |\n| --- | --: |\n| x\\|y | 1 |\n\n- note\n")


class Goals(unittest.TestCase):
    def verdict(self, mine, base):
        of = [cell(CHURN, "tagged", [{"ns_per_op": v} for v in mine])]
        of.append(cell(CHURN, "mimalloc", [{"ns_per_op": base}] * len(mine)))
        return goals.outcomes(results(of))[0].verdict

    def test_verdicts(self):
        self.assertEqual(self.verdict([8, 9, 9.5], 10), "reached")
        self.assertEqual(self.verdict([10, 10, 10], 10), "not reached")
        self.assertEqual(self.verdict([11, 12, 13], 10), "not reached")
        self.assertEqual(self.verdict([8, 9, 13], 10), "reached, within the noise")
        without = goals.outcomes(results([cell(CHURN, "tagged", [None])]))
        self.assertEqual(without[0].verdict, "not measured")

    def test_limits(self):
        for goal in goals.GOALS:
            better = goal.limit * (1.01 if goal.at_least else 0.99)
            worse = goal.limit * (0.99 if goal.at_least else 1.01)
            self.assertTrue(goal.holds(better) and not goal.holds(worse), goal)
            self.assertEqual(goal.holds(goal.limit), not goal.strict)

    def test_paced(self):
        found = {one.goal.metric: one for one in goals.outcomes(recorded()) if one.group == PACED}
        self.assertEqual(found["lat_p99.9_us"].ratio.median, 1.5)
        self.assertEqual(found["lat_max_us"].verdict, "reached")


class Compare(unittest.TestCase):
    def runs(self, factor, rounds=5):
        values = [10.0, 10.2, 10.1, 9.9, 10.3][:rounds]
        figures = [{"ns_per_op": v * factor, "gyre_epochs": v} for v in values]
        return results([cell(CHURN, "tagged", figures)])

    def test_equal(self):
        found = compare.compare(self.runs(1), self.runs(1), every=True)
        self.assertEqual([one.metric for one in found], ["ns_per_op", "gyre_epochs"])
        self.assertEqual({one.verdict for one in found}, {"within noise"})
        self.assertEqual(found[0].ratio, 1)

    def test_shifted(self):
        for factor, verdict in ((1.3, "worse"), (0.7, "better")):
            one = compare.compare(self.runs(1), self.runs(factor))[0]
            self.assertEqual((one.verdict, one.beyond), (verdict, True))
            self.assertAlmostEqual(one.ratio, factor)
            self.assertTrue(one.interval[0] <= factor <= one.interval[1])

    def test_a_little_shifted_is_noise(self):
        self.assertEqual(compare.compare(self.runs(1), self.runs(1.01))[0].verdict, "within noise")

    def test_more_is_better(self):
        rings = Group("rings", 1, None, "spare")
        a, b = (results([cell(rings, "tagged", [{"mops": v}] * 5)]) for v in (50, 60))
        self.assertEqual(compare.compare(a, b)[0].verdict, "better")

    def test_too_few_rounds(self):
        found = compare.compare(self.runs(1, 3), self.runs(2, 3))
        self.assertEqual(found[0].verdict, "too few rounds")

    def test_other_matrix(self):
        a, b = self.runs(1), self.runs(1)
        b.cells.append(cell(PACED, "tagged", [{"lat_p99.9_us": 1}]))
        with self.assertRaisesRegex(BenchError, "paced, tagged, .* only in B"):
            compare.compare(a, b)
        self.assertEqual(len(compare.compare(a, b, common=True)), 1)

    def test_lost_cells(self):
        a, b = self.runs(1), results([cell(CHURN, "tagged", [None] * 5)])
        self.assertEqual(compare.compare(a, b), [])
        self.assertIn("figures only in A", compare.lost(a, b)[0])


class Folder(unittest.TestCase):
    """With a folder of its own."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="gyre-bench-"))
        self.addCleanup(shutil.rmtree, self.folder)


class Report(Folder):
    def test_file_round_trip(self):
        path = self.folder / "a.json"
        save(recorded(), path)
        self.assertEqual(load(path), recorded())
        self.assertEqual([file.name for file in self.folder.iterdir()], ["a.json"])

    def test_page_and_plots(self):
        written = report.write(recorded(), self.folder / "out")
        names = {path.name for path in written}
        expected = {"index.html", "cost-1-spare.svg", "cpu-1-spare.svg", "memory-1-spare.svg"}
        expected |= {"cost-2-shared.svg", "latency-paced-8000000-2-shared.svg"}
        self.assertLessEqual(expected | {"mmu-paced-8000000-2-shared.svg"}, names)
        for path in written:
            text = path.read_text(encoding="utf-8")
            if path.suffix == ".svg":
                root = ElementTree.fromstring(text)
                self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
                self.check_places(root)
            else:
                page = ElementTree.fromstring(text.replace("<!DOCTYPE html>", ""))
                drawings = list(page.iter("{http://www.w3.org/2000/svg}svg"))
                self.assertEqual(len(drawings), len(written) - 1)
                self.assertEqual(list(page.iter("script")), [])
                self.assertIn("exit status 1: &lt;no&gt;", text)
                self.assertIn("all of jemalloc", text)
                self.assertIn("a &lt;processor&gt;", text)

    def check_places(self, root):
        """Everything lies within the drawing, as numbers."""
        width, height = (float(root.get(name)) for name in ("width", "height"))
        for element in root.iter():
            for name, limit in (("x", width), ("y", height), ("x2", width), ("cy", height)):
                value = element.get(name)
                if value is not None:
                    self.assertTrue(0 <= float(value) <= limit, (element.tag, name, value))

    def test_bars_of_rates_are_costs(self):
        of = recorded()
        rings = Group("rings", 2, None, "shared")
        bars = plots.cost_bars(summary.block(of, rings), of.groups()[rings])
        ratios = [(bar.manager, bar.ratio.median) for bar in bars]
        self.assertEqual(ratios, [("tagged", 2), ("mimalloc", 1)])

    def test_scales(self):
        scale = svg.LogScale([0.3, 40], 0, 100)
        self.assertEqual((scale.ticks[0], scale.ticks[-1]), (0.2, 50))
        self.assertEqual((scale(0.2), scale(50), scale(1e9)), (0, 100, 100))
        self.assertAlmostEqual(scale(math.sqrt(10)), 50)
        self.assertEqual(svg.LogScale([5, 5], 0, 1).ticks, [5, 10])
        self.assertEqual(svg.linear_ticks(3.1), [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5])

    def test_bad_files(self):
        good = recorded().to_json()
        path = self.folder / "bad.json"

        def refused(data, words):
            path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
            with self.assertRaisesRegex(BenchError, words):
                load(path)

        refused("{", "not JSON")
        refused("[]", "not a file of gyre-bench")
        refused(good | {"version": 99}, "version 99")
        refused({key: value for key, value in good.items() if key != "seed"}, "'seed' is missing")
        refused(good | {"cells": [good["cells"][0]] * 2}, "two cells")
        refused(good | {"workloads": {}}, "not among the workloads")
        refused(good | {"rounds": "5"}, "rounds is '5'")
        refused(json.dumps(good).replace("0.25", "NaN", 1), "NaN is no number")
        with self.assertRaisesRegex(BenchError, "No such file"):
            load(self.folder / "none.json")
        with self.assertRaisesRegex(BenchError, "cannot write"):
            save(recorded(), self.folder / "no" / "a.json")


class Commands(Folder):
    """With the fake workers."""

    def setUp(self):
        super().setUp()
        (self.folder / "bench").mkdir()
        for name in ("tagged", "malloc", "mimalloc"):
            os.symlink(HERE / "fake-worker", self.folder / "bench" / f"bench-{name}")
        self.file = self.folder / "a.json"
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number, handler in before.items():
            self.addCleanup(signal.signal, number, handler)

    def call(self, *words, status=0, **environment):
        """Of the commands, within this process: (stdout, stderr)."""
        out, err = io.StringIO(), io.StringIO()
        os.environ.update(environment)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    self.assertEqual(cli.main([str(word) for word in words]), status)
                except SystemExit as end:  # argparse
                    self.assertEqual(end.code, status)
        finally:
            for name in environment:
                del os.environ[name]
        return out.getvalue(), err.getvalue()

    def measure(self, *words, **environment):
        options = ["--build", self.folder, "--threads", "1", "--seconds", "0.1", "-o", self.file]
        said = self.call("run", *options, *words, **environment)
        return load(self.file), *said

    def test_run_interleaves(self):
        log = self.folder / "log"
        words = ("--workloads", "churn,trees", "--rounds", "2", "--seed", "5", "--pin", "shared")
        of, out, err = self.measure(*words, FAKE_LOG=str(log))
        lines = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
        self.assertEqual([line[0] for line in lines], ["tagged", "malloc", "mimalloc"] * 4)
        self.assertEqual([line[1] for line in lines], (["churn"] * 3 + ["trees"] * 3) * 2)
        seeds = [line[line.index("--seed") + 1] for line in lines]
        self.assertEqual(seeds, ["5"] * 6 + ["6"] * 6)
        self.assertEqual(lines[3][2:6], ["--threads", "1", "--live", "20"])
        self.assertTrue(of.complete and of.started and of.ended)
        self.assertEqual([len(one.runs) for one in of.cells], [2] * 6)
        self.assertTrue(all("mutator_cpu_s" in r.metrics for one in of.cells for r in one.runs))
        self.assertIn("steal", of.machine)
        self.assertEqual(err, "")
        self.assertIn("churn, 1 thread, shared cores", out)

    def test_troubles(self):
        of, out, err = self.measure(
            *("--workloads", "churn,rings", "--rounds", "2", "--pin", "shared", "--timeout", "0.4"),
            FAKE_FAIL="tagged/churn",
            FAKE_SKIP="malloc/churn",
            FAKE_CRASH="mimalloc/churn",
            FAKE_BABBLE="malloc/rings",
            FAKE_HANG="mimalloc/rings",
        )
        first = {(one.cell.group.workload, one.cell.manager): one.runs for one in of.cells}
        told = [(len(runs), runs[0].status, runs[0].reason) for runs in first.values()]
        self.assertEqual(
            told,
            [
                (2, "failed", "exit status 1: out of memory"),
                (1, "skipped", "it cannot do that"),
                (2, "failed", "killed by SIGSEGV"),
                (2, "ok", ""),
                (2, "failed", "its output: not a number: 'ns_per_op fast'"),
                (1, "timeout", "no end within 0.4 s"),
            ],
        )
        self.assertLess(first["rings", "mimalloc"][0].took_s, 20)
        self.assertIn("no end within 0.4 s", err)
        self.assertIn("Without figures", out)
        self.assertIn("it cannot do that", out)

    def test_goals_report_table_compare(self):
        build = ("--build", self.folder, "-o", self.file)
        quick = ("--goals", "--quick", "--rounds", "1", "--pin", "shared")
        out, _ = self.call("run", *build, *quick)
        self.assertIn("paced, 8 M live: p99.9", out)
        self.assertIn("bench-malloc has no such workload", out)
        self.assertEqual(out.count(" reached"), len(goals.GOALS))
        self.call("report", self.file, "-o", self.folder / "page.html")
        self.assertTrue((self.folder / "page-cost-1-shared.svg").is_file())
        out, _ = self.call("table", self.file, "--markdown")
        self.assertIn("| manager | ns_per_op, ns/object (less is better) |", out)
        out, _ = self.call("table", self.file, "--goals")
        self.assertIn("acyclic churn", out)
        out, _ = self.call("table", self.file, "--brief", "--markdown")
        self.assertIn("| workload, unit | baseline | tagged |", out)
        self.assertRegex(out, r"\| trees 20, s \| mimalloc \| [0-9.]+ \([0-9.]+\) \|")
        out, _ = self.call("compare", self.file, self.file, "--all")
        self.assertIn("too few rounds", out)

    def test_interrupted(self):
        """The worker in hand is killed, what was measured is written."""
        words = ["--workloads", "churn,rings", "--pin", "shared", "--threads", "1", "-o", self.file]
        log = self.folder / "log"
        environment = os.environ | {"FAKE_HANG": "malloc/churn", "FAKE_LOG": str(log)}
        program = subprocess.Popen(
            [sys.executable, HERE / "gyre-bench", "run", "--build", self.folder, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        end = time.monotonic() + 20
        while not log.exists() or "malloc churn" not in log.read_text(encoding="utf-8"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=20)
        self.assertEqual(program.returncode, cli.INTERRUPTED, err)
        self.assertIn("interrupted", err)
        of = load(self.file)
        self.assertFalse(of.complete)
        self.assertEqual([len(one.runs) for one in of.cells], [1, 0, 0, 0, 0, 0])
        self.assertIn("the run was interrupted", out)
        self.assertTrue(report.page(of)[0])

    def test_bad_usage(self):
        build = ("run", "--build", self.folder)
        self.file.write_text("{", encoding="utf-8")
        other = self.folder / "empty"
        other.mkdir()
        for words, said in (
            ((*build, "--workloads", "churn,none"), "unknown workload 'none'"),
            ((*build, "--managers", "boehm"), "unknown manager 'boehm'"),
            ((*build, "--managers", "tagged,bdwgc"), "no worker bench-bdwgc"),
            ((*build, "--threads", "0"), "not numbers of threads"),
            ((*build, "--live", "many"), "not a size"),
            ((*build, "--live", "nothing=1M"), "unknown workload 'nothing'"),
            ((*build, "--pin", "here"), "not a list of spare, shared"),
            ((*build, "--rounds", "0"), "--rounds is at least 1"),
            ((*build, "--seconds", "nan"), "--seconds above 0"),
            ((*build, "--baseline", "boehm"), "unknown manager 'boehm'"),
            ((*build, "--goals", "--threads", "2"), "--goals chooses"),
            ((*build, "-o", self.folder / "no" / "a.json"), "no folder"),
            (("run", "--build", other), "no worker in"),
            (("run", "--build", self.folder / "none"), "no build directory"),
            (("report", self.folder / "none.json"), "cannot read"),
            (("table", self.file), "not JSON"),
            (("compare", self.file, self.file), "not JSON"),
            (("measure",), "invalid choice"),
            ((), "required"),
        ):
            out, err = self.call(*words, status=2)
            self.assertIn(said, err)
            self.assertEqual(out, "")

    def test_bad_worker(self):
        worker = self.folder / "bench" / "bench-tagged"
        worker.unlink()
        worker.write_text("#!/bin/sh\necho broken >&2\nexit 1\n", encoding="utf-8")
        worker.chmod(0o755)
        _, err = self.call("run", "--build", self.folder, status=2)
        self.assertIn("--list: exit status 1: broken", err)

    def test_dry_run(self):
        out, _ = self.call("run", "--build", self.folder, "--dry-run", "--workloads", "paced",
                           "--live", "2M", "--threads", "1", "--pin", "shared")  # fmt: skip
        self.assertIn("paced, tagged, 2 threads, live 2 M, shared cores\n", out)
        self.assertIn("3 cells, 5 rounds", out)


if __name__ == "__main__":
    unittest.main()
