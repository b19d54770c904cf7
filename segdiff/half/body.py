"""How is one group computed in half precision? Its nodes again, constants rounded, with float32 sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper

from segdiff.core.graph import Array
from segdiff.half.groups import Group
from segdiff.half.kinds import AS_THEY_ARE
from segdiff.half.read import File
from segdiff.half.rounding import Maker, rounding, stored
from segdiff.half.store import Store
from segdiff.half.targets import How
from segdiff.readers.onnx_light import LARGE


@dataclass
class Body:
    """A group under construction: nodes, the constants that they need, and the names of its inner values.

    Large constants are ``narrow`` where a session is to hold them in float16 and widen them in each run.
    """

    file: File
    how: How
    group: Group
    store: Store
    maker: Maker
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[TensorProto] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    narrow: bool = False

    def constant(self, stem: str, array: Array) -> str:
        """A constant as the target stores it."""
        name = self.maker.fresh(stem)
        width = self.width(self.group.value)
        rounded = stored(array, self.how)
        if self.narrow and self.how.precision == "fp16" and rounded.nbytes >= LARGE:
            wide = self.maker.fresh(stem)
            self.tensors.append(self.store.tensor(name, rounded.astype(np.float16)))
            self.nodes.append(helper.make_node("Cast", [name], [wide], to=width))
            return wide
        self.tensors.append(
            self.store.tensor(name, rounded if width == TensorProto.FLOAT else rounded.astype(np.float64))
        )
        return name

    def width(self, value: str) -> int:
        """The element type that a value has in the file."""
        return int(TensorProto.DOUBLE if self.file.floats.get(value) == "float64" else TensorProto.FLOAT)

    def round(self, source: str, into: str, op: str = "") -> None:
        """Store a value in half precision."""
        width = self.width(self.group.value)
        self.nodes += rounding(source, into, self.how, self.file.opset, self.maker, width=width, op=op)


def half_body(
    file: File,
    how: How,
    group: Group,
    store: Store,
    maker: Maker,
    outputs: dict[str, str],
    *,
    narrow: bool = False,
) -> Body:
    """The nodes of a group, which read what its nodes read and write, rounded, the names of ``outputs``."""
    body = Body(file, how, group, store, maker, narrow=narrow)
    ends = {name: maker.fresh("exact") for name in group.outputs}
    body.renamed.update(ends)
    if not group.nodes:
        body.renamed[group.value] = group.value
    head = file.nodes[group.nodes[0]] if group.nodes else None
    place = 0
    while place < len(group.nodes):
        node = file.nodes[group.nodes[place]]
        norm = next(
            (k for k in range(place + 1, len(group.nodes)) if group.types[k] == "BatchNormalization"), None
        )
        if node is head and norm is not None:
            folded(body, place, norm)
            place = norm + 1
        elif node.op_type == "BatchNormalization":
            normalised(body, node)
            place += 1
        else:
            body.nodes.append(again(body, node))
            place += 1
    for name, into in outputs.items():
        body.round(body.renamed.get(name, name), into, group.types[-1] if group.types else "")
    return body


def again(body: Body, node: onnx.NodeProto) -> onnx.NodeProto:
    """A node with its constants rounded."""
    made = onnx.NodeProto()
    made.CopyFrom(node)
    made.name = body.maker.fresh(node.op_type.lower())
    settings = AS_THEY_ARE.get(node.op_type, frozenset())
    for place, name in enumerate(node.input):
        if place not in settings:
            made.input[place] = number(body, name)
    for place, name in enumerate(node.output):
        if name:
            made.output[place] = body.renamed.setdefault(name, body.maker.fresh("inner"))
    return made


def number(body: Body, name: str) -> str:
    """What a node of the group reads for a value: a constant rounded, an inner value by its new name."""
    if name in body.renamed:
        return body.renamed[name]
    file = body.file
    if not name or name not in file.floats or name in file.activations:
        return name
    array = file.constant(name)
    if array is not None:
        body.renamed[name] = body.constant("constant", array)
    else:
        body.renamed[name] = body.maker.fresh("constant")
        body.round(name, body.renamed[name])
    return body.renamed[name]


def folded(body: Body, first: int, norm: int) -> None:
    """A Conv with the batch norm behind it in its weights, computed in float64 and rounded once."""
    file, members = body.file, body.group.nodes
    conv, normal = file.nodes[members[first]], file.nodes[members[norm]]
    statistics = statistics_of(file, normal)
    weights = file.constant(conv.input[1])
    bias = bias_of(file, [file.nodes[index] for index in members[first:norm]])
    if statistics is None or weights is None or bias is None:  # not known before the run: as exported
        for index in members[first:norm]:
            body.nodes.append(again(body, file.nodes[index]))
        exported(body, normal)
        return
    factor, offset = affine(statistics)
    if conv.op_type == "Conv":
        scaled = weights.astype(np.float64) * factor.reshape(-1, *[1] * (weights.ndim - 1))
    else:
        parts = next((attr.i for attr in conv.attribute if attr.name == "group"), 1)
        by_group = factor.reshape(parts, 1, -1, *[1] * (weights.ndim - 2))
        split = weights.astype(np.float64).reshape(parts, -1, *weights.shape[1:])
        scaled = (split * by_group).reshape(weights.shape)
    made = onnx.NodeProto()
    made.CopyFrom(conv)
    made.name = body.maker.fresh("conv")
    del made.input[1:]
    made.input.extend(
        [body.constant("weights", scaled), body.constant("bias", bias.astype(np.float64) * factor + offset)]
    )
    made.output[0] = body.renamed.setdefault(normal.output[0], body.maker.fresh("inner"))
    body.nodes.append(made)


def bias_of(file: File, nodes: list[onnx.NodeProto]) -> Array | None:
    """What a Conv and the sums behind it add in each channel, 0 where they add nothing; None if not known."""
    conv, *sums = nodes
    total: Array = np.zeros(1)
    if len(conv.input) > 2 and conv.input[2]:
        own = file.constant(conv.input[2])
        if own is None:
            return None
        total = own.astype(np.float64)
    for node in sums:
        array = next((found for name in node.input if (found := file.constant(name)) is not None), None)
        if array is None or array.size != max(array.shape[-3:-2], default=array.size):
            return None  # not one number a channel
        total = total + array.astype(np.float64).reshape(-1)
    return total


Statistics = tuple[Array, Array, Array, Array, float]
"""Scale, offset, mean, variance (a float64 each for every channel), epsilon."""


def statistics_of(file: File, node: onnx.NodeProto) -> Statistics | None:
    """The numbers of a batch norm; None where they are not constants."""
    arrays = [file.constant(name) for name in node.input[1:5]]
    epsilon = next((attr.f for attr in node.attribute if attr.name == "epsilon"), 1e-5)
    found = [array.astype(np.float64) for array in arrays if array is not None]
    return (found[0], found[1], found[2], found[3], epsilon) if len(found) == 4 else None


def affine(statistics: Statistics) -> tuple[Array, Array]:
    """A batch norm as ``a * x + b``, float64."""
    scale, offset, mean, variance, epsilon = statistics
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + epsilon)
        return factor, offset - mean * factor


def alpha_beta(statistics: Statistics) -> tuple[Array, Array]:
    """A batch norm as Ascend computes it, ``(x + alpha) * beta'``, float64; infinite where gamma is 0."""
    scale, offset, mean, variance, epsilon = statistics
    with np.errstate(all="ignore"):
        spread = np.sqrt(variance + epsilon)
        return (offset / scale) * spread - mean, scale / spread


