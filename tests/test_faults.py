"""The fault injector itself: one fault, where it says, in a model that still runs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.faults import KINDS, Fault, Injector, NoEligibleNode, View, plant, runtime, visible
from tests.faults.graph import constant_value

Array = NDArray[Any]


def _floats(*shape: int, low: float | None = None) -> Array:
    rng = np.random.default_rng(sum(shape))
    values = rng.standard_normal(shape) if low is None else rng.uniform(low, low + 1, shape)
    return np.asarray(values, np.float32)


def _ints(*values: int) -> Array:
    return np.asarray(values, np.int64)


def _scalar(value: float) -> Array:
    return np.asarray(value, np.float32)


def _model(
    nodes: list[NodeProto],
    shape: tuple[int | str, ...] = (1, 4, 6, 8),
    constants: dict[str, Array] | None = None,
    outputs: tuple[str, ...] = ("y",),
    *,
    opset: int = 17,
    types: dict[str, int] | None = None,
) -> ModelProto:
    """A model from x to the outputs, with constants as initializers."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, (types or {}).get(name, TensorProto.FLOAT), None)
            for name in outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def _one(
    op_type: str,
    *operands: Array | None,
    shape: tuple[int | str, ...] = (1, 4, 6, 8),
    opset: int = 17,
    output_type: int = TensorProto.FLOAT,
    **attributes: Any,
) -> ModelProto:
    """A model of one node that reads x and constants (None: an operand left out)."""
    names = ["" if value is None else f"c{i}" for i, value in enumerate(operands)]
    constants = {name: value for name, value in zip(names, operands, strict=True) if value is not None}
    node = helper.make_node(op_type, ["x", *names], ["y"], name="node", **attributes)
    return _model([node], shape, constants, opset=opset, types={"y": output_type})


_CONV = _one("Conv", _floats(5, 4, 3, 3), _floats(5), pads=[1, 1, 1, 1])
_SQUARE_CONV = _one("Conv", _floats(4, 4, 3, 3), pads=[1, 1, 1, 1])
_GEMM = _one("Gemm", _floats(5, 5), _floats(5), shape=(5, 5))
_BATCH_NORM = _one("BatchNormalization", _floats(4), _floats(1, 4)[0], _floats(4), _floats(4, low=0.5))
_AVERAGE = _one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
_PAD = _one("Pad", _ints(0, 0, 1, 1, 0, 0, 1, 1))
_SLICE = _one("Slice", _ints(1), _ints(3), _ints(1))
_NEAREST = _one("Resize", None, _floats(4) * 0 + _ints(1, 1, 2, 2).astype(np.float32), mode="nearest")
_LINEAR = _one("Resize", None, np.asarray([1, 1, 2, 2], np.float32), mode="linear")
_CUBIC = _one("Resize", None, np.asarray([1, 1, 2, 2], np.float32), mode="cubic")
_GRID = _one("GridSample", _floats(1, 5, 5, 2), shape=(1, 2, 6, 8))
_GROUP_NORM = _one("GroupNormalization", _floats(4), _floats(4), opset=21, num_groups=2)
_ARGMAX = _one("ArgMax", axis=1, keepdims=0, shape=(1, 6, 6, 8), output_type=TensorProto.INT64)


def _split() -> ModelProto:
    node = helper.make_node("Split", ["x", "c"], ["a", "b"], axis=1)
    return _model([node], constants={"c": _ints(2, 2)}, outputs=("a", "b"))


def _concat() -> ModelProto:
    relu, concat = (
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Concat", ["x", "r"], ["y"], axis=1),
    )
    return _model([relu, concat])


def _attention() -> ModelProto:
    relu, product = helper.make_node("Relu", ["x"], ["r"]), helper.make_node("MatMul", ["x", "r"], ["y"])
    return _model([relu, product], (1, 6, 6))


def _where() -> ModelProto:
    greater = helper.make_node("GreaterOrEqual", ["x", "c"], ["g"])
    return _model(
        [greater, helper.make_node("Where", ["g", "x", "c"], ["y"])], constants={"c": np.zeros(1, np.float32)}
    )


