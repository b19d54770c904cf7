"""A file that its runtime does not take: what is said, which node, and what would make it run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

import segdiff
from segdiff.core.answer import Report
from tests import models
from tests.models import Net, copied, find_node, with_attribute


def told(ours: ModelProto, theirs: ModelProto, folder: Path, **options: object) -> Report:
    files = [models.save(model, folder / f"{side}.onnx") for side, model in (("a", ours), ("model", theirs))]
    return segdiff.locate(*files, models.image(), threads=1, **options)  # type: ignore[arg-type]


def resized(scalars: bool) -> ModelProto:
    """A Resize to the size of the input, whose two lengths are joined: as scalars, or as they should be."""
    net = Net()
    hidden = net.node("LeakyRelu", net.conv("x", (3, 4)), alpha=0.2)
    shape = net.node("Shape", "x")
    index = (lambda n: n) if scalars else (lambda n: [n])
    lengths = [net.node("Gather", shape, net.constant(index(n), np.int64)) for n in (2, 3)]
    start = net.node(
        "Slice", net.node("Shape", hidden), net.constant([0], np.int64), net.constant([2], np.int64)
    )
    size = net.node("Concat", start, net.node("Concat", *lengths, axis=0, outputs=["joined"]), axis=0)
    return net.model(net.node("Resize", hidden, "", "", size, mode="linear"))


def squeezed(axes: bool) -> ModelProto:
    """A (1, 1, 4) tensor whose first axis goes; without axes the second goes, too."""
    net = Net(opset=13)
    pooled = net.node("GlobalAveragePool", net.conv("x", (3, 4)))
    row = net.node("Reshape", pooled, net.constant([1, 1, 4], np.int64))
    operands = [net.constant([0], np.int64)] if axes else []
    flat = net.node("Squeeze", row, *operands, outputs=["flat"])
    return net.model(net.node("Gemm", flat, net.weight(4, 5)))


def channels_last(turned: bool) -> ModelProto:
    """A convolution of (N, H, W, C) data, its transposes written or forgotten."""
    net = Net()
    x = net.node("Relu", net.node("Transpose", "x", perm=[0, 2, 3, 1]))
    if turned:
        x = net.node("Transpose", x, perm=[0, 3, 1, 2])
    x = net.conv(x, (3, 4))
    return net.model(net.node("Transpose", x, perm=[0, 2, 3, 1], outputs=["back"]) if turned else x)


def same_padding(plain: bool, dilated: bool) -> ModelProto:
    """Two convolutions with "SAME" padding: in numbers, or in a form that onnxruntime does not take."""
    net = Net()
    x = net.node("LeakyRelu", "x", alpha=0.2)
    for channels in (3, 4):
        pads = (2 if dilated else 1) * np.ones(4, np.int64)
        how = {"pads": pads.tolist()} if plain else {"auto_pad": "SAME_UPPER"}
        how["dilations"] = [2, 2] if dilated or not plain else [1, 1]
        x = net.node("Conv", x, net.weight(4, channels, 3, 3), kernel_shape=[3, 3], **how)
    return net.model(x)


@pytest.mark.parametrize(
    ("dilated", "words"), [(False, "dilations [1, 1]"), (True, "its padding in numbers")]
)
def test_a_dilated_window_with_same_padding(dilated: bool, words: str, tmp_path: Path) -> None:
    report = told(same_padding(True, dilated), same_padding(False, dilated), tmp_path, deployed=False)
    first = report.first
    assert first is not None and first.cause is not None
    assert (first.cause.kind, first.cause.proven) == ("runtime.refused", True), report.sentence
    assert "has auto_pad SAME_UPPER with dilations [2, 2]" in report.sentence
    assert words in report.sentence and "in 2 nodes" in report.sentence
    assert report.repair(tmp_path / "fixed.onnx").agrees


def test_a_concat_of_scalars(tmp_path: Path) -> None:
    faulty = with_attribute(resized(scalars=True), "LeakyRelu", alpha=0.5)
    report = told(resized(scalars=False), faulty, tmp_path)
    assert (report.verdict, report.exit_code) == ("diverges", 1)
    first = report.first
    assert first is not None and first.cause is not None
    assert first.cause.kind == "runtime.refused"
    assert [node.outputs for node in first.candidate_nodes] == [("joined",)]
    assert [op.type for op in first.reference_ops] == ["Resize"]
    assert report.sentence.startswith(
        "onnxruntime does not run model.onnx: Concat 'Concat:joined' joins two scalars"
    )
    assert "it runs" in report.sentence and "LeakyRelu" in report.sentence
    assert [origin.cause.kind for origin in report.origins[1:] if origin.cause] == ["leaky_relu.slope"]
    assert report.homes == ("network",)
    assert max(report.coverage) < 1.0  # what does not run was not compared
    fixed = report.repair(tmp_path / "fixed.onnx")
    assert fixed.agrees
    onnx_session(tmp_path / "fixed.onnx")


def onnx_session(path: Path) -> None:
    """The file loads as its user loads it."""
    import onnxruntime as ort

    ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def turned_sizes(first: bool) -> ModelProto:
    """Divides by the width and the height, turned round: to the first element, or by an end of -1 to none."""
    net = Net()
    x = net.node("Transpose", net.node("LeakyRelu", net.conv("x", (3, 2)), alpha=0.2), perm=[0, 2, 3, 1])
    ends = -(2**31) if first else -1
    bounds = [net.constant([number], np.int64) for number in (2**31 - 1, ends, 0, -1)]
    lengths = [net.constant([n], np.int64) for n in (2, 4, 0)]
    turned = net.node("Slice", net.node("Slice", net.node("Shape", x), *lengths), *bounds)
    return net.model(net.node("Div", x, net.node("Cast", turned, to=onnx.TensorProto.FLOAT)))


@pytest.mark.parametrize(
    ("build", "words"), [(squeezed, "axis"), (channels_last, "channels"), (turned_sizes, "the first element")]
)
def test_forms_that_a_change_makes_run(build, words: str, tmp_path: Path) -> None:
    report = told(build(True), build(False), tmp_path, deployed=False)
    assert report.verdict == "diverges"
    first = report.first
    assert first is not None and first.cause is not None
    assert (first.cause.kind, first.cause.proven) == ("runtime.refused", True), report.sentence
    assert words in report.sentence
    assert first.cause.residual is not None and first.cause.residual.rel_l2 < 1e-5


def resized_twice(scalars: bool) -> ModelProto:
    """Two of them in a row; the size of the second is joined of lengths of what the first gives."""
    net = Net()
    x = "x"
    for place in range(2):
        hidden = net.conv(x, (3, 4) if place == 0 else (4, 4))
        index = (lambda n: n) if scalars else (lambda n: [n])
        shape = net.node("Shape", hidden)
        lengths = [net.node("Gather", shape, net.constant(index(n), np.int64)) for n in (2, 3)]
        start = net.node("Slice", shape, net.constant([0], np.int64), net.constant([2], np.int64))
        size = net.node("Concat", start, net.node("Concat", *lengths, axis=0), axis=0)
        x = net.node("Resize", hidden, "", "", size, mode="linear")
    return net.model(x)


def nested_channels_last(turned: bool) -> ModelProto:
    """Two convolutions of (N, H, W, C) data, the transposes written or forgotten."""
    net = Net()
    x = net.node("Relu", net.node("Transpose", "x", perm=[0, 2, 3, 1]))
    for shape in ((3, 4), (4, 5)):
        x = net.node("Transpose", x, perm=[0, 3, 1, 2]) if turned else x
        x = net.conv(x, shape)
        x = net.node("Transpose", x, perm=[0, 2, 3, 1]) if turned else x
        x = net.node("Relu", x)
    return net.model(x)


def counted(to: int) -> ModelProto:
    """Half precision divided by a number that a Cast makes; the file declares it float16, whatever it is."""
    net = Net()
    half = net.node("Cast", net.conv("x", (3, 4)), to=TensorProto.FLOAT16)
    number = net.node("Cast", net.node("Size", half), to=to)
    found = net.node("Cast", net.node("Div", half, number), to=TensorProto.FLOAT)
    model = net.model(net.node("LeakyRelu", found, alpha=0.2))
    model.graph.value_info.append(helper.make_tensor_value_info(number, TensorProto.FLOAT16, []))
    return model


def sized(computed: bool) -> ModelProto:
    """A Resize to a size, whose scales are empty: a constant, or turned from half precision."""
    net = Net()
    empty = net.constant(np.zeros(0), np.float16 if computed else np.float32)
    scales = net.node("Cast", empty, to=TensorProto.FLOAT) if computed else empty
    size = net.constant([1, 4, 32, 48], np.int64)
    return net.model(net.node("Resize", net.conv("x", (3, 4)), "", scales, size, mode="nearest"))


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        (counted(TensorProto.FLOAT16), counted(TensorProto.FLOAT), "casts to float32, and the file declares"),
        (sized(computed=False), sized(computed=True), "sizes and scales, which are empty"),
    ],
    ids=["cast", "resize"],
)
def test_what_a_conversion_to_half_precision_leaves_wrong(
    right: ModelProto, wrong: ModelProto, words: str, tmp_path: Path
) -> None:
    report = told(right, wrong, tmp_path)
    first = report.first
    assert first is not None and first.cause is not None
    assert (first.cause.kind, first.cause.proven) == ("runtime.refused", True), report.sentence
    assert words in report.sentence
    fixed = report.repair(tmp_path / "fixed.onnx")
    assert fixed.agrees
    onnx_session(tmp_path / "fixed.onnx")


@pytest.mark.parametrize("build", [resized_twice, nested_channels_last])
def test_every_node_that_is_refused_for_the_same_reason_is_changed(build, tmp_path: Path) -> None:
    ours, theirs = (False, True) if build is resized_twice else (True, False)
    report = told(build(ours), build(theirs), tmp_path)
    first = report.first
    assert first is not None and first.cause is not None
    assert (first.cause.kind, first.cause.proven) == ("runtime.refused", True), report.sentence
    assert "in each of 2 such nodes, it runs" in report.sentence
    assert first.cause.residual is not None and first.cause.residual.rel_l2 < 1e-5
    fixed = report.repair(tmp_path / "fixed.onnx")
    assert fixed.agrees
    onnx_session(tmp_path / "fixed.onnx")


def test_an_input_of_another_size_than_the_file_allows(tmp_path: Path) -> None:
    theirs = models.segmenter()
    theirs.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    for deployed in (True, False):
        report = told(open_batch(), theirs, tmp_path, deployed=deployed)
        assert report.verdict == "diverges"
        assert report.sentence.startswith(
            "The network agrees, but model.onnx does not accept (1, 3, 16, 24) for 'x': it wants (2, 3, 16"
        )


def open_batch() -> ModelProto:
    """The same network, any number of pictures."""
    model = models.segmenter()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    return model


def test_a_file_that_the_runtime_cannot_load_at_all(tmp_path: Path) -> None:
    theirs = models.segmenter()
    theirs.ir_version = 99
    report = told(models.segmenter(), theirs, tmp_path)
    assert report.verdict == "diverges"
    assert report.sentence.startswith("onnxruntime does not load model.onnx: ")
    assert "99" in report.sentence
    assert report.coverage == (0.0, 0.0)


def test_an_operator_that_the_runtime_does_not_have(tmp_path: Path) -> None:
    theirs = copied(models.segmenter())
    node = find_node(theirs, "HardSwish")
    node.op_type, node.domain, node.name = "HardSwosh", "my.domain", "odd"
    theirs.opset_import.append(helper.make_opsetid("my.domain", 1))
    report = told(models.segmenter(), theirs, tmp_path)
    assert report.verdict == "diverges" and report.first is not None
    assert [op.name for op in report.first.candidate_nodes] == ["odd"]
    assert "HardSwosh" in report.sentence
    assert report.first.cause is not None and not report.first.cause.proven


def test_a_claim_of_the_file_that_is_wrong(tmp_path: Path) -> None:
    """What a file says of a value's shape counts when it is loaded, and the walk cannot see it."""
    theirs = models.segmenter()
    name = find_node(theirs, "Sigmoid").output[0]
    theirs.graph.value_info.append(helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None))
    report = told(models.segmenter(), theirs, tmp_path)
    assert report.verdict == "diverges" and report.first is not None
    assert name in {output for node in report.first.candidate_nodes for output in node.outputs}


