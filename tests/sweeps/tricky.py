"""Pairs that could fool one: faults that cancel, hide or vanish, and healthy models that look ill.

``python -m tests.sweeps.tricky [PATTERN ...]``; a pattern fits names of cases. The right answer of each is
given with it, and follows from what the two models compute.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from segdiff.core.graph import Array
from tests import models
from tests.models import Net, copied
from tests.sweeps.outputs import Case, append, heads, run


def changed(model: ModelProto, name: str, function: Callable[[Array], Array]) -> ModelProto:
    """A copy with another content of one initializer."""
    copy = copied(model)
    for tensor in copy.graph.initializer:
        if tensor.name == name:
            array = function(numpy_helper.to_array(tensor).copy())
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))
            return copy
    raise KeyError(name)


def operand(model: ModelProto, op_type: str, place: int, position: int) -> str:
    """The name of a node's operand."""
    return str(models.find_node(model, op_type, place).input[position])


def weight(
    model: ModelProto, place: int, function: Callable[[Array], Array], position: int = 1
) -> ModelProto:
    """A copy with another weight (or bias) in one of the convolutions."""
    return changed(model, operand(model, "Conv", place, position), function)


def retyped(model: ModelProto, op_type: str, new: str, place: int = 0, **attributes: Any) -> ModelProto:
    """A copy in which a node is of another operator."""
    copy = copied(model)
    node = models.find_node(copy, op_type, place)
    node.op_type = new
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return copy


def small(*steps: str, bias: float = 0.0) -> ModelProto:
    """conv, an activation or more, conv."""
    net = Net(seed=3)
    x = net.conv("x", (3, 8))
    if bias:
        net.constants[net.nodes[-1].input[2]] += np.float32(bias)
    for step in steps:
        x = net.node(step, x)
    return net.model(net.conv(x, (8, 4)))


def scalars(kind: str, shape: str) -> ModelProto:
    """A map and one number beside it, of shape () or (1,)."""
    net = Net(seed=4)
    y = net.conv("x", (3, 4))
    mean = net.node("ReduceMean", y, keepdims=0)
    if kind == "int":
        mean = net.node("Cast", net.node("Mul", mean, net.constant(100.0)), to=TensorProto.INT64)
    if kind == "bool":
        mean = net.node("Greater", mean, net.constant(0.0))
    if shape == "one":
        mean = net.node("Reshape", mean, net.constant([1], np.int64))
    types = {"int": TensorProto.INT64, "bool": TensorProto.BOOL}
    return net.model(y, mean, types={mean: types.get(kind, TensorProto.FLOAT)})


def two_faults_that_cancel() -> tuple[ModelProto, ModelProto]:
    """One convolution twice as large, the next one half."""
    model = small("Relu")
    half = weight(weight(model, 0, lambda w: 2 * w), 0, lambda b: 2 * b, position=2)
    return model, weight(half, 1, lambda w: w / 2)


def dead_channel() -> ModelProto:
    """The second convolution does not read the first channel."""
    return weight(small("Relu"), 1, lambda w: w * (np.arange(8) != 0)[None, :, None, None])


def gated(value: float) -> ModelProto:
    """A branch that is multiplied by a number: by 0 it has no effect."""
    net = Net(seed=5)
    branch = net.conv(net.node("Relu", net.conv("x", (3, 4))), (4, 4))
    return net.model(net.node("Add", net.node("Mul", branch, net.constant(value)), net.conv("x", (3, 4))))


def selected() -> ModelProto:
    """A Where that takes its first branch everywhere."""
    net = Net(seed=6)
    first, second = net.conv("x", (3, 4)), net.conv("x", (3, 4))
    always = net.node("Greater", net.node("Abs", "x"), net.constant(-1.0))
    where = net.node("Slice", always, *(net.constant([n], np.int64) for n in (0, 1, 1)))
    return net.model(net.node("Where", where, first, second))


def saturated(scale: float) -> ModelProto:
    """A softmax of logits so large that it is a choice."""
    net = Net(seed=7)
    logits = net.node("Mul", net.conv("x", (3, 4)), net.constant(scale))
    return net.model(net.node("Softmax", logits, axis=1))


def faint(scale: float) -> ModelProto:
    """An output that is nearly zero."""
    net = Net(seed=8)
    return net.model(
        net.node("Mul", net.conv(net.node("Relu", net.conv("x", (3, 4))), (4, 4)), net.constant(scale))
    )


