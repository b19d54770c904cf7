"""What does a second run of an unchanged reference cost?

    python -m tests.benchmarks.cached [--models DIR ...]

For each model (a folder of the zoo with its conversion) three runs of ``segdiff locate``, each a process of
its own: without a cache, with an empty one, and again with what that one has kept; then the table: seconds by
the wall and of the processors, MB at the peak, the cache's MB on disk. The last column is the second run's
share of the first one's time. The three JSON reports are compared as well.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from segdiff.engines.cache import held
from segdiff.readers import find
from tests.benchmarks.cost import conversion
from tests.benchmarks.measure import Cost, measure, python
from tests.zoo.layout import MODELS, root

DEFAULT = "DeepLabV3P-512x1024-pdmodel"

RUNS = ("without", "first", "second")

VARYING = ("timing_s", "peak_memory_mb", "remarks", "command")
"""What may differ between two reports of one pair."""


def run_model(folder: Path) -> tuple[dict[str, Cost], float, bool]:
    """The three runs, the MB that the cache holds after them, and whether they say the same."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        with np.load(folder / "io.npz") as arrays:
            np.save(place / "x.npy", arrays["x"])
        files = (find(folder).program.resolve(), conversion(folder), place / "x.npy")
        costs, reports = {}, []
        for name in RUNS:
            cache = [] if name == "without" else ["--cache", place / "cache", "--cache-size", "64G"]
            report = place / f"{name}.json"
            words = ("-m", "segdiff", "locate", "--no-progress", *files, "--json", report, *cache)
            costs[name] = measure(python(*words), (0, 1))
            reports.append(plain(json.loads(report.read_text())))
            print(f"{folder.name}, {name}: {costs[name].wall:.1f} s", file=sys.stderr, flush=True)
        size = held(place / "cache").bytes / 1e6
    return costs, size, reports[0] == reports[1] == reports[2]


def plain(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what varies."""
    return {name: entry for name, entry in report.items() if name not in VARYING}


def main() -> int:
    """Run the models, print the table; 1 where two runs say different things."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", type=Path, metavar="DIR", help=f"the zoo's {DEFAULT}")
    folders = parser.parse_args().models or [root() / MODELS / DEFAULT]
    grid = Table("model", "run", "wall s", "processor s", "peak MB", "on disk MB", "of the first")
    same = True
    for folder in folders:
        costs, size, alike = run_model(folder)
        same &= alike
        for name, cost in costs.items():
            share = f"{cost.wall / costs['first'].wall:.2f}" if name == "second" else ""
            numbers = (f"{cost.wall:.1f}", f"{cost.cpu:.1f}", f"{cost.peak:.0f}")
            grid.add_row(folder.name, name, *numbers, f"{size:.0f}" if name == "second" else "", share)
        if not alike:
            grid.add_row(folder.name, "the three do not say the same", "", "", "", "", "")
    Console(width=110).print(grid)
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
