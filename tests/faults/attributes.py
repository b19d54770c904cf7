"""Faults in attributes: the operator is right, one of its settings is not."""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from .graph import Site, close
from .registry import Patch, edited, get_ints, kind, pairs, set_attr, set_const, set_ints

_Rng = np.random.Generator
_COORDINATES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
_ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def _others(site: Site, name: str, default: Any, values: Sequence[Any]) -> Iterator[Patch]:
    """The attribute set to each of the values it does not have."""
    now = site.attr(name, default)
    for value in values:
        same = close(now, value) if isinstance(value, float) else now == value
        if not same:
            yield set_attr(site, name, now, value)


@kind("resize.coordinate_mode", "Resize")
def _resize_coordinate_mode(site: Site, rng: _Rng) -> Iterator[Patch]:
    if site.attr("coordinate_transformation_mode", "half_pixel") in _COORDINATES:
        yield from _others(site, "coordinate_transformation_mode", "half_pixel", _COORDINATES)


@kind("resize.nearest_rounding", "Resize")
def _resize_nearest_rounding(site: Site, rng: _Rng) -> Iterator[Patch]:
    if site.attr("mode", "nearest") == "nearest":
        yield from _others(site, "nearest_mode", "round_prefer_floor", _ROUNDINGS)


@kind("resize.mode", "Resize")
def _resize_mode(site: Site, rng: _Rng) -> Iterator[Patch]:
    now = site.attr("mode", "nearest")
    yield from _others(site, "mode", "nearest", ("linear",) if now != "linear" else ("nearest",))


@kind("resize.cubic_coefficient", "Resize")
def _resize_cubic_coefficient(site: Site, rng: _Rng) -> Iterator[Patch]:
    if site.attr("mode", "nearest") == "cubic":
        yield from _others(site, "cubic_coeff_a", -0.75, (-0.75, -0.5))


@kind("resize.scale", "Resize")
def _resize_scale(site: Site, rng: _Rng) -> Iterator[Patch]:
    """A scale that gives the same size after rounding down, but other sampling points."""
    scales, shape = site.const(2), site.shape(0)
    if scales is None or shape is None or len(scales) != len(shape):
        return
    sizes = np.floor(np.asarray(shape) * scales.astype(np.float64))
    bent = np.where(scales == 1, scales, (sizes + 0.5) / np.asarray(shape)).astype(scales.dtype)
    if not np.array_equal(bent, scales):
        yield set_const(site, 2, bent, "scales", scales.tolist(), bent.tolist())


@kind("softmax.axis", "Softmax", "LogSoftmax")
def _softmax_axis(site: Site, rng: _Rng) -> Iterator[Patch]:
    shape = site.shape()
    now = site.attr("axis", -1 if site.opset >= 13 else 1)
    for axis in range(len(shape or ())):
        if axis != now % len(shape or ()):
            yield set_attr(site, "axis", now, axis)