def _top() -> ModelProto:
    node = helper.make_node("TopK", ["x", "k"], ["y", "i"], axis=1)
    return _model([node], constants={"k": _ints(2)}, outputs=("y", "i"), types={"i": TensorProto.INT64})


def _ceil() -> ModelProto:
    pool = helper.make_node("MaxPool", ["x"], ["p"], kernel_shape=[2, 2], strides=[2, 2])
    return _model([pool, helper.make_node("GlobalAveragePool", ["p"], ["y"])], (1, 2, 7, 7))


# A model for every kind, each with a node that can carry it.
CASES: dict[str, ModelProto] = {
    "activation.kind": _one("Relu"),
    "argmax.axis": _ARGMAX,
    "argmax.operator": _ARGMAX,
    "argmax.select": _ARGMAX,
    "batch_norm.epsilon": _BATCH_NORM,
    "batch_norm.order": _BATCH_NORM,
    "clip.bounds": _one("Clip", _scalar(0), _scalar(6)),
    "comparison.operator": _where(),
    "concat.order": _concat(),
    "conv.bias": _CONV,
    "conv.dilations": _CONV,
    "conv.kernel_flip": _CONV,
    "conv.kernel_transpose": _CONV,
    "conv.pads": _CONV,
    "conv.weight_layout": _SQUARE_CONV,
    "cumsum.exclusive": _one("CumSum", np.asarray(1, np.int64)),
    "cumsum.reverse": _one("CumSum", np.asarray(1, np.int64)),
    "depth_to_space.mode": _one("DepthToSpace", blocksize=2, shape=(1, 8, 3, 3)),
    "einsum.order": _one("Einsum", _floats(6, 6), equation="abc,cd->abd", shape=(6, 6, 6)),
    "elementwise.broadcast": _one("Mul", _floats(4, 1, 1), shape=(1, 4, 4, 8)),
    "elementwise.operator": _one("Add", _floats(4, 1, 1)),
    "elementwise.order": _one("Sub", _floats(4, 1, 1)),
    "elu.alpha": _one("Elu"),
    "gather.axis": _one("Gather", np.asarray(2, np.int64), axis=1, shape=(4, 4, 4)),
    "gather.index": _one("Gather", _ints(2, 0), axis=1),
    "gelu.approximate": _one("Gelu", opset=20),
    "gemm.factor": _GEMM,
    "grid_sample.align_corners": _GRID,
    "grid_sample.mode": _GRID,
    "grid_sample.padding_mode": _GRID,
    "group_norm.epsilon": _GROUP_NORM,
    "group_norm.groups": _GROUP_NORM,
    "hard_sigmoid.offset": _one("HardSigmoid"),
    "hard_sigmoid.slope": _one("HardSigmoid"),
    "instance_norm.epsilon": _one("InstanceNormalization", _floats(4), _floats(4)),
    "layer_norm.epsilon": _one("LayerNormalization", _floats(8), _floats(8)),
    "leaky_relu.slope": _one("LeakyRelu", alpha=0.1),
    "lrn.size": _one("LRN", size=3, alpha=0.1),
    "matmul.order": _attention(),
    "matmul.transpose": _one("MatMul", _floats(8, 8)),
    "pad.amount": _PAD,
    "pad.mode": _PAD,
    "pad.value": _PAD,
    "parameter.bf16": _CONV,
    "parameter.channel_zeroed": _CONV,
    "parameter.channels": _CONV,
    "parameter.element": _CONV,
    "parameter.fp16": _CONV,
    "parameter.int8": _CONV,
    "parameter.scale": _CONV,
    "parameter.sign": _CONV,
    "pool.ceil_mode": _ceil(),
    "pool.count_include_pad": _AVERAGE,
    "pool.operator": _AVERAGE,
    "pool.pads": _AVERAGE,
    "pow.exponent": _one("Pow", _scalar(2)),
    "reduce.axes": _one("ReduceMean", axes=[2], keepdims=0, shape=(1, 3, 5, 5)),
    "reduce.operator": _one("ReduceMean", axes=[2]),
    "resize.coordinate_mode": _LINEAR,
    "resize.cubic_coefficient": _CUBIC,
    "resize.mode": _LINEAR,
    "resize.nearest_rounding": _NEAREST,
    "resize.scale": _LINEAR,
    "round.operator": _one("Round"),
    "slice.start": _SLICE,
    "softmax.axis": _one("Softmax", axis=1),
    "softmax.operator": _one("Softmax", axis=1),
    "split.order": _split(),
    "topk.largest": _top(),
    "transpose.perm": _one("Transpose", perm=[0, 2, 3, 1], shape=(1, 4, 5, 5)),
    "where.order": _where(),
}


