"""What would a thousand models cost on a hundred workers? ``python -m tests.benchmarks.fleet_model``

A simulation from measured times. Measured here: what a task takes (``--sweep``, a report that
``segdiff sweep`` or ``tests.benchmarks.fleet --keep`` has written; ``--image`` seconds of an image in
``evaluate``), what a Dask scheduler and its client take for a task that does nothing, how large a result is,
and what writing it down takes. Assumed, and printed: how fast the shared folder is and what a worker costs.

Three things are scarce: workers; the one process that sends tasks and takes results; the shared folder. A
task waits for its worker, reads its models, runs, and its result waits to be taken.
"""

from __future__ import annotations

import argparse
import heapq
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import segdiff
from segdiff.core.crew.told import Done
from segdiff.example import example_files
from segdiff.score.fleet.pairs import LABELLING, pairs_of
from segdiff.score.fleet.sweep import REPORTS, Task, checked_folder, journal_in, row_kept, tasks_of
from segdiff.score.fleet.task import Answered, Asked, answered

EMPTY = 2000
"""Tasks that do nothing, to see what each costs."""


@dataclass(frozen=True)
class World:
    """What is scarce: so many workers, seconds that the one process spends on a task, seconds of a worker
    until its first task, bytes a second of the shared folder."""

    workers: int
    per_task: float
    per_result: float
    start: float
    folder: float


@dataclass(frozen=True)
class Outcome:
    """Seconds of the whole, and the shares of it in which the workers, the one process and the shared folder
    were busy; ``tail`` is how long some workers had nothing more to do."""

    wall: float
    workers: float
    hub: float
    folder: float
    tail: float


def simulated(tasks: Sequence[tuple[float, float]], world: World) -> Outcome:
    """Run (seconds, bytes read) tasks in their order: the next goes to whoever is free first."""
    free = [(world.start, worker) for worker in range(world.workers)]
    heapq.heapify(free)
    sent = hub_busy = folder_free = folder_busy = work = 0.0
    ends: list[float] = []
    for seconds, size in tasks:
        sent += world.per_task
        hub_busy += world.per_task
        at, worker = heapq.heappop(free)
        begin = max(at, sent)
        reading = size / world.folder
        folder_free = max(folder_free, begin) + reading
        folder_busy += reading
        end = folder_free + seconds
        work += end - begin
        ends.append(end)
        heapq.heappush(free, (end, worker))
    taken = 0.0
    for end in sorted(ends):
        taken = max(taken, end) + world.per_result
        hub_busy += world.per_result
    idle_from = min(at for at, _ in free)
    wall = max(taken, sent)
    busy = work / (world.workers * wall)
    return Outcome(wall, busy, hub_busy / wall, folder_busy / wall, wall - idle_from)


def scheduler_costs() -> float:
    """Seconds of a task that does nothing on a local cluster: what client and scheduler take of it."""
    from distributed import LocalCluster

    from segdiff.core.crew import crew_of

    with (
        LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None, silence_logs=50) as cluster,
        crew_of(scheduler=cluster.scheduler_address) as crew,
    ):
        begin = time.process_time()
        assert sum(1 for _ in crew.run(abs, range(EMPTY))) == EMPTY
        return (time.process_time() - begin) / EMPTY


def result_costs() -> tuple[float, int]:
    """Processor seconds for writing a result down, and its bytes, by the bundled pair."""
    with TemporaryDirectory() as place, example_files() as (reference, candidate, image):
        folder = checked_folder(Path(place) / "out", [])
        assert folder is not None
        answer: Answered = answered(
            Asked(str(reference), str(candidate), str(image), {"threads": 1}, 1, True)
        )
        rows = [{"name": "a", "reference": reference, "candidate": candidate, "images": image}]
        task: Task = next(iter(tasks_of(pairs_of(rows), dict.fromkeys(LABELLING))))
        begin, times = time.process_time(), 20
        with journal_in(folder) as kept:
            for _ in range(times):
                kept.add(task.key, row_kept(task, Done(0, answer), folder))
        spent = (time.process_time() - begin) / times
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        assert (folder / REPORTS).is_dir()
        return spent, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sweep", type=Path, required=True, help="a saved sweep, for the seconds of its tasks"
    )
    parser.add_argument("--scale", type=float, default=1, help="of these, where a busy machine measured them")
    parser.add_argument("--image", type=float, required=True, help="seconds of an image in evaluate")
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 400])
    parser.add_argument("--megabytes", type=float, default=100, help="of a pair of models")
    parser.add_argument("--folder", type=float, default=500, help="MB/s of the shared folder")
    parser.add_argument("--network", type=float, default=100, help="MB/s to the one process")
    parser.add_argument("--start", type=float, default=20, help="seconds until a worker has begun")
    parser.add_argument("--price", type=float, default=0.05, help="of a worker's hour (one or two cores)")
    options = parser.parse_args()
    swept = segdiff.load(options.sweep)
    assert isinstance(swept, segdiff.SweepReport)
    images = [image for pair in swept.pairs for image in pair.images if not image.failure]
    seconds = [options.scale * image.seconds for image in images]
    per_task, (writing, size) = scheduler_costs(), result_costs()
    per_result = writing + size / (options.network * 1e6)
    print(
        f"measured: {len(seconds)} tasks of {min(seconds):.1f} to {max(seconds):.1f} s, median "
        f"{median(seconds):.1f}, mean {mean(seconds):.1f}; {1e3 * per_task:.2f} ms of scheduler and client "
        f"for an empty task; a result of {size / 1e6:.2f} MB, {1e3 * writing:.1f} ms to write it down"
    )
    print(
        f"assumed: {options.megabytes:g} MB a pair, {options.folder:g} MB/s of the shared folder, "
        f"{options.network:g} MB/s to the one process, {options.start:g} s until a worker has begun, "
        f"{options.price:g} an hour of a worker"
    )
    chance = random.Random(0)
    drawn = [chance.choice(seconds) for _ in range(options.models)]
    load = options.megabytes * 1e6
    each = max(1, options.images // options.models)
    works = {
        f"{options.models} models, an image each": sorted(((s, load) for s in drawn), reverse=True),
        "the same, in the order of names": [(s, load) for s in drawn],
        f"{options.models} models, {each} images each": sorted(
            ((s, load) for s in drawn for _ in range(each)), reverse=True
        ),
        "the same, each model read once": sorted(
            ((s, load / each) for s in drawn for _ in range(each)), reverse=True
        ),
        f"evaluate, {options.images} images": [(8 * options.image, 8e6)] * (options.images // 8),
    }
    print(f"{'':36} workers  wall       busy  one process  folder  tail    cost")
    for name, tasks in works.items():
        for workers in options.workers:
            world = World(workers, per_task, per_result, options.start, options.folder * 1e6)
            if name.startswith("evaluate"):
                world = replace(world, per_result=per_task)
            found = simulated(tasks, world)
            cost = workers * found.wall / 3600 * options.price
            print(
                f"{name:36} {workers:7} {found.wall:7.0f} s {found.workers:7.0%} {found.hub:10.1%} "
                f"{found.folder:8.1%} {found.tail:5.0f} s {cost:7.2f}"
            )


if __name__ == "__main__":
    main()
