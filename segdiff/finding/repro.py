"""What does one attach to a bug report? The blamed segment, its tensors, a script that shows the error.

The script needs numpy and onnxruntime and nothing else.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from segdiff.core.answer import Cause, Origin, Report
from segdiff.core.edit import apply
from segdiff.core.errors import InputError, ModelError
from segdiff.core.kept import SegmentTensors
from segdiff.core.outputs import refuse_foreign_folder, refuse_input, refuse_unwritable_folder
from segdiff.core.plain import plain
from segdiff.finding.repair import inputs_of

WHAT = "The folder of the repro"

SCRIPT = '''"""{title}

{sentence}

python repro.py             runs segment.onnx
python repro.py FILE.onnx   runs another file in its place: a mended one

Inputs and expected outputs are the reference's own tensors. The exit code is 0 where the outputs are the
expected ones (rel_l2 up to {tolerance:.1e}), else 1. Needs numpy and onnxruntime.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

here = Path(__file__).parent
tensors = json.loads((here / "tensors.json").read_text())
model = sys.argv[1] if len(sys.argv) > 1 else str(here / "segment.onnx")
feeds = {{name: np.load(here / file) for name, file in tensors["inputs"].items()}}
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 4
try:
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    outputs = session.run(list(tensors["expected"]), feeds)
except Exception as error:
    print(f"onnxruntime {{ort.__version__}} does not run it: {{error}}")
    sys.exit(1)
wrong = False
for (name, file), got in zip(tensors["expected"].items(), outputs):
    expected = np.load(here / file)
    if got.shape != expected.shape and got.size != expected.size:
        print(f"{{name}}: shape {{list(got.shape)}}, expected {{list(expected.shape)}}")
        wrong = True
        continue
    r, c = expected.astype(np.float64).ravel(), got.astype(np.float64).ravel()
    same = (r == c) | (np.isnan(r) & np.isnan(c))
    r, c = np.where(same & ~np.isfinite(r), 0, r), np.where(same & ~np.isfinite(r), 0, c)
    with np.errstate(all="ignore"):
        rel_l2 = np.linalg.norm(c - r) / max(np.linalg.norm(r), 1e-300)
        cosine = c @ r / max(np.linalg.norm(c) * np.linalg.norm(r), 1e-300)
        largest = np.abs(c - r).max(initial=0.0)
    print(f"{{name}}: max_abs {{largest:.6g}}, rel_l2 {{rel_l2:.6g}}, cosine {{cosine:.6g}}")
    wrong |= not rel_l2 <= {tolerance!r}
