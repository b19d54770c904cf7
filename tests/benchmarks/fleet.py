"""Does a sweep give the same table whoever works? ``python -m tests.benchmarks.fleet [--pairs N] [PART ...]``

Over the pairs of the zoo (``SEGDIFF_ZOO``): ``one`` and ``two`` workers, ``one-core``: one that has a single
core, a local ``dask`` cluster of two processes, two workers of which one is ``killed`` ten times at random
moments; ``images``: a thousand small images on one and two workers. Every table but its times must be the one
of one worker, byte for byte. Beside the wall time stands what the processors were busy with our processes,
which bears a busy machine better: a worker keeps more than one core busy, since a pair's two engines and its
alignment go side by side, and where there are no more cores two workers can only fill what is left.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import psutil

import segdiff
from segdiff.example import example_files
from tests.example.street import draw
from tests.zoo.layout import MODELS, root

KILLS = 10
TIMES = {"seconds", "timing_s", "report", "page", "remarks", "peak_memory_mb"}
PARTS = ("one", "two", "one-core", "dask", "killed", "images")
IMAGES = 1000
LOOK, WEIGH = 0.5, 3.0
"""Seconds between two looks at the processor time of all processes, and at their memory: the kernel goes
through every mapping of a process for that, some 8 ms of Paddle's, and holds the process up meanwhile."""


@dataclass
class Measured:
    """What a part cost: seconds, processor seconds of all processes, the largest sum of their memory."""

    wall: float = 0.0
    busy: float = 0.0
    peak_mb: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-pixels", type=int, default=200 * 200, help="pairs of larger inputs are left")
    parser.add_argument(
        "--keep",
        type=Path,
        help="a folder of the reports; parts that run later are held against its one.json",
    )
    options = parser.parse_args()
    parts = tuple(options.parts) or PARTS
    with TemporaryDirectory() as folder:
        if set(parts) - {"images"}:
            tensors = options.keep or Path(folder)
            tensors.mkdir(parents=True, exist_ok=True)
            rows = list(zoo_pairs(tensors, options.pairs, options.most_pixels))
            print(f"{len(rows)} pairs of the zoo", flush=True)
            sweeps(rows, parts, options)
        if "images" in parts:
            images(Path(folder), options.images)


def zoo_pairs(folder: Path, count: int, most_pixels: int) -> Iterator[dict[str, Any]]:
    """Pairs of the zoo, each with the tensor that it was exported with."""
    places = sorted(path for path in (root() / MODELS).iterdir() if path.is_dir())
    small = [place for place in places if pixels(place.name) <= most_pixels]
    made = 0
    for place in small:
        onnx = sorted(place.glob("*.onnx"))
        if not onnx or made == count:
            continue
        made += 1
        tensor = folder / f"{place.name}.npy"
        np.save(tensor, np.load(place / "io.npz")["x"])
        yield {
            "name": place.name,
            "reference": str(place),
            "candidate": str(onnx[0]),
            "images": str(tensor),
        }


def pixels(name: str) -> int:
    """Of an input, by the name of the zoo's folder."""
    size = next(word for word in name.split("-") if word[0].isdigit() and "x" in word)
    height, width = map(int, size.split("x"))
    return height * width


def sweeps(rows: list[dict[str, Any]], parts: tuple[str, ...], options: argparse.Namespace) -> None:
    """Each part that sweeps the zoo."""
    ways: Mapping[str, Callable[[], segdiff.SweepReport]] = {
        "one": lambda: segdiff.sweep(rows, workers=1),
        "two": lambda: segdiff.sweep(rows, workers=2),
        "one-core": lambda: on_one_core(rows),
        "dask": lambda: on_dask(rows),
        "killed": lambda: with_kills(rows, options.seed),
    }
    known = options.keep / "one.json" if options.keep else None
    first, cost = "", {}
    if known is not None and known.is_file() and "one" not in parts:
        first = json.dumps(without_times(json.loads(known.read_text())))
    for part in (each for each in ways if each in parts):
        with measured() as found:
            swept = ways[part]()
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            swept.save(options.keep / f"{part}.json")
        table = json.dumps(without_times(swept.to_dict()))
        first = first or table
        cost[part] = found
        same = "the same table" if table == first else "ANOTHER TABLE"
        tasks = swept.timing_s["tasks"]
        print(
            f"{part:8} {found.wall:7.1f} s, processors {found.busy:7.1f} s, tasks {tasks:7.1f} s, "
            f"peak {found.peak_mb:6.0f} MB; {same}; {swept.sentence}",
            flush=True,
        )
        if table != first:
            differences(json.loads(first), json.loads(table))
    if {"one", "two"} <= cost.keys():
        one, two = cost["one"], cost["two"]
        cores = len(os.sched_getaffinity(0))
        print(f"two workers are {one.wall / two.wall:.2f} times as fast as one")
        print(f"of {cores} cores one keeps {one.busy / one.wall:.2f} busy, two {two.busy / two.wall:.2f}")
    if {"one-core", "two"} <= cost.keys():
        print(f"and {cost['one-core'].wall / cost['two'].wall:.2f} times as fast as one with a single core")


