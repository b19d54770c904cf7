"""A Paddle operator by its attributes against an ONNX model, without Paddle: a case made by hand.

The truth comes from a formula written out in numpy, after Paddle's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from segdiff.core.edit import apply
from segdiff.diagnose import families  # noqa: F401  (the families register themselves)
from segdiff.diagnose.hypothesis import Hypothesis, hypotheses
from segdiff.diagnose.reading.case import Case
from tests.models import Array, copied, graph_of, hand_made, tensors_of

NEAR = 2e-6
"""Relative to the largest element: some roundings of float32."""


@dataclass(frozen=True)
class Asked:
    """The case, and the model whose edits are tried."""

    case: Case
    model: ModelProto
    feed: Array

    def proven(self) -> list[Hypothesis]:
        """The hypotheses whose change alone gives the truth; those that are asked for first, then by size."""
        found = [each for each in hypotheses(self.case) if self._agrees(each)]
        return sorted(found, key=lambda each: (not each.expected, each.size))

    def kind(self) -> str | None:
        """The kind of the smallest proven one."""
        return next((each.kind for each in self.proven()), None)

    def _agrees(self, hypothesis: Hypothesis) -> bool:
        model = copied(self.model)
        try:
            apply(model, hypothesis.edits)
            got = tensors_of(model, {"x": self.feed})
        except Exception:  # whatever onnxruntime says of an edit that does not fit
            return False
        return all(near(got[name], truth) for name, truth in self.case.truth.items())


def near(got: Array, truth: Array) -> bool:
    """Equal up to rounding."""
    return got.shape == truth.shape and bool(np.abs(got - truth).max() <= NEAR * np.abs(truth).max())


def asked(
    ops: Sequence[tuple[str, Mapping[str, Any]]],
    truth: Array,
    model: ModelProto,
    feed: Array,
    folder: Path,
    **parameters: Array,
) -> Asked:
    """A chain of Paddle ops from x on, one after the other, against all of an ONNX model with one output.

    ``parameters`` are further inputs of the last op, in order.
    """
    chain: list[Any] = []
    for place, (op_type, attributes) in enumerate(ops):
        names = ["x" if place == 0 else f"v{place}"]
        names += list(parameters) if place == len(ops) - 1 else []
        chain.append((op_type, names, [f"v{place + 1}"], dict(attributes)))
    end = f"v{len(ops)}"
    graph = hand_made(chain, outputs=[end], parameters=parameters)
    candidate = graph_of(model, folder)
    values = tensors_of(model, {"x": feed})
    output = model.graph.output[0].name
    return Asked(
        Case(
            reference=graph,
            candidate=candidate,
            reference_ops=graph.ops,
            ops=candidate.ops,
            nodes=candidate.ops,
            inputs=(("x", "x"),),
            outputs=((end, output),),
            feeds={"x": feed},
            truth={output: truth.astype(np.float32)},
            got={output: values[output]},
            forms={name: (str(value.dtype), value.shape) for name, value in values.items()},
        ),
        model,
        feed,
    )
