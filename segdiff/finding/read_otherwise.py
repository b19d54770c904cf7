"""What does a file rely on that runtimes are known to read differently? Asked of its graph, nothing is run.

onnxruntime reads it as ONNX says, so no operator errs here. A compiler for a device may not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from segdiff.core.elsewhere import DeviceRemark
from segdiff.core.graph import Graph, Op, Shape

SOFTMAX = frozenset({"Softmax", "LogSoftmax", "Hardmax"})
ONE_AXIS = 13
"""The opset from which these work along one axis; before, along it and all behind it together."""

WINDOWS = frozenset(
    {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "ConvInteger", "QLinearConv"}
)

PLAIN_RESIZES = frozenset(
    {
        ("linear", "half_pixel"),
        ("linear", "pytorch_half_pixel"),
        ("linear", "align_corners"),
        ("nearest", "asymmetric", "floor"),
    }
)
"""What the compilers for devices that PaddleSeg's models go to (TensorRT, ATC, ncnn, OpenVINO) read alike."""

RARE = ("antialias", "exclude_outside", "axes", "keep_aspect_ratio_policy")
"""Settings of a Resize that few runtimes know."""


def read_otherwise(graph: Graph) -> tuple[DeviceRemark, ...]:
    """The remarks on an ONNX file, one for each kind and setting, with all the nodes that it is about."""
    if graph.format != "onnx":
        return ()
    found: dict[tuple[str, str], DeviceRemark] = {}
    for op in graph.ops:
        for kind, facts in _of(graph, op):
            key = kind, repr(sorted(facts.items()))
            known = found.get(key)
            nodes = (*known.nodes, op.name) if known else (op.name,)
            found[key] = DeviceRemark(kind, nodes, facts)
    return (*found.values(), *_of_ends(graph))


def _of(graph: Graph, op: Op) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if op.type in SOFTMAX and 0 < graph.opset < ONE_AXIS:
        yield from _softmax(graph, op)
    elif op.type in ("Resize", "Upsample"):
        yield from _resize(graph, op)
    elif op.type in WINDOWS and str(op.attributes.get("auto_pad", "")).startswith("SAME"):
        yield from _same(graph, op)


def _softmax(graph: Graph, op: Op) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """One over several axes at once, which from opset 13 on is one over the first of them alone."""
    shape = graph.value(op.inputs[0]).shape
    axis = int(op.attributes.get("axis", 1))
    if shape is None:
        if axis != -1:
            yield "device.softmax_axis", {"axis": axis, "rank": None, "operator": op.type}
        return
    behind = shape[axis % len(shape) + 1 :] if -len(shape) <= axis < len(shape) else ()
    if any(length != 1 for length in behind):
        yield "device.softmax_axis", {"axis": axis, "rank": len(shape), "operator": op.type}


def _resize(graph: Graph, op: Op) -> Iterator[tuple[str, Mapping[str, Any]]]:
    old = op.type == "Upsample" or graph.opset < 11
    mode = str(op.attributes.get("mode", "nearest"))
    where = "asymmetric" if old else str(op.attributes.get("coordinate_transformation_mode", "half_pixel"))
    setting: tuple[str, ...] = mode, where
    if mode == "nearest":
        rounding = "floor" if old else str(op.attributes.get("nearest_mode", "round_prefer_floor"))
        setting = mode, where, rounding
    rare = {name: op.attributes[name] for name in RARE if op.attributes.get(name)}
    if mode == "cubic":
        rare["cubic_coeff_a"] = round(float(op.attributes.get("cubic_coeff_a", -0.75)), 6)
    if setting not in PLAIN_RESIZES or rare:
        facts = {"mode": mode, "coordinate_transformation_mode": where}
        yield "device.resize", {**facts, **({"nearest_mode": setting[2]} if len(setting) > 2 else {}), **rare}


def _same(graph: Graph, op: Op) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """SAME padding that is not the same on both sides, or may not be."""
    facts = {"auto_pad": str(op.attributes["auto_pad"])}
    totals = _paddings(graph, op)
    if totals is None:
        yield "device.same_pads", {**facts, "sure": False}
    elif any(total % 2 for total in totals):
        yield "device.same_pads", {**facts, "sure": True}


def _paddings(graph: Graph, op: Op) -> list[int] | None:
    """What SAME adds along each axis of the picture; None where its length is open and decides it."""
    kernel = _kernel(graph, op)
    if kernel is None:
        return None
    ones = [1] * len(kernel)
    strides, dilations = (list(op.attributes.get(name) or ones) for name in ("strides", "dilations"))
    shape: Shape = graph.value(op.inputs[0]).shape or ()
    lengths = shape[2:] if len(shape) == len(kernel) + 2 else (None,) * len(kernel)
    totals = []
    for length, size, stride, dilation in zip(lengths, kernel, strides, dilations, strict=False):
        reach = (size - 1) * dilation + 1
        if stride == 1 or op.type == "ConvTranspose":
            totals.append(max(reach - stride, 0))
        elif length is None:
            return None
        else:
            totals.append(max((-(-length // stride) - 1) * stride + reach - length, 0))
    return totals


def _kernel(graph: Graph, op: Op) -> list[int] | None:
    given = op.attributes.get("kernel_shape")
    if given:
        return [int(length) for length in given]
    place = 3 if op.type == "QLinearConv" else 1
    name = op.inputs[place] if len(op.inputs) > place else ""
    weight = graph.parameters.get(name)
    return list(weight.shape[2:]) if weight is not None else None


def _of_ends(graph: Graph) -> Iterator[DeviceRemark]:
    """Outputs of 64 bits, and inputs whose lengths are open."""
    wide = tuple(name for name in graph.outputs if graph.value(name).dtype in ("int64", "uint64"))
    if wide:
        yield DeviceRemark("device.int64_output", wide)
    free = tuple(name for name in graph.inputs if None in (graph.value(name).shape or ()))
    if free:
        shapes = {name: [*(graph.value(name).shape or ())] for name in free}
        fixed = prod(len(shape) for shape in shapes.values()) > 0
        yield DeviceRemark("device.dynamic_axes", free, {"shapes": shapes if fixed else {}})
