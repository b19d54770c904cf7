"""Resize: coordinates, rounding, interpolation, sizes.

Paddle's ``*_interp(_v2)`` (phi/kernels/cpu/interpolate_kernel.cc): ``align_corners`` maps corner to corner;
otherwise bilinear follows ``align_mode`` (0 half pixels, 1 asymmetric), nearest rounds an asymmetric
coordinate down, bicubic uses half pixels and the coefficient -0.75. A scale that was given is the ratio of
the coordinates, else the sizes are; a side of one pixel takes the first. ONNX: Resize from opset 11 on;
Upsample (to 9) and Resize-10 are asymmetric and round down, so other coordinates need other nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit, Operand
from segdiff.core.graph import Array, Op
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.diagnose.reading import resample
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import partner_of
from segdiff.diagnose.reading.settings import integer, setting

MODES = ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel", "half_pixel_symmetric")
ROUNDINGS = ("floor", "round_prefer_floor", "round_prefer_ceil", "ceil")
DEFAULTS: dict[str, Any] = {
    "coordinate_transformation_mode": "half_pixel",
    "nearest_mode": "round_prefer_floor",
    "mode": "nearest",
    "cubic_coeff_a": -0.75,
    "exclude_outside": 0,
    "antialias": 0,
}
KINDS = {
    "coordinate_transformation_mode": "resize.coordinate_mode",
    "nearest_mode": "resize.nearest_rounding",
    "mode": "resize.mode",
    "cubic_coeff_a": "resize.cubic_coefficient",
    "exclude_outside": "resize.exclude_outside",
    "antialias": "resize.antialias",
}
_SINCE = {"half_pixel_symmetric": 19, "antialias": 18}
_ONNX_MODE = {"bilinear": "linear", "linear": "linear", "trilinear": "linear", "nearest": "nearest"}
_ONNX_MODE["bicubic"] = "cubic"

SETTINGS = 11
"""The opset from which Resize says how coordinates are mapped."""

SAME = 1e-6
"""Scales that differ by less than this share are the same number in float32."""


@family("Resize", "Upsample")
def resize(case: Case, op: Op) -> Iterator[Hypothesis]:
    """What the reference asks for (attributes, scales), then every other value of each setting."""
    partner = partner_of(case, op, "resize") or _of_parameters(case)
    source, size = case.shape(case.operand(op, 0)), _size(case, op)
    if source is None or size is None or len(source) != len(size):
        return
    wanted = expected(case, partner, source, size)
    if case.opset < SETTINGS:
        yield from _old(case, op, partner, wanted, source, size)
        return
    for name, value in wanted.items():
        if not _alike(now(op, name), value, size) and case.opset >= _SINCE.get(name, 0):
            yield setting(op, KINDS[name], name, now(op, name), value, expected=True)
    yield from _scales(case, op, partner, source, size)
    yield from _one_row(case, op, partner, wanted, source, size)
    yield from _cut_off(op, partner, wanted, source, size, their_scales(case, partner, source, size))
    for name, values in _choices(case, op).items():
        for value in values:
            if value not in (now(op, name), wanted.get(name)) and case.opset >= _SINCE.get(str(value), 0):
                yield setting(op, KINDS[name], name, now(op, name), value, expected=False)


_DEPTH = 12
"""Ops between a parameter and what reads it: a positional embedding is cut, turned, resized, turned back."""


def _of_parameters(case: Case) -> Op | None:
    """The reference's resize of a parameter (a positional embedding): it computes nothing of the image."""
    ends = {ours for ours, _ in case.inputs}
    names = [name for op in case.reference_ops for name in op.inputs if name not in ends]
    for _ in range(_DEPTH):
        ops = [case.reference.producer[name] for name in names if name in case.reference.producer]
        for op in ops:
            if kind_of(op) == "resize" and op not in case.reference_ops:
                return op
        names = [name for op in ops for name in op.inputs if name not in ends]
        names = list(dict.fromkeys(names))
    return None


