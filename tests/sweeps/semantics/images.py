"""Resize, pad, norms, sampling and shuffles in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.sweeps.operators.programs import Array
from tests.sweeps.semantics.windows import adaptive, mean_of

CUBIC = -0.75


def interpolate(
    x: Array,
    size: Sequence[int] | None = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool = False,
    align_mode: int = 0,
    data_format: str = "NCHW",
) -> Array:
    """``paddle.nn.functional.interpolate``.

    With ``align_corners`` the ratio is (in - 1) / (out - 1) and the coordinate ratio * i. Otherwise the ratio
    is in / out (1 / scale where a scale is given), the coordinate ratio * (i + 0.5) - 0.5, or ratio * i for
    ``nearest`` (rounded down) and for a linear mode with ``align_mode`` 1.
    """
    if data_format.endswith("C"):
        first = interpolate(np.moveaxis(x, -1, 1), size, scale_factor, mode, align_corners, align_mode)
        return np.moveaxis(first, 1, -1)
    rank = x.ndim - 2
    if mode == "area":
        return adaptive(mean_of)(x, list(size or []))
    scales = [None] * rank
    if size is None:
        scales = list(scale_factor) if isinstance(scale_factor, list) else [scale_factor] * rank
        size = [int(n * s) for n, s in zip(x.shape[2:], scales, strict=True)]
    for axis, (target, scale) in enumerate(zip(size, scales, strict=True), start=2):
        weights = matrix(x.shape[axis], target, scale, mode, align_corners, align_mode)
        x = np.moveaxis(np.tensordot(weights, x, axes=(1, axis)), 0, axis)
    return x


def matrix(n: int, target: int, scale: float | None, mode: str, corners: bool, align_mode: int) -> Array:
    """Weights (target, n) of one axis."""
    ratio = n / target if scale is None else 1 / scale
    if corners:
        ratio = (n - 1) / (target - 1) if target > 1 else 0.0
    weights = np.zeros((target, n))
    for i in range(target):
        halves = not corners and (mode == "bicubic" or (mode != "nearest" and align_mode == 0))
        place = ratio * (i + 0.5) - 0.5 if halves else ratio * i
        if mode == "nearest":
            weights[i, min(math.floor(place), n - 1)] = 1
        elif mode == "bicubic":
            low = math.floor(place)
            for tap in range(-1, 3):
                weights[i, min(max(low + tap, 0), n - 1)] += cubic(place - low - tap)
        else:
            place = max(place, 0.0)
            low = min(math.floor(place), n - 1)
            part = place - low
            weights[i, low] += 1 - part
            weights[i, min(low + 1, n - 1)] += part
    return weights


def cubic(t: float, a: float = CUBIC) -> float:
    """The convolution kernel of Keys."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(
    x: Array, pad: Sequence[int], mode: str = "constant", value: float = 0.0, data_format: str = "NCHW"
) -> Array:
    """Amounts by axis from the last one (left, right, top, bottom, front, back); twice the rank of them are
    by axis from the first one."""
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    amounts = pairs if len(pairs) == x.ndim else [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    if data_format.endswith("C") and len(pairs) < x.ndim:
        amounts = [amounts[0], *amounts[2:], amounts[1]]
    more = {"constant_values": value} if mode == "constant" else {}
    return np.pad(x, amounts, mode=MODES[mode], **more)  # type: ignore[call-overload,no-any-return]


def normalised(x: Array, axes: tuple[int, ...], epsilon: float) -> Array:
    """(x - mean) / sqrt(variance + epsilon), the variance divided by the count."""
    mean, variance = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(variance + epsilon))


def by_channel(value: Array | None, x: Array, default: float) -> Array | float:
    """A parameter for every channel, to multiply with."""
    return default if value is None else value.reshape(1, -1, *[1] * (x.ndim - 2))


def group_norm(
    x: Array, num_groups: int, epsilon: float = 1e-5, weight: Array | None = None, bias: Array | None = None
) -> Array:
    """Over the channels of a group and all pixels."""
    grouped = x.reshape(x.shape[0], num_groups, -1)
    y = normalised(grouped, (2,), epsilon).reshape(x.shape)
    return y * by_channel(weight, x, 1.0) + by_channel(bias, x, 0.0)


def instance_norm(
    x: Array, eps: float = 1e-5, weight: Array | None = None, bias: Array | None = None
) -> Array:
    """Over the pixels of a channel."""
    y = normalised(x, tuple(range(2, x.ndim)), eps)
    return y * by_channel(weight, x, 1.0) + by_channel(bias, x, 0.0)


