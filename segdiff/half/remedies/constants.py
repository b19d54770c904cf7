"""Can a constant that half precision does not hold have another value? A mask's depth, an epsilon.

Neither is exact whatever is fed: behind a Softmax, -10000 hides what -1e9 hides as long as the scores are
small, and an epsilon that is raised changes little where the variances are large. So both are run to know.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit
from segdiff.core.graph import Array, Graph, Op
from segdiff.core.precision import LARGEST, SMALLEST_STEP
from segdiff.half.remedies.rewriting import Rewrite, constant, names_of, operand
from segdiff.half.static import called

DEEP = -1e4
"""What hides a score behind a Softmax in float16: exp(-10000) is zero in every type, and a score of some
hundreds may still be added to it."""

RAISED = 1e-7
"""An epsilon that float16 holds (its smallest number is 6e-8)."""

HANDED_ON = frozenset(
    {
        "Add", "Mul", "Where", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Transpose", "Slice", "Concat",
        "Tile",
    }
)  # fmt: skip
"""What stands between a mask and its Softmax."""

FARTHEST = 12
"""Operators between them."""


def mask_rewrite(graph: Graph, op: Op) -> Rewrite | None:
    """The constant of an op that goes below -65504, and that only Softmaxes see, as -10000."""
    for name in op.inputs:
        held = constant(graph, name)
        if held is None or not held.size or not np.any(_deep(held)):
            continue
        readers = graph.consumers.get(name, ())
        if name in graph.outputs or not all(ends_in_softmax(graph, reader) for reader in readers):
            continue
        shallow = np.where(_deep(held), np.asarray(DEEP, held.dtype), held)
        edits = [
            Edit(reader.outputs[0], inputs={int(slot): shallow})
            for reader in readers
            for slot, read in zip(reader.slots, reader.inputs, strict=True)
            if read == name and slot.isdigit()
        ]
        text = (
            f"let the mask of {called(op)} go down to {DEEP:.0f} instead of {float(held.min()):.3g} (behind "
            "a Softmax both are zero, if scores are some hundreds at the most and no row is all mask)"
        )
        touched = frozenset(reader.index for reader in readers)
        return Rewrite("mask", op.index, names_of(readers), touched, text, tuple(edits), always=False)
    return None


def _deep(array: Array) -> Array:
    return np.asarray(np.isfinite(array) & (array < -LARGEST["float16"]))


def ends_in_softmax(graph: Graph, op: Op) -> bool:
    """Whether all that an op makes goes into Softmaxes, a few ops on."""
    queue, seen = [(op, 0)], {op.index}
    met = False
    while queue:
        here, distance = queue.pop()
        if here.type == "Softmax":
            met = True
            continue
        given_out = not set(graph.outputs).isdisjoint(here.outputs)
        if here.type not in HANDED_ON or distance > FARTHEST or given_out:
            return False
        readers = [reader for name in here.outputs for reader in graph.consumers.get(name, ())]
        if not readers:
            return False
        queue += [(reader, distance + 1) for reader in readers if reader.index not in seen]
        seen.update(reader.index for reader in readers)
    return met


def epsilon_rewrite(graph: Graph, op: Op) -> Rewrite | None:
    """An epsilon below float16's smallest number raised to 1e-7; None where there is none."""
    edit = next(_raised(graph, op), None)
    if edit is None:
        return None
    text = f"raise the epsilon of {called(op)} to {RAISED:.0e}, which float16 holds"
    return Rewrite("epsilon", op.index, names_of([op]), frozenset([op.index]), text, (edit,), always=False)


def _raised(graph: Graph, op: Op) -> Iterator[Edit]:
    epsilon = op.attributes.get("epsilon")
    norms = op.type.endswith(("LayerNormalization", "InstanceNormalization", "GroupNormalization"))
    if norms and isinstance(epsilon, float) and 0 < epsilon < SMALLEST_STEP:
        yield Edit(op.outputs[0], attributes={"epsilon": RAISED})
    if op.type in ("Add", "Max"):
        for slot in (0, 1):
            held = constant(graph, operand(op, slot) or "")
            if held is not None and held.size == 1 and 0 < float(held.reshape(-1)[0]) < SMALLEST_STEP:
                yield Edit(op.outputs[0], inputs={slot: np.full_like(held, RAISED)})
