"""What does a command cost? Wall time, processor time and peak memory of its process tree, from outside."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import segdiff
from segdiff.core.memory import family

INTERVAL, OFTEN = 0.05, 50
"""Seconds between samples of memory; fewer in a short run, whose peak they would miss: this share of the
time that it has taken so far."""

SHARE = 4
"""A sample walks the page tables, which takes long for gigabytes: a pause of at least so many times its own
length follows, so that the watching takes no more than a fifth of a core."""

TICK = os.sysconf("SC_CLK_TCK")


class ContenderError(Exception):
    """A command ended in failure; the message is its exit code and its last words."""


@dataclass
class Part:
    """One process: MB of its share of memory at the tree's peak, and processor seconds."""

    private: float = 0.0
    shared: float = 0.0
    file: float = 0.0
    user: float = 0.0
    system: float = 0.0


@dataclass
class Cost:
    """Seconds and MB of one run.

    ``peak`` is the largest sum of PSS over all processes at one moment, so that a page which several of them
    share counts once; what a process had for less than the time between two samples is told by its own
    high-water mark. ``largest`` is the high-water RSS of the largest process alone.
    """

    wall: float = 0.0
    cpu: float = 0.0
    peak: float = 0.0
    largest: float = 0.0
    parts: dict[str, Part] = field(default_factory=dict)
    marks: dict[int, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "marks"}


def measure(command: Sequence[str], fine: tuple[int, ...] = (0,), most: float | None = None) -> Cost:
    """Run a command to its end. Raises ContenderError where its exit code is not a fine one, or where its
    tree takes more than ``most`` MB: then it is killed."""
    cost = Cost()
    compiled()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        try:
            usage, code = _watch(process.pid, cost, most)
        except BaseException:
            process.kill()
            raise
        process.returncode = code
        cost.wall = time.perf_counter() - start
        if code not in fine:
            log.seek(0)
            lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
            raise ContenderError(f"exit code {code}: {' '.join(lines[-1:])[:200]}")
    cost.cpu = usage.ru_utime + usage.ru_stime
    cost.largest = usage.ru_maxrss / 1024
    return cost


@cache
def compiled() -> None:
    """Segdiff's bytecode, as pip leaves it: in a checkout where Python writes none each process would make it
    anew."""
    compileall.compile_dir(Path(segdiff.__file__).parent, quiet=2)


def _watch(pid: int, cost: Cost, most: float | None) -> tuple[Any, int]:
    """Sample until the process ends; its usage (with all it has waited for) and its exit code."""
    start = time.perf_counter()
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return usage, os.waitstatus_to_exitcode(status)
        began = time.perf_counter()
        _sample(pid, cost)
        if most is not None and cost.peak > most:
            raise ContenderError(f"stopped: it has taken {cost.peak:.0f} MB, and {most:.0f} are allowed")
        now = time.perf_counter()
        time.sleep(max(min(INTERVAL, (now - start) / OFTEN), SHARE * (now - began)))


def _sample(pid: int, cost: Cost) -> None:
    now = {member: memory for member in family(pid) if (memory := proportional(member))}
    spikes = [spike(member, memory[-1], cost.marks) for member, memory in now.items()]
    total = sum(sum(memory[:-1]) for memory in now.values()) + max(spikes, default=0.0)
    if total > cost.peak:
        cost.peak = total
        for part in cost.parts.values():
            part.private = part.shared = part.file = 0.0  # unless it is alive at this peak
    for member, memory in now.items():
        part = cost.parts.setdefault(role(member, pid), Part())
        part.user, part.system = processor(member) or (part.user, part.system)
        if total == cost.peak:
            part.private, part.shared, part.file, _ = memory


def proportional(pid: int) -> tuple[float, float, float, float] | None:
    """MB of a process, shared pages split among their users: anonymous, tensors, files; and all of its pages
    together, not split. None once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.endswith("kB")}
    if "Pss" not in sizes:
        return None
    if "Pss_Anon" not in sizes:  # before Linux 5.9
        return sizes["Pss"], 0.0, 0.0, sizes["Rss"]
    return sizes["Pss_Anon"], sizes["Pss_Shmem"], sizes["Pss_File"], sizes["Rss"]


def spike(pid: int, resident: float, marks: dict[int, float]) -> float:
    """MB that a process has had more than these since the last sample, where that was more than ever before;
    ``marks`` are the high-water marks by process, which are brought up to date."""
    try:
        words = Path(f"/proc/{pid}/status").read_text().split()
    except OSError:
        return 0.0
    mark = int(words[words.index("VmHWM:") + 1]) / 1024 if "VmHWM:" in words else 0.0
    more = mark > marks.get(pid, 0.0)
    marks[pid] = mark
    return max(0.0, mark - resident) if more else 0.0


def processor(pid: int) -> tuple[float, float] | None:
    """Seconds of processor time, user and system; None once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[11]) / TICK, int(fields[12]) / TICK


def role(pid: int, root: int) -> str:
    """What to call a process: the worker's name (``paddle-0``), or ``main`` for the one that was started."""
    if pid == root:
        return "main"
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return "other"
    return words[-2] if "segdiff.engines.worker" in words else "other"


def python(*arguments: str | Path) -> list[str]:
    """A command for the interpreter that runs this."""
    return [sys.executable, *map(str, arguments)]
