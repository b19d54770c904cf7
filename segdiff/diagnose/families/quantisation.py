"""Does a quantised tensor hold its numbers? The scale and zero point of activations, the scale of weights.

The right scale and zero point are the reference's own where it is quantised too. Otherwise they follow from
the range of the numbers that the reference puts there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segdiff.align.kinds import QUANTIZE
from segdiff.core.edit import Edit, Operand, merged
from segdiff.core.graph import Array, Op
from segdiff.core.precision import DEQUANTIZE
from segdiff.core.quantised import Quantisation, ends_of
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading.candidate_constants import Held, held_by, laid
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.weights import affine_forms
from segdiff.readers.onnx_quantised import CONCAT, MULTIPLIED, OUT, QUANTISED, roles, uses
from segdiff.walk.last_bit import output_axis

FITTED = 0.6
"""Steps by which a weight may differ from its integers at the scale that fits them best: half of one for the
rounding, and what the fit adds to the largest integers (measured: 0.514)."""

MAKING = tuple(name for name, places in QUANTISED.items() if any(place[0] == OUT for place in places))
"""Operators that write bytes at a scale of their own."""


@family(*MAKING, CONCAT)
def activations(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The scale and zero point at which a value is quantised, here and wherever it is read."""
    how = case.candidate.quantised.get(op.outputs[0])
    if how is None or how.scale.size != 1 or op.outputs[0] in case.candidate.parameters:
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
    """What the reference has where the node reads, or where its integers are turned back; inside a segment
    what it would have."""
    readers = case.candidate.consumers.get(op.outputs[0], ())
    before = [op.inputs[0]] if op.type in QUANTIZE else []
    names = [*before, op.outputs[0], *(o.outputs[0] for o in readers if o.type in DEQUANTIZE)]
    for name in names:
        known = (case.feeds, case.truth, case.unrounded)
        array = next((arrays[name] for arrays in known if name in arrays), None)
        if array is not None and array.dtype.kind == "f" and array.size and np.isfinite(array).all():
            yield array


def _range(how: Quantisation) -> tuple[float, float]:
    low, high = (float(how.numbers(np.array(end, np.int64))) for end in ends_of(how.dtype))
    return low, high


def fitted(how: Quantisation, array: Array) -> Quantisation | None:
    """The quantisation that holds these numbers; None where the given one does, within a few steps of it.

    The scale stays where another zero point is enough.
    """
    low, high = min(0.0, float(array.min())), max(0.0, float(array.max()))
    now, step, ends = _range(how), float(how.scale.reshape(-1)[0]), ends_of(how.dtype)
    if low >= now[0] - step and high <= now[1] + step:
        return None
    if high - low > (ends[1] - ends[0] + 1) * step:
        step = (high - low) / (ends[1] - ends[0])
    zero = np.clip(np.rint(ends[0] - low / step), *ends)
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
    told = uses(case.candidate, op.outputs[0])
    if right.dtype != how.dtype or told is None or op.outputs[0] in case.candidate.outputs:
        return
    edits = merged(_says(case, each, (scale, zero), (how, right)) for each, scale, zero in told)
    zero, other = (int(each.zero_point.reshape(-1)[0]) for each in (how, right))
    if same_scale:
        text = f"{op.type} has the zero point {zero}: {words} right is {other}"
        yield Hypothesis("quantization.zero_point", text, edits, expected)
        return
    now, then = (float(each.scale.reshape(-1)[0]) for each in (how, right))
    text = f"{op.type} has the scale {now:.3g}: {words} right is {then:.3g} with the zero point {other}"
    yield Hypothesis("quantization.activation_range", text, edits, expected)


BIAS = {"QLinearConv": (1, 8), "com.microsoft.QLinearConv": (1, 8), "com.microsoft.QGemm": (1, 6)}
"""Operators whose bias is kept at the scale of their input times that of their weight: the positions of the
input's scale and of the bias."""


