"""Are the candidate's constants what the reference's parameters ask for, and if not, how do they differ?

Constants are matched inside the segment by content: what is equal (in any form that a converter gives a
parameter, see :mod:`segdiff.diagnose.reading.weights`) is settled, what is left over is paired with the
nearest parameter of its role that nothing else holds. Every pair that differs is one hypothesis.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit, Operand
from segdiff.core.graph import Array, Op
from segdiff.core.quantised import ends_of
from segdiff.diagnose.hypothesis import ANY, Hypothesis, family
from segdiff.diagnose.reading import weights
from segdiff.diagnose.reading.candidate_constants import (
    Held,
    channel_axes,
    compatible,
    held_by,
    holds,
    is_number,
    laid,
)
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.differences import cut_off, difference, distance, near, same, turned
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.piecewise import alike, dot, in_pieces
from segdiff.diagnose.reading.weights import WEIGHTED, Affine, Wanted

_NORMS = frozenset({"batch_norm", "layer_norm", "instance_norm", "group_norm"})
_NEUTRAL = {"scale": 1.0, "variance": 1.0, "bias": 0.0, "mean": 0.0}

FITTED = 0.6
"""Steps by which a constant may differ from its integers at the scale that fits them best."""

SEVERAL = 8
"""Elements of one scale from which integers that fit another scale or zero point fit it by no chance."""

NEAREST = 2
"""Parameters that are tried for a constant whose content tells nothing."""

SORTED = 1 << 20
"""Elements up to which arrays are sorted to see whether they hold the same numbers; larger ones would be
copied twice for what only decides which parameter is tried first, so their moments are compared."""

SIMILAR = 2.0**-16
"""Of a moment: a fourth power has four times the rounding of an element, and that is some 2 ** -20."""

FACTOR = 4.0
"""Two numbers further apart than that are not one number that was scaled."""


@dataclass(frozen=True, eq=False)
class _Match:
    """A constant and what it should be, in the constant's shape."""

    held: Held
    wanted: Wanted
    array: Array


@family(ANY)
def parameters(case: Case, op: Op) -> Iterator[Hypothesis]:
    """All the constants of a segment, asked once (at its first node)."""
    if op is case.nodes[0] and case.reference_ops:
        yield from _Segment(case).hypotheses()