def _inputs(model: ModelProto) -> dict[str, Array]:
    return View(model).sample_inputs(np.random.default_rng(5))


def _changed_constants(model: ModelProto, faulty: ModelProto) -> set[str]:
    """Constants of the faulty model that are new or differ."""
    before, after = _constants(model), _constants(faulty)
    assert before.keys() <= after.keys()
    return {n for n, value in after.items() if n not in before or value.tobytes() != before[n].tobytes()} | {
        n for n, value in after.items() if n in before and value.shape != before[n].shape
    }


def _constants(model: ModelProto) -> dict[str, Array]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if (value := constant_value(node)) is not None:
            found[node.output[0]] = value
    return found


def _check_only_declared_change(model: ModelProto, faulty: ModelProto, fault: Fault) -> None:
    assert len(model.graph.node) == len(faulty.graph.node)
    for index, (before, after) in enumerate(zip(model.graph.node, faulty.graph.node, strict=True)):
        assert before.name == after.name
        assert sorted(before.output) == sorted(after.output)
        if index != fault.index and before.op_type != "Constant":
            assert before == after
    assert _changed_constants(model, faulty) == set(fault.tensors)
    node = faulty.graph.node[fault.index]
    assert node != model.graph.node[fault.index] or fault.tensors
    assert set(fault.tensors) <= set(node.input)
    for name in fault.tensors:
        assert View(faulty).uses[name] == 1
    assert list(model.graph.input) == list(faulty.graph.input)
    assert list(model.graph.output) == list(faulty.graph.output)


def test_every_kind_has_a_case() -> None:
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("word", sorted(CASES))
def test_plants_only_what_it_declares(word: str) -> None:
    model = CASES[word]
    untouched = model.SerializeToString()
    for seed in range(3):
        faulty, fault = plant(model, seed, word)
        assert model.SerializeToString() == untouched
        assert fault.kind == word
        assert fault.op_type == model.graph.node[fault.index].op_type
        assert fault.outputs == tuple(model.graph.node[fault.index].output)
        assert fault.before != fault.after
        _check_only_declared_change(model, faulty, fault)


