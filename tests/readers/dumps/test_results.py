"""Results without a header: whose output, which numbers, which shape."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.readers.dumps import read_dump
from segdiff.readers.onnx import read
from tests.dumps.device import recorded
from tests.dumps.results import write_ais_bench, write_qnn
from tests.models import Net, image

SHAPE = (1, 3, 16, 24)


def two_outputs(folder: Path, batch: int | str = 1) -> Graph:
    """x -> Conv -> logits and their argmax."""
    net = Net((batch, *SHAPE[1:]))
    logits = net.conv("x", (3, 5))
    mask = net.node("ArgMax", logits, outputs=["mask"], axis=1)
    model = net.model(logits, mask, types={"mask": TensorProto.INT64})
    for output, shape in zip(model.graph.output, ([batch, 5, 16, 24], [batch, 1, 16, 24]), strict=True):
        output.CopyFrom(helper.make_tensor_value_info(output.name, output.type.tensor_type.elem_type, shape))
    onnx.save(model, folder / "model.onnx")
    return read(folder / "model.onnx")


def values_of(folder: Path, batch: int = 1, seed: int = 0):
    return recorded(onnx.load(folder / "model.onnx"), {"x": image((batch, *SHAPE[1:]), seed)})


@pytest.mark.parametrize("form", ["bin", "npy", "txt"])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("first", [0, 1])
def test_outputs_are_counted(tmp_path: Path, form: str, half: bool, first: int) -> None:
    graph = two_outputs(tmp_path)
    values = values_of(tmp_path)
    write_ais_bench(
        tmp_path / "2026_01_01-10_00_00", graph, {"street": values}, form=form, half=half, first=first
    )
    dump = read_dump(tmp_path / "2026_01_01-10_00_00", graph)
    logits, mask = (dump.tensors[name] for name in graph.outputs)
    assert dump.problems == ()
    assert np.array_equal(mask.load(), values["mask"]) and mask.load().dtype == np.int64
    want = values[graph.outputs[0]].astype(np.float16) if half else values[graph.outputs[0]]
    assert np.array_equal(logits.load(), want)
    assert logits.dtype == ("float16" if half and form != "txt" else "float32")
    assert mask.how == ("float32 for int64",) if form == "txt" else ("int32 for int64",)


@pytest.mark.parametrize("form", ["bin", "txt"])
def test_open_sizes_are_those_of_the_picture(tmp_path: Path, form: str) -> None:
    """The file may leave even the size of its output open: how many numbers there are tells."""
    two_outputs(tmp_path)
    model = onnx.load(tmp_path / "model.onnx")
    for output in model.graph.output:
        for axis in (2, 3):
            output.type.tensor_type.shape.dim[axis].dim_param = f"s{axis}"
    model.graph.node[0].input[0] = "y"
    model.graph.node.insert(0, helper.make_node("Reshape", ["x", "shape"], ["y"]))
    sizes = helper.make_node("Shape", ["x"], ["shape"])
    model.graph.node.insert(0, sizes)
    onnx.save(model, tmp_path / "model.onnx")
    graph, values = read(tmp_path / "model.onnx"), values_of(tmp_path)
    write_ais_bench(tmp_path / "out", graph, {"street": values}, form=form)
    dump = read_dump(tmp_path / "out", graph, inputs={"x": SHAPE})
    assert dump.problems == ()
    for name in graph.outputs:
        assert np.allclose(dump.tensors[name].load(), values[name], rtol=1e-6)


def test_a_mask_in_floats_is_told_from_one_in_integers(tmp_path: Path) -> None:
    graph, folder = two_outputs(tmp_path), tmp_path / "out"
    values = values_of(tmp_path)
    (files,) = ([folder / "a_1.bin"],)
    write_ais_bench(folder, graph, {"a": values})
    files[0].write_bytes(values["mask"].astype(np.float32).tobytes())
    tensor = read_dump(folder, graph).tensors["mask"]
    assert tensor.dtype == "float32" and np.array_equal(tensor.load(), values["mask"])


def test_a_batch_in_files_is_joined_as_the_summary_orders_it(tmp_path: Path) -> None:
    graph = two_outputs(tmp_path, batch=3)
    values = values_of(tmp_path, batch=3)
    parts = {
        stem: {name: values[name][place : place + 1] for name in graph.outputs}
        for place, stem in enumerate(("b", "a", "c"))
    }
    write_ais_bench(tmp_path / "out", graph, parts)
    dump = read_dump(tmp_path / "out", graph)
    for name in graph.outputs:
        assert np.array_equal(dump.tensors[name].load(), values[name])
        assert "a batch of 3 files" in dump.tensors[name].how


def test_the_results_of_many_inputs_ask_for_one(tmp_path: Path) -> None:
    graph = two_outputs(tmp_path)
    results = {name: values_of(tmp_path, seed=seed) for seed, name in enumerate(("a", "b"))}
    write_ais_bench(tmp_path / "out", graph, results)
    with pytest.raises(ModelError, match="results of 2 inputs"):
        read_dump(tmp_path / "out", graph)
    dump = read_dump(tmp_path / "out", graph, sample="/pictures/b.v2.jpg")
    assert np.array_equal(dump.tensors["mask"].load(), results["b"]["mask"])


def test_qnn_names_tensors(tmp_path: Path) -> None:
    graph = two_outputs(tmp_path)
    values = values_of(tmp_path)
    write_qnn(tmp_path / "out", values)
    dump = read_dump(tmp_path / "out", graph)
    assert dump.problems == () and set(dump.tensors) == set(values)
    assert all(np.array_equal(dump.tensors[name].load(), values[name]) for name in values)


def test_another_size_is_told_with_what_it_would_be(tmp_path: Path) -> None:
    net = Net((1, 3, 20, 20))
    graph_file = net.model(net.conv("x", (3, 5)))
    onnx.save(graph_file, tmp_path / "model.onnx")
    graph = read(tmp_path / "model.onnx")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a_0.bin").write_bytes(image((1, 5, 32, 32)).tobytes())
    with pytest.raises(ModelError, match="1x5x32x32"):
        read_dump(tmp_path / "out", graph)


def test_an_open_size_asks_for_a_manifest(tmp_path: Path) -> None:
    graph = two_outputs(tmp_path, batch="n")
    values = values_of(tmp_path)
    write_ais_bench(tmp_path / "out", graph, {"a": values}, summary=False)
    with pytest.raises(ModelError, match=r"manifest\.json"):
        read_dump(tmp_path / "out", graph)
    said = {"a_1.bin": {"tensor": "mask", "shape": [1, 1, 16, 24]}}
    (tmp_path / "out/manifest.json").write_text(json.dumps(said))
    dump = read_dump(tmp_path / "out", graph)
    assert np.array_equal(dump.tensors["mask"].load(), values["mask"])


def test_channels_last_by_the_manifest(tmp_path: Path) -> None:
    graph = two_outputs(tmp_path)
    values = values_of(tmp_path)
    write_qnn(tmp_path / "out", {"mask": values["mask"]})
    logits = graph.outputs[0]
    (tmp_path / "out/Result_0/l.raw").write_bytes(values[logits].transpose(0, 2, 3, 1).tobytes())
    said = {"Result_0/l.raw": {"tensor": logits, "layout": "NHWC"}}
    (tmp_path / "out/manifest.json").write_text(json.dumps(said))
    dump = read_dump(tmp_path / "out", graph)
    assert np.array_equal(dump.tensors[logits].load(), values[logits])


def test_an_output_in_the_size_of_the_picture_that_the_file_computes(tmp_path: Path) -> None:
    """Resize to what a Shape says: the file has no size, but the bytes are as many as the picture's."""
    net = Net((1, 3, "h", "w"))
    sizes = net.node("Slice", net.node("Shape", "x"), *(net.constant([n], np.int64) for n in (2, 4)))
    sizes = net.node("Concat", net.constant([1, 5], np.int64), sizes, axis=0)
    small = net.node("MaxPool", net.conv("x", (3, 5)), kernel_shape=[2, 2], strides=[2, 2])
    out = net.node("Resize", small, "", "", sizes, outputs=["out"], mode="nearest")
    model = net.model(out)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 5, "h", "w"]))
    onnx.save(model, tmp_path / "model.onnx")
    graph, values = read(tmp_path / "model.onnx"), values_of(tmp_path)
    write_ais_bench(tmp_path / "dump", graph, {"a": values}, half=True)
    dump = read_dump(tmp_path / "dump", graph, inputs={"x": SHAPE})
    assert np.array_equal(dump.tensors["out"].load(), values["out"].astype(np.float16))
    (tmp_path / "dump/a_0.bin").write_bytes(bytes(1000))
    with pytest.raises(ModelError, match="has no header"):
        read_dump(tmp_path / "dump", graph, inputs={"x": SHAPE})