def _choices(case: Case, op: Op) -> dict[str, tuple[Any, ...]]:
    """What each setting might be, where it has a meaning."""
    mode = now(op, "mode")
    return {
        "coordinate_transformation_mode": MODES,
        "nearest_mode": ROUNDINGS if mode == "nearest" else (),
        "mode": ("nearest", "linear", "cubic"),
        "cubic_coeff_a": (-0.5, -0.75) if mode == "cubic" else (),
        "exclude_outside": (0, 1) if mode == "cubic" else (),
        "antialias": (0, 1) if mode != "nearest" and case.opset >= _SINCE["antialias"] else (),
    }


def _size(case: Case, op: Op) -> tuple[int, ...] | None:
    """The shape that the node shall give."""
    output = op.outputs[0]
    truth = case.truth.get(output)
    return truth.shape if truth is not None else case.shape(output)


def _alike(one: Any, other: Any, size: tuple[int, ...]) -> bool:
    """Whether two values of a setting do the same: the two half pixels differ for a side of one pixel."""
    halves = ("half_pixel", "pytorch_half_pixel")
    return bool(one == other or (one in halves and other in halves and 1 not in size[2:]))


def expected(
    case: Case, partner: Op | None, source: tuple[int, ...], size: tuple[int, ...]
) -> dict[str, Any]:
    """The settings of Resize that do what the reference's op does; empty where it is no resize."""
    if partner is None:
        return {}
    if partner.type in ("Resize", "Upsample"):
        return _theirs(case, partner)
    word = partner.type.split("_interp")[0]
    if word not in _ONNX_MODE:
        return {}
    aligned = bool(partner.attributes.get("align_corners", False))
    mode = _ONNX_MODE[word]
    wanted: dict[str, Any] = {"mode": mode}
    if aligned:
        coordinates = "align_corners"
    elif mode == "nearest" or (mode == "linear" and integer(partner.attributes.get("align_mode"), 1) == 1):
        coordinates = "asymmetric"
    else:
        shrunk = any(o == 1 < i for i, o in zip(source[2:], size[2:], strict=True))
        coordinates = "pytorch_half_pixel" if shrunk and mode == "linear" else "half_pixel"
    wanted["coordinate_transformation_mode"] = coordinates
    if mode == "nearest":
        wanted["nearest_mode"] = "round_prefer_ceil" if aligned else "floor"
    if mode == "cubic":
        wanted |= {"cubic_coeff_a": -0.75, "exclude_outside": 0}
    return wanted | ({"antialias": 0} if mode != "nearest" else {})


def _theirs(case: Case, partner: Op) -> dict[str, Any]:
    """The settings of another ONNX node, as far as they have a meaning."""
    if case.reference.opset < SETTINGS:
        old = {"mode": str(now(partner, "mode")).removeprefix("bi"), "nearest_mode": "floor"}
        return old | {"coordinate_transformation_mode": "asymmetric"}
    found = {name: now(partner, name) for name in KINDS}
    if found["mode"] != "nearest":
        del found["nearest_mode"]
    if found["mode"] != "cubic":
        del found["cubic_coeff_a"], found["exclude_outside"]
    return found


def now(op: Op, name: str) -> Any:
    """A setting of a Resize node, or its default."""
    value = op.attributes.get(name, DEFAULTS[name])
    return round(value, 6) if isinstance(value, float) else value


# --- scales and sizes


def their_scales(
    case: Case, partner: Op | None, source: tuple[int, ...], size: tuple[int, ...]
) -> list[float] | None:
    """Output over input by axis, as the reference maps coordinates with it; None if unknown."""
    if partner is None:
        return None
    by_size = [o / i for i, o in zip(source, size, strict=True)]
    if partner.type in ("Resize", "Upsample"):
        place = "2" if case.reference.opset >= SETTINGS else "1"
        said = case.asked(partner, place, "scales")
    else:
        sized = any(slot in ("OutSize", "out_size", "SizeTensor", "size_tensor") for slot in partner.slots)
        said = None if sized else case.asked(partner, "Scale", "scale_tensor", "scale")
    scales = [] if said is None else [float(s) for s in np.asarray(said, np.float64).reshape(-1)]
    if not scales or min(scales) <= 0:
        return by_size
    if len(scales) == len(source):
        return scales
    if partner.attributes.get("axes"):
        return _spread(scales, partner, len(source))
    spatial = len(source) - 2
    return [1.0, 1.0, *(scales if len(scales) == spatial else scales[:1] * spatial)]