def _says(case: Case, op: Op, places: tuple[int, int], both: tuple[Quantisation, Quantisation]) -> Edit:
    """Another scale and zero point where one operator says them, and its bias at that scale."""
    (scale, zero), (how, right) = places, both
    inputs: dict[int, Operand] = {zero: right.zero_point}
    if not np.array_equal(right.scale, how.scale):
        inputs[scale] = right.scale
        at, place = BIAS.get(op.type, (-1, -1))
        bias = case.operand_constant(op, place) if scale == at else None
        if bias is not None:
            limits = np.iinfo(np.int32)
            ratio = float(how.scale.reshape(-1)[0]) / float(right.scale.reshape(-1)[0])
            whole = np.clip(np.rint(bias.astype(np.float64) * ratio), limits.min, limits.max)
            inputs[place] = whole.astype(np.int32)
    return Edit(op.outputs[0], inputs=inputs)


ON_INTEGERS = (
    *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "com.microsoft.QLinearConv"),
    *("com.microsoft.QGemm", "com.microsoft.MatMulIntegerToFloat", "com.microsoft.DynamicQuantizeMatMul"),
)
"""Operators that read the integers of a weight themselves."""


@family(*ON_INTEGERS)
def stored_weight(case: Case, op: Op) -> Iterator[Hypothesis]:
    """The scale at which a weight is kept as integers: the one that makes the reference's numbers of them."""
    for held in (held for held in held_by(case) if held.op is op and held.role == "weight" and held.whole):
        stored = case.operand_constant(op, int(held.slot))
        if stored is None or held.how is None:
            continue
        whole = stored.astype(np.float64) - held.how.along_zero(stored.ndim)
        for form in (form for other in case.reference_ops for form in affine_forms(case, other)):
            for want in laid(held, form.weight, is_weight=True):
                for edit, now, then in _rescaled(case, op, held, whole, want.astype(np.float64)):
                    text = (
                        f"the integers of the weight of {op.type} have the scale {now:.3g}, "
                        f"and the reference's numbers are these integers at {then:.3g}"
                    )
                    yield Hypothesis("quantization.weight_scale", text, (edit,), True)


def _rescaled(
    case: Case, op: Op, held: Held, whole: Array, want: Array
) -> Iterator[tuple[Edit, float, float]]:
    """The edit that gives a weight the scale at which its integers are the wanted numbers; both scales."""
    for target, place, scale in _scales(case, op, held):
        others = tuple(n for n in range(whole.ndim) if scale.size == 1 or n != _channels(op, whole.ndim))
        square = np.sum(whole * whole, axis=others, keepdims=True)
        step = np.sum(whole * want, axis=others, keepdims=True) / np.where(square > 0, square, 1.0)
        if step.size != scale.size or not (step > 0).all():
            continue
        right = np.asarray(step.reshape(scale.shape), np.float32)
        if (np.abs(whole * step - want) > FITTED * step).any() or np.allclose(right, scale, rtol=1e-3):
            continue
        place_of = int(np.argmax(np.abs(np.log(right / np.maximum(scale, 1e-30)))))
        now, then = float(scale.reshape(-1)[place_of]), float(right.reshape(-1)[place_of])
        yield Edit(target.outputs[0], inputs={place: right}), now, then


def _channels(op: Op, ndim: int) -> int:
    return 0 if "Conv" in op.type else ndim - 1


def _scales(case: Case, op: Op, held: Held) -> Iterator[tuple[Op, int, Array]]:
    """Where the scale of a weight stands: the node, its input position, and the scale as it is."""
    places = [(op, scale) for tensor, scale, _ in roles(op) if tensor == int(held.slot) and scale >= 0]
    if not places:  # an integer product, whose scale is multiplied to that of its input
        places = [(each, int(s)) for each in case.nodes if each.type == "Mul" for s in each.slots]
    for each, place in places:
        scale = case.operand_constant(each, place)
        if scale is not None and scale.dtype == np.float32:
            yield each, place, scale