@kind("hard_sigmoid.slope", "HardSigmoid")
def _hard_sigmoid_slope(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _others(site, "alpha", 0.2, (0.2, 1 / 6))


@kind("hard_sigmoid.offset", "HardSigmoid")
def _hard_sigmoid_offset(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _others(site, "beta", 0.5, (0.5, 0.4))


@kind("leaky_relu.slope", "LeakyRelu")
def _leaky_relu_slope(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _others(site, "alpha", 0.01, (0.01, 0.1, 0.2))


@kind("elu.alpha", "Elu", "Celu", "Selu", "ThresholdedRelu")
def _elu_alpha(site: Site, rng: _Rng) -> Iterator[Patch]:
    default = 1.67326319217681884765625 if site.node.op_type == "Selu" else 1.0
    now = site.attr("alpha", default)
    yield set_attr(site, "alpha", now, now / 2)
    if not close(now, default):
        yield set_attr(site, "alpha", now, default)


def _epsilon(site: Site) -> Iterator[Patch]:
    now = site.attr("epsilon", 1e-5)
    yield from _others(site, "epsilon", 1e-5, (now * 100.0, 1e-3))


@kind("batch_norm.epsilon", "BatchNormalization")
def _batch_norm_epsilon(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _epsilon(site)


@kind("instance_norm.epsilon", "InstanceNormalization")
def _instance_norm_epsilon(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _epsilon(site)


@kind("group_norm.epsilon", "GroupNormalization")
def _group_norm_epsilon(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _epsilon(site)


@kind("layer_norm.epsilon", "LayerNormalization", "Add")
def _layer_norm_epsilon(site: Site, rng: _Rng) -> Iterator[Patch]:
    """The attribute, or the constant under the root of a decomposed normalisation."""
    if site.node.op_type == "LayerNormalization":
        yield from _epsilon(site)
        return
    if not any(node.op_type == "Sqrt" for node in site.consumers()):
        return
    for position in (0, 1):
        value = site.const(position)
        if value is not None and value.size == 1 and 0 < value.item() <= 1e-2:
            now = value.item()
            for after in (now * 100.0, 1e-3):
                if not close(now, after):
                    yield set_const(site, position, np.full_like(value, after), "epsilon", now, after)


@kind("group_norm.groups", "GroupNormalization")
def _group_norm_groups(site: Site, rng: _Rng) -> Iterator[Patch]:
    shape = site.shape()
    if site.opset >= 21 and shape is not None:  # before, scale and bias have one element per group
        divisors = [g for g in range(1, shape[1] + 1) if shape[1] % g == 0]
        yield from _others(site, "num_groups", None, divisors)


@kind("pool.ceil_mode", "MaxPool", "AveragePool", "LpPool", keeps_shape=False)
def _pool_ceil_mode(site: Site, rng: _Rng) -> Iterator[Patch]:
    """With the shape unchanged ceil_mode does nothing: it needs a node downstream that absorbs the shape."""
    now = site.attr("ceil_mode", 0)
    yield set_attr(site, "ceil_mode", now, 1 - now)


@kind("pool.count_include_pad", "AveragePool")
def _pool_count_include_pad(site: Site, rng: _Rng) -> Iterator[Patch]:
    if any(site.attr("pads", [])) or site.attr("auto_pad", "NOTSET").startswith("SAME"):
        now = site.attr("count_include_pad", 0)
        yield set_attr(site, "count_include_pad", now, 1 - now)


def _shifted(pads: list[int], axis: int) -> Iterator[list[int]]:
    """One row of padding moved from one end of an axis to the other."""
    half = len(pads) // 2
    for source, sink in ((axis, axis + half), (axis + half, axis)):
        if pads[source] >= 1:
            moved = list(pads)
            moved[source] -= 1
            moved[sink] += 1
            yield moved


def _pads(site: Site) -> Iterator[Patch]:
    automatic = {"SAME_UPPER": "SAME_LOWER", "SAME_LOWER": "SAME_UPPER"}
    now = site.attr("auto_pad", "NOTSET")
    if now in automatic:
        yield set_attr(site, "auto_pad", now, automatic[now])
    pads = site.attr("pads", [])
    for axis in range(len(pads) // 2):
        for moved in _shifted(pads, axis):
            yield set_attr(site, "pads", pads, moved)


@kind("conv.pads", "Conv", "ConvTranspose")
def _conv_pads(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _pads(site)


@kind("pool.pads", "MaxPool", "AveragePool", "LpPool")
def _pool_pads(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _pads(site)


@kind("conv.dilations", "Conv")
def _conv_dilations(site: Site, rng: _Rng) -> Iterator[Patch]:
    kernel = site.spatial_kernel()
    if not kernel or max(kernel) == 1:
        return
    rank, automatic = len(kernel), site.attr("auto_pad", "NOTSET").startswith("SAME")
    now, pads = site.attr("dilations", [1] * rank), site.attr("pads", [0] * 2 * rank)
    for rate in (1, 2, max(now) * 2):
        if [rate] * rank == now:
            continue
        if automatic:  # onnxruntime pads for whatever rate there is
            yield set_attr(site, "dilations", now, [rate] * rank)
            continue
        growth = [(k - 1) * (rate - d) for k, d in zip(kernel, now, strict=True)]
        begin = [p + g // 2 for p, g in zip(pads[:rank], growth, strict=True)]
        end = [p + g - g // 2 for p, g in zip(pads[rank:], growth, strict=True)]
        if min(begin + end) >= 0:
            node = edited(site.node, dilations=[rate] * rank, pads=begin + end, auto_pad=None)
            yield Patch(node, "dilations", (now, pads), ([rate] * rank, begin + end))


@kind("pad.mode", "Pad")
def _pad_mode(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _others(site, "mode", "constant", ("constant", "reflect", "edge"))


@kind("pad.value", "Pad")
def _pad_value(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Zero where the model wants another value, one where it wants zero."""
    if site.attr("mode", "constant") != "constant" or not site.is_float():
        return
    if site.opset < 11:
        now = site.attr("value", 0.0)
        yield set_attr(site, "value", now, 1.0 if now == 0 else 0.0)
        return
    value = site.const(2)
    if value is None and site.has_input(2):
        return
    if value is None:
        data = site.view.elem_type(site.node.input[0])
        value = np.zeros((), {1: np.float32, 10: np.float16, 11: np.float64}.get(data, np.float32))
    now = value.item()
    after = 1.0 if now == 0 else 0.0
    yield set_const(site, 2, np.full_like(value, after), "constant_value", now, after)


@kind("pad.amount", "Pad")
def _pad_amount(site: Site, rng: _Rng) -> Iterator[Patch]:
    pads = get_ints(site, "pads", 1)
    for axis in range(len(pads or ()) // 2):
        for moved in _shifted(pads or [], axis):
            yield set_ints(site, "pads", 1, pads or [], moved)


@kind("gelu.approximate", "Gelu")
def _gelu_approximate(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _others(site, "approximate", "none", ("none", "tanh"))


@kind("reduce.axes", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd")
def _reduce_axes(site: Site, rng: _Rng) -> Iterator[Patch]:
    axes, shape = get_ints(site, "axes", 1), site.shape()
    if axes is None or shape is None:
        return
    used = {axis % len(shape) for axis in axes}
    for place, axis in enumerate(axes):
        for other in set(range(len(shape))) - used:
            if shape[other] == shape[axis]:
                yield set_ints(site, "axes", 1, axes, [*axes[:place], other, *axes[place + 1 :]])


@kind("argmax.axis", "ArgMax", "ArgMin")
def _argmax_axis(site: Site, rng: _Rng) -> Iterator[Patch]:
    shape, now = site.shape(), site.attr("axis", 0)
    for axis, size in enumerate(shape or ()):
        if shape and axis != now % len(shape) and size == shape[now]:
            yield set_attr(site, "axis", now, axis)


@kind("argmax.select", "ArgMax", "ArgMin")
def _argmax_select(site: Site, rng: _Rng) -> Iterator[Patch]:
    if site.opset >= 12:
        now = site.attr("select_last_index", 0)
        yield set_attr(site, "select_last_index", now, 1 - now)


@kind("topk.largest", "TopK")
def _topk_largest(site: Site, rng: _Rng) -> Iterator[Patch]:
    if site.opset >= 11:
        now = site.attr("largest", 1)
        yield set_attr(site, "largest", now, 1 - now)


@kind("cumsum.reverse", "CumSum")
def _cumsum_reverse(site: Site, rng: _Rng) -> Iterator[Patch]:
    now = site.attr("reverse", 0)
    yield set_attr(site, "reverse", now, 1 - now)


@kind("cumsum.exclusive", "CumSum")
def _cumsum_exclusive(site: Site, rng: _Rng) -> Iterator[Patch]:
    now = site.attr("exclusive", 0)
    yield set_attr(site, "exclusive", now, 1 - now)


@kind("transpose.perm", "Transpose")
def _transpose_perm(site: Site, rng: _Rng) -> Iterator[Patch]:
    shape = site.shape()
    if shape is None or len(shape) > 6:
        return
    now = site.attr("perm", list(reversed(range(len(shape)))))
    kept = [shape[p] for p in now]
    for first, second in pairs(len(shape)):
        if kept[first] == kept[second] > 1:
            perm = list(now)
            perm[first], perm[second] = perm[second], perm[first]
            yield set_attr(site, "perm", now, perm)


@kind("depth_to_space.mode", "DepthToSpace")
def _depth_to_space_mode(site: Site, rng: _Rng) -> Iterator[Patch]:
    if site.opset >= 11:
        yield from _others(site, "mode", "DCR", ("DCR", "CRD"))


@kind("grid_sample.align_corners", "GridSample")
def _grid_sample_align_corners(site: Site, rng: _Rng) -> Iterator[Patch]:
    now = site.attr("align_corners", 0)
    yield set_attr(site, "align_corners", now, 1 - now)


@kind("grid_sample.padding_mode", "GridSample")
def _grid_sample_padding_mode(site: Site, rng: _Rng) -> Iterator[Patch]:
    yield from _others(site, "padding_mode", "zeros", ("zeros", "border", "reflection"))


@kind("grid_sample.mode", "GridSample")
def _grid_sample_mode(site: Site, rng: _Rng) -> Iterator[Patch]:
    linear = "linear" if site.opset >= 20 else "bilinear"
    now = site.attr("mode", linear)
    yield from _others(site, "mode", linear, ("nearest",) if now != "nearest" else (linear,))


@kind("gemm.factor", "Gemm")
def _gemm_factor(site: Site, rng: _Rng) -> Iterator[Patch]:
    for name in ("alpha", "beta") if site.has_input(2) else ("alpha",):
        now = site.attr(name, 1.0)
        yield set_attr(site, name, now, now / 2 if close(now, 1.0) else 1.0)


@kind("lrn.size", "LRN")
def _lrn_size(site: Site, rng: _Rng) -> Iterator[Patch]:
    now = site.attr("size", 1)
    yield set_attr(site, "size", now, now + 2)


@kind("clip.bounds", "Clip")
def _clip_bounds(site: Site, rng: _Rng) -> Iterator[Patch]:
    """A bound lost, or moved by a sixth of the range (ReLU6 that stops at 5)."""
    low, high = _clip_bound(site, "min", 1), _clip_bound(site, "max", 2)
    width = high - low if low is not None and high is not None else 1.0
    for name, position, now, lost, step in (
        ("min", 1, low, -3.0e38, width / 6),
        ("max", 2, high, 3.0e38, -width / 6),
    ):
        if now is None or abs(now) > 1e30:
            continue
        for after in (now + step, lost):
            current = site.const(position)
            if site.opset < 11:
                yield set_attr(site, name, now, after)
            elif current is not None and abs(after) < np.finfo(current.dtype).max:
                yield set_const(site, position, np.full_like(current, after), name, now, after)


def _clip_bound(site: Site, name: str, position: int) -> float | None:
    if site.opset < 11:
        value = site.attr(name)
        return None if value is None else float(value)
    current = site.const(position)
    if current is None or current.size != 1 or not np.issubdtype(current.dtype, np.floating):
        return None
    return float(current.item())


@kind("slice.start", "Slice")
def _slice_start(site: Site, rng: _Rng) -> Iterator[Patch]:
    """The window moved by one, on one axis, inside the tensor."""
    shape = site.shape()
    starts, ends = get_ints(site, "starts", 1), get_ints(site, "ends", 2)
    if shape is None or starts is None or ends is None or (site.has_input(3) and site.const(3) is None):
        return
    axes = get_ints(site, "axes", 3) or list(range(len(starts)))
    steps = get_ints(site, "steps", 4) or [1] * len(starts)
    for place, axis in enumerate(axes):
        size = shape[axis]
        if steps[place] < 1:
            continue
        start, end = (min(v + size if v < 0 else v, size) for v in (starts[place], ends[place]))
        for shift in (-1, 1):
            if 0 <= start + shift < size:
                moved_end = end + shift if end + shift <= size else end
                yield _moved_slice(site, place, starts, ends, start + shift, moved_end)


def _moved_slice(site: Site, place: int, starts: list[int], ends: list[int], start: int, end: int) -> Patch:
    new_starts = [*starts[:place], start, *starts[place + 1 :]]
    new_ends = [*ends[:place], end, *ends[place + 1 :]]
    before, after = (starts, ends), (new_starts, new_ends)
    first, second = site.const(1), site.const(2)
    if first is None or second is None:
        return Patch(edited(site.node, starts=new_starts, ends=new_ends), "starts", before, after)
    constants = {1: np.asarray(new_starts, first.dtype), 2: np.asarray(new_ends, second.dtype)}
    return Patch(edited(site.node), "starts", before, after, constants)


@kind("gather.index", "Gather")
def _gather_index(site: Site, rng: _Rng) -> Iterator[Patch]:
    """One index off by one."""
    indices, shape = site.const(1), site.shape()
    if indices is None or shape is None or indices.size == 0:
        return
    size = shape[site.attr("axis", 0)]
    place = int(rng.integers(indices.size))
    now = int(indices.reshape(-1)[place])
    for shift in (-1, 1):
        after = (now % size + shift) % size
        if after != now % size:
            moved = indices.copy()
            moved.reshape(-1)[place] = after
            yield set_const(site, 1, moved, f"indices[{place}]", now, after)


@kind("gather.axis", "Gather")
def _gather_axis(site: Site, rng: _Rng) -> Iterator[Patch]:
    shape, now = site.shape(), site.attr("axis", 0)
    for axis in range(len(shape or ())):
        if shape and axis != now % len(shape) and shape[axis] == shape[now]:
            yield set_attr(site, "axis", now, axis)


@kind("einsum.order", "Einsum")
def _einsum_order(site: Site, rng: _Rng) -> Iterator[Patch]:
    """Two letters of the result exchanged."""
    now = site.attr("equation").replace(" ", "")
    left, arrow, right = now.partition("->")
    if arrow and "." not in right and len(right) <= 5:
        for order in permutations(right):
            if (after := "".join(order)) != right:
                yield set_attr(site, "equation", now, f"{left}->{after}")
