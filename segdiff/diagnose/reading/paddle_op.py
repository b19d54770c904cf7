"""What does a Paddle op say, whatever the format it was written in?"""

from __future__ import annotations

from typing import Any

import numpy as np

from segdiff.core.edit import Node, Operand
from segdiff.core.graph import Array, Op
from segdiff.diagnose.reading.case import Case

DATA = ("X", "x", "Input", "input", "arr", "0")
"""Slots of the tensor that an op works on."""


class PaddleOp:
    """A Paddle op with a short way to ask what it says."""

    def __init__(self, case: Case, op: Op) -> None:
        self.case, self.op, self.out = case, op, op.outputs[0]

    def named(self, *slots: str) -> str | None:
        """The tensor in the first of these slots that the op has."""
        own = dict(zip(self.op.slots, self.op.inputs, strict=True))
        return next((own[slot] for slot in slots if slot in own), None)

    def operand(self, *slots: str) -> Operand:
        """The same, a constant as its content."""
        name = self.named(*slots)
        if name is None:
            raise KeyError(slots)
        found = self.case.reference_constant(name)
        if found is None:
            return name
        dtype = self.case.reference.value(name).dtype
        parameter = self.case.reference.parameters.get(name)
        return found.astype(parameter.dtype if parameter else dtype or found.dtype)

    @property
    def x(self) -> str:
        """The tensor that the op works on."""
        return self.named(*DATA) or self.op.inputs[0]

    def listed(self) -> list[str]:
        """The tensors of an op that takes a list."""
        vector = self.case.reference.producer.get(self.op.inputs[0])
        if vector is not None and vector.type == "builtin.combine":
            return list(vector.inputs)
        return [n for s, n in zip(self.op.slots, self.op.inputs, strict=True) if s in ("X", "x")]

    def parts(self) -> list[str]:
        """The outputs of an op that gives a list."""
        readers = self.case.reference.consumers.get(self.out, ())
        apart = next((each for each in readers if each.type == "builtin.split"), None)
        return list(apart.outputs if apart is not None else self.op.outputs)

    def sorted_ends(self) -> tuple[str, ...]:
        """The values that an op puts in order, then their places; a ``.pdmodel`` lists them by name."""
        return tuple(sorted(self.op.outputs[:2], key=lambda name: self.dtype(name).kind != "f"))

    def says(self, *names: str, default: Any = None) -> Any:
        """An attribute or a constant input."""
        found = self.case.asked(self.op, *names, default=default)
        return found.tolist() if isinstance(found, np.ndarray) else found

    def number(self, *names: str, default: float = 0.0) -> float:
        """One number."""
        return float(np.asarray(self.says(*names, default=default)).reshape(-1)[0])

    def integers(self, *names: str) -> list[int]:
        """A list of integers; empty where nothing is said."""
        found = self.says(*names, default=[])
        return [int(each) for each in np.asarray(found).reshape(-1)]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value: as it runs at the ends of the segment, else as the file declares it."""
        ends = {r: c for r, c in (*self.case.outputs, *self.case.inputs) if r}
        truth = self.case.truth.get(ends.get(name, ""))
        if truth is not None:
            return truth.shape
        found = self.case.shape(ends.get(name)) or self.case.reference.value(name).shape
        if found is None or any(size is None or size < 0 for size in found):
            raise ValueError(name)
        return tuple(size for size in found if size is not None)

    @property
    def rank(self) -> int:
        """Axes of the tensor that the op works on."""
        shape = self.case.reference.value(self.x).shape
        return len(shape) if shape is not None else len(self.shape(self.x))

    def dtype(self, name: str) -> np.dtype[Any]:
        """The element type of a value."""
        parameter = self.case.reference.parameters.get(name)
        return np.dtype(parameter.dtype if parameter else self.case.reference.value(name).dtype or "float32")

    def inner(self, word: str) -> str:
        """A name for a tensor between the nodes."""
        return f"{self.out}.{word}"

    def node(self, op_type: str, *operands: Operand, to: str = "", **attributes: Any) -> Node:
        """A node that writes the op's output, or a tensor between."""
        return Node(op_type, operands, (to or self.out,), attributes)


def ints(values: Any) -> Array:
    """A vector of int64."""
    return np.asarray(values, np.int64).reshape(-1)
