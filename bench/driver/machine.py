# SPDX-License-Identifier: BSD-2-Clause
"""What a run was made on: processor, memory, kernel, compiler, libraries, load and steal time.

What cannot be read is left out (None): a figure of a machine that hides its governor is still one.
"""
from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "libc6",
    "libmimalloc2.0",
    "libjemalloc2",
    "libgc1",
    "liburcu8",
    "libck0",
)
_OPTIONS = ("buildtype", "optimization", "debug", "b_lto", "b_ndebug", "b_sanitize", "checks")


def describe(build: Path) -> dict[str, Any]:
    """Of this machine and of what is in the build directory."""
    return {
        "cpu": _line_of("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "system": _system(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "turbo_off": _read("/sys/devices/system/cpu/intel_pstate/no_turbo"),
        "huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "compiler": _compiler(build),
        "options": _build_options(build),
        "packages": _packages(),
        "load_before": list(os.getloadavg()),
    }


def lines(machine: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, value) of what is known, for people."""
    found = []
    for name, value in machine.items():
        if name == "memory_bytes" and value:
            name, value = "memory", f"{value / 2**30:.1f} GiB"
        elif name == "steal" and value is not None:
            value = f"{value:.2%} of the time of the run"
        elif isinstance(value, dict):
            value = ", ".join(f"{key} {of}" for key, of in value.items() if of is not None)
        elif isinstance(value, list):
            value = ", ".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
        if value not in (None, ""):
            found.append((name.replace("_", " "), str(value)))
    return found


def cpu_times() -> tuple[int, int]:
    """(stolen, all) ticks of all cores since the machine started; zeros where it does not say."""
    text = _read("/proc/stat")
    if not text or not text.startswith("cpu "):
        return 0, 0
    # user nice system idle iowait irq softirq steal; guest times are within user and nice.
    ticks = [int(word) for word in text.splitlines()[0].split()[1:9]]
    return (ticks[7] if len(ticks) == 8 else 0), sum(ticks)


def steal_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    return (after[0] - before[0]) / (after[1] - before[1]) if after[1] > before[1] else 0.0


def commit(folder: Path) -> str | None:
    """Of the git tree that the folder is in, with "+" when something in it is not committed."""
    head = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    if not head:
        return None
    changed = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return head + "+" if changed else head


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _line_of(path: str, name: str) -> str | None:
    for line in (_read(path) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _system() -> str | None:
    for line in (_read("/etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return None


def _output(*command: str, statuses: tuple[int, ...] = (0,)) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode in statuses else None


def _compiler(build: Path) -> str | None:
    """The first line of its --version; which it is, meson's compile_commands.json says."""
    try:
        commands = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
        words = shlex.split(commands[0]["command"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    program = words[1] if words[0].endswith("ccache") and len(words) > 1 else words[0]
    version = _output(program, "--version")
    return version.splitlines()[0] if version else None


def _build_options(build: Path) -> dict[str, Any]:
    path = build / "meson-info" / "intro-buildoptions.json"
    try:
        options = json.loads(path.read_text(encoding="utf-8"))
        return {one["name"]: one["value"] for one in options if one["name"] in _OPTIONS}
    except (OSError, ValueError, LookupError, TypeError):
        return {}


def _packages() -> dict[str, str]:
    form = "${Package} ${Version}\n"
    # One that is not installed makes an exit status of 1, and a line for each of the others.
    text = _output("dpkg-query", "-W", "-f", form, *PACKAGES, statuses=(0, 1)) or ""
    pairs = [line.split() for line in text.splitlines()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