def pooled(places: bool) -> ModelProto:
    """A pool, and where its maxima stand, as a second output, which is declared in any case."""
    net = Net()
    hidden = net.node("LeakyRelu", net.conv("x", (3, 4)), alpha=0.2)
    names = ["top", "places"] if places else ["top"]
    net.node("MaxPool", hidden, outputs=names, kernel_shape=[2, 2], strides=[2, 2])
    return net.model("top", "places", types={"places": TensorProto.INT64})


def test_an_output_that_nothing_writes(tmp_path: Path) -> None:
    report = told(pooled(True), pooled(False), tmp_path)
    assert report.verdict == "diverges" and report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("runtime.refused", True)
    assert [op.type for op in report.first.candidate_nodes] == ["MaxPool"]
    assert "nothing writes its output 'places'" in report.sentence
    assert [origin.cause.kind for origin in report.origins if origin.cause] == ["runtime.refused"]
    repaired = report.repair(tmp_path / "fixed.onnx")
    assert repaired.agrees
    after = segdiff.locate(tmp_path / "a.onnx", tmp_path / "fixed.onnx", models.image(), threads=1)
    assert after.verdict == "agrees"


def test_an_output_of_the_reference_that_nothing_writes(tmp_path: Path) -> None:
    with pytest.raises(segdiff.ModelError, match="nothing writes the output places"):
        told(pooled(False), pooled(True), tmp_path)


