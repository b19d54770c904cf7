"""What does evaluate cost? ``python -m tests.benchmarks.evaluate [--model DIR] [--images N] [--runs N]``

Over N drawn streets with labels, in turns: ``segdiff evaluate``, and two plain loops, one an engine, with the
same preprocessing, the frameworks' own defaults and nothing else. Wall and processor seconds are medians;
processor seconds bear a busy machine better. A run over a quarter of the images shows whether memory grows
with their number.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from segdiff.readers import find
from tests.benchmarks.cost import conversion
from tests.benchmarks.measure import Cost, measure, python
from tests.example.street import draw
from tests.zoo.layout import MODELS, root

HERE = Path(__file__).parent
DEFAULT_MODEL = "BiSeNetV2-512x1024-pdmodel"


def streets(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """``count`` streets and their labels; the path of the list."""
    rng = np.random.default_rng(1)
    lines = []
    for number in range(count):
        image, label = draw(rng, size)
        cv2.imwrite(str(folder / f"{number}.jpg"), image)
        cv2.imwrite(str(folder / f"{number}.png"), label.astype(np.uint8))
        lines.append(f"{number}.jpg {number}.png")
    listed = folder / f"list_{count}.txt"
    listed.write_text("\n".join(lines))
    return listed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=root() / MODELS / DEFAULT_MODEL)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024), metavar=("H", "W"))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--unfused", action="store_true", help="plain loops without any optimisation")
    options = parser.parse_args()
    files, onnx = find(options.model), conversion(options.model)
    threads = os.cpu_count() or 1
    with TemporaryDirectory() as folder:
        listed = streets(Path(folder), options.images, tuple(options.size))
        quarter = Path(folder) / "quarter.txt"
        quarter.write_text("\n".join(listed.read_text().splitlines()[: max(1, options.images // 4)]))
        evaluate = ("-m", "segdiff", "evaluate", "--no-progress", files.program, onnx)
        unfused = ("--unfused",) * options.unfused
        loop = (HERE / "run_loop.py",)
        last = (files.deploy_yaml, listed, threads, *unfused)
        commands = {
            "evaluate": python(*evaluate, listed),
            "evaluate, a quarter": python(*evaluate, quarter),
            "plain Paddle": python(*loop, files.program, files.params, *last),
            "plain onnxruntime": python(*loop, onnx, "-", *last),
        }
        costs: dict[str, list[Cost]] = {name: [] for name in commands}
        for _ in range(options.runs):
            for name, command in commands.items():
                costs[name].append(measure(command, (0, 1)))
    report(costs)


def report(costs: dict[str, list[Cost]]) -> None:
    """Print the medians and the two ratios."""
    for name, runs in costs.items():
        wall, cpu, peak = (median(getattr(run, what) for run in runs) for what in ("wall", "cpu", "peak"))
        print(f"{name:<20} {wall:7.1f} s wall {cpu:7.1f} s cpu {peak:7.0f} MB")
    for what in ("wall", "cpu"):
        ours, paddle, ort = (
            median(getattr(run, what) for run in costs[name])
            for name in ("evaluate", "plain Paddle", "plain onnxruntime")
        )
        print(f"{what}: {ours / (paddle + ort):.3f} of the two plain loops")
    full, part = (median(r.peak for r in costs[name]) for name in ("evaluate", "evaluate, a quarter"))
    print(f"memory: {full / part:.3f} of that over a quarter of the images")


if __name__ == "__main__":
    main()
