"""Constants that are not what the reference has: every way to spoil one is named, and proven."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import numpy_helper

from tests.diagnose.bench import asked
from tests.faults import Injector, visible
from tests.models import IMAGE, Net, attention, copied, find_node, folded, image

KINDS = (
    *(f"parameter.{word}" for word in ("channels", "channel_zeroed", "fp16", "bf16", "int8", "element")),
    *("parameter.scale", "parameter.sign", "conv.bias", "conv.kernel_flip", "conv.kernel_transpose"),
    *("conv.weight_layout", "matmul.transpose"),
)
SEEDS = 2


def network():
    """One of each op that holds constants."""
    net = Net(IMAGE, seed=3)
    x = net.node("Relu", net.batch_norm(net.conv("x", (3, 8), bias=False), 8))
    x = net.node("PRelu", net.conv(x, (8, 8)), net.constant(net.random.uniform(0.1, 0.4, (8, 1, 1))))
    x = net.node("InstanceNormalization", x, net.weight(8), net.weight(8))
    up = net.node("ConvTranspose", x, net.weight(8, 8, 2, 2), net.weight(8), strides=[2, 2])
    x = net.node("Add", x, net.node("MaxPool", up, kernel_shape=[2, 2], strides=[2, 2]))
    x = net.node("Mul", x, net.weight(1, 8, 1, 1))
    x = net.node("Add", x, net.node("Sigmoid", net.conv(x, (1, 8), group=8)))
    x = net.node("Add", attention(net, x, 8), net.weight(1, 8, 16, 24))
    mean = net.node("Flatten", net.node("GlobalAveragePool", x))
    gate = net.node("Relu", net.node("Gemm", mean, net.weight(8, 8), net.weight(8), transB=1))
    gate = net.node("Reshape", net.node("Sigmoid", gate), net.constant([1, 8, 1, 1], np.int64))
    return net.model(net.conv(net.node("Mul", x, gate), (8, 4), kernel=1))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with asked(network(), image(), tmp_path_factory.mktemp("parameters")) as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_constant_is_named_and_proven(reference, kind) -> None:
    model = network()
    injector = Injector(model)
    seen = 0
    for seed in range(SEEDS):
        faulty, fault = injector.plant(seed, kind)
        if visible(model, faulty, fault, {"x": image()}).visible:
            cause = reference.cause(faulty)
            assert (cause.kind, cause.proven) == (kind, True), (fault, cause.text)
            seen += 1
    assert seen


def spoilt(model, name, change):
    """A copy in which one initializer is another."""
    copy = copied(model)
    tensor = next(t for t in copy.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), name))
    return copy


def test_other_values_have_the_vaguest_name(reference) -> None:
    name = find_node(network(), "Conv", 1).input[1]
    cause = reference.cause(spoilt(network(), name, lambda w: w + np.float32(0.1)))
    assert (cause.kind, cause.proven) == ("parameter.value", True)


def test_a_healthy_fold_is_no_cause_and_a_wrong_one_is(reference) -> None:
    assert reference.causes(folded(network())) == []
    wrong = network()
    find_node(wrong, "BatchNormalization").attribute.add(name="epsilon", f=0.05, type=1)
    cause = reference.cause(folded(wrong))
    assert (cause.kind, cause.proven) == ("parameter.folded", True)


def test_a_batch_norm_that_no_node_does(reference) -> None:
    model = copied(network())
    norm, conv = find_node(model, "BatchNormalization"), find_node(model, "Conv")
    conv.output[0] = norm.output[0]
    model.graph.node.remove(norm)
    cause = reference.cause(model)
    assert (cause.kind, cause.proven) == ("batch_norm.lost", True)


def test_two_constants_of_one_node_are_mended_together(reference) -> None:
    conv = find_node(network(), "Conv", 1)
    model = spoilt(network(), conv.input[1], lambda w: w.astype(np.float16).astype(np.float32))
    cause = reference.cause(spoilt(model, conv.input[2], lambda b: -b))
    assert cause.proven
    assert {position for edit in cause.edits for position in edit.inputs} == {1, 2}


def test_a_change_that_no_constant_explains_is_not_blamed_on_one(reference) -> None:
    model = copied(network())
    find_node(model, "Relu").op_type = "Abs"
    assert not any(c.kind.startswith(("parameter.", "conv.", "matmul.")) for c in reference.causes(model))