def _scales(
    case: Case, op: Op, partner: Op | None, source: tuple[int, ...], size: tuple[int, ...]
) -> Iterator[Hypothesis]:
    """A scale that is no fraction of the two sizes shifts the coordinates; then sizes instead of scales."""
    by_size = [o / i for i, o in zip(source, size, strict=True)]
    said = case.operand_constant(op, 2)
    mine = by_size if said is None or not said.size else _spread([float(s) for s in said], op, len(size))
    wanted = their_scales(case, partner, source, size)
    if wanted is not None and not np.allclose(wanted, mine, rtol=SAME):
        yield _scaled(case, op, mine, wanted, size, expected=True)
    for scales in (by_size,) if wanted is None or not np.allclose(wanted, by_size, rtol=SAME) else ():
        if not np.allclose(scales, mine, rtol=SAME):
            yield _scaled(case, op, mine, scales, size, expected=False)
    constant = case.operand_constant(op, 3)
    if constant is not None and constant.size == len(size) and list(constant) != list(size):
        yield _resized(op, [int(side) for side in constant], size, expected=partner is not None)


def _spread(scales: list[float], op: Op, rank: int) -> list[float]:
    """The scales of all axes, of a node that may name only some (opset 18)."""
    axes = op.attributes.get("axes")
    if not axes or len(axes) != len(scales):
        return scales if len(scales) == rank else [1.0] * rank
    whole = [1.0] * rank
    for axis, scale in zip(axes, scales, strict=True):
        whole[axis % rank] = scale
    return whole


def _resized(op: Op, mine: list[int], size: tuple[int, ...], *, expected: bool) -> Hypothesis:
    """Another size, where the node has sizes and no scales."""
    ours, theirs = ("x".join(str(side) for side in sides[2:] or sides) for sides in (mine, size))
    end = f"where the reference makes {theirs}" if expected else f"but agrees when it makes {theirs}"
    edit = Edit(op.outputs[0], inputs={3: np.asarray(size, np.int64)})
    return Hypothesis("resize.scale", f"Resize makes an image of {ours} {end}", (edit,), expected)


def _scaled(
    case: Case, op: Op, mine: list[float], scales: list[float], size: tuple[int, ...], *, expected: bool
) -> Hypothesis:
    by_size = np.allclose(np.floor(np.multiply(case.shape(op.inputs[0]) or (), scales) + SAME), size)
    if by_size:
        operands: dict[int, Operand] = {2: np.asarray(scales, np.float32), 3: None}
    else:  # the scales alone would give another size
        absent = np.zeros(0, np.float32) if case.opset < 13 else None
        operands = {2: absent, 3: np.asarray(size, np.int64)}
    edit = Edit(op.outputs[0], attributes={"axes": None} if "axes" in op.attributes else {}, inputs=operands)
    end = "where the reference scales by" if expected else "but agrees when scaling by"
    text = f"Resize scales by {_rounded(mine)} {end} {_rounded(scales)}"
    return Hypothesis("resize.scale", text, (edit,), expected)


def _rounded(values: list[float]) -> str:
    return str([round(value, 6) for value in values])


# --- what the operator cannot say


def _one_row(
    case: Case,
    op: Op,
    partner: Op | None,
    wanted: dict[str, Any],
    source: tuple[int, ...],
    size: tuple[int, ...],
) -> Iterator[Hypothesis]:
    """Paddle's bicubic maps the only pixel of a side to -0.5: its ratio is 0 there, and not the quotient."""
    single = any(after == 1 < before for before, after in zip(source[2:], size[2:], strict=True))
    if not single or partner is None or wanted.get("mode") != "cubic" or partner.type == "Resize":
        return
    rule = resample.Sampling(wanted["coordinate_transformation_mode"], "cubic")
    scales = their_scales(case, partner, source, size) or [o / i for i, o in zip(source, size, strict=True)]
    axes = [axis for axis in range(len(size)) if source[axis] != size[axis]]
    if any(axis < len(size) - 2 for axis in axes):
        return
    ratios = {axis: 0.0 if size[axis] == 1 else 1 / scales[axis] for axis in axes}
    matrices = {axis: resample.weights(rule, source[axis], size[axis], ratios[axis]) for axis in axes}
    text = "Resize maps the only pixel of a side to the middle where the reference maps it to -0.5"
    edit = resample.mixed(op, matrices, len(size))
    yield Hypothesis("resize.coordinate_mode", text, (edit,), True)


