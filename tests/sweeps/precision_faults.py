"""What can be wrong with a float16 or a quantised file that is right in float32? Faults of its numbers alone.

Of float16: a value or a constant of the float32 file that the type cannot hold, which the file as converted
then has wrong (``precision.overflow``, ``precision.underflow``, ``precision.clipped``). The function of the
float32 file stays what it was. Of bytes: a scale or a zero point of the converted file that is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segdiff.core.graph import Array
from tests.models import copied, tensors_of

FACTORS: Mapping[str, tuple[tuple[int, ...], int]] = {
    "precision.overflow": ((9, 13, -11, -11), 1),
    "precision.underflow": ((-12, -18, 10, 10, 10), 1),
    "precision.clipped": ((-14, 17, -3), 1),
    "precision.small_constant": ((9, -27, 9, 9), 1),
    "precision.large_constant": ((18, -9, -9), 0),
}
"""Kind -> powers of two by which a value is multiplied in turn, and which of them is the fault; the others
are such that every converter keeps them: onnxconverter-common cuts constants off at 1e4."""

PLACES = ("Conv", "BatchNormalization", "Relu", "Add", "Concat", "Mul", "HardSwish", "LayerNormalization")


@dataclass(frozen=True)
class Planted:
    """A file that is right in float32, or as bytes, and what holds the fault."""

    model: ModelProto
    kind: str
    text: str
    outputs: frozenset[str]
    rel_l2: float


def range_faults(model: ModelProto, image: Array, seed: int, kind: str) -> Planted | None:
    """A float32 model of the same function, one value of which float16 does not hold."""
    random = np.random.default_rng([seed, len(kind)])
    values = tensors_of(model, {model.graph.input[0].name: image})
    finals = {output.name for output in model.graph.output}
    fitting = [
        node
        for node in model.graph.node
        if node.op_type in PLACES and node.output[0] not in finals and _usual(values.get(node.output[0]))
    ]
    if not fitting:
        return None
    node = fitting[int(random.integers(len(fitting)))]
    powers, place = FACTORS[kind]
    changed, names = multiplied(model, node, powers)
    text = f"{node.op_type} {node.output[0]} times 2 to the {powers}"
    return Planted(changed, kind, text, frozenset([names[place]]), float("inf"))


def _usual(array: Array | None) -> bool:
    """Whether a value is of a size that the factors were made for."""
    return array is not None and array.dtype == np.float32 and 0.5 < float(np.abs(array).max()) < 100


def multiplied(
    model: ModelProto, node: NodeProto, powers: tuple[int, ...]
) -> tuple[ModelProto, tuple[str, ...]]:
    """A copy in which what a node writes is multiplied by powers of two in turn; and the products' names."""
    copy, out = copied(model), node.output[0]
    names = tuple(f"{out}.times{place}" for place in range(len(powers)))
    for each in copy.graph.node:
        each.input[:] = [names[-1] if name == out else name for name in each.input]
    made, before = [], out
    for name, power in zip(names, powers, strict=True):
        copy.graph.initializer.append(
            numpy_helper.from_array(np.asarray(2.0**power, np.float32), f"{name}.by")
        )
        made.append(helper.make_node("Mul", [before, f"{name}.by"], [name], name=f"Mul:{name}"))
        before = name
    place = next(i for i, each in enumerate(copy.graph.node) if out in each.output)
    rest = [*made, *copy.graph.node[place + 1 :]]
    del copy.graph.node[place + 1 :]
    copy.graph.node.extend(rest)
    return copy, names


BYTES = ("quantization.weight_scale", "quantization.activation_range", "quantization.zero_point")