def without_times(data: Any) -> Any:
    """The same without what a run costs."""
    if isinstance(data, Mapping):
        return {name: without_times(each) for name, each in data.items() if name not in TIMES}
    return [without_times(each) for each in data] if isinstance(data, list) else data


def differences(ours: Any, theirs: Any, place: str = "") -> None:
    """Print where two tables differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in ours:
            differences(ours[name], theirs.get(name), f"{place}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            differences(one, other, f"{place}[{number}]")
    elif ours != theirs:
        print(f"  {place}: {str(ours)[:200]!r} against {str(theirs)[:200]!r}")


def on_one_core(rows: list[dict[str, Any]]) -> segdiff.SweepReport:
    """Over one worker that has one core to itself, and no more."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return segdiff.sweep(rows, workers=1)
    finally:
        os.sched_setaffinity(0, cores)


def on_dask(rows: list[dict[str, Any]]) -> segdiff.SweepReport:
    """Over a cluster of two processes on this machine."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        return segdiff.sweep(rows, scheduler=cluster.scheduler_address)


def with_kills(rows: list[dict[str, Any]], seed: int) -> segdiff.SweepReport:
    """Over two workers, one of which is killed at random moments, ten times in all."""
    stop, killed = threading.Event(), []

    def kill() -> None:
        chance = random.Random(seed)
        while len(killed) < KILLS and not stop.wait(chance.uniform(1, 6)):
            alive = [child.pid for child in psutil.Process().children() if is_worker(child)]
            if alive:
                os.kill(pid := chance.choice(alive), signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        return segdiff.sweep(rows, workers=2)
    finally:
        stop.set()
        killer.join()
        print(f"        {len(killed)} workers were killed")


def is_worker(child: psutil.Process) -> bool:
    """Whether a child is a worker, and not what multiprocessing keeps beside."""
    try:
        return any("spawn_main" in word for word in child.cmdline())
    except psutil.Error:
        return False


def images(folder: Path, count: int) -> None:
    """A data set of small images on one worker and on two."""
    rng = np.random.default_rng(1)
    lines = []
    for number in range(count):
        picture, label = draw(rng, (96, 128))
        cv2.imwrite(str(folder / f"{number}.jpg"), picture)
        cv2.imwrite(str(folder / f"{number}_label.png"), label.astype(np.uint8))
        lines.append(f"{number}.jpg {number}_label.png")
    found, cost = {}, {}
    with example_files() as (reference, candidate, _):
        for number, workers in ((count // 4, 2), (count, 1), (count, 2)):
            listed = folder / f"{number}.txt"
            listed.write_text("\n".join(lines[:number]))
            with measured() as spent:
                report = segdiff.evaluate(reference, candidate, listed, workers=workers, threads=1)
            told = json.dumps({**without_times(report.to_dict()), "asked": None})
            found[number, workers], cost[number, workers] = told, spent
            print(
                f"{number} images, {workers} workers: {spent.wall:.1f} s, processors {spent.busy:.1f} s, "
                f"peak {spent.peak_mb:.0f} MB",
                flush=True,
            )
    same = found[count, 1] == found[count, 2]
    print("two workers give the same totals" if same else "TWO WORKERS GIVE OTHER TOTALS")
    if not same:
        differences(json.loads(found[count, 1]), json.loads(found[count, 2]))
    print(f"{cost[count, 1].wall / cost[count, 2].wall:.2f} times as fast")


@contextmanager
def measured() -> Iterator[Measured]:
    """What this process and all below it spend, looked at now and then.

    The processor time of one that has ended is its parent's as soon as that has waited for it; where the
    parent ended first, what was last seen of it counts.
    """
    found, stop = Measured(), threading.Event()

    def look() -> None:
        weighed, gone = -WEIGH, 0.0
        seen = start = used_by(family())
        while not stop.wait(LOOK):
            alive = family()
            now = used_by(alive)
            gone, seen = gone + max(0.0, seen - now), now
            found.busy = gone + now - start
            if time.monotonic() - weighed >= WEIGH:
                found.peak_mb, weighed = max(found.peak_mb, memory_of(alive)), time.monotonic()

    begin = time.monotonic()
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield found
    finally:
        found.wall = time.monotonic() - begin
        stop.set()
        watcher.join()


def used_by(processes: list[psutil.Process]) -> float:
    """Seconds of a processor that these have used, and all that they have waited for."""
    used = 0.0
    for process in processes:
        with suppress(psutil.Error):
            used += sum(process.cpu_times()[:4])  # user, system, and both of its children
    return used


def memory_of(processes: list[psutil.Process]) -> float:
    """MB of memory, what several share counted once."""
    size = 0
    for process in processes:
        with suppress(psutil.Error):
            size += process.memory_full_info().pss
    return size / 2**20


def family() -> list[psutil.Process]:
    """This process and all below it."""
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


if __name__ == "__main__":
    sys.exit(main())
