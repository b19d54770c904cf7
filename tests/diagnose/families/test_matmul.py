"""Products with the operands exchanged, turned over, or times another factor."""

from __future__ import annotations

import numpy as np
import pytest

from tests.diagnose.bench import asked
from tests.faults import Injector, visible
from tests.models import Net, find_node, image, with_attribute

SHAPE = (1, 8, 8)


def network():
    net = Net(SHAPE, seed=4)
    left = net.node("Sigmoid", net.node("MatMul", "x", net.weight(8, 8)))
    right = net.node("Relu", net.node("MatMul", "x", net.weight(8, 8)))
    x = net.node("Tanh", net.node("MatMul", left, right))
    x = net.node("Reshape", x, net.constant([8, 8], np.int64))
    x = net.node("Relu", net.node("Gemm", x, net.weight(8, 8), net.weight(8), transB=1))
    return net.model(net.node("Sigmoid", net.node("Gemm", x, net.weight(8, 8), net.weight(8), alpha=0.5)))


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    with asked(network(), image(SHAPE), tmp_path_factory.mktemp("matmul")) as found:
        yield found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["matmul.order", "matmul.transpose", "gemm.factor", "conv.bias"])
def test_a_planted_fault_is_named_and_proven(reference, kind, seed) -> None:
    faulty, fault = Injector(network()).plant(seed, kind)
    if not visible(network(), faulty, fault, {"x": image(SHAPE)}).visible:
        pytest.skip("not visible")
    cause = reference.cause(faulty)
    assert (cause.kind, cause.proven) == (kind, True), (fault, cause.text)


def test_a_computed_operand_turned_over(reference) -> None:
    model = network()
    node = find_node(model, "MatMul", 2)
    turned = model.graph.node.add(op_type="Transpose", input=[node.input[1]], output=["turned"])
    turned.attribute.add(name="perm", ints=[0, 2, 1], type=7)
    node.input[1] = "turned"
    place = list(model.graph.node).index(node)
    nodes = list(model.graph.node)
    nodes.insert(place, nodes.pop())
    kept = [type(each).FromString(each.SerializeToString()) for each in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    assert any(cause.proven for cause in reference.causes(model))


def test_equal_products_have_no_cause(reference) -> None:
    assert reference.causes(with_attribute(network(), "Gemm", 0, alpha=1.0)) == []
