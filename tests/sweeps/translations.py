"""Is what a Paddle op means in ONNX right? Every small program of the converters' sweep, written out and run.

``python -m tests.sweeps.translations [PATTERN ...]``; a pattern fits names of programs. Each program is
exported by this environment's Paddle (``FLAGS_enable_pir_api=0`` writes the old format), its ops are written
in ONNX by ``segdiff.diagnose.reading.translation``, and onnxruntime's result is compared with Paddle's.
"""

from __future__ import annotations

import fnmatch
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import helper

from segdiff.align.view import view_of
from segdiff.core.edit import new_nodes
from segdiff.core.graph import Array, Graph
from segdiff.core.metrics import compare_arrays
from segdiff.diagnose.reading import constants
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.pieces import SPELT_NOWHERE, spelt
from segdiff.readers import find, read
from tests.models import hand_made
from tests.sweeps.operators.programs import Program, programs

OPSET = 17
SAME = 1e-4


def written(graph: Graph, feeds: dict[str, Array], opset: int = OPSET) -> tuple[Any, list[str]]:
    """The whole graph as an ONNX model, or None; and the types of the ops that have no spelling."""
    candidate = hand_made([("Identity", ["x"], ["y"])], outputs=["y"], format="onnx")
    object.__setattr__(candidate, "opset", opset)
    view = view_of(graph)
    ends = tuple((name, name) for name in graph.inputs)
    forms = {name: (str(array.dtype), array.shape) for name, array in feeds.items()}
    case = Case(graph, candidate, graph.ops, (), (), ends, ends, dict(feeds), {}, {}, forms)
    found, lacking = [], []
    for op in graph.ops:
        held = all(constants.value(graph, name) is not None for name in op.outputs)
        if held or op.type in ("full", "full_int_array", *SPELT_NOWHERE):
            continue
        pieces = spelt(case, op)
        if pieces is None:
            lacking.append(op.type)
        found += [piece.node for piece in pieces or ()]
    if lacking:
        return None, lacking
    model = helper.make_graph([], "written", [], [])
    for name, array in feeds.items():
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        model.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    model.node.extend(new_nodes(model, tuple(found)))
    made = {name for node in model.node for name in node.output}
    for name in graph.outputs:
        source = name if name in made else view.source(name)
        model.output.append(helper.make_empty_tensor_value_info(source))
    return helper.make_model(model, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), []


def judged(program: Program, folder: Path) -> tuple[str, str]:
    """``right``, ``wrong``, ``refused``, ``lacking`` or ``not exported``, with the ops or the reason."""
    import paddle

    from tests.sweeps.operators.export import One, Three, Two, export

    try:
        export(program, str(folder))
        layer = (One, Two, Three)[len(program.inputs) - 1](program)
        layer.eval()
        truth = layer(*(paddle.to_tensor(each) for each in program.tensors().values()))
    except Exception as error:
        return "not exported", f"{type(error).__name__}: {str(error)[:100]}"
    outputs = [each.numpy() for each in (truth if isinstance(truth, list | tuple) else [truth])]
    graph = read(find(folder))
    feeds = dict(zip(graph.inputs, program.tensors().values(), strict=False))
    types = sorted({op.type for op in graph.ops})
    try:
        model, lacking = written(graph, feeds)
        if model is None:
            return "lacking", ", ".join(lacking)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        names = {each.name for each in session.get_inputs()}
        got = session.run(None, {name: array for name, array in feeds.items() if name in names})
    except Exception as error:
        return "refused", f"{', '.join(types)}: {type(error).__name__}: {str(error)[:200]}"
    for ours, theirs in zip(outputs, got, strict=True):
        found = compare_arrays(ours, np.asarray(theirs))
        if found.mismatch or found.metrics.rel_l2 > SAME or ours.shape != theirs.shape:
            return "wrong", f"{', '.join(types)}: {found.mismatch or found.metrics}"
        if ours.dtype != theirs.dtype:
            return "wrong", f"{', '.join(types)}: {theirs.dtype} for {ours.dtype}"
    return "right", ", ".join(types)


def main(patterns: list[str]) -> int:
    """Run and count; 1 where a translation is wrong."""
    counts: Counter[str] = Counter()
    lacking: dict[str, int] = defaultdict(int)
    for name, program in programs().items():
        if patterns and not any(fnmatch.fnmatch(name, f"*{pattern}*") for pattern in patterns):
            continue
        with tempfile.TemporaryDirectory() as folder:
            word, said = judged(program, Path(folder))
        counts[word] += 1
        if word == "lacking":
            for each in set(said.split(", ")):
                lacking[each] += 1
        if word in ("wrong", "refused", "not exported"):
            print(f"{word}: {name}: {said}", flush=True)
    print(dict(counts))
    print("lacking:", ", ".join(f"{op} {n}" for op, n in sorted(lacking.items(), key=lambda i: -i[1])))
    return int(bool(counts["wrong"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