@pytest.mark.parametrize("word", sorted(CASES))
def test_faulty_model_runs_with_the_same_shapes_and_other_values(word: str) -> None:
    model = CASES[word]
    faulty, _ = plant(model, 0, word)
    inputs = _inputs(model)
    if word.startswith("argmax.select") or word == "comparison.operator":  # they differ where values tie
        inputs = {"x": np.round(inputs["x"] / 2)}
    elif word in ("clip.bounds", "round.operator"):
        inputs = {"x": inputs["x"] * 10}
    before, after = runtime.run(model, inputs), runtime.run(faulty, inputs)
    assert {n: (v.shape, v.dtype) for n, v in before.items()} == {
        n: (v.shape, v.dtype) for n, v in after.items()
    }
    if word != "comparison.operator":  # x >= 0 ? x : 0 is the same number either way
        assert any(not np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("word", sorted(CASES))
def test_same_seed_same_fault(word: str) -> None:
    first, second = plant(CASES[word], 11, word), plant(CASES[word], 11, word)
    assert first[1] == second[1]
    assert hash(first[1]) == hash(second[1])
    assert first[0].SerializeToString(deterministic=True) == second[0].SerializeToString(deterministic=True)


def test_random_kind_varies_with_the_seed() -> None:
    injector = Injector(_CONV)
    words = {injector.plant(seed)[1].kind for seed in range(12)}
    assert len(words) > 4
    assert injector.plant(3)[1] == injector.plant(3)[1]


def test_no_eligible_node() -> None:
    with pytest.raises(NoEligibleNode, match=r"resize\.mode"):
        plant(_CONV, 0, "resize.mode")


def test_change_that_changes_nothing_is_no_fault() -> None:
    same_size = _one("Resize", None, np.ones(4, np.float32), mode="linear")
    with pytest.raises(NoEligibleNode):
        plant(same_size, 0, "resize.coordinate_mode")
    zero_bias = _one("Conv", _floats(4, 4, 1, 1), np.zeros(4, np.float32))
    with pytest.raises(NoEligibleNode):
        plant(zero_bias, 0, "conv.bias")


def test_shared_weight_is_copied_for_the_planted_node() -> None:
    nodes = [helper.make_node("MatMul", [a, "w"], [b], name=b) for a, b in (("x", "m"), ("m", "y"))]
    model = _model(nodes, (6, 6), {"w": _floats(6, 6)})
    faulty, fault = plant(model, 0, "matmul.transpose")
    assert fault.tensors == ("w.fault",)
    _check_only_declared_change(model, faulty, fault)
    other = faulty.graph.node[1 - fault.index]
    assert other.input[1] == "w"


@pytest.mark.parametrize("shared", [False, True])
def test_weight_in_a_constant_node(shared: bool) -> None:
    constant = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(_floats(6, 6)))
    nodes = [constant, helper.make_node("MatMul", ["x", "w"], ["m"])]
    nodes.append(
        helper.make_node("MatMul", ["m", "w"], ["y"]) if shared else helper.make_node("Relu", ["m"], ["y"])
    )
    model = _model(nodes, (6, 6))
    faulty, fault = plant(model, 1, "parameter.scale")
    assert fault.op_type == "MatMul"
    assert fault.tensors == (("w.fault",) if shared else ("w",))
    _check_only_declared_change(model, faulty, fault)


def test_shape_arithmetic_dead_code_and_constants_are_left_alone() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "two"], ["n"]),
        helper.make_node("Mul", ["n", "two"], ["size"]),
        helper.make_node("Mul", ["c", "c"], ["cc"]),
        helper.make_node("Add", ["x", "cc"], ["a"]),
        helper.make_node("Sub", ["x", "cc"], ["unread"]),
        helper.make_node("Expand", ["a", "size"], ["y"]),
    ]
    model = _model(nodes, (1, 1, 6, 8), {"two": _ints(1), "c": _floats(8)})
    assert [model.graph.node[i].op_type for i in View(model).candidates] == ["Add", "Expand"]


def test_dynamic_shapes_need_no_telling() -> None:
    model = _one("Conv", _floats(5, 4, 3, 3), shape=("n", 4, "h", "w"), pads=[1, 1, 1, 1])
    assert View(model).shape("y") == (1, 5, 64, 96)
    assert View(model, {"": (2, 4, 8, 8)}).shape("y") == (2, 5, 8, 8)
    _, fault = plant(model, 0, "conv.pads")
    assert fault.target == "pads"


def test_shapes_that_no_inference_could_see() -> None:
    nodes = [
        helper.make_node("NonZero", ["c"], ["z"]),
        helper.make_node("Cast", ["z"], ["i"], to=TensorProto.INT64),
        helper.make_node("ReduceMax", ["i"], ["m"], keepdims=1, axes=[0, 1]),
        helper.make_node("Reshape", ["m", "one"], ["n"]),
        helper.make_node("Concat", ["n", "rest"], ["size"], axis=0),
        helper.make_node("Reshape", ["x", "size"], ["r"]),
        helper.make_node("Softmax", ["r"], ["y"], axis=1),
    ]
    model = _model(nodes, (4, 6), {"c": np.ones(3, np.float32), "one": _ints(1), "rest": _ints(3, 4)})
    assert View(model).shape("r") == (2, 3, 4)
    assert plant(model, 0, "softmax.axis")[1].outputs == ("y",)


