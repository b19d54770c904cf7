"""Is the verdict right on every model pair of the zoo?

    python -m tests.sweeps.architectures [GLOB] [--out FILE]

Prints a line a pair: verdict, coverage, origins, final cosine, seconds, peak memory; then a line an origin,
a reason where it could not tell, and a count of verdicts at the end. Models in ``$SEGDIFF_ZOO/models``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import segdiff


def pairs(pattern: str) -> Iterator[tuple[Path, Path]]:
    """Folders of the zoo with each of their ONNX files."""
    root = Path(os.environ.get("SEGDIFF_ZOO", Path.home() / ".cache" / "segdiff-zoo")) / "models"
    for folder in sorted(root.glob(pattern)):
        for onnx in sorted(folder.glob("*.onnx")):
            if (folder / "io.npz").exists():
                yield folder, onnx


def judge(folder: Path, onnx: Path) -> tuple[str, list[str], segdiff.Report | None]:
    """Verdict (or the error's name), lines to print, and the report."""
    started = time.perf_counter()
    try:
        report = segdiff.locate(folder, onnx, np.load(folder / "io.npz")["x"])
    except segdiff.SegdiffError as error:
        return type(error).__name__, [f"    {error}"], None
    seconds = time.perf_counter() - started
    final = report.outputs[0].cumulative
    facts = (
        f"    coverage {report.coverage[0]:.2f} {report.coverage[1]:.2f}, {len(report.pairs)} pairs, "
        f"{len(report.origins)} origins, cosine {final.metrics.cosine if final else float('nan'):.6f}, "
        f"{seconds:.1f} s, {report.peak_memory_mb:.0f} MB"
    )
    origins = [
        f"    {'proven' if origin.confirmed else 'unconfirmed'}: {origin.pair.reference} "
        f"{[op.type for op in origin.reference_ops]} | {[op.type for op in origin.candidate_nodes]} "
        f"{origin.pair.isolated.metrics if origin.pair.isolated else ''} ({origin.pair.reason})"
        for origin in report.origins
    ]
    words = [f"    {report.sentence}"] if report.verdict == "inconclusive" else []
    return report.verdict, [facts, *words, *(f"    {remark}" for remark in report.remarks), *origins], report


def main() -> None:
    """Run over the zoo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    for folder, onnx in pairs(arguments.pattern):
        verdict, lines, report = judge(folder, onnx)
        counts[verdict] += 1
        print(f"{verdict:12} {folder.name} {onnx.name}", *lines, sep="\n", flush=True)
        if arguments.out and report:
            with arguments.out.open("a") as file:
                file.write(json.dumps({"folder": folder.name, "onnx": onnx.name, **report.to_dict()}) + "\n")
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))


if __name__ == "__main__":
    main()