def refused(ours: ModelProto, theirs: ModelProto, folder: Path) -> Report:
    """The report on a file that must not run."""
    report = told(ours, theirs, folder)
    first = report.first
    assert first is not None and first.cause is not None and first.cause.kind == "runtime.refused"
    return report


def test_a_value_whose_name_is_a_word_of_the_message(tmp_path: Path) -> None:
    def made(place: int) -> ModelProto:
        net = Net()
        hidden = net.conv("x", (3, 4))
        picked = net.node("Gather", hidden, net.constant([0, place], np.int64), axis=1, outputs=["picked"])
        model = net.model(net.node("Relu", picked, outputs=["out"]))  # "indices element out of data bounds"
        for node in model.graph.node:
            node.name = ""
        return model

    report = refused(made(3), made(4), tmp_path)
    assert [node.outputs for node in report.first.candidate_nodes] == [("picked",)]  # type: ignore[union-attr]


def test_a_node_inside_a_branch_is_told_by_the_branch(tmp_path: Path) -> None:
    def made(inner: str) -> ModelProto:
        from onnx import parser

        return parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 17]>
          program (float[1,3,16,24] x) => (float[?,?,?,?] z) {{
            big = ReduceMax<keepdims=0>(x) low = Neg(big) yes = Greater(big, low)
            z = If(yes) < then_branch = a () => (float[?,?,?,?] p) {{ p = {inner}(x) }},
                          else_branch = b () => (float[?,?,?,?] q) {{ q = Relu(x) }} > }}""")

    report = refused(made("Tanh"), made("Tannh"), tmp_path)
    assert report.first.candidate_nodes[0].type == "If"  # type: ignore[union-attr]
    assert "No Op registered for Tannh" in report.sentence and "In Node" not in report.sentence


def test_what_is_refused_next_is_told(tmp_path: Path) -> None:
    def made(right: bool) -> ModelProto:
        net = Net()
        factor = net.constant(2, np.float32 if right else np.int64)
        doubled = net.node("Mul", net.conv("x", (3, 4)), factor)
        return net.model(net.node("Relu" if right else "Rellu", doubled))

    report = refused(made(True), made(False), tmp_path)
    assert "cast to float32 it goes on, and the next one is refused: Rellu" in report.sentence
    assert not report.first.cause.proven  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("op_type", "opset", "operand", "words"),
    [("Unsqueeze", 17, False, "as an operand"), ("ReduceMean", 17, True, "as an attribute")],
)
def test_settings_of_another_opset(
    op_type: str, opset: int, operand: bool, words: str, tmp_path: Path
) -> None:
    def made(right: bool) -> ModelProto:
        net = Net(opset=opset)
        hidden = net.conv("x", (3, 4))
        if operand is not right:
            return net.model(net.node(op_type, hidden, net.constant([0], np.int64)))
        return net.model(net.node(op_type, hidden, axes=[0]))

    report = refused(made(True), made(False), tmp_path)
    assert words in report.sentence and f"as opset {opset} has it, it runs" in report.sentence
    assert report.repair(tmp_path / "fixed.onnx").agrees


def test_a_constant_that_the_runtime_does_not_make(tmp_path: Path) -> None:
    def made(axis: bool) -> ModelProto:
        net = Net(opset=12)
        whole = net.constant([3, -2, 5, 7], np.int32)
        step = net.constant([0.01] * 4 if axis else 0.01)
        bias = net.node("DequantizeLinear", whole, step, **({"axis": 0} if axis else {}))
        return net.model(net.node("Conv", "x", net.weight(4, 3, 3, 3), bias))

    report = refused(made(False), made(True), tmp_path)
    assert "which makes a constant of Conv" in report.sentence
    assert "Unrecognized attribute: axis" in report.sentence