def test_decomposed_layer_norm_epsilon() -> None:
    add, root = helper.make_node("Add", ["x", "e"], ["a"]), helper.make_node("Sqrt", ["a"], ["y"])
    _, fault = plant(_model([add, root], constants={"e": _scalar(1e-5)}), 0, "layer_norm.epsilon")
    assert fault.op_type == "Add"
    assert fault.after == pytest.approx(1e-3)


def test_old_opsets_keep_bounds_and_starts_in_attributes() -> None:
    assert plant(_one("Clip", min=0.0, max=6.0, opset=9), 0, "clip.bounds")[1].tensors == ()
    assert plant(_one("Slice", starts=[1], ends=[3], axes=[1], opset=9), 0, "slice.start")[1].tensors == ()
    assert plant(_one("Pad", pads=[0, 0, 1, 1, 0, 0, 1, 1], opset=9), 0, "pad.value")[1].tensors == ()


_OFTEN_HIDDEN = {"argmax.select", "comparison.operator", "clip.bounds"}


@pytest.mark.parametrize("word", sorted(set(CASES) - _OFTEN_HIDDEN))
def test_fault_is_visible_at_its_node(word: str) -> None:
    model = CASES[word]
    faulty, fault = plant(model, 0, word)
    found = visible(model, faulty, fault, _inputs(model))
    assert found.level == "visible"
    assert found.visible
    assert found.output in fault.outputs
    assert found.rel_max > found.threshold


def test_fault_behind_other_nodes_sees_their_values() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Clip", ["r", "low", "high"], ["y"])]
    model = _model(nodes, constants={"low": _scalar(-1), "high": _scalar(1e9)})
    for seed in range(8):
        faulty, fault = plant(model, seed, "clip.bounds")
        if fault.target == "min" and fault.after <= 0:
            assert visible(model, faulty, fault, _inputs(model)).level == "invisible"
            return
    pytest.fail("no seed lowered the lower bound")


@pytest.mark.parametrize(("factor", "level"), [(0.0, "invisible"), (16.0, "borderline"), (64.0, "visible")])
def test_levels(factor: float, level: str) -> None:
    unit = np.float32(factor * 2.0**-24)
    model = _model([helper.make_node("Add", ["x", "c"], ["y"])], (4,), {"c": np.zeros(4, np.float32)})
    faulty = _model([helper.make_node("Add", ["x", "c"], ["y"])], (4,), {"c": np.full(4, unit, np.float32)})
    fault = Fault("parameter.element", "", 0, "Add", ("y",), "c", 0.0, float(unit), ("c",))
    found = visible(model, faulty, fault, {"x": np.asarray([1, 0.5, 0, -1], np.float32)})
    assert found.level == level
    assert found.max_abs == pytest.approx(unit)


def test_changed_shape_and_lost_numbers_are_visible() -> None:
    model = CASES["pool.ceil_mode"]
    faulty, fault = plant(model, 0, "pool.ceil_mode")
    assert visible(model, faulty, fault, _inputs(model)).max_abs == np.inf
    divide = _model([helper.make_node("Div", ["x", "c"], ["y"])], (3,), {"c": _scalar(2)})
    faulty, fault = plant(divide, 0, "elementwise.order")
    assert visible(divide, faulty, fault, {"x": np.asarray([0, 1, 2], np.float32)}).rel_max == np.inf


def test_command_line(tmp_path: Path) -> None:
    onnx.save(_CONV, tmp_path / "healthy.onnx")
    command = [
        sys.executable,
        "-m",
        "tests.faults",
        tmp_path / "healthy.onnx",
        "-o",
        tmp_path / "faulty.onnx",
    ]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        [*map(str, command), "--kind", "conv.pads", "--seed", "4"], cwd=root, capture_output=True, text=True
    )
    faulty, fault = plant(_CONV, 4, "conv.pads")
    assert done.stdout.strip() == str(fault)
    assert onnx.load(tmp_path / "faulty.onnx") == faulty
    refused = subprocess.run(
        [*map(str, command), "--kind", "resize.mode"], cwd=root, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "no eligible node" in refused.stderr