sys.exit(int(wrong))
'''

MENDED = "mended.onnx"
"""The segment with the proven change made."""

LEAST = 1e-7
"""Of the errors between which the tolerance lies: one rounding of float32."""

COARSE = 1e-3
"""The tolerance where the error is infinite, so that nothing lies in between."""


def repro(report: Report, folder: str | Path, *, origin: int = 0) -> Path:
    """Write the minimal repro of one origin (by its place in ``report.origins``) into a folder; returns it.

    ``segment.onnx`` are the candidate's nodes alone, ``mended.onnx`` (of a proven cause) the same with the
    change made, ``reference.json`` the reference's operators with their attributes, ``*.npy`` the reference's
    tensors at both ends. ``repro.py`` prints the isolated error, with exit code 1, and 0 for a mended file.
    The folder is new or empty, or holds an earlier repro. Raises InputError where it is another one, where it
    cannot be written, and where the report has no such origin.
    """
    if not 0 <= origin < len(report.origins):
        raise InputError(f"there is no origin {origin}: the report has {len(report.origins)}")
    blamed = report.origins[origin]
    if blamed.runtime:
        raise InputError(
            f"origin {origin} is no operator of the model but its optimiser's doing: "
            "attach the model itself, and say which optimiser it is"
        )
    kept = report.evidence.segments.get(blamed.pair.candidate) if report.evidence else None
    if report.evidence is None or kept is None:
        why = f" ({report.evidence.problem})" if report.evidence and report.evidence.problem else ""
        raise InputError(f"the tensors around {blamed.pair.candidate!r} were not kept{why}; locate again")
    target = Path(folder)
    refuse_unwritable_folder(target, WHAT)
    refuse_foreign_folder(target, WHAT)
    if target.is_dir():
        inputs = list(inputs_of(report, report.evidence))
        for file in target.iterdir():
            refuse_input(file, inputs, WHAT)
    try:
        target.mkdir(parents=True, exist_ok=True)
        _write(report, blamed, kept, target, report.evidence.files[1].program)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def _write(report: Report, origin: Origin, kept: SegmentTensors, target: Path, source: Path) -> None:
    import onnx

    segment = segment_model(source, kept)
    onnx.save(segment, str(target / "segment.onnx"))
    (target / MENDED).unlink(missing_ok=True)
    if mend(segment, origin.cause):
        onnx.save(segment, str(target / MENDED))
    tensors = {
        "inputs": _save(kept.inputs, "input", target),
        "expected": _save(kept.expected, "expected", target),
    }
    (target / "tensors.json").write_text(json.dumps(tensors, indent=1))
    (target / "reference.json").write_text(json.dumps(_reference(report, origin, kept), indent=1))
    title = f"{' + '.join(n.type for n in origin.candidate_nodes)} against "
    title += " + ".join(op.type for op in origin.reference_ops)
    words = origin.cause.text if origin.cause else report.sentence
    bound = tolerance(origin)
    script = SCRIPT.format(title=_quoted(title), sentence=_quoted(words), tolerance=bound)
    (target / "repro.py").write_text(script)


def tolerance(origin: Origin) -> float:
    """The error up to which an output is right: on a log scale halfway between the fault's and what is left
    without it, so that another machine's rounding does not matter."""
    pair, cause = origin.pair, origin.cause
    error = pair.isolated.metrics.rel_l2 if pair.isolated else math.inf
    left = cause.residual.rel_l2 if cause and cause.proven and cause.residual else 0.0
    rounding = pair.noise.metrics.rel_l2 if pair.noise else 0.0
    least = max([LEAST, *(each for each in (left, rounding) if math.isfinite(each))])
    return math.sqrt(error * least) if math.isfinite(error) else max(COARSE, 10 * least)


def mend(segment: Any, cause: Cause | None) -> bool:
    """Make the proven change in a segment, in place; False where there is none that stays inside of it."""
    if cause is None or not cause.proven or not cause.edits:
        return False
    inside = {name for node in segment.graph.node for name in node.output}
    if not all(edit.place in inside for edit in cause.edits):
        return False
    known = inside | {each.name for each in (*segment.graph.input, *segment.graph.initializer)}
    new = {name for edit in cause.edits for node in (*edit.before, *edit.nodes) for name in node.outputs}
    if any(not edit.reads <= known | new and not edit.inside for edit in cause.edits):
        return False
    try:
        apply(segment, cause.edits)
    except ModelError:
        return False
    return True


def _quoted(text: str) -> str:
    """Text of a model file as it may stand in a docstring: it must not end it."""
    return re.sub(r"[^\x20-\x7e]", "?", text).replace("\\", "/").replace('"', "'")


def _save(arrays: Any, stem: str, target: Path) -> dict[str, str]:
    files = {}
    for number, (name, array) in enumerate(arrays.items()):
        files[name] = f"{stem}-{number}.npy"
        np.save(target / files[name], array)
    return files


def _reference(report: Report, origin: Origin, kept: SegmentTensors) -> dict[str, Any]:
    return {
        "format": report.reference.format,
        "ops": [
            {"type": op.type, "outputs": list(op.outputs), "attributes": plain(op.attributes)}
            for op in origin.reference_ops
        ],
        "names": dict(kept.names),
        "isolated": origin.pair.isolated.metrics.to_dict() if origin.pair.isolated else None,
        "cause": origin.cause and {"kind": origin.cause.kind, "text": origin.cause.text},
    }


def segment_model(source: Path, kept: SegmentTensors) -> Any:
    """The candidate's nodes of a segment as an ``onnx.ModelProto``, its parameters inside."""
    from segdiff.engines.cutting import Cutter, fetch_weights

    made = Cutter(source).cut(kept.nodes, kept.inputs, tuple(kept.expected))
    fetch_weights(made, source)
    for node in made.graph.node:
        node.doc_string = ""  # exporters write paths and stack traces there
    return made
