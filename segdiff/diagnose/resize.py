"""Resize: coordinates, rounding, interpolation, sizes.

Paddle's ``*_interp(_v2)`` (phi/kernels/impl/interpolate_kernel_impl.h): ``align_corners`` maps corner to
corner; otherwise bilinear follows ``align_mode`` (0 half pixels, 1 asymmetric), nearest rounds an asymmetric
coordinate down, bicubic uses half pixels and the coefficient -0.75. ONNX: operator Resize, opset 11 on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segdiff.diagnose.case import Case
from segdiff.diagnose.hypothesis import Hypothesis, family
from segdiff.edit import Edit
from segdiff.graph import Op

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
_ONNX_MODE = {"bilinear": "linear", "linear": "linear", "trilinear": "linear", "nearest": "nearest"}
_ONNX_MODE["bicubic"] = "cubic"


@family("Resize")
def resize(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Attributes the reference asks for, then every other value of each; then the size."""
    wanted = expected(case, case.partner(op))
    for name, value in wanted.items():
        if now(op, name) != value:
            yield _attribute(op, name, value, expected=True)
    yield from _sizes(case, op)
    choices: dict[str, tuple[Any, ...]] = {
        "coordinate_transformation_mode": MODES,
        "nearest_mode": ROUNDINGS if now(op, "mode") == "nearest" else (),
        "mode": ("nearest", "linear", "cubic"),
        "cubic_coeff_a": (-0.5, -0.75) if now(op, "mode") == "cubic" else (),
        "exclude_outside": (0, 1) if now(op, "mode") == "cubic" else (),
    }
    for name, values in choices.items():
        for value in values:
            if value not in (now(op, name), wanted.get(name)):
                yield _attribute(op, name, value, expected=False)


def expected(case: Case, partner: Op | None) -> dict[str, Any]:
    """The attributes of Resize that do what the reference's op does; empty where it is no resize."""
    if partner is None:
        return {}
    if partner.type == "Resize":
        return {name: now(partner, name) for name in KINDS}
    word = partner.type.split("_interp")[0]
    if word not in _ONNX_MODE:
        return {}
    aligned = bool(partner.attributes.get("align_corners", False))
    mode = _ONNX_MODE[word]
    wanted: dict[str, Any] = {"mode": mode}
    if aligned:
        wanted["coordinate_transformation_mode"] = "align_corners"
    elif mode == "linear":
        asymmetric = int(partner.attributes.get("align_mode", 1)) == 1
        wanted["coordinate_transformation_mode"] = "asymmetric" if asymmetric else "half_pixel"
    else:
        wanted["coordinate_transformation_mode"] = "asymmetric" if mode == "nearest" else "half_pixel"
    if mode == "nearest":
        wanted["nearest_mode"] = "round_prefer_ceil" if aligned else "floor"
    if mode == "cubic":
        wanted["cubic_coeff_a"] = -0.75
    return wanted


def now(op: Op, name: str) -> Any:
    """An attribute of a Resize node, or its default."""
    value = op.attributes.get(name, DEFAULTS[name])
    return round(value, 6) if isinstance(value, float) else value


def _attribute(op: Op, name: str, value: Any, *, expected: bool) -> Hypothesis:
    where = "where the reference asks for" if expected else "and agrees with"
    text = f"{op.type} has {name} {now(op, name)!r} {where} {value!r}"
    return Hypothesis(KINDS[name], text, (Edit(op.outputs[0], attributes={name: value}),), expected)


def _sizes(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Sizes in place of scales: a scale that is no fraction of two sizes shifts the coordinates."""
    output = op.outputs[0]
    shape, source = case.truth.get(output, case.got.get(output)), case.shape(case.operand(op, 0))
    if shape is None or source is None or shape.ndim != len(source):
        return
    sizes = np.array(shape.shape, np.int64)
    exact = Edit(output, inputs={1: None, 2: None, 3: sizes})
    now_sizes, scales = case.operand_constant(op, 3), case.operand_constant(op, 2)
    if now_sizes is None or list(now_sizes) != list(sizes):
        text = f"Resize reaches its size by other scales than the reference's {tuple(shape.shape)}"
        yield Hypothesis("resize.scale", text, (exact,), expected=scales is not None)
    ratio = (sizes / np.array(source)).astype(np.float32)
    if scales is None or not np.array_equal(scales, ratio):
        by_scale = Edit(output, inputs={1: None, 2: ratio, 3: None})
        text = f"Resize uses other scales than the reference's {tuple(float(r) for r in ratio)}"
        yield Hypothesis("resize.scale", text, (by_scale,), expected=False)
