"""What may a hypothesis know? The case: a segment, both sides' operators, parameters and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from segdiff.core.graph import Array, Graph, Op
from segdiff.diagnose.reading import constants

Form = tuple[str, tuple[int, ...]]
"""dtype (numpy's name) and shape of a tensor."""


@dataclass(frozen=True, eq=False)
class Case:
    """A segment that errs on equal inputs.

    ``ops`` are the candidate's compute ops and ``nodes`` all that the segment needs (shape arithmetic and
    identities too), in program order; ``reference_ops`` the reference's compute ops. ``inputs`` and
    ``outputs`` are the pairs (reference, candidate) at its ends. ``feeds`` and ``truth`` hold the
    *reference's* tensors, in the candidate's form, by the candidate's names of inputs and outputs; ``got``
    what the candidate's segment makes of them. ``forms`` gives dtype and shape of every candidate value
    in the segment, inner ones included. ``unrounded`` holds what goes into bytes inside of it, had no bytes
    been made on the way: what the reference has there.
    """

    reference: Graph
    candidate: Graph
    reference_ops: tuple[Op, ...]
    ops: tuple[Op, ...]
    nodes: tuple[Op, ...]
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    feeds: Mapping[str, Array]
    truth: Mapping[str, Array]
    got: Mapping[str, Array]
    forms: Mapping[str, Form]
    unrounded: Mapping[str, Array] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        """The candidate's opset of the default domain (0 where it names none)."""
        return self.candidate.opset

    def constant(self, name: str) -> Array | None:
        """The content of a candidate's parameter or constant; None for a tensor that is computed."""
        return constants.value(self.candidate, name)

    def reference_constant(self, name: str) -> Array | None:
        """The content of a reference's parameter, or of what an op makes of nothing but constants."""
        return constants.value(self.reference, name)

    def operand(self, op: Op, position: int) -> str | None:
        """The candidate's tensor at an input position of a node; None where it is left out."""
        try:
            return op.inputs[op.slots.index(str(position))]
        except ValueError:
            return None

    def operand_constant(self, op: Op, position: int) -> Array | None:
        """The content at an input position, where it is constant."""
        name = self.operand(op, position)
        return None if name is None else self.constant(name)

    def shape(self, name: str | None) -> tuple[int, ...] | None:
        """Shape of a candidate's tensor: of a value on this run, or of a parameter."""
        if name is None:
            return None
        if name in self.forms:
            return self.forms[name][1]
        parameter = self.candidate.parameters.get(name)
        return parameter.shape if parameter else None

    def asked(self, op: Op | None, *names: str, default: Any = None) -> Any:
        """What the reference's op says of something: the first attribute or constant input of these names.

        A ``.pdmodel`` keeps in an attribute (``ksize``) what PIR may pass as an input (``kernel_size``),
        and ONNX as an input position (``"1"``). Constant inputs come as numpy arrays.
        """
        if op is None:
            return default
        for name in names:
            if name in op.slots:
                found = self.reference_constant(op.inputs[op.slots.index(name)])
                if found is not None:
                    return found
            if op.attributes.get(name) is not None:
                return op.attributes[name]
        return default
