"""What does one attach to a bug report? The blamed segment, its tensors, a script that shows the error.

The script needs numpy and onnxruntime and nothing else.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from segdiff.core.answer import Origin, Report
from segdiff.core.errors import InputError
from segdiff.core.kept import SegmentTensors
from segdiff.core.outputs import refuse_foreign_folder, refuse_input, refuse_unwritable_folder
from segdiff.core.plain import plain
from segdiff.finding.repair import inputs_of

WHAT = "The folder of the repro"

SCRIPT = '''"""{title}

{sentence}
Inputs and expected outputs are the reference's own tensors. Needs numpy and onnxruntime.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort

here = Path(__file__).parent
tensors = json.loads((here / "tensors.json").read_text())
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.log_severity_level = 3
session = ort.InferenceSession(str(here / "segment.onnx"), options, providers=["CPUExecutionProvider"])
feeds = {{name: np.load(here / file) for name, file in tensors["inputs"].items()}}
for (name, file), got in zip(tensors["expected"].items(), session.run(list(tensors["expected"]), feeds)):
    expected = np.load(here / file)
    if got.shape != expected.shape and got.size != expected.size:
        print(f"{{name}}: shape {{list(got.shape)}}, expected {{list(expected.shape)}}")
        continue
    r, c = expected.astype(np.float64).ravel(), got.astype(np.float64).ravel()
    rel_l2 = np.linalg.norm(c - r) / max(np.linalg.norm(r), 1e-300)
    cosine = c @ r / max(np.linalg.norm(c) * np.linalg.norm(r), 1e-300)
    print(f"{{name}}: max_abs {{np.abs(c - r).max():.6g}}, rel_l2 {{rel_l2:.6g}}, cosine {{cosine:.6g}}")
'''


def repro(report: Report, folder: str | Path, *, origin: int = 0) -> Path:
    """Write the minimal repro of one origin (by its place in ``report.origins``) into a folder; returns it.

    ``segment.onnx`` are the candidate's nodes alone, ``reference.json`` the reference's operators with their
    attributes, ``*.npy`` the reference's tensors at both ends, ``repro.py`` prints the isolated error.
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

    onnx.save(segment_model(source, kept), str(target / "segment.onnx"))
    tensors = {
        "inputs": _save(kept.inputs, "input", target),
        "expected": _save(kept.expected, "expected", target),
    }
    (target / "tensors.json").write_text(json.dumps(tensors, indent=1))
    (target / "reference.json").write_text(json.dumps(_reference(report, origin, kept), indent=1))
    title = f"{' + '.join(n.type for n in origin.candidate_nodes)} against "
    title += " + ".join(op.type for op in origin.reference_ops)
    words = origin.cause.text if origin.cause else report.sentence
    script = SCRIPT.format(title=_quoted(title), sentence=_quoted(words))
    (target / "repro.py").write_text(script)


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
    return made