class _Segment:
    """Both sides' constants of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        found = (weights.affine_forms(case, op) for op in case.reference_ops)
        self.forms = [forms for forms in found if forms]
        self.wanted = weights.wanted(case, self.forms)
        self.held = list(held_by(case))

    def hypotheses(self) -> Iterator[Hypothesis]:
        """Weights and their biases by the op that uses them; then everything else."""
        for op in self.case.ops:
            own = [held for held in self.held if held.op is op]
            if kind_of(op) in WEIGHTED:
                yield from self._weighted(op, own)
            else:
                for held in own:
                    yield from self._number(held) if is_number(held) else self._plain(held)

    # --- convolutions and matrix products

    def _weighted(self, op: Op, own: list[Held]) -> Iterator[Hypothesis]:
        weight = next((h for h in own if h.role == "weight" and h.array.ndim >= 2), None)
        if weight is None:
            return
        found = self._nearest_forms(weight)
        for place, (forms, form, array) in enumerate(found):
            right = holds(weight, array)
            if not right:
                yield _replaced(_Match(weight, _as_wanted(form, "weight"), array), place)
            if right or place == 0:
                yield from self._bias(op, own, forms, form)
            if right:
                yield from self._not_folded(op, weight, forms, form)
                return

    def _nearest_forms(self, held: Held) -> list[tuple[list[Affine], Affine, Array]]:
        """The reference's weights that a weight may be, nearest first."""
        options = [
            (forms, form, array)
            for forms in self.forms
            for form in forms
            for array in laid(held, form.weight, is_weight=True)
        ]
        exact = next((option for option in options if holds(held, option[2])), None)
        if exact:
            return [exact]
        free = [option for option in options if not self._is_held(option[1].weight, except_by=held)]
        partner = partner_of(self.case, held.op)
        ranked = sorted(
            free or options, key=lambda o: (_unlike(held.array, o[2]), o[1].ops[0] is not partner)
        )
        return ranked[:NEAREST]

    def _bias(self, op: Op, own: list[Held], forms: list[Affine], form: Affine) -> Iterator[Hypothesis]:
        """What is added to each channel, the weight being that of ``form``."""
        place = _BIAS.get(kind_of(op), 2)
        held = next((h for h in own if h.role == "bias" and int(h.slot) == place), None)
        equal = [f for f in forms if f.weight.shape == form.weight.shape and same(f.weight, form.weight)]
        options = [(f, f.bias) for f in equal if f.bias is not None]
        if held is not None:
            yield from self._other_bias(held, options)
        elif options and op.type not in _WITHOUT_BIAS and str(place) not in op.slots:
            yield from self._lost_bias(op, place, *options[-1])

    def _other_bias(self, held: Held, options: list[tuple[Affine, Array]]) -> Iterator[Hypothesis]:
        found = [(f, array) for f, b in options for array in laid(held, b)]
        if any(holds(held, array) for _, array in found):
            return
        if found:
            form, array = min(found, key=lambda o: _unlike(held.array, o[1]))
            yield _replaced(_Match(held, _as_wanted(form, "bias"), array), 0)
        elif np.any(held.array):
            edit = Edit(held.op.outputs[0], inputs={int(held.slot): None})
            yield Hypothesis(
                "conv.bias", f"{held.op.type} adds a bias where the reference has none", (edit,), True
            )

    def _lost_bias(self, op: Op, place: int, form: Affine, bias: Array) -> Iterator[Hypothesis]:
        if not np.any(bias) or self._is_held(bias):
            return
        last = form.ops[-1].type if len(form.ops) > 1 else form.ops[0].type
        text = f"{op.type} has no bias where the reference adds one ({last})"
        operand = bias.astype(self._dtype(op))
        yield Hypothesis("conv.bias", text, (Edit(op.outputs[0], inputs={place: operand}),), True)

    def _dtype(self, op: Op) -> str:
        name = self.case.operand(op, 0) or ""
        return self.case.forms[name][0] if name in self.case.forms else "float32"

    def _not_folded(self, op: Op, weight: Held, forms: list[Affine], form: Affine) -> Iterator[Hypothesis]:
        """The weight is as it was before something that the candidate does not do behind it either."""
        kinds = Counter(kind_of(other) for other in self.case.ops)
        rest = forms[-1].ops[len(form.ops) :]
        if op.type in _WITHOUT_BIAS or not rest or any(kinds[kind_of(other)] for other in rest):
            return
        last = forms[-1]
        inputs: dict[int, Operand] = {}
        for array in laid(weight, last.weight, is_weight=True)[:1]:
            if not holds(weight, array):
                inputs[int(weight.slot)] = array.astype(weight.array.dtype)
        if inputs and last.bias is not None:
            inputs[_BIAS.get(kind_of(op), 2)] = last.bias.astype(weight.array.dtype)
        if inputs:
            words = " and ".join(dict.fromkeys(other.type for other in rest))
            text = f"{op.type} has the weight without the reference's {words}, which no node does"
            yield Hypothesis("parameter.folded", text, (Edit(op.outputs[0], inputs=inputs),), True)

    # --- everything else

    def _plain(self, held: Held) -> Iterator[Hypothesis]:
        """Biases that are added, scales, statistics, slopes, tables."""
        fitting = [
            _Match(held, want, array)
            for want in self.wanted
            if compatible(held, want)
            for array in laid(held, want.array)
        ]
        if any(holds(held, match.array) for match in fitting) or self._in_another_role(held):
            return
        free = [m for m in fitting if not self._is_held(m.wanted.array, except_by=held, role=m.wanted.role)]
        partner = partner_of(self.case, held.op)
        ranked = sorted(
            free or fitting,
            key=lambda m: (_unlike(held.array, m.array), m.wanted.op is not partner),
        )
        for place, match in enumerate(ranked[:NEAREST]):
            yield _replaced(match, place)
        if not ranked and held.role in _NEUTRAL and kind_of(held.op) in _NORMS:
            yield from _neutral(held)

    def _in_another_role(self, held: Held) -> bool:
        """Whether a norm's parameter is another one of the norm's: their order is wrong, not the content."""
        if kind_of(held.op) not in _NORMS:
            return False
        others = [w for w in self.wanted if w.role and w.role != held.role and kind_of(w.op) in _NORMS]
        varied = held.array.size > 1 and bool(np.ptp(held.array))
        return varied and any(holds(held, array) for w in others for array in laid(held, w.array))

    def _number(self, held: Held) -> Iterator[Hypothesis]:
        """A single number, which an attribute or the definition of an op may ask for."""
        now = float(held.array.reshape(-1)[0])
        options = [w for w in self.wanted if w.array.size == 1 and compatible(held, w)]
        values = [(float(w.array.reshape(-1)[0]), w) for w in options]
        if not np.isfinite(now) or now == 0 or any(_close(now, value) for value, _ in values):
            return
        numbers = [float(h.array.reshape(-1)[0]) for h in self.held if h.array.size == 1]
        free = [(v, w) for v, w in values if v and not any(_close(v, number) for number in numbers)]
        near = [(v, w) for v, w in free if 1 / FACTOR < abs(now / v) < FACTOR]
        for place, (value, want) in enumerate(
            sorted(near, key=lambda n: abs(np.log(abs(now / n[0]))))[:NEAREST]
        ):
            array = np.full_like(held.array, value)
            yield _replaced(_Match(held, want, array), place)

    # ---

    @cached_property
    def _by_size(self) -> dict[int, list[Held]]:
        found: dict[int, list[Held]] = {}
        for held in self.held:
            found.setdefault(held.array.size, []).append(held)
        return found

    def _is_held(self, array: Array, except_by: Held | None = None, role: str = "") -> bool:
        """Whether some constant of the candidate is this parameter."""
        return any(
            holds(held, form)
            for held in self._by_size.get(array.size, ())
            if held is not except_by and (not role or not held.role or held.role == role)
            for form in laid(held, array, is_weight=held.role == "weight")
        )


