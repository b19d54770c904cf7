"""Are the adaptive pools that segdiff blames really wrong? The blamed operator alone, against float64.

``python -m tests.sweeps.adaptive --work FOLDER [PATTERN ...]`` takes the model pairs of the zoo whose folder
fits a pattern (``PSPNet-64x96-*``), lets segdiff locate, and writes the repro of every origin into FOLDER.
From there on segdiff has no part: the repro's ``segment.onnx`` runs on the repro's input, and what comes out
is compared with the mean over Paddle's adaptive windows in float64; so is the tensor that Paddle made. Last,
the repaired file's error and mask beside the converted one's. Models in ``$SEGDIFF_ZOO/models``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import segdiff
from segdiff.core.answer import Origin, Report
from segdiff.core.graph import Array
from tests.sweeps.architectures import pairs
from tests.sweeps.converters import distance, run
from tests.sweeps.semantics.windows import FUNCTIONS


def check(repro: Path) -> tuple[str, float, float]:
    """What is pooled to what, and how far ONNX and Paddle are from the adaptive mean in float64."""
    tensors = json.loads((repro / "tensors.json").read_text())
    inputs, expected = (
        {name: np.load(repro / file) for name, file in tensors[end].items()} for end in ("inputs", "expected")
    )
    (x,), (paddle,) = inputs.values(), expected.values()
    counts = paddle.shape[2:]
    truth: Array = FUNCTIONS["adaptive_avg_pool2d"](x.astype(np.float64), counts)
    what = f"{'x'.join(map(str, x.shape[2:]))} -> {'x'.join(map(str, counts))}"
    return what, distance([truth], run(repro / "segment.onnx", inputs)), distance([truth], [paddle])


def lines(report: Report, folder: Path) -> list[str]:
    """Every origin with its check, then what the repair does."""
    found = []
    for number, origin in enumerate(report.origins):
        what, onnx, paddle = check(report.repro(folder / f"origin-{number}", origin=number))
        found.append(f"  {said(origin)}; {what}: ONNX {onnx:.2g}, Paddle {paddle:.2g} from float64")
    if report.origins:
        output = report.repair(folder / "fixed.onnx").outputs[0]
        before = output.before.cumulative
        assert before is not None
        errors = before.metrics.rel_l2, output.after.metrics.rel_l2
        masks = output.before.mask_changed or 0.0, output.mask_changed or 0.0
        found.append("  rel_l2 of the output {:.2g}, repaired {:.2g}".format(*errors))
        found.append("  pixels of the mask that change {:.2%}, repaired {:.2%}".format(*masks))
    return found


def said(origin: Origin) -> str:
    """Operators and cause, as segdiff names them."""
    ours = "+".join(op.type for op in origin.reference_ops)
    theirs = "+".join(node.type for node in origin.candidate_nodes)
    cause = origin.cause
    if cause is None or cause.before is None or cause.residual is None:
        return f"{ours} | {theirs}: no cause"
    proven = "proven" if cause.proven else "not proven"
    return (
        f"{ours} | {theirs}: {cause.kind} {proven}, {cause.before.rel_l2:.2g} -> {cause.residual.rel_l2:.2g}"
    )


def main(argv: list[str] | None = None) -> int:
    """Check model after model."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps.adaptive", description=__doc__)
    parser.add_argument("patterns", nargs="*", default=["PSPNet-64x96-*"])
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args(argv)
    for pattern in args.patterns:
        for folder, onnx in pairs(pattern):
            report = segdiff.locate(folder, onnx, np.load(folder / "io.npz")["x"])
            words = f" ({report.sentence})" if report.verdict == "inconclusive" else ""
            print(f"{folder.name} {onnx.name}: {report.verdict}{words}", flush=True)
            for line in lines(report, args.work / folder.name):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
