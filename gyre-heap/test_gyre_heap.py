#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""gyre-heap beside a program that shares nothing with it, on the two heaps of real programs: the
components by the algorithm of Kosaraju, member by member; paths, dominators and what an object
retains by plain search, on some objects at random; and what it says of mistakes.

usage: test_gyre_heap.py GYRE-HEAP FOLDER [SEED]    FOLDER: of the two heaps; -: without them
"""
import gzip
import os
import random
import re
import subprocess
import sys
import tempfile
import time

PROGRAM, FOLDER = sys.argv[1:3]
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
# Components of more than one object, members of those, and the largest: what the heaps are known for.
KNOWN = {"debian": (1802, None, 6829), "cpython": (277, 233730, 22178)}


def check(good, what):
    if not good:
        sys.exit(f"seed {SEED}: {what}")


def ask(*arguments, status=0):
    ran = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, check=False, timeout=120)
    error = ran.stderr.decode(errors="replace")
    check(ran.returncode == status, f"{arguments}: status {ran.returncode}, not {status}: {error}")
    check((error != "") == (status == 2), f"{arguments}: says on stderr: {error!r}")
    return ran.stdout.decode(errors="replace") if status != 2 else error


class Heap:
    def __init__(self, path):
        self.to, self.bytes, self.type, self.roots, self.names = [], [], [], [], []
        with gzip.open(path, "rt", errors="surrogateescape", newline="\n") as lines:
            for line in lines:
                if line[0] == "o":
                    words = line.split()
                    self.type.append(int(words[1]))
                    self.bytes.append(int(words[2]))
                    self.to.append(list(map(int, words[3:])))
                elif line[0] == "r":
                    self.roots.append(int(line[2:]))
                elif line[0] == "t":
                    self.names.append(line[2:-1])

    def reach(self, without=None):
        """A set, and never through one node."""
        seen = {root for root in self.roots if root != without}
        stack = list(seen)
        while stack:
            for node in self.to[stack.pop()]:
                if node not in seen and node != without:
                    seen.add(node)
                    stack.append(node)
        return seen

    def distances(self):
        """How many objects the shortest path to each has."""
        level, far, length = set(self.roots), {}, 0
        while level:
            length += 1
            far.update((node, length) for node in level)
            level = {to for node in level for to in self.to[node] if to not in far}
        return far

    def components(self):
        """Kosaraju: in the reverse order of leaving, everything that leads to a node not taken yet."""
        back = [[] for _ in self.to]
        for node, targets in enumerate(self.to):
            for target in targets:
                back[target].append(node)
        order, seen = [], bytearray(len(self.to))
        for start in range(len(self.to)):
            if seen[start]:
                continue
            seen[start] = 1
            stack = [(start, iter(self.to[start]))]
            while stack:
                node, rest = stack[-1]
                for target in rest:
                    if not seen[target]:
                        seen[target] = 1
                        stack.append((target, iter(self.to[target])))
                        break
                else:
                    order.append(node)
                    stack.pop()
        taken, found = bytearray(len(self.to)), set()
        for start in reversed(order):
            if taken[start]:
                continue
            taken[start] = 1
            members = [start]
            for node in members:
                for source in back[node]:
                    if not taken[source]:
                        taken[source] = 1
                        members.append(source)
            if len(members) > 1 or start in self.to[start]:
                found.add(frozenset(members))
        return found


def numbers(text, indent):
    """The objects on the lines that begin with these blanks."""
    return [int(n) for n in re.findall(rf"^{indent}#(\d+) ", text, re.M)]


def check_cycles(name, heap, path):
    lines = ask("cycles", path, "-n", 0, "--members", 0).split("\n")
    found, sizes = [], []
    for line in lines:
        if line.startswith("    #"):
            found[-1].append(int(line[5:14]))
        elif re.match(r" +\d+ +\d+ +\d+$", line):
            found.append([])
            sizes.append(list(map(int, line.split())))
    check(sizes == sorted(sizes, key=lambda row: -row[1]), f"{name}: the largest is not first")
    for row, members in zip(sizes, found):
        check(row[1] == len(members), f"{name}: component {row[0]} has not as many members as it says")
        check(row[2] == sum(heap.bytes[m] for m in members), f"{name}: bytes of component {row[0]}")
    mine = heap.components()
    check(sum(map(len, found)) == sum(map(len, mine)), f"{name}: the members are not as many")
    check(set(map(frozenset, found)) == mine, f"{name}: the components are not the same")
    many = [len(c) for c in mine if len(c) > 1]
    for known, is_now in zip(KNOWN[name], (len(many), sum(many), max(many))):
        check(known in (None, is_now), f"{name}: {is_now} instead of {known}")
    check(lines[0].startswith(f"{len(many)} components of more than one object"), lines[0])


def check_path(name, heap, path, far, node):
    text = ask("path", path, node, status=0 if node in far else 1)
    way = numbers(text, "  ")
    if node not in far:
        check(way == [] and text.startswith("garbage"), f"{name}: a path to garbage {node}")
        return []
    check(len(way) == far[node], f"{name}: the path to {node} is not a shortest one")
    check(way[0] in heap.roots and way[-1] == node, f"{name}: the path to {node} has other ends")
    for a, b in zip(way, way[1:]):
        check(b in heap.to[a], f"{name}: the path to {node} leads from {a} to {b}")
    return way


def check_retained(name, heap, path, far, node, way):
    text = ask("retained", path, node, status=0 if way else 1)
    if not way:
        return
    lost = far.keys() - heap.reach(node)
    said = re.search(r"^retains (\d+) objects, (\d+) bytes", text, re.M)
    check(said and [int(n) for n in said.groups()] == [len(lost), sum(heap.bytes[n] for n in lost)],
          f"{name}: {node} retains something else")
    if name != "debian":
        return  # each object of a path takes a search
    # What dominates it is on each path, the nearest last.
    nearest = next((d for d in reversed(way[:-1]) if node not in heap.reach(d)), None)
    said = re.search(r"^dominated by #(\d+)", text, re.M)
    check((int(said[1]) if said else None) == nearest, f"{name}: {node} is dominated by {nearest}")


def check_dominators(name, heap, path, far):
    rows = re.findall(r"^ *(\d+) +(\d+) +(-|\d+)  #(\d+)", ask("dominators", path, "-n", 0), re.M)
    check(len(rows) == len(far), f"{name}: dominators lists {len(rows)}, reachable are {len(far)}")
    check({int(r[3]) for r in rows} == far.keys(), f"{name}: dominators lists others")
    check([int(r[0]) for r in rows] == sorted((int(r[0]) for r in rows), reverse=True),
          f"{name}: those that retain most are not first")
    # The tree adds up: a node retains itself and what its children retain.
    total = {int(r[3]): heap.bytes[int(r[3])] for r in rows}
    for retained, _, within, _ in rows:
        if within != "-":
            total[int(within)] += int(retained)
    for row in rows:
        check(total[int(row[3])] == int(row[0]), f"{name}: what {row[3]} retains does not add up")
    for row in rows[:1]:
        lost = far.keys() - heap.reach(int(row[3]))
        check((len(lost), sum(heap.bytes[n] for n in lost)) == (int(row[1]), int(row[0])),
              f"{name}: {row[3]} retains something else")


def check_lists(name, heap, path, chance):
    rows = re.findall(r"^ *(\d+) +(\d+)  (.*)$", ask("types", path, "-n", 0, "--sort", "name"), re.M)
    mine = {}
    for kind, size in zip(heap.type, heap.bytes):
        objects, total = mine.get(kind, (0, 0))
        mine[kind] = (objects + 1, total + size)
    check(sorted((heap.names[k], *v) for k, v in mine.items()) ==
          sorted((r[2], int(r[0]), int(r[1])) for r in rows if r[0] != "0"), f"{name}: types")
    node = chance.choice([n for n in range(0, len(heap.to), 97) if heap.to[n]])
    check(numbers(ask("object", path, node, "-n", 0), "  ") == heap.to[node], f"{name}: object {node}")
    target = heap.to[node][0]
    check(numbers(ask("referrers", path, target, "-n", 0), "  ") ==
          [n for n, to in enumerate(heap.to) if target in to], f"{name}: referrers of {target}")


def check_heap(name, chance):
    path = os.path.join(FOLDER, name + ".heap.gz")
    heap = Heap(path)
    far = heap.distances()
    check_cycles(name, heap, path)
    check_lists(name, heap, path, chance)
    small = name == "debian"
    if small:
        check_dominators(name, heap, path, far)
    reachable = sorted(far)
    for node in chance.sample(reachable, 4) + chance.sample(range(len(heap.to)), 2 * small):
        way = check_path(name, heap, path, far, node)
        # Of a large heap most objects retain little; one that others hang on is more of a question.
        check_retained(name, heap, path, far, node if small else way[len(way) // 2], way)
    ask("diff", path, path)


SECOND = """heap 2 4 4 3 2 1 2
t odd "name"
t second
s made.c:7
n main
n cache
o 0 10 1 1
i 4096 1 0
o 1 20 2
i 8192 2
o 1 40 1
o 0 80
r 0 12288 1
f 0 0 0
x 1
"""


def check_second_version(folder):
    """Every command on a small dump of version 2, and mistakes."""
    path = os.path.join(folder, "second.heap")
    with open(path, "w", encoding="ascii") as out:
        out.write(SECOND)
    check("garbage                1" in ask("summary", path), "summary of version 2")
    check(re.search(r"^ +1 +10  made.c:7$", ask("sites", path), re.M), "sites")
    held = ask("object", path, "0x1000")
    for text in "root cache at 0x3000", "frame of thread main", "at 0x1000", "from made.c:7", "count: 1":
        check(text in held, f"object 0x1000 does not say {text!r}")
    check("held otherwise" in ask("object", path, 1), "held otherwise")
    check("2 times" in ask("referrers", path, "#1"), "referrers")
    check(ask("path", path, 2).startswith("held otherwise\n  #1"), "path")
    check("garbage" in ask("path", path, 3, status=1), "path to garbage")
    check("retains 2 objects, 60 bytes" in ask("retained", path, 1), "retained")
    other = os.path.join(folder, "other.heap")
    with open(other, "w", encoding="ascii") as out:
        out.write("heap 1 1 0 0 1\nt second\no 0 21\n")
    change = ask("diff", path, other)
    check(re.search(r"^ +-2 +-90  odd", change, re.M) and re.search(r"^ +-1 +-39  second$", change, re.M),
          f"diff: {change}")
    check("no allocation sites" in ask("sites", other, status=1), "sites of version 1")
    check("no addresses" in ask("object", other, "0x10", status=2), "addresses of version 1")
    drawn = ask("graph", path, "--types")
    check('label="odd \\"name\\"\\n2"' in drawn and 't1 -> t1 [label="2"]' in drawn, f"types drawn: {drawn}")
    check(ask("graph", path, "--component", 1).count("->") == 3, "component drawn")
    check(ask("graph", path, 0).count("->") == 7, "object drawn")
    check(ask("graph", path, 0, "-n", 1).count("label") == 1, "one object drawn")
    for mistake in ([], ["look"], ["types"], ["types", path, "7"], ["path", path], ["path", path, "x"],
                    ["path", path, "4"], ["path", path, "0x7"], ["types", path, "-n", "-1"],
                    ["types", path, "--sort", "colour"], ["graph", path], ["graph", path, "0", "--types"],
                    ["graph", path, "--component", "2"], ["graph", path, "--component", "0"],
                    ["summary", os.path.join(folder, "none")], ["diff", path]):
        ask(*mistake, status=2)
    svg = os.path.join(folder, "out.svg")
    ran = subprocess.run([PROGRAM, "graph", path, "--types", "-o", svg], capture_output=True, check=False,
                         env={**os.environ, "PATH": folder})
    check(ran.returncode == 2 and b"not installed" in ran.stderr and not os.path.exists(svg), "without dot")
    with open(os.path.join(folder, "dot"), "w", encoding="ascii") as out:
        out.write('#!/bin/sh\n[ "$1" = -Tsvg ] && exec /bin/cat >"$3"\n')
    os.chmod(os.path.join(folder, "dot"), 0o755)
    ran = subprocess.run([PROGRAM, "graph", path, "--types", "-o", svg], capture_output=True, check=False,
                         env={**os.environ, "PATH": folder})
    with open(svg, encoding="ascii") as drawing:
        check(ran.returncode == 0 and drawing.read() == drawn, f"what dot is given: {ran.stderr}")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w", encoding="ascii") as full:
            ran = subprocess.run([PROGRAM, "types", path], stdout=full, stderr=subprocess.PIPE, check=False)
        check(ran.returncode == 2 and b"could not be written" in ran.stderr, "an answer that got lost")


def main():
    print(f"seed {SEED}", flush=True)
    chance = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder:
        check_second_version(folder)
    for name in KNOWN if FOLDER != "-" else ():
        check_heap(name, chance)


main()