def byte_faults(model: ModelProto, made: ModelProto, image: Array, seed: int, kind: str) -> Planted | None:
    """A copy of a quantised file, one scale or zero point of which is another; ``model`` is the float32 one.

    The error of the value itself is what numpy makes of the reference's numbers at that scale.
    """
    random = np.random.default_rng([seed, len(kind)])
    found = list(_stored(made, kind))
    if not found:
        return None
    tensor = found[int(random.integers(len(found)))]
    now = numpy_helper.to_array(tensor)
    stem = tensor.name.removesuffix("_scale").removesuffix("_zero_point")
    copy = copied(made)
    target = next(each for each in copy.graph.initializer if each.name == tensor.name)
    if kind == "quantization.weight_scale":
        then, error = np.asarray(now * np.float32(1.5)), _scaled(model, image, stem)
    else:
        then = np.asarray(now / np.float32(4)) if kind == "quantization.activation_range" else _shifted(now)
        values = tensors_of(model, {model.graph.input[0].name: image})
        if stem not in values or now.size != 1:
            return None
        scale, zero = _pair(copy, stem)
        scale, zero = (then, zero) if kind == "quantization.activation_range" else (scale, then)
        error = _cut(values[stem], scale, zero)
    target.CopyFrom(numpy_helper.from_array(then.astype(now.dtype), tensor.name))
    readers = [node for node in made.graph.node if tensor.name in node.input]
    outputs = frozenset(name for node in readers for name in node.output)
    if kind == "quantization.weight_scale":  # what reads the numbers that are spelled out
        outputs |= {name for node in made.graph.node if outputs & set(node.input) for name in node.output}
    text = f"{tensor.name} {now.reshape(-1)[:1]} -> {then.reshape(-1)[:1]}"
    return Planted(copy, kind, text, outputs, error)


def _scaled(model: ModelProto, image: Array, weight: str) -> float:
    """What 1.5 times a weight changes in what reads it, relative to that; the weight may be a small bias."""
    readers = {node.output[0] for node in model.graph.node if weight in node.input}
    copy = copied(model)
    written = [node.attribute[0].t for node in copy.graph.node if list(node.output) == [weight]]
    for tensor in (*written, *(each for each in copy.graph.initializer if each.name == weight)):
        larger = numpy_helper.to_array(tensor) * np.float32(1.5)
        tensor.CopyFrom(numpy_helper.from_array(larger, tensor.name))
    feeds = {model.graph.input[0].name: image}
    before, after = tensors_of(model, feeds), tensors_of(copy, feeds)
    changes = [
        float(np.linalg.norm(after[name] - before[name]) / max(float(np.linalg.norm(before[name])), 1e-30))
        for name in readers & before.keys() & after.keys()
    ]
    return max(changes, default=0.5)


def _stored(made: ModelProto, kind: str) -> Iterator[TensorProto]:
    names = {tensor.name for tensor in made.graph.initializer}
    for tensor in made.graph.initializer:
        stem = tensor.name.removesuffix("_scale").removesuffix("_zero_point")
        weight = f"{stem}_quantized" in names
        if tensor.name.endswith("_scale") and weight == (kind == "quantization.weight_scale"):
            if kind != "quantization.zero_point" and np.abs(numpy_helper.to_array(tensor)).max() > 1e-6:
                yield tensor
        elif tensor.name.endswith("_zero_point") and not weight and kind == "quantization.zero_point":
            yield tensor


def _shifted(zero: Array) -> Array:
    """A zero point 64 steps off, still one of its type."""
    limits, whole = np.iinfo(zero.dtype), zero.astype(np.int64)
    middle = (int(limits.min) + int(limits.max)) // 2
    return np.asarray(np.where(whole > middle, whole - 64, whole + 64), zero.dtype)


def _pair(model: ModelProto, stem: str) -> tuple[Array, Array]:
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    return tuple(numpy_helper.to_array(tensors[f"{stem}_{end}"]) for end in ("scale", "zero_point"))  # type: ignore[return-value]


def _cut(array: Array, scale: Array, zero: Array) -> float:
    """Relative error of numbers that went through bytes of that scale and zero point."""
    limits = np.iinfo(zero.dtype)
    whole = np.clip(np.rint(array.astype(np.float64) / scale) + int(zero), limits.min, limits.max)
    back = (whole - int(zero)) * float(scale)
    return float(np.linalg.norm(back - array) / max(float(np.linalg.norm(array)), 1e-30))