def tied(last: int) -> ModelProto:
    """An argmax over channels that come in equal couples."""
    net = Net(seed=9)
    y = net.conv("x", (3, 4))
    both = net.node("Concat", y, y, axis=1)
    return net.model(
        net.node("ArgMax", both, axis=1, keepdims=0, select_last_index=last, outputs=["mask"]),
        types={"mask": TensorProto.INT64},
    )


def empty(columns: int = 5) -> ModelProto:
    """An output without elements beside one that has some."""
    net = Net(seed=10)
    y = net.conv("x", (3, 4))
    rows = net.node("Reshape", y, net.constant([-1, columns if columns == 4 else 6], np.int64))
    none = net.node("Slice", rows, *(net.constant([n], np.int64) for n in (0, 0, 0)))
    return net.model(y, none)


def boxes_or_none(threshold: float) -> ModelProto:
    """How many elements there are hangs on a threshold: maybe none."""
    net = Net(seed=11)
    y = net.conv("x", (3, 4))
    kept = net.node("NonZero", net.node("Greater", y, net.constant(threshold)), outputs=["kept"])
    return net.model(y, kept, types={kept: TensorProto.INT64})


def in_half(model: ModelProto, place: int) -> ModelProto:
    """A copy that goes through float16 and back behind one Relu."""
    copy = copied(model)
    node = models.find_node(copy, "Relu", place)
    name = node.output[0]
    node.output[0] = f"{name}.full"
    at = list(copy.graph.node).index(node)
    down = helper.make_node("Cast", [f"{name}.full"], [f"{name}.half"], to=TensorProto.FLOAT16)
    up = helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT)
    nodes = [*copy.graph.node[: at + 1], down, up, *copy.graph.node[at + 1 :]]
    kept = [models.NodeProto.FromString(each.SerializeToString()) for each in nodes]
    del copy.graph.node[:]
    copy.graph.node.extend(kept)
    return copy


def baked(model: ModelProto, image: Array) -> ModelProto:
    """The right output of one picture as a constant: the network is gone."""
    outputs = models.tensors_of(model, {"x": image})
    net = Net()
    names = [output.name for output in model.graph.output]
    for name in names:
        net.nodes.append(
            helper.make_node("Constant", [], [name], value=numpy_helper.from_array(outputs[name]))
        )
    return net.model(*names)


def written_out(guarded: bool) -> ModelProto:
    """A softmax of huge logits in nodes, with or without the maximum taken away."""
    net = Net(seed=12)
    y = net.node("Mul", net.conv("x", (3, 4)), net.constant(200.0))
    if guarded:
        y = net.node("Sub", y, net.node("ReduceMax", y, axes=[1]))
    e = net.node("Exp", y)
    return net.model(net.node("Div", e, net.node("ReduceSum", e, net.constant([1], np.int64))))


def normed(epsilon: float, variance: float) -> ModelProto:
    """A batch norm between two convolutions."""
    net = Net(seed=13)
    y = net.batch_norm(net.conv("x", (3, 4)), 4, variance=variance, epsilon=epsilon)
    return net.model(net.conv(y, (4, 4)))


def shared(second: Callable[[Array], Array] | None = None) -> ModelProto:
    """Two convolutions with one weight; with ``second`` the other one has a weight of its own."""
    net = Net(seed=14)
    kernel, bias = net.weight(3, 3, 3, 3), net.weight(3)
    y = net.node("Relu", net.node("Conv", "x", kernel, bias, pads=[1] * 4))
    other = kernel if second is None else net.constant(second(net.constants[kernel].copy()))
    return net.model(net.node("Conv", y, other, bias, pads=[1] * 4))


def summed(by_product: bool) -> ModelProto:
    """A sum over channels, as ReduceSum or as a product with ones."""
    net = Net(seed=15)
    y = net.conv("x", (3, 64))
    if by_product:
        return net.model(net.node("Conv", y, net.constant(np.ones((1, 64, 1, 1)))))
    return net.model(net.node("ReduceSum", y, net.constant([1], np.int64), keepdims=1))


def concat_of(order: tuple[int, ...], same: bool = False) -> ModelProto:
    """Three parts joined; ``same`` parts are one."""
    net = Net(seed=16)
    parts = [net.conv("x", (3, 4)) for _ in range(1 if same else 3)] * (3 if same else 1)
    return net.model(net.conv(net.node("Concat", *(parts[i] for i in order), axis=1), (12, 4)))


def logarithm(floor: bool) -> ModelProto:
    """log(relu(x)): minus infinity where the argument is 0; with a floor it is not."""
    net = Net(seed=17)
    y = net.node("Relu", net.conv("x", (3, 4)))
    if floor:
        y = net.node("Max", y, net.constant(1e-6))
    return net.model(net.node("Log", y))