_BIAS = {"deform_conv": 3}
"""Kind of a weighted node -> input position of its bias, where that is not 2."""

_WITHOUT_BIAS = (
    "QLinearConv",
    "QLinearMatMul",
    "com.microsoft.QLinearConv",
    "com.microsoft.QGemm",
    "com.microsoft.MatMulIntegerToFloat",
    "com.microsoft.DynamicQuantizeMatMul",
    "com.microsoft.MatMulNBits",
    "ConvInteger",
    "MatMulInteger",
    "MatMul",
    "com.microsoft.FusedMatMul",
)


def _close(one: float, other: float) -> bool:
    return bool(np.isclose(one, other, rtol=1e-6, atol=0.0))


def _unlike(have: Array, want: Array) -> float:
    """How far two arrays are apart, whatever a layout or a sign may have done to one of them."""
    direct = distance(have, want)
    if direct > 0.5 and have.size > SORTED:
        return 0.0 if alike(have, want, SIMILAR) else min(direct, _turned_over(have, want))
    if direct > 0.5:
        ordered = (np.sort(np.abs(array), axis=None) for array in (have, want))
        return 0.0 if same(*ordered) else min(direct, distance(-have, want))
    return direct


def _turned_over(have: Array, want: Array) -> float:
    """The distance of an array with its sign turned, without a copy of it."""
    apart = norm = 0.0
    for a, b in in_pieces(have, want):
        gap = a + b
        apart, norm = apart + dot(gap, gap), norm + dot(b, b)
    return float(np.sqrt(apart / norm)) if norm else float("inf")


def _as_wanted(form: Affine, role: str) -> Wanted:
    behind = " and ".join(op.type for op in form.ops[1:])
    factored = any(kind_of(op) != "add" for op in form.ops[1:])
    array = form.weight if role == "weight" or form.bias is None else form.bias
    words = f"{role} of {form.ops[0].type}"
    if factored:
        words += f" with {behind} folded in"
    elif behind and role == "bias":
        words += f" ({behind})"
    return Wanted(array, role, form.ops[0], words, folded=factored)


def _replaced(match: _Match, place: int) -> Hypothesis:
    """The hypothesis that a constant is not what the reference has; further guesses are mere suspects."""
    held = match.held
    kind, words = _named(match)
    if kind == "parameter.value" and match.wanted.folded:
        kind = "parameter.folded"
    text = f"the {held.role or 'constant'} of {held.op.type} is the reference's {match.wanted.words} {words}"
    return Hypothesis(kind, text, (held.replaced_by(match.array),), expected=place == 0)


