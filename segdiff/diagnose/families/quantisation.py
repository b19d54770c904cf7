"""Does a quantised tensor hold its numbers? The scale and zero point of activations, the scale of weights.

The right scale and zero point are the reference's own where it is quantised too. Otherwise they follow from
the range of the numbers that the reference puts there.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segdiff.core.edit import Edit, Operand
from segdiff.core.graph import Array, Op
from segdiff.core.quantised import Quantisation
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.candidate_constants import HALF_A_STEP
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.weights import affine_forms


@family("QuantizeLinear")
def activations(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The scale and zero point at which a value is quantised, here and where it is turned back."""
    how = case.candidate.quantised.get(op.outputs[0])
    if how is None or how.scale.size != 1:
        return
    asked = _asked(case, op)
    if asked is not None:
        yield from _other(case, op, how, asked, "the reference's", expected=True)
        return
    for array in _numbers(case, op):
        right = fitted(how, array)
        if right is not None:
            low, high = _range(how)
            words = (
                f"holds {low:.3g} to {high:.3g} and the reference has {array.min():.3g} to {array.max():.3g};"
            )
            yield from _other(case, op, how, right, words, expected=True)


def _asked(case: Case, op: Op) -> Quantisation | None:
    """How the reference quantises in this place, where it does."""
    partner = partner_of(case, op)
    return case.reference.quantised.get(partner.outputs[0]) if partner and partner.type == op.type else None


def _numbers(case: Case, op: Op) -> Iterator[Array]:
    """What the reference has where the node reads, or where its integers are turned back."""
    names = [
        op.inputs[0],
        *(o.outputs[0] for o in case.candidate.consumers.get(op.outputs[0], ()) if o.outputs),
    ]
    for name in names:
        array = case.feeds.get(name) if name in case.feeds else case.truth.get(name)
        if array is not None and array.dtype.kind == "f" and array.size and np.isfinite(array).all():
            yield array


def _range(how: Quantisation) -> tuple[float, float]:
    limits = np.iinfo(how.dtype)
    low, high = (float(how.numbers(np.array(end, np.int64))) for end in (limits.min, limits.max))
    return low, high


def fitted(how: Quantisation, array: Array) -> Quantisation | None:
    """The quantisation that holds these numbers; None where the given one does, within a few steps of it.

    The scale stays where another zero point is enough.
    """
    low, high = min(0.0, float(array.min())), max(0.0, float(array.max()))
    now, step, limits = _range(how), float(how.scale.reshape(-1)[0]), np.iinfo(how.dtype)
    if low >= now[0] - step and high <= now[1] + step:
        return None
    if high - low > (limits.max - limits.min + 1) * step:
        step = (high - low) / (limits.max - limits.min)
    zero = np.clip(np.rint(limits.min - low / step), limits.min, limits.max)
    shape = how.scale.shape
    return Quantisation(
        np.full(shape, step, np.float32), np.full(shape, zero, how.dtype), how.dtype, how.axis
    )


def _other(
    case: Case, op: Op, how: Quantisation, right: Quantisation, words: str, *, expected: bool
) -> Iterator[Hypothesis]:
    """Another scale and zero point, where the tensor is made and wherever it is read."""
    same_scale = np.array_equal(right.scale, how.scale)
    if same_scale and np.array_equal(right.zero_point, how.zero_point):
        return
    readers = case.candidate.consumers.get(op.outputs[0], ())
    if right.dtype != how.dtype or any(reader.type != "DequantizeLinear" for reader in readers):
        return
    inputs: dict[int, Operand] = {2: right.zero_point}
    if not same_scale:
        inputs[1] = right.scale
    edits = tuple(Edit(each.outputs[0], inputs=inputs) for each in (op, *readers))
    zero, other = (int(each.zero_point.reshape(-1)[0]) for each in (how, right))
    if same_scale:
        text = f"QuantizeLinear has the zero point {zero}: {words} right is {other}"
        yield Hypothesis("quantization.zero_point", text, edits, expected)
        return
    now, then = (float(each.scale.reshape(-1)[0]) for each in (how, right))
    text = f"QuantizeLinear has the scale {now:.3g}: {words} right is {then:.3g} with the zero point {other}"
    yield Hypothesis("quantization.activation_range", text, edits, expected)


@family("Conv", "ConvTranspose", "MatMul", "Gemm")
def weight_scale(case: Case, op: Op) -> Iterator[Hypothesis]:
    """One scale for all of a weight whose channels differ by orders: the small ones are lost in it."""
    place = op.slots.index("1") if "1" in op.slots else None
    name = op.inputs[place] if place is not None else ""
    how = case.candidate.quantised.get(name)
    held = case.candidate.parameters.get(name)
    if how is None or held is None or held.dtype != "float32" or how.scale.size != 1:
        return
    axis = {"Conv": 0, "ConvTranspose": 1}.get(
        op.type, 0 if op.attributes.get("transB") else len(held.shape) - 1
    )
    array = held.load()
    for form in (form for other in case.reference_ops for form in affine_forms(case, other)):
        for weight in (form.weight, np.swapaxes(form.weight, 0, 1)):
            if weight.shape != array.shape:
                continue
            gap = np.abs(weight.astype(np.float64) - array)
            if (gap > HALF_A_STEP * how.steps(array.ndim)).any():
                continue
            others = tuple(n for n in range(weight.ndim) if n != axis)
            largest = np.abs(weight).max(axis=others)
            text = (
                f"the weight of {op.type} has one scale, {float(how.scale.reshape(-1)[0]):.3g}, for channels "
                f"whose largest numbers go from {largest.min():.2g} to {largest.max():.2g}; "
                "it needs a scale for each channel"
            )
            edit = Edit(op.outputs[0], inputs={1: per_channel(weight, others)})
            yield Hypothesis("quantization.weight_scale", text, (edit,), True)
            return


def per_channel(weight: Array, others: tuple[int, ...]) -> Array:
    """A weight rounded to 8 bits with a scale for each channel, float32."""
    step = np.abs(weight).max(axis=others, keepdims=True) / 127
    step = np.where(step > 0, step, 1.0)
    return np.asarray(np.rint(weight / step) * step, np.float32)
