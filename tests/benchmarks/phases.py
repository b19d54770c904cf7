"""Where does a diagnosis spend its time? ``python -m tests.benchmarks.phases FOLDER [ONNX]``"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

import segdiff
from tests.benchmarks.cost import conversion


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.phases", description=__doc__)
    parser.add_argument("folder", type=Path, help="a Paddle model, its conversion and io.npz")
    parser.add_argument("onnx", type=Path, nargs="?", help="by default the first in the folder")
    arguments = parser.parse_args()
    with np.load(arguments.folder / "io.npz") as arrays:
        image = arrays["x"]
    report = segdiff.locate(arguments.folder, arguments.onnx or conversion(arguments.folder), image)
    for phase, seconds in report.timing_s.items():
        print(f"{phase:8} {seconds:8.2f} s")
    print(f"{'all':8} {sum(report.timing_s.values()):8.2f} s, {report.peak_memory_mb:,.0f} MB at the peak")
    print(f"load {os.getloadavg()[0]:.1f}: {report.sentence}")


if __name__ == "__main__":
    main()