@family("Conv", "ConvTranspose", "MatMul", "Gemm", *ON_INTEGERS)
def weight_scale(case: Case, op: Op) -> Iterator[Hypothesis]:
    """One scale for all of a weight whose channels differ by orders: the small ones are lost in it."""
    for held in (held for held in held_by(case) if held.op is op and held.role == "weight"):
        axis = output_axis(op, held.array.ndim)
        if held.how is None or held.how.scale.size != 1 or axis is None:
            continue
        others = tuple(n for n in range(held.array.ndim) if n != axis)
        for weight, place in _rounded_by(case, held):
            edits = tuple(_scaled_by_channel(case, held, weight, others, place))
            largest, now = np.abs(weight).max(axis=others), place.scale if place else held.how.scale
            text = (
                f"the weight of {op.type} has one scale, {float(now.reshape(-1)[0]):.3g}, for "
                f"channels whose largest numbers go from {largest.min():.2g} to {largest.max():.2g}; "
                "it needs a scale for each channel"
            )
            yield Hypothesis("quantization.weight_scale", text, edits, True)
            return


@dataclass(frozen=True, eq=False)
class Place:
    """Where the scale of integers stands: a node, its input position, and the scale as it is."""

    op: Op
    slot: int
    scale: Array


def _rounded_by(case: Case, held: Held) -> Iterator[tuple[Array, Place | None]]:
    """The reference's weights that a constant holds to half a step, and where that step is said; of integers
    to a step, for the largest may be cut off.

    The step of numbers that are spelled out in front of the node is a part of them.
    """
    places: list[Place | None] = [None]
    if held.whole:
        places = [Place(*found) for found in _scales(case, held.op, held) if found[2].size == 1]
    for form in (form for other in case.reference_ops for form in affine_forms(case, other)):
        for weight in laid(held, form.weight, is_weight=True):
            for place in places:
                apart = place is not None and held.op.type in MULTIPLIED
                step = place.scale.reshape(()) if place is not None and apart else 1.0
                gap = np.abs(weight.astype(np.float64) - held.array * step)
                if (gap <= (step if apart else held.slack)).all():
                    yield weight, place


def _scaled_by_channel(
    case: Case, held: Held, weight: Array, others: tuple[int, ...], place: Place | None
) -> Iterator[Edit]:
    """The edits that give a weight a scale for each channel, wherever the old one is said."""
    step = np.abs(weight).max(axis=others, keepdims=True) / 127
    step = np.where(step > 0, step, 1.0).astype(np.float32)
    whole = np.rint(weight / step)
    op, how = held.op, held.how
    if how is None or place is None:
        yield Edit(op.outputs[0], inputs={int(held.slot): np.asarray(whole * step, np.float32)})
        return
    zero = (sum(ends_of(how.dtype)) + 1) // 2
    inputs: dict[int, Operand] = {int(held.slot): np.asarray(whole + zero, how.dtype)}
    zeros = next((each for tensor, _, each in roles(op) if tensor == int(held.slot)), None)
    if zeros is not None:
        inputs[zeros] = np.full(how.zero_point.shape, zero, how.dtype)
    inputs |= _bias_at(case, op, step.reshape(-1) / float(place.scale.reshape(-1)[0]))
    if place.op is op:
        inputs[place.slot] = step.reshape(-1)
    else:
        shape = (-1, *(1,) * (weight.ndim - 2)) if "Conv" in op.type else (-1,)
        yield Edit(place.op.outputs[0], inputs={place.slot: step.reshape(shape)})
    yield Edit(op.outputs[0], inputs=inputs)


def _bias_at(case: Case, op: Op, ratio: Array) -> dict[int, Operand]:
    """The bias of an operator on integers where its weight's scale becomes ``ratio`` times what it is."""
    place = BIAS.get(op.type, (-1, -1))[1]
    bias = case.operand_constant(op, place) if place >= 0 else None
    if bias is None:
        return {}
    limits = np.iinfo(np.int32)
    return {place: np.clip(np.rint(bias.reshape(-1) / ratio), limits.min, limits.max).astype(np.int32)}