def _named(match: _Match) -> tuple[str, str]:
    held, want = match.held, match.array
    kind = kind_of(held.op) if held.role == "weight" else ""
    spatial = tuple(range(2, want.ndim))
    turns: dict[tuple[str, str], Callable[[Array], Array]] = {}
    if kind in ("conv", "conv_transpose", "deform_conv"):
        turns["conv.kernel_flip", "with its kernels turned by half a turn"] = partial(np.flip, axis=spatial)
        if want.ndim == 4:
            turns["conv.kernel_transpose", "with height and width exchanged"] = partial(
                np.swapaxes, axis1=2, axis2=3
            )
        turns["conv.weight_layout", "with input and output channels exchanged"] = partial(
            np.swapaxes, axis1=0, axis2=1
        )
    elif kind == "matmul":
        turns["matmul.transpose", "transposed"] = partial(np.swapaxes, axis1=-1, axis2=-2)
    name, words = turned(held.array, want, turns)
    if name:
        return name, words
    found = beyond(held, want) or difference(held.array, want, channel_axes(held), held.slack)
    return (respelt(held, want) or found) if found[0] == "parameter.value" else found


def beyond(held: Held, want: Array) -> tuple[str, str] | None:
    """The kind and words, where a quantised constant's integers end before the reference's numbers do, or one
    of half precision was cut off."""
    if held.how is None:
        found = cut_off(held.array, want) if held.array.dtype == np.float16 else None
        return (found[0], f"({found[1]})") if found else None
    ends, wide = ends_of(held.how.dtype), want.astype(np.float64)
    steps = held.how.steps(want.ndim).astype(np.float64)
    zero = held.how.numbers(np.zeros_like(want, np.int64)).astype(np.float64)
    low, high = zero + ends[0] * steps, zero + ends[1] * steps
    over = (wide > high + steps) | (wide < low - steps)
    wrong = ~near(held.array, want, held.slack)
    if not wrong.any() or not over[wrong].all():
        return None
    place = tuple(int(i) for i in np.argwhere(over)[0])
    kind = "quantization.bias_overflow" if held.how.dtype == "int32" else "quantization.weight_scale"
    return kind, (
        f"cut off: {held.how.dtype} at its scale ends at {np.broadcast_to(high, want.shape)[place]:.3g}, "
        f"and the reference has {wide[place]:.3g} at {list(place)}"
    )


def _neutral(held: Held) -> Iterator[Hypothesis]:
    """A norm without parameters in the reference has ones and zeros."""
    number = _NEUTRAL[held.role]
    want = np.full_like(held.array, number)
    if not same(held.array, want):
        kind, words = difference(held.array, want, channel_axes(held))
        text = f"the {held.role} of {held.op.type} is that of a norm without parameters ({number:g}) {words}"
        yield Hypothesis(kind, text, (held.replaced_by(want),))


def respelt(held: Held, want: Array) -> tuple[str, str] | None:
    """The kind and words, where the integers of a quantised constant are the reference's numbers with another
    zero point, or at other scales."""
    how = held.how
    if how is None or how.scale.ndim > 1 or want.size < SEVERAL * how.scale.size:
        return None
    steps, zero = how.steps(want.ndim).astype(np.float64), how.along_zero(want.ndim).astype(np.float64)
    whole, wide = how.integers(held.array).astype(np.float64), want.astype(np.float64)
    others = tuple(n for n in range(want.ndim) if how.scale.size == 1 or steps.shape[n] == 1)
    then = np.rint(np.mean(whole - wide / steps, axis=others, keepdims=True))
    if (np.abs((whole - then) * steps - wide) <= FITTED * steps).all() and (then != zero).any():
        place = int(np.argmax(np.abs(then - zero)))
        now = float(np.broadcast_to(zero, then.shape).reshape(-1)[place])
        words = f"with the zero point {now:.0f} in place of {float(then.reshape(-1)[place]):.0f}"
        return "quantization.zero_point", words
    square = np.sum((whole - zero) ** 2, axis=others, keepdims=True)
    right = np.sum((whole - zero) * wide, axis=others, keepdims=True) / np.where(square > 0, square, 1.0)
    if (right <= 0).any() or (np.abs((whole - zero) * right - wide) > FITTED * right).any():
        return None
    place = int(np.argmax(np.abs(np.log(right / np.broadcast_to(steps, right.shape)))))
    now, best = (float(np.broadcast_to(s, right.shape).reshape(-1)[place]) for s in (steps, right))
    if np.isclose(now, best, rtol=0.02):
        return None
    kind = "quantization.weight_scale" if held.role == "weight" else "quantization.scale"
    return kind, f"at the scale {now:.3g}: its integers are these numbers at {best:.3g}"