def batched(batch: int | str) -> ModelProto:
    """A network with a batch of its own."""
    net = Net((batch, 3, 16, 24), seed=18)
    return net.model(net.conv(net.node("Relu", net.conv("x", (3, 8))), (8, 4)))


def nan_proof(op_type: str) -> ModelProto:
    """max(x, 0), by which NaN may go or stay."""
    net = Net(seed=19)
    if op_type == "Where":
        zero = net.constant(0.0)
        y = net.node("Where", net.node("Greater", "x", zero), "x", zero)
    else:
        y = net.node("Relu", "x")
    return net.model(net.conv(y, (3, 4), kernel=1))


def with_nan() -> Array:
    """An image with three NaN."""
    image = models.image()
    image[0, 1, 2, 3:6] = np.nan
    return image


def summed_back() -> ModelProto:
    """A number added in front of a convolution's twin and taken away behind."""
    net = Net(seed=20)
    y = net.conv("x", (3, 4))
    y = net.node("Sub", net.node("Add", y, net.constant(3.0)), net.constant(3.0))
    return net.model(net.node("Relu", y))


def not_summed() -> ModelProto:
    """The same without."""
    net = Net(seed=20)
    return net.model(net.node("Relu", net.conv("x", (3, 4))))


def unused(model: ModelProto, value: float) -> ModelProto:
    """A copy with an initializer that nothing reads."""
    copy = copied(model)
    array = np.full((8, 3, 3, 3), value, np.float32)
    copy.graph.initializer.append(numpy_helper.from_array(array, "nobody.reads.it"))
    return copy


def turned_twice() -> ModelProto:
    """A network that computes with its channels last in between."""
    net = Net(seed=20)
    y = net.node("Transpose", net.conv("x", (3, 4)), perm=[0, 2, 3, 1])
    return net.model(net.node("Transpose", net.node("Relu", y), perm=[0, 3, 1, 2]))


def one_of_two(function: Callable[[Array], Array]) -> ModelProto:
    """Two heads; one of the convolutions of the second is another."""
    return weight(heads(2), 3, function)