def layer_norm(
    x: Array,
    normalized_shape: Sequence[int],
    epsilon: float = 1e-5,
    weight: Array | None = None,
    bias: Array | None = None,
) -> Array:
    """Over the last axes."""
    y = normalised(x, tuple(range(x.ndim - len(normalized_shape), x.ndim)), epsilon)
    y = y if weight is None else y * weight.reshape(normalized_shape)
    return y if bias is None else y + bias.reshape(normalized_shape)


def batch_norm(
    x: Array, running_mean: Array, running_var: Array, weight: Array, bias: Array, epsilon: float
) -> Array:
    """With the running statistics."""
    mean, variance, scale, shift = (by_channel(v, x, 0) for v in (running_mean, running_var, weight, bias))
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift


def local_response_norm(x: Array, size: int, alpha: float, beta: float, k: float) -> Array:
    """x / (k + alpha * mean of squares of ``size`` channels around, those outside being 0) ** beta."""
    before, n = size // 2, x.shape[1]
    squares = np.pad(x**2, [(0, 0), (before, size - 1 - before), (0, 0), (0, 0)])
    total = sum(squares[:, i : i + n] for i in range(size)) / size
    return x / (k + alpha * total) ** beta


def normalize(x: Array, p: float = 2, axis: int = 1, epsilon: float = 1e-12) -> Array:
    """Divided by the p-norm along the axis."""
    norm = (np.abs(x) ** p).sum(axis=axis, keepdims=True) ** (1 / p)
    return x / np.maximum(norm, epsilon)


def grid_sample(x: Array, grid: Array, mode: str, padding_mode: str, align_corners: bool) -> Array:
    """Grid (N, H, W, 2) holds x, y from -1 to 1; with ``align_corners`` these are the corner pixels' centres,
    else the image's edges. ``reflection`` mirrors at the same places."""
    n, c, height, width = x.shape
    out = np.zeros((n, c, *grid.shape[1:3]))
    for b, i, j in np.ndindex(n, *grid.shape[1:3]):
        u, v = (
            placed(grid[b, i, j, k], size, padding_mode, align_corners)
            for k, size in ((0, width), (1, height))
        )
        if mode == "nearest":
            corners = [(round(v), round(u), 1.0)]
        else:
            top, left = math.floor(v), math.floor(u)
            corners = [
                (top + a, left + b_, (1 - abs(v - top - a)) * (1 - abs(u - left - b_)))
                for a in (0, 1)
                for b_ in (0, 1)
            ]
        for row, column, weight in corners:
            if 0 <= row < height and 0 <= column < width:
                out[b, :, i, j] += weight * x[b, :, row, column]
    return out


def placed(value: float, size: int, padding_mode: str, corners: bool) -> float:
    """A grid coordinate as a pixel's."""
    place = (value + 1) / 2 * (size - 1) if corners else ((value + 1) * size - 1) / 2
    if padding_mode == "reflection":
        low, span = (0.0, size - 1.0) if corners else (-0.5, float(size))
        place = abs(place - low) % (2 * span)
        place = low + min(place, 2 * span - place)
    return place if padding_mode == "zeros" else min(max(place, 0.0), size - 1.0)


def affine_grid(theta: Array, out_shape: Sequence[int], align_corners: bool) -> Array:
    """theta times (x, y, 1) of every pixel."""
    height, width = out_shape[2:]

    def places(size: int) -> Array:
        return np.linspace(-1, 1, size) if align_corners else (2 * np.arange(size) + 1) / size - 1

    v, u = np.meshgrid(places(height), places(width), indexing="ij")
    return np.einsum("nkc,hwc->nhwk", theta, np.stack([u, v, np.ones_like(u)], axis=-1))


def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    """(N, C r r, H, W) to (N, C, H r, W r), the channel index being (c, row, column)."""
    n, c, h, w = x.shape
    r = upscale_factor
    return x.reshape(n, c // r // r, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, -1, h * r, w * r)


def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    """The other way round."""
    n, c, h, w = x.shape
    r = downscale_factor
    return x.reshape(n, c, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4).reshape(n, -1, h // r, w // r)


def channel_shuffle(x: Array, groups: int) -> Array:
    """(groups, channels) becomes (channels, groups)."""
    n, c, *rest = x.shape
    return x.reshape(n, groups, c // groups, *rest).swapaxes(1, 2).reshape(x.shape)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "interpolate": interpolate,
    "upsample": interpolate,
    "pad": pad,
    "zeropad2d": lambda x, padding: pad(x, padding),
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "local_response_norm": local_response_norm,
    "normalize": normalize,
    "grid_sample": grid_sample,
    "affine_grid": affine_grid,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "channel_shuffle": channel_shuffle,
}
