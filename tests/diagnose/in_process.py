"""The search for a cause on a whole small model, in this process: families and edits without the engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto

from segdiff.core.edit import Edit, apply
from segdiff.core.graph import Graph, Op, Parameter, Value
from segdiff.core.metrics import compare_arrays
from segdiff.diagnose.hypothesis import Hypothesis, hypotheses
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.search import search
from segdiff.walk.trial import Trial
from tests.faults import plant
from tests.models import copied, graph_of, tensors_of

Array = NDArray[Any]
Feeds = Mapping[str, Array]

TOLERANCE = 1e-5
"""Relative error up to which two small models agree; the faults here are of the size of the tensor."""


@dataclass(frozen=True)
class Found:
    """What the search says; ``repaired`` is the model with the proven edits, checked by ONNX."""

    kind: str
    proven: bool
    text: str
    hypothesis: Hypothesis | None = None
    repaired: ModelProto | None = None


NOTHING = Found("unknown", False, "")


def cause(reference: Graph, candidate: ModelProto, feeds: Feeds, truth: Feeds, folder: Path) -> Found:
    """The cause that segdiff finds for a model that is one segment.

    ``feeds`` and ``truth`` are by the candidate's names; inputs and outputs of both sides pair in order.
    """
    case = case_of(reference, candidate, feeds, truth, folder)
    attempt = _attempt(candidate, feeds, truth)
    before = attempt(())
    assert not before.agrees, "the models agree: there is no cause to find"
    found = search(hypotheses(case), attempt, before, 60.0)
    if found is None:
        return NOTHING
    repaired = None
    if found.trial.agrees:
        repaired = copied(candidate)
        apply(repaired, found.hypothesis.edits)
        _check(repaired, truth)
    return Found(found.hypothesis.kind, found.trial.agrees, found.hypothesis.text, found.hypothesis, repaired)


def _check(model: ModelProto, truth: Feeds) -> None:
    """ONNX's own opinion; it wants the shapes of the outputs, which the small nets leave out."""
    declared = copied(model)
    for output in declared.graph.output:
        output.type.tensor_type.shape.SetInParent()
        for size in truth[output.name].shape:
            output.type.tensor_type.shape.dim.add().dim_value = size
    onnx.checker.check_model(declared, full_check=True)


def planted(model: ModelProto, kind: str, feeds: Feeds, folder: Path, seed: int = 0) -> Found:
    """The cause found for a fault of a kind in a model whose healthy self is the reference."""
    faulty, _ = plant(model, seed, kind)
    return against(model, faulty, feeds, folder)


def against(healthy: ModelProto, faulty: ModelProto, feeds: Feeds, folder: Path) -> Found:
    """The cause found for an ONNX model whose reference is another one with the same ends."""
    truth = outputs_of(healthy, feeds)
    ours = graph_of(healthy, folder, "healthy")
    names = [output.name for output in faulty.graph.output]
    return cause(ours, faulty, feeds, dict(zip(names, truth.values(), strict=True)), folder)


def case_of(reference: Graph, candidate: ModelProto, feeds: Feeds, truth: Feeds, folder: Path) -> Case:
    """The whole of both models as one segment."""
    graph = graph_of(candidate, folder, "candidate")
    got = tensors_of(candidate, feeds)
    return Case(
        reference=reference,
        candidate=graph,
        reference_ops=reference.ops,
        ops=graph.ops,
        nodes=graph.ops,
        inputs=tuple(zip(reference.inputs, graph.inputs, strict=True)),
        outputs=tuple(zip(reference.outputs, graph.outputs, strict=True)),
        feeds=feeds,
        truth=truth,
        got={name: got[name] for name in graph.outputs},
        forms={name: (str(array.dtype), array.shape) for name, array in got.items()},
    )


def _attempt(model: ModelProto, feeds: Feeds, truth: Feeds) -> Callable[[tuple[Edit, ...]], Trial]:
    def attempt(edits: tuple[Edit, ...]) -> Trial:
        changed = copied(model)
        apply(changed, edits)
        try:
            got = outputs_of(changed, feeds)
        except Exception as error:  # onnxruntime raises half a dozen types for a model it refuses
            return Trial(False, {}, str(error))
        comparisons = {name: compare_arrays(truth[name], got[name]) for name in truth}
        near = [
            c.mismatch is None and (c.changed == 0 if c.discrete else c.metrics.rel_l2 <= TOLERANCE)
            for c in comparisons.values()
        ]
        return Trial(all(near), comparisons)

    return attempt


def outputs_of(model: ModelProto, feeds: Feeds) -> dict[str, Array]:
    """The model's outputs, without optimisation."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(feeds)), strict=True))


def paddle_op(
    op_type: str,
    slots: Mapping[str, Array | None],
    attributes: Mapping[str, Any],
    *,
    outputs: int = 1,
    format: str = "pdmodel",
) -> Graph:
    """A reference of one Paddle op: slot name -> its constant, or None for an input of the model."""
    fed = tuple(name for name, value in slots.items() if value is None)
    constants = {name: np.asarray(value) for name, value in slots.items() if value is not None}
    made = tuple(f"out{number}" for number in range(outputs))
    op = Op(0, op_type, f"{op_type}.0", tuple(slots), tuple(slots), made, dict(attributes))
    parameters = {
        name: Parameter(name, array.shape, str(array.dtype), lambda array=array: array)
        for name, array in constants.items()
    }
    values = {name: Value(name) for name in (*fed, *made)}
    return Graph(format, Path("made"), (op,), values, parameters, fed, made)
