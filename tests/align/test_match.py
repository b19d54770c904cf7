"""Do paired values hold the same tensor? Judged on the tensors themselves, after every kind of rewrite."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import onnxslim
import pytest
from onnx import ModelProto, TensorProto, helper

from segdiff.align import Alignment, align, coverage
from segdiff.core.metrics import compare_arrays
from tests import models
from tests.models import Net, chain, copied, find_node, folded, graph_of, scrambled, segmenter

SAME = 1e-4
"""Relative error below which two tensors are the same."""


def aligned(ours: ModelProto, theirs: ModelProto, folder: Path) -> Alignment:
    return align(graph_of(ours, folder, "ours"), graph_of(theirs, folder, "theirs"))


def wrong_pairs(found: Alignment, ours: ModelProto, theirs: ModelProto) -> list[tuple[str, str, float]]:
    """Pairs whose tensors differ on one image."""
    names = found.reference.graph.inputs[0], found.candidate.graph.inputs[0]
    truth = [
        models.tensors_of(model, {name: models.image()})
        for model, name in zip((ours, theirs), names, strict=True)
    ]
    compared = [(r, c, compare_arrays(truth[0][r], truth[1][c])) for r, c in found.pairs.items()]
    return [(r, c, x.metrics.rel_l2) for r, c, x in compared if x.mismatch or x.metrics.rel_l2 > SAME]


def check(
    ours: ModelProto, theirs: ModelProto, folder: Path, unmatched: tuple[int, int] = (0, 0)
) -> Alignment:
    """Every pair holds the same tensor, and all but so many values of either side are paired."""
    found = aligned(ours, theirs, folder)
    assert wrong_pairs(found, ours, theirs) == []
    left = [name for name in found.reference.values if name not in found.pairs]
    right = [name for name in found.candidate.values if name not in set(found.pairs.values())]
    assert (len(left), len(right)) <= unmatched, (left, right)
    assert coverage(found) == (1.0, 1.0)
    return found


# --- names


def test_a_model_matches_itself_with_names_as_further_evidence(tmp_path: Path) -> None:
    found = check(segmenter(), segmenter(), tmp_path)
    assert all(r == c for r, c in found.pairs.items())
    assert all("name" in why for why in found.evidence.values())


@pytest.mark.parametrize("seed", range(4))
def test_names_play_no_part(seed: int, tmp_path: Path) -> None:
    found = check(segmenter(seed), scrambled(segmenter(seed), seed), tmp_path)
    assert not any("name" in why for why in found.evidence.values())
    assert all(found.evidence[r] for r in found.pairs)


def test_names_that_lie_are_not_believed(tmp_path: Path) -> None:
    """Two branches that have exchanged all their names."""

    def branches(first: str, second: str) -> ModelProto:
        net = Net()
        net.random = np.random.default_rng(1)
        made = []
        for name in (first, second):
            net.node("Conv", "x", net.weight(4, 3, 3, 3), pads=[1] * 4, outputs=[f"{name}_conv"])
            made.append(net.node("Relu", f"{name}_conv", outputs=[f"{name}_relu"]))
        return net.model(net.node("Concat", *made, axis=1))

    found = check(branches("a", "b"), branches("b", "a"), tmp_path)
    assert (found.pairs["a_conv"], found.pairs["b_relu"]) == ("b_conv", "a_relu")


def test_the_order_of_nodes_in_the_file_plays_no_part(tmp_path: Path) -> None:
    ours = segmenter()
    theirs = copied(ours)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(ours.graph.node)]
    del theirs.graph.node[:]
    theirs.graph.node.extend(nodes)
    found = aligned(ours, theirs, tmp_path)
    assert all(r == c for r, c in found.pairs.items())
    assert len(found.pairs) == len(found.reference.values)


# --- fused, folded, decomposed


def test_a_bias_that_is_an_addition_of_its_own(tmp_path: Path) -> None:
    def network(fused: bool) -> ModelProto:
        net = Net()
        x = "x"
        for channels in ((3, 6), (6, 6), (6, 4)):
            kernel, bias = net.weight(channels[1], channels[0], 3, 3), net.weight(channels[1])
            if fused:
                x = net.node("Conv", x, kernel, bias, pads=[1] * 4)
            else:
                x = net.node("Conv", x, kernel, pads=[1] * 4)
                x = net.node("Add", x, net.constant(net.constants[bias].reshape(-1, 1, 1)))
            x = net.node("Relu", x)
        return net.model(x)

    check(network(False), scrambled(network(True)), tmp_path, unmatched=(3, 0))
    check(network(True), scrambled(network(False)), tmp_path, unmatched=(0, 3))


@pytest.mark.parametrize("seed", range(3))
def test_batch_norms_folded_into_their_convolutions(seed: int, tmp_path: Path) -> None:
    ours, theirs = segmenter(seed), scrambled(folded(segmenter(seed)), seed)
    check(ours, theirs, tmp_path, unmatched=(2, 0))
    check(theirs, ours, tmp_path, unmatched=(0, 2))


def hard_swish(form: str) -> Callable[[Net, str], str]:
    def step(net: Net, x: str) -> str:
        if form == "one op":
            return net.node("HardSwish", x)
        if form == "hard sigmoid":
            return net.node("Mul", x, net.node("HardSigmoid", x, alpha=1 / 6, beta=0.5))
        clipped = net.node(
            "Clip", net.node("Add", x, net.constant(3.0)), net.constant(0.0), net.constant(6.0)
        )
        return net.node("Div", net.node("Mul", x, clipped), net.constant(6.0))

    return step


def gelu(form: str) -> Callable[[Net, str], str]:
    def step(net: Net, x: str) -> str:
        net.opset = 20
        if form == "one op":
            return net.node("Gelu", x)
        erf = net.node("Erf", net.node("Div", x, net.constant(2**0.5)))
        outer = net.node("Mul", x, net.node("Add", erf, net.constant(1.0)))
        return net.node("Mul", outer, net.constant(0.5))

    return step


def layer_norm(form: str) -> Callable[[Net, str], str]:
    def step(net: Net, x: str) -> str:
        scale, bias = net.constant(np.linspace(0.5, 2, 24)), net.constant(np.linspace(-1, 1, 24))
        if form == "one op":
            return net.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)
        axes = {"axes": [-1]} if net.opset < 18 else {}
        centred = net.node("Sub", x, net.node("ReduceMean", x, **axes))
        variance = net.node("ReduceMean", net.node("Pow", centred, net.constant(2.0)), **axes)
        deviation = net.node("Sqrt", net.node("Add", variance, net.constant(1e-5)))
        return net.node("Add", net.node("Mul", net.node("Div", centred, deviation), scale), bias)

    return step


@pytest.mark.parametrize(
    ("activation", "form", "inner"),
    [(hard_swish, "hard sigmoid", 1), (hard_swish, "clip", 3), (gelu, "erf", 4), (layer_norm, "parts", 8)],
)
@pytest.mark.parametrize("turned", [False, True])
def test_one_op_against_its_parts(
    activation: Callable[[str], Callable[[Net, str], str]],
    form: str,
    inner: int,
    turned: bool,
    tmp_path: Path,
) -> None:
    def network(form: str) -> ModelProto:
        step = activation(form)
        return chain(
            lambda net, x: net.conv(x, (3, 4)),
            step,
            lambda net, x: net.conv(x, (4, 4)),
            step,
            lambda net, x: net.conv(x, (4, 4)),
            step,
        )

    one, parts = network("one op"), scrambled(network(form))
    if turned:
        check(parts, one, tmp_path, unmatched=(3 * inner, 0))
    else:
        check(one, parts, tmp_path, unmatched=(0, 3 * inner))


def optimized(model: ModelProto, level: str, folder: Path) -> ModelProto:
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimized.onnx")


def test_what_onnxruntimes_basic_level_makes_of_it(tmp_path: Path) -> None:
    ours = scrambled(segmenter())
    theirs = optimized(ours, "BASIC", tmp_path)
    assert len(theirs.graph.node) < len(ours.graph.node)
    check(ours, theirs, tmp_path, unmatched=(4, 3))  # two folded norms, and around the hard swish


def test_what_onnxruntimes_extended_level_makes_of_it(tmp_path: Path) -> None:
    """Its fused operators leave one guess of another shape, which the walk drops when it sees it."""
    ours = scrambled(segmenter())
    theirs = optimized(ours, "EXTENDED", tmp_path)
    assert {"FusedConv", "FusedMatMul"} & {node.op_type for node in theirs.graph.node}
    found = aligned(ours, theirs, tmp_path)
    wrong = wrong_pairs(found, ours, theirs)
    assert len(wrong) <= 1
    assert all(error == math.inf for _, _, error in wrong)
    assert len(found.pairs) >= len(found.candidate.values) - 3


def test_what_onnxslim_makes_of_it(tmp_path: Path) -> None:
    ours = segmenter()
    theirs = onnxslim.slim(copied(ours))
    assert len(theirs.graph.node) < len(ours.graph.node)
    check(ours, scrambled(theirs), tmp_path, unmatched=(6, 3))


# --- branches


def pyramid(order: tuple[int, ...]) -> ModelProto:
    """Four branches of the same kinds, written in some order, joined in one order."""
    net = Net((1, 3, 16, 24))
    made: dict[int, str] = {}
    weights = {size: net.weight(2, 3, 1, 1) for size in (1, 2, 4, 8)}
    for size in order:
        pooled = net.node("AveragePool", "x", kernel_shape=[size] * 2, strides=[size] * 2)
        made[size] = net.resize(net.node("Relu", net.node("Conv", pooled, weights[size])), size)
    return net.model(net.node("Concat", *(made[size] for size in (1, 2, 4, 8)), axis=1))


@pytest.mark.parametrize("order", [(8, 4, 2, 1), (2, 8, 1, 4)])
def test_parallel_branches_with_weights_of_their_own(order: tuple[int, ...], tmp_path: Path) -> None:
    check(pyramid((1, 2, 4, 8)), scrambled(pyramid(order)), tmp_path)


def test_parallel_branches_that_are_twins(tmp_path: Path) -> None:
    """Same ops, same weights, same inputs: any pairing is right, but none must be half of one."""

    def twins() -> ModelProto:
        net = Net()
        kernel = net.weight(4, 3, 3, 3)
        made = [net.node("Relu", net.node("Conv", "x", kernel, pads=[1] * 4)) for _ in range(3)]
        return net.model(net.node("Softmax", net.conv(net.node("Concat", *made, axis=1), (12, 2)), axis=1))

    check(twins(), scrambled(twins()), tmp_path)


def test_a_weight_that_two_convolutions_share(tmp_path: Path) -> None:
    def shared() -> ModelProto:
        net = Net()
        kernel = net.weight(3, 3, 3, 3)
        x = net.node("Relu", net.node("Conv", "x", kernel, pads=[1] * 4))
        return net.model(net.node("Sigmoid", net.node("Conv", x, kernel, pads=[1] * 4)))

    check(shared(), scrambled(shared()), tmp_path)


# --- faults do not derail the matcher


def test_swapped_inputs_of_a_concat_leave_the_values_above_it_rightly_paired(tmp_path: Path) -> None:
    ours = segmenter()
    theirs = copied(ours)
    concat = [node for node in theirs.graph.node if node.op_type == "Concat"][-1]
    concat.input[0], concat.input[1] = concat.input[1], concat.input[0]
    found = aligned(ours, scrambled(theirs), tmp_path)
    plain = aligned(ours, theirs, tmp_path)
    assert all(r == c for r, c in plain.pairs.items())
    assert len(found.pairs) == len(plain.pairs)
    behind = [
        concat.output[0],
        find_node(ours, "Conv", -1).output[0],
        find_node(ours, "Softmax", -1).output[0],
    ]
    assert {r for r, _, _ in wrong_pairs(found, ours, scrambled(theirs))} == set(behind)


def test_commutative_inputs_may_be_swapped(tmp_path: Path) -> None:
    ours = segmenter()
    theirs = copied(ours)
    for node in theirs.graph.node:
        if node.op_type in ("Add", "Mul"):
            node.input[0], node.input[1] = node.input[1], node.input[0]
    check(ours, scrambled(theirs), tmp_path)


@pytest.mark.parametrize(
    ("op_type", "change"),
    [
        ("MaxPool", {"op_type": "AveragePool"}),
        ("HardSwish", {"op_type": "Relu"}),
        ("Sigmoid", {"op_type": "Tanh"}),
        ("LeakyRelu", {"alpha": 0.3}),
        ("Resize", {"mode": "nearest"}),
        ("BatchNormalization", {"epsilon": 0.5}),
    ],
)
def test_a_fault_leaves_every_value_paired_with_its_own(
    op_type: str, change: dict[str, str | float], tmp_path: Path
) -> None:
    ours = segmenter()
    theirs = copied(ours)
    node = find_node(theirs, op_type)
    if "op_type" in change:
        node.op_type = str(change["op_type"])
        if node.op_type in ("Relu", "Tanh"):
            del node.attribute[:]
    else:
        for name, value in change.items():
            kept = [attribute for attribute in node.attribute if attribute.name != name]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute(name, value)])
    found = aligned(ours, theirs, tmp_path)
    assert {r: c for r, c in found.pairs.items() if r != c} == {}
    blind = aligned(ours, scrambled(theirs), tmp_path)
    assert len(blind.pairs) == len(found.pairs) == len(found.reference.values)


# --- ends


def test_inputs_and_outputs_are_paired_by_name_or_by_position(tmp_path: Path) -> None:
    net = Net()
    two = net.model(net.node("Relu", "x"), net.node("Sigmoid", "x"))
    found = aligned(two, scrambled(two), tmp_path)
    ours, theirs = found.reference.graph, found.candidate.graph
    for r, c in zip((*ours.inputs, *ours.outputs), (*theirs.inputs, *theirs.outputs), strict=True):
        assert found.pairs[r] == c
    assert "model input" in found.evidence["x"]


def test_models_that_have_nothing_in_common_still_get_an_answer(tmp_path: Path) -> None:
    other = chain(lambda net, x: net.node("Exp", x), lambda net, x: net.node("Sqrt", x))
    found = aligned(segmenter(), other, tmp_path)
    assert coverage(found)[0] < 1.0 or len(found.pairs) < 4


def test_a_deep_chain_of_equal_ops_does_not_run_into_a_wall(tmp_path: Path) -> None:
    deep = chain(*[lambda net, x: net.node("Relu", x)] * 1500)
    found = aligned(deep, scrambled(deep), tmp_path)
    assert len(found.pairs) == 1501
    assert coverage(found) == (1.0, 1.0)


def test_what_an_operator_reads_of_a_cast_is_not_what_its_partner_reads(tmp_path: Path) -> None:
    """A converter casts floats to integers in front of an Equal: the floats are the reference's value."""

    def net(cast: bool) -> ModelProto:
        net = Net()
        x = net.node("Floor", "x", outputs=["whole"])
        read = net.node("Cast", x, to=TensorProto.INT32, outputs=["cast"]) if cast else x
        level = net.constant(1, np.int32 if cast else np.float32)
        same = net.node("Equal", read, level, outputs=["same"])
        return net.model(net.node("Where", same, net.constant(7.0), x, outputs=["y"]))

    found = check(net(False), net(True), tmp_path, unmatched=(0, 1))
    assert found.pairs["whole"] == "whole"