def cases() -> Iterator[Case]:
    """All of them."""
    relu = small("Relu")
    zeros = np.zeros(models.IMAGE, np.float32)
    yield Case("cancel: twice and half", *two_faults_that_cancel(), "diverges", node="Conv")
    yield Case("cancel: plus and minus", not_summed(), summed_back(), "agrees")
    yield Case("one output of two", heads(2), one_of_two(lambda w: w * 1.5), node="Conv")
    yield Case("nearly zero: healthy", faint(1e-30), models.scrambled(faint(1e-30)), "agrees")
    yield Case("nearly zero: faulty", faint(1e-30), weight(faint(1e-30), 1, lambda w: 1.1 * w), node="Conv")
    denormal = faint(1e-42)  # onnxruntime's optimiser rounds the weights to denormal numbers, and says more
    yield Case(
        "nearly zero: denormal", denormal, models.scrambled(denormal), "agrees", options={"deployed": False}
    )
    yield Case("saturated softmax: healthy", saturated(1e3), models.scrambled(saturated(1e3)), "agrees")
    yield Case(
        "saturated softmax: faulty",
        saturated(1e3),
        weight(saturated(1e3), 0, lambda w: w + 1e-3),
        node="Conv",
    )
    yield Case(
        "saturated softmax: axis",
        saturated(1e3),
        models.with_attribute(saturated(1e3), "Softmax", axis=3),
        node="Softmax",
        kinds=("softmax.axis",),
    )
    yield Case("no effect: healthy", gated(0.0), gated(0.0), "agrees")
    yield Case("no effect: faulty branch", gated(0.0), weight(gated(0.0), 0, lambda w: 1.3 * w), node="Conv")
    yield Case("ties: the same", tied(0), tied(0), "agrees")
    yield Case("ties: the last", tied(0), tied(1), node="ArgMax", kinds=("argmax.select",))
    yield Case("unused weights differ", unused(relu, 1.0), unused(relu, 2.0), "agrees")
    yield Case("unused weights lost", unused(relu, 1.0), relu, "agrees")
    yield Case("empty output: healthy", empty(), empty(), "agrees")
    yield Case("empty output: other columns", empty(), empty(4))
    yield Case("none found: healthy", boxes_or_none(1e6), boxes_or_none(1e6), "agrees")
    yield Case("none found: faulty", boxes_or_none(1e6), boxes_or_none(0.5), node="Greater")
    yield Case("some found, then none", boxes_or_none(0.5), boxes_or_none(1e6), node="Greater")
    two = np.concatenate([models.image(), models.image(seed=1)])
    yield Case("batch 2: healthy", batched("n"), batched(2), "agrees", image=two)
    yield Case("batch 2: refused", batched("n"), batched(2), kinds=("runtime.refused",))
    low = small("Relu", bias=-100.0)
    yield Case("vanishes behind ReLU", low, weight(low, 0, lambda b: b + 5, position=2), node="Conv")
    yield Case(
        "dead channel: bias",
        dead_channel(),
        weight(dead_channel(), 0, lambda b: b + (np.arange(8) == 0), position=2),
        node="Conv",
        kinds=("parameter.element", "parameter.value"),
    )
    yield Case("dead channel: healthy", dead_channel(), models.scrambled(dead_channel()), "agrees")
    yield Case(
        "clip without bounds",
        small("Relu"),
        retyped(relu, "Relu", "Clip"),
        node="Clip",
    )
    above = small("Relu", bias=100.0)
    yield Case("slope that nothing reaches", above, retyped(above, "Relu", "LeakyRelu", alpha=0.5), "agrees")
    yield Case(
        "slope that one reaches", relu, retyped(relu, "Relu", "LeakyRelu", alpha=0.01), node="LeakyRelu"
    )
    yield Case("NaN: not in the input", nan_proof("Where"), nan_proof("Relu"), "agrees")
    nan = {"allow_nan": True}
    yield Case(
        "NaN: in the input", nan_proof("Where"), nan_proof("Relu"), image=with_nan(), options=nan, node="Relu"
    )
    yield Case(
        "NaN: the other way",
        nan_proof("Relu"),
        nan_proof("Where"),
        image=with_nan(),
        options=nan,
        node="Where",
    )
    yield Case("NaN: healthy", nan_proof("Relu"), nan_proof("Relu"), "agrees", image=with_nan(), options=nan)
    yield Case("shared weights: healthy", shared(), shared(lambda w: w), "agrees")
    yield Case("shared weights: one of them", shared(), shared(lambda w: 1.1 * w), node="Conv")
    yield Case("equal heads exchanged", append(heads(2), 0, "Identity"), heads(2), "agrees")
    yield Case("small variance: healthy", normed(1e-5, 1e-12), models.folded(normed(1e-5, 1e-12)), "agrees")
    yield Case(
        "small variance: no epsilon",
        normed(1e-5, 1e-7),
        normed(1e-12, 1e-7),
        node="BatchNormalization",
        kinds=("batch_norm.epsilon",),
    )
    yield Case("through half precision", relu, in_half(relu, 0), "agrees")
    yield Case("a number added and lost", summed(True), summed(False), "agrees")
    yield Case("concat: equal parts", concat_of((0, 1, 2), True), concat_of((2, 0, 1), True), "agrees")
    yield Case(
        "concat: exchanged",
        concat_of((0, 1, 2)),
        concat_of((1, 0, 2)),
        node="Concat",
        kinds=("concat.order",),
    )
    yield Case("minus infinity: healthy", logarithm(False), logarithm(False), "agrees")
    yield Case("minus infinity: lost", logarithm(False), logarithm(True))
    yield Case("overflow in a softmax", written_out(True), written_out(False))
    yield Case("branch not taken", selected(), weight(selected(), 1, lambda w: 1.5 * w), node="Conv")
    yield Case("turned and back", not_summed(), turned_twice(), "agrees")
    yield Case(
        "all zeros: a fault that cannot show", relu, weight(relu, 0, lambda w: 2 * w), "agrees", image=zeros
    )
    yield Case(
        "all zeros: the bias", relu, weight(relu, 0, lambda b: 2 * b, position=2), image=zeros, node="Conv"
    )
    yield Case("output baked in", relu, baked(relu, models.image()), "inconclusive")
    yield Case(
        "tiny: one element",
        relu,
        weight(relu, 1, lambda w: w + 1e-4 * (np.arange(w.size) == 7).reshape(w.shape)),
        node="Conv",
        kinds=("parameter.element",),
    )
    for kind in ("float", "int", "bool"):
        yield Case(f"scalar: {kind}", scalars(kind, "none"), scalars(kind, "one"), "agrees")
        other = weight(scalars(kind, "none"), 0, lambda b: b + 50, position=2)
        yield Case(f"scalar: {kind}, faulty", scalars(kind, "none"), other, node="Conv")
    yield Case("identity for softmax", append(relu, 0, "Softmax", axis=1), append(relu, 0, "Identity"))
    yield Case("identity for relu, last", append(relu, 0, "Relu"), append(relu, 0, "Identity"))


if __name__ == "__main__":
    sys.exit(run("tricky pairs", cases()))
