"""What does ``segdiff precision`` cost? ``python -m tests.benchmarks.precision [--models DIR] [--runs N]``

Beside it, a plain run of the same file with onnxruntime's defaults: time and memory of the whole process
tree, and how many times the plain run's each is. The two take turns; the first plain run fills the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from segdiff.readers import find
from tests.benchmarks.measure import Cost, measure, python
from tests.zoo.layout import MODELS, root

HERE = Path(__file__).parent
DEFAULT = ("DeepLabV3P-512x1024-pdmodel",)

TIMES, MEMORY = 12.0, 1.3
"""What is allowed: so many times a plain run's time, and its memory."""


@dataclass
class Turns:
    """The runs of one model."""

    plain: list[Cost] = field(default_factory=list)
    asked: list[Cost] = field(default_factory=list)
    sentence: str = ""

    def ratio(self, what: str) -> float:
        """How many times the plain run's median ours is."""
        ours, theirs = (median(getattr(c, what) for c in runs) for runs in (self.asked, self.plain))
        return ours / theirs


def turns(folder: Path, runs: int, options: list[str]) -> Turns:
    """A model asked and run plainly, in turns."""
    onnx = sorted(folder.glob("*.onnx"))[0]
    found = Turns()
    with tempfile.TemporaryDirectory() as made:
        image, report = Path(made) / "x.npy", Path(made) / "half.json"
        np.save(image, np.load(folder / "io.npz")["x"].astype(np.float32))
        plain = python(HERE / "run_onnxruntime.py", onnx, image)
        words = ("precision", find(folder).program, onnx, image, "--json", report, "--no-progress", *options)
        measure(plain)
        for _ in range(runs):
            found.plain.append(measure(plain))
            found.asked.append(measure(python("-m", "segdiff", *words), (0, 1)))
        found.sentence = json.loads(report.read_text())["sentence"]
    return found


def main() -> int:
    """Print the table; 1 where a model costs more than is allowed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.precision", description=__doc__)
    parser.add_argument("--models", nargs="*", type=Path, metavar="DIR")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("options", nargs="*", help="for segdiff precision, after --")
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    failed = 0
    for folder in given.models or [root() / MODELS / name for name in DEFAULT]:
        found = turns(folder.resolve(), given.runs, given.options)
        print(f"{folder.name}: {found.sentence}")
        for name, runs in (("plain onnxruntime", found.plain), ("segdiff precision", found.asked)):
            wall, cpu, peak = (median(getattr(c, what) for c in runs) for what in ("wall", "cpu", "peak"))
            print(f"  {name:20} {wall:7.1f} s  {cpu:7.1f} s of processor  {peak:7.0f} MB")
        time, cpu, peak = (found.ratio(what) for what in ("wall", "cpu", "peak"))
        print(f"  {'times':20} {time:7.1f}    {cpu:7.1f}                 {peak:7.2f}")
        failed |= time > TIMES or peak > MEMORY
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
