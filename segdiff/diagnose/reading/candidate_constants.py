"""Which constants does the candidate hold, and in which forms may a parameter stand in their place?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segdiff.align.kinds import QUANTISED_DATA, kind_of
from segdiff.core.edit import Edit
from segdiff.core.graph import Array, Op
from segdiff.core.quantised import Quantisation
from segdiff.diagnose.reading import weights
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.differences import same
from segdiff.diagnose.reading.weights import Wanted
from segdiff.readers.onnx_blocked import BLOCKED, spelled_out

HALF_A_STEP = 0.51
"""Steps by which a constant that was quantised to the nearest may differ, and a rounding."""

_OTHERS: dict[str, tuple[str, ...]] = {
    "Resize": ("1", "2", "3"),
    "Upsample": ("1",),
    "Clip": ("1", "2"),
    "Pad": ("2",),
    "Pow": ("1",),
    "OneHot": ("2",),
    "Dropout": ("1",),
    "Range": ("0", "1", "2"),
    "NonMaxSuppression": ("2", "3", "4"),
}
"""Constants that are settings of their op, by input position: other families know them."""


@dataclass(frozen=True, eq=False)
class Held:
    """A constant of the candidate: at an input position (``slot``) of a node.

    ``how`` it is quantised, where ``array`` are the numbers that integers stand for; ``whole`` where the node
    itself reads the integers.
    """

    op: Op
    slot: str
    array: Array
    role: str
    how: Quantisation | None = None
    whole: bool = False

    @property
    def slack(self) -> Array | float:
        """Half a step of the scale, where it is quantised."""
        return 0.0 if self.how is None else HALF_A_STEP * self.how.steps(self.array.ndim)

    def replaced_by(self, array: Array) -> Edit:
        """What puts another array in its place; integers, where the node reads integers."""
        if self.op.type in BLOCKED:
            return Edit(self.op.outputs[0], nodes=spelled_out(self.op, np.asarray(array, np.float32)))
        if self.whole and self.how is not None:
            return Edit(self.op.outputs[0], inputs={int(self.slot): self.how.integers(array)})
        with np.errstate(over="ignore"):
            operand = array.astype(self.array.dtype, copy=False)
            return Edit(self.op.outputs[0], inputs={int(self.slot): operand})


def held_by(case: Case) -> Iterator[Held]:
    """The constants of floating point on which a segment's nodes compute, in program order."""
    for op in case.ops:
        for slot, name in zip(op.slots, op.inputs, strict=True):
            if not slot.isdigit() or slot in _OTHERS.get(op.type, ()):
                continue
            array, how = weights.constant(case.candidate, name), case.candidate.quantised.get(name)
            if slot not in QUANTISED_DATA.get(op.type, (slot,)):
                continue
            if array is not None and how is not None and array.dtype.name == how.dtype:
                yield Held(op, slot, how.numbers(array), weights.role(op, slot), how, whole=True)
            elif array is not None and array.dtype.kind == "f" and array.size:
                yield Held(op, slot, array, weights.role(op, slot), how)


def is_number(held: Held) -> bool:
    """Whether it is a single number without a role of its own."""
    return held.array.size == 1 and not held.role


def compatible(held: Held, want: Wanted) -> bool:
    """Whether their roles allow that one is the other."""
    return held.role == want.role or not held.role or not want.role


def laid(held: Held, array: Array, *, is_weight: bool = False) -> list[Array]:
    """A reference's array in the shape of a candidate's constant, in every way that makes sense there."""
    shape = held.array.shape
    if array.size != held.array.size:
        return []
    kind = kind_of(held.op)
    if is_weight and kind == "matmul" and array.ndim >= 2 and held.array.ndim >= 2:
        turned_over = weights.transposed(held.op, held.slot)
        both = [array, np.swapaxes(array, -1, -2)]
        usable = [a.reshape(shape) for a in both if a.shape[-2:] == shape[-2:]]
        swap = turned_over and len(usable) == 2
        return usable[::-1] if swap else usable[:1] if not _has_flags(held.op) else usable
    if is_weight and kind in ("conv", "deform_conv") and array.ndim == 2:
        return [array.T.reshape(shape)]
    return [array.reshape(shape)] if _plainly(array.shape, shape) else []


def _has_flags(op: Op) -> bool:
    """Whether the op can turn its operands over by an attribute, so that either layout may be right."""
    return op.type in ("Gemm", "com.microsoft.FusedMatMul", "com.microsoft.FusedGemm")


def _plainly(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether a reshape keeps the meaning of the axes: lengths of one come and go, or all is one axis."""
    first, second = ([size for size in shape if size != 1] for shape in (one, other))
    return first == second or len(first) <= 1 or len(second) <= 1


def holds(held: Held, array: Array) -> bool:
    """Whether a constant holds what it should, as far as its own type can."""
    with np.errstate(over="ignore"):
        return same(held.array, array.astype(held.array.dtype, copy=False), held.slack)


def channel_axes(held: Held) -> tuple[int, ...]:
    """The axes that have channels: those of a kernel, or all, the longest first."""
    array = held.array
    if held.role == "weight" and kind_of(held.op) in ("conv", "deform_conv"):
        return (0, 1)
    if held.role == "weight" and kind_of(held.op) == "conv_transpose":
        return (1, 0)
    return tuple(sorted(range(array.ndim), key=lambda axis: -array.shape[axis]))