def _cut_off(
    op: Op,
    partner: Op | None,
    wanted: dict[str, Any],
    source: tuple[int, ...],
    size: tuple[int, ...],
    scales: list[float] | None,
) -> Iterator[Hypothesis]:
    """Paddle's nearest multiplies by a float32 ratio, onnxruntime divides: now and then a pixel apart."""
    nearest = wanted.get("mode") == "nearest" and wanted["coordinate_transformation_mode"] == "asymmetric"
    if partner is None or not nearest or partner.type in ("Resize", "Upsample"):
        return
    indices: dict[int, Array] = {}
    apart = ""
    for axis, (before, after) in enumerate(zip(source, size, strict=True)):
        given = scales[axis] if scales is not None and partner.attributes.get("scale") else None
        theirs = resample.paddle_nearest(before, after, given)
        ours = resample.onnxruntime_nearest(before, after, given)
        if before != after:
            indices[axis] = theirs
        if not apart and not np.array_equal(theirs, ours):
            at = int(np.flatnonzero(theirs != ours)[0])
            apart = (
                f"takes pixel {ours[at]} for pixel {at} of axis {axis} where the reference takes {theirs[at]}"
            )
    if apart:
        text = f"Resize rounds {source} to {size} in float32 and {apart}"
        yield Hypothesis("resize.nearest_rounding", text, (resample.picked(op, indices),), True)


def _old(
    case: Case,
    op: Op,
    partner: Op | None,
    wanted: dict[str, Any],
    source: tuple[int, ...],
    size: tuple[int, ...],
) -> Iterator[Hypothesis]:
    """Upsample and Resize-10: the mode is an attribute, everything else takes other nodes."""
    mode = str(now(op, "mode")).removeprefix("bi")
    goal = wanted.get("mode", mode)
    for other in ("nearest", "linear"):
        if other != mode:
            yield setting(op, "resize.mode", "mode", mode, other, expected=goal == other)
    coordinates = wanted.get("coordinate_transformation_mode")
    rounding = wanted.get("nearest_mode", "floor")
    rules = [
        resample.Sampling(word, goal, rounding) for word in ("align_corners", "half_pixel", "asymmetric")
    ]
    for rule in sorted(rules, key=lambda rule: rule.coordinates != coordinates):
        edit = _written_out(case, op, partner, rule, source, size)
        if edit is not None and (rule.coordinates, goal) != ("asymmetric", mode):
            asked = rule.coordinates == coordinates
            end = (
                f"where the reference has {rule.coordinates}"
                if asked
                else f"but agrees with {rule.coordinates}"
            )
            text = f"{op.type} of opset {case.opset} knows asymmetric coordinates only {end}"
            yield Hypothesis("resize.coordinate_mode", text, (edit,), asked)


def _written_out(
    case: Case,
    op: Op,
    partner: Op | None,
    rule: resample.Sampling,
    source: tuple[int, ...],
    size: tuple[int, ...],
) -> Edit | None:
    """The resize as products with matrices, or as indices; None for axes that a product does not reach."""
    scales = their_scales(case, partner, source, size) or [o / i for i, o in zip(source, size, strict=True)]
    axes = [axis for axis in range(len(size)) if source[axis] != size[axis]]
    if rule.mode == "nearest":
        return resample.picked(
            op, {axis: resample.nearest(rule, source[axis], size[axis], 1 / scales[axis]) for axis in axes}
        )
    if any(axis < len(size) - 2 for axis in axes):
        return None
    matrices = {axis: resample.weights(rule, source[axis], size[axis], 1 / scales[axis]) for axis in axes}
    return resample.mixed(op, matrices, len(size))