def normalised(body: Body, node: onnx.NodeProto) -> None:
    """A batch norm that is no part of a Conv, in the form of the target."""
    statistics = statistics_of(body.file, node)
    if statistics is None or body.how.batch_norm == "exported":
        exported(body, node)
        return
    source = number(body, node.input[0])
    into = body.renamed.setdefault(node.output[0], body.maker.fresh("inner"))
    if body.how.batch_norm == "ascend":
        alpha, beta = alpha_beta(statistics)
        one, shifted, kept = np.ones_like(alpha), body.maker.fresh("shifted"), body.maker.fresh("shifted")
        linear(body, source, shifted, one, alpha)
        body.round(shifted, kept, "BatchNormalization")
        linear(body, kept, into, beta, np.zeros_like(beta))
    else:
        linear(body, source, into, *affine(statistics))


def exported(body: Body, node: onnx.NodeProto) -> None:
    """A batch norm as the file has it, its four statistics cast."""
    made = again(body, node)
    del made.output[1:]
    body.nodes.append(made)


def linear(body: Body, source: str, into: str, factor: Array, offset: Array) -> None:
    """``factor * x + offset`` in each channel, whatever the rank: a batch norm of mean 0 and variance 1."""
    zero, one = np.zeros_like(factor), np.ones_like(factor)
    operands = [body.constant(stem, array) for stem, array in (("factor", factor), ("offset", offset))]
    operands += [body.constant(stem, array) for stem, array in (("mean", zero), ("variance", one))]
    body.nodes.append(
        helper.make_node(
            "BatchNormalization", [source, *operands], [into], name=body.maker.fresh("linear"), epsilon=0.0
        )
    )


def plain_body(file: File, group: Group) -> Iterator[onnx.NodeProto]:
    """The nodes of a group as they are."""
    for index in group.nodes:
        yield file.nodes[index]
