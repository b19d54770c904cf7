"""The same operators on both sides: what counts, what does not, and what is never taken for the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from segdiff.align import align
from segdiff.readers import read
from segdiff.readers.find import find
from segdiff.walk.same_ops import same_segments
from tests.models import (
    Net,
    constants_as_nodes,
    copied,
    find_node,
    save,
    scrambled,
    segmenter,
)


def shares(ours: ModelProto, theirs: ModelProto, folder: Path, external: bool = False) -> tuple[int, int]:
    """How many segments hold the same operators, and how many there are."""
    paths = save(ours, folder / "ours.onnx", external), save(theirs, folder / "theirs.onnx", external)
    alignment = align(*(read(find(path)) for path in paths))
    same = same_segments(alignment)
    assert same <= set(alignment.segments)
    return len(same), len(alignment.segments)


def whole(ours: ModelProto, theirs: ModelProto, folder: Path, external: bool = False) -> bool:
    same, all_of_them = shares(ours, theirs, folder, external)
    return same == all_of_them > 0


def with_identities(model: ModelProto) -> ModelProto:
    """A copy whose first activation is handed on through two Identity nodes."""
    copy = copied(model)
    node = find_node(copy, "HardSwish")
    made, node.output[0] = node.output[0], "raw"
    at = list(copy.graph.node).index(node) + 1
    copy.graph.node.insert(at, helper.make_node("Identity", ["raw"], ["raw2"]))
    copy.graph.node.insert(at + 1, helper.make_node("Identity", ["raw2"], [made]))
    return copy


ALIKE: dict[str, Callable[[ModelProto], ModelProto]] = {
    "a copy": copied,
    "other names": scrambled,
    "constants as nodes": constants_as_nodes,
    "identities": with_identities,
}


@pytest.mark.parametrize("name", ALIKE)
@pytest.mark.parametrize("external", [False, True])
def test_what_computes_the_same_is_the_same(name: str, external: bool, tmp_path: Path) -> None:
    assert whole(segmenter(3), ALIKE[name](segmenter(3)), tmp_path, external)


def changed_weight(model: ModelProto, place: int, by: Callable[[np.ndarray], None]) -> ModelProto:
    copy = copied(model)
    tensors = [t for t in copy.graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims) >= 1]
    tensor = tensors[place]
    array = numpy_helper.to_array(tensor).copy()
    by(array.reshape(-1))
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return copy


def one_ulp(flat: np.ndarray) -> None:
    flat[-1] = np.nextafter(flat[-1], np.float32(np.inf))


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_one_last_bit_of_one_constant_is_another_operator(place: int, external: bool, tmp_path: Path) -> None:
    same, everything = shares(segmenter(3), changed_weight(segmenter(3), place, one_ulp), tmp_path, external)
    assert 0 < same < everything


def test_the_other_zero_is_another_constant(tmp_path: Path) -> None:
    def build(zero: float) -> ModelProto:
        net = Net(seed=1)
        return net.model(net.node("Div", net.constant(1.0), net.node("Mul", "x", net.constant(zero))))

    assert whole(build(0.0), build(0.0), tmp_path)
    same, everything = shares(build(0.0), build(-0.0), tmp_path)
    assert same < everything


def build(change: bool, make: Callable[[Net, str, bool], str], opset: int = 17) -> ModelProto:
    """A stem, the node in question, and what reads it."""
    net = Net(seed=2, opset=opset)
    x = net.node("Tanh", net.conv("x", (3, 8)))
    return net.model(net.conv(net.node("Sigmoid", make(net, x, change)), (8, 4)))


def two(net: Net, x: str) -> tuple[str, str]:
    return net.conv(x, (8, 8)), net.node("Elu", x)


def picked(net: Net, x: str, second: bool) -> str:
    """The first of the results of an LSTM that has no other, or the second in its place."""
    rows = net.node("Reshape", x, net.constant([384, 1, 8], np.int64))
    w, r = net.weight(1, 32, 8), net.weight(1, 32, 8)
    name = net.fresh("lstm")
    net.node("LSTM", rows, w, r, outputs=["", name] if second else [name], hidden_size=8)
    if second:
        one = net.node("Reshape", name, net.constant([1, 8, 1, 1], np.int64))
        return net.node("Expand", one, net.constant([1, 8, 16, 24], np.int64))
    return net.node("Reshape", name, net.constant([1, 8, 16, 24], np.int64))


def split(net: Net, x: str, turned: bool) -> str:
    a, b = net.fresh("a"), net.fresh("b")
    net.node("Split", x, outputs=[a, b], axis=1)
    return net.node("Concat", *((b, a) if turned else (a, b)), axis=1)


UNLIKE: dict[str, Callable[[Net, str, bool], str]] = {
    "an attribute": lambda net, x, c: net.node("Elu", x, alpha=0.9 if c else 1.0),
    "an attribute that is written or not": lambda net, x, c: net.node(
        "Elu", x, **({"alpha": 1.0} if c else {})
    ),
    "the type": lambda net, x, c: net.node("Softplus" if c else "Softsign", x),
    "operands of a Sub": lambda net, x, c: net.node("Sub", *(two(net, x)[:: -1 if c else 1])),
    "outputs of a Split": split,
    "results of an LSTM": picked,
    "an optional input": lambda net, x, c: net.node(
        "Clip", x, *(["", net.constant(0.5)] if c else [net.constant(0.5)])
    ),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_what_computes_otherwise_is_not_the_same(name: str, tmp_path: Path) -> None:
    make = UNLIKE[name]
    assert whole(build(True, make), build(True, make), tmp_path)
    same, everything = shares(build(False, make), build(True, make), tmp_path)
    assert same < everything


def test_another_opset_is_the_same_only_where_it_means_the_same(tmp_path: Path) -> None:
    def squashed(net: Net, x: str, _: bool) -> str:
        return net.node("ReduceMax", x, axes=[1], keepdims=1)

    def at(opset: int) -> ModelProto:
        net = Net(seed=2, opset=opset)
        x = net.node("Tanh", net.conv("x", (3, 8)))
        x = net.node("ReduceMax", x, axes=[1], keepdims=1)
        return net.model(net.conv(net.node("Softmax", x), (1, 4)))

    assert whole(at(12), at(12), tmp_path)
    same, everything = shares(at(12), at(11), tmp_path)
    assert 0 < same < everything  # a Conv is that of opset 11, the others have come anew


def drawn(net: Net, x: str) -> str:
    return net.node("Add", x, net.node("RandomNormalLike", x, seed=3.0))


def branched(net: Net, x: str) -> str:
    then = helper.make_graph(
        [helper.make_node("Relu", [x], ["t"])], "t", [], [helper.make_empty_tensor_value_info("t")]
    )
    other = helper.make_graph(
        [helper.make_node("Neg", [x], ["e"])], "e", [], [helper.make_empty_tensor_value_info("e")]
    )
    return net.node("If", net.constant(True, bool), then_branch=then, else_branch=other)


def training(net: Net, x: str) -> str:
    return net.node("Dropout", x, net.constant(0.5), net.constant(True, bool), seed=3)


def foreign(net: Net, x: str) -> str:
    return net.node("QuickGelu", x, domain="com.microsoft")


@pytest.mark.parametrize("make", [drawn, branched, training, foreign])
def test_what_cannot_be_relied_on_is_never_the_same(make: Callable[[Net, str], str], tmp_path: Path) -> None:
    def model() -> ModelProto:
        made = build(False, lambda net, x, _: make(net, x))
        made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        return made

    same, everything = shares(model(), model(), tmp_path)
    assert same < everything


def test_another_file_beside_is_read(tmp_path: Path) -> None:
    """Both models are one byte for byte; only what lies beside them differs."""
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        folder.mkdir()
        save(segmenter(3), folder / "model.onnx", external=True)
    data = folders[1] / "model.data"
    raw = bytearray(data.read_bytes())
    raw[-2] ^= 1
    data.write_bytes(bytes(raw))
    assert (folders[0] / "model.onnx").read_bytes() == (folders[1] / "model.onnx").read_bytes()
    alignment = align(*(read(find(folder / "model.onnx")) for folder in folders))
    assert 0 < len(same_segments(alignment)) < len(alignment.segments)


def test_large_weights_stay_in_the_file(tmp_path: Path) -> None:
    """Weights of more than 64 KiB are compared piece by piece where they lie."""

    def model(last: float) -> ModelProto:
        net = Net(seed=5)
        weight = net.random.standard_normal((64, 3, 12, 12)).astype(np.float32)
        weight[-1, -1, -1, -1] = last
        x = net.node("Conv", "x", net.constant(weight), pads=[6, 6, 5, 5])
        return net.model(net.conv(net.node("Tanh", x), (64, 4)))

    assert whole(model(0.5), scrambled(model(0.5)), tmp_path)
    same, everything = shares(model(0.5), model(0.25), tmp_path)
    assert 0 < same < everything
