"""How can a resize be written where Resize cannot express it? By weights or indices, an axis at a time.

Resize of opset 10, and Upsample before it, only know asymmetric coordinates, and onnxruntime divides by a
float32 scale where Paddle multiplies by its inverse, so that a nearest pixel may be the next one. Every
resize of a fixed size is a matrix along each axis; a nearest one picks indices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdiff.core.edit import Edit, Node
from segdiff.core.graph import Array, Op


@dataclass(frozen=True)
class Sampling:
    """How an output pixel maps to the input: coordinates, interpolation, rounding, cubic coefficient."""

    coordinates: str
    mode: str
    rounding: str = "floor"
    cubic: float = -0.75


def coordinates(rule: Sampling, source: int, size: int, ratio: float) -> Array:
    """Input coordinate (float64) of each of ``size`` output pixels; ``ratio`` is input over output."""
    pixel = np.arange(size, dtype=np.float64)
    if rule.coordinates == "align_corners":
        return pixel * ((source - 1) / (size - 1) if size > 1 else 0.0)
    if rule.coordinates == "pytorch_half_pixel" and size == 1:
        return np.zeros(1)
    if rule.coordinates == "asymmetric":
        return pixel * ratio
    return (pixel + 0.5) * ratio - 0.5


def weights(rule: Sampling, source: int, size: int, ratio: float) -> Array:
    """Matrix (size, source), float32, of a linear or cubic resize along one axis; the border repeats."""
    at = coordinates(rule, source, size, ratio)
    if rule.mode == "linear":
        at = np.clip(at, 0, source - 1)
    low = np.floor(at)
    part = at - low
    if rule.mode == "linear":
        taps = [(0, 1 - part), (1, part)]
    else:
        taps = [(step, _cubic(part - step, rule.cubic)) for step in (-1, 0, 1, 2)]
    matrix = np.zeros((size, source))
    for step, weight in taps:
        np.add.at(matrix, (np.arange(size), np.clip(low + step, 0, source - 1).astype(int)), weight)
    return matrix.astype(np.float32)


def _cubic(distance: Array, a: float) -> Array:
    """Keys' kernel."""
    x = np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def nearest(rule: Sampling, source: int, size: int, ratio: float) -> Array:
    """Index (int64) of the input pixel that each output pixel takes."""
    at = coordinates(rule, source, size, ratio)
    rounded = {
        "floor": np.floor(at),
        "ceil": np.ceil(at),
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
    }[rule.rounding]
    indices: Array = np.clip(rounded, 0, source - 1).astype(np.int64)
    return indices


def paddle_nearest(source: int, size: int, scale: float | None) -> Array:
    """Paddle's indices without aligned corners, in its own float32 arithmetic: the product is cut off."""
    ratio = np.float32(1.0 / scale) if scale else np.float32(source) / np.float32(size)
    at = ratio * np.arange(size, dtype=np.float32) if size > 1 else np.zeros(1, np.float32)
    indices: Array = np.minimum(at.astype(np.int64), source - 1)
    return indices


def onnxruntime_nearest(source: int, size: int, scale: float | None) -> Array:
    """The indices of onnxruntime's asymmetric ``floor``: it divides by the float32 scale."""
    by = np.float32(scale) if scale else np.float32(size) / np.float32(source)
    at = np.arange(size, dtype=np.float32) / by if by != 1 else np.arange(size, dtype=np.float32)
    indices: Array = np.clip(np.floor(at).astype(np.int64), 0, source - 1)
    return indices


def picked(op: Op, indices: dict[int, Array]) -> Edit:
    """A nearest resize by indices along axes."""
    return _chain(op, [("Gather", axis, index) for axis, index in indices.items()])


def mixed(op: Op, matrices: dict[int, Array], rank: int) -> Edit:
    """A linear or cubic resize by matrices along the last two axes (or the last one)."""
    return _chain(op, [("MatMul", axis - rank, matrix) for axis, matrix in matrices.items()])


def _chain(op: Op, steps: list[tuple[str, int, Array]]) -> Edit:
    output, here = op.outputs[0], op.inputs[0]
    nodes = []
    for number, (word, axis, operand) in enumerate(steps):
        after = output if number == len(steps) - 1 else f"{output}.axis{number}"
        if word == "Gather":
            nodes.append(Node(word, (here, operand), (after,), {"axis": axis}))
        elif axis == -1:
            nodes.append(Node(word, (here, np.ascontiguousarray(operand.T)), (after,)))
        else:
            nodes.append(Node(word, (operand, here), (after,)))
        here = after
    return Edit(output, nodes=tuple(nodes) or (Node("Identity", (here,), (output,)),))
