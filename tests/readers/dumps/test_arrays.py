"""A folder of .npy by ONNX names: who writes it, which file is which tensor, what is reported."""

import io
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.readers.dumps import read_dump
from segdiff.readers.onnx import read
from tests.dumps.arrays import NAMINGS, write_npy, write_npz
from tests.dumps.device import recorded, recorded_half
from tests.models import Net, image, segmenter

FEEDS = {"x": image()}


def graph_of(folder: Path, model: onnx.ModelProto) -> Graph:
    onnx.save(model, folder / "model.onnx")
    return read(folder / "model.onnx")


@pytest.mark.parametrize("naming", NAMINGS)
def test_every_naming_is_read(tmp_path: Path, naming: str) -> None:
    model = segmenter()
    graph, values = graph_of(tmp_path, model), recorded(model, FEEDS)
    files = write_npy(tmp_path / "dump", graph, values, naming)
    dump = read_dump(tmp_path / "dump", graph)
    assert dump.problems == () and dump.remarks == ()
    assert set(dump.tensors) == set(files)
    for name, tensor in dump.tensors.items():
        assert np.array_equal(tensor.load(), values[name])
        assert tensor.shape == values[name].shape and tensor.dtype == str(values[name].dtype)


@pytest.mark.parametrize("packed", [False, True])
def test_an_archive_is_read(tmp_path: Path, packed: bool) -> None:
    model = segmenter()
    graph, values = graph_of(tmp_path, model), recorded_half(model, FEEDS)
    write_npz(tmp_path / "dump.npz", values, packed)
    dump = read_dump(tmp_path / "dump.npz", graph)
    assert dump.problems == () and set(dump.tensors) == set(values)
    assert all(np.array_equal(dump.tensors[name].load(), values[name]) for name in values)
    assert {tensor.dtype for tensor in dump.tensors.values()} == {"float16", "int64"}


def test_constants_of_the_file_are_no_strangers(tmp_path: Path) -> None:
    """Whoever marks every tensor as an output of the runtime dumps the weights as well."""
    model = segmenter()
    graph, values = graph_of(tmp_path, model), recorded(model, FEEDS)
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    write_npz(tmp_path / "dump.npz", {**values, **weights, "stranger": np.zeros(3)}, packed=False)
    dump = read_dump(tmp_path / "dump.npz", graph)
    assert dump.problems == ("dump.npz: stranger: names no tensor or node of model.onnx",)
    assert dump.remarks == (f"{len(weights)} constants of the file are in the dump, too, and not compared",)


def pair_of_names(folder: Path, first: str, second: str, channels: int = 3) -> Graph:
    """x -> Relu -> first -> Conv -> second."""
    net = Net()
    net.node("Relu", "x", outputs=[first])
    net.node("Conv", first, net.weight(channels, 3, 1, 1), outputs=[second])
    return graph_of(folder, net.model(second))


def test_a_file_that_could_be_two_tensors_is_reported(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a/b", "a_b")
    (tmp_path / "dump").mkdir()
    np.save(tmp_path / "dump/a_b.npy", image())
    np.save(tmp_path / "dump/x.npy", image())
    dump = read_dump(tmp_path / "dump", graph)
    assert set(dump.tensors) == {"x"}
    assert len(dump.problems) == 1 and "a/b" in dump.problems[0] and "a_b.npy" in dump.problems[0]


def test_the_size_decides_between_two_tensors(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a/b", "a_b", channels=5)
    (tmp_path / "dump").mkdir()
    np.save(tmp_path / "dump/a_b.npy", image())
    assert set(read_dump(tmp_path / "dump", graph).tensors) == {"a/b"}


def test_names_to_the_letter_are_no_collision_in_an_archive(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a/b", "a_b")
    write_npz(tmp_path / "d.npz", {"a/b": image(), "a_b": image(seed=1)})
    dump = read_dump(tmp_path / "d.npz", graph)
    assert dump.problems == () and np.array_equal(dump.tensors["a_b"].load(), image(seed=1))


def test_two_files_that_could_be_one_tensor_are_reported(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a", "b")
    (tmp_path / "dump").mkdir()
    np.save(tmp_path / "dump/0001_a.npy", image())
    np.save(tmp_path / "dump/0002_a.npy", image(seed=1))
    np.save(tmp_path / "dump/b.npy", image())
    dump = read_dump(tmp_path / "dump", graph)
    assert set(dump.tensors) == {"b"}
    assert len(dump.problems) == 1 and "0001_a.npy" in dump.problems[0] and "0002_a.npy" in dump.problems[0]


def test_the_same_numbers_twice_are_no_problem(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a", "b")
    (tmp_path / "dump").mkdir()
    np.save(tmp_path / "dump/0001_a.npy", image())
    np.save(tmp_path / "dump/0002_a.npy", image())
    dump = read_dump(tmp_path / "dump", graph)
    assert set(dump.tensors) == {"a"} and dump.problems == ()


def test_channels_last_are_turned_where_the_shape_says_so(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a", "b")
    (tmp_path / "dump").mkdir()
    np.save(tmp_path / "dump/a.npy", image().transpose(0, 2, 3, 1))
    tensor = read_dump(tmp_path / "dump", graph).tensors["a"]
    assert np.array_equal(tensor.load(), image()) and tensor.how == ("NHWC to NCHW",)


def test_a_manifest_reads_nothing_outside_of_its_folder(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a", "b")
    np.save(tmp_path / "secret.npy", image())
    (tmp_path / "dump").mkdir()
    np.save(tmp_path / "dump/b.npy", image())
    (tmp_path / "dump/manifest.json").write_text('{"../secret.npy": {"tensor": "a"}}')
    dump = read_dump(tmp_path / "dump", graph)
    assert set(dump.tensors) == {"b"} and "../secret.npy" in dump.problems[0]


def test_a_mask_of_int32_is_one_of_int64(tmp_path: Path) -> None:
    net = Net()
    graph = graph_of(
        tmp_path, net.model(net.node("ArgMax", "x", outputs=["mask"], axis=1), types={"mask": 7})
    )
    mask = image().argmax(1, keepdims=True)
    (tmp_path / "dump").mkdir()
    np.save(tmp_path / "dump/mask.npy", mask.astype(np.int32))
    tensor = read_dump(tmp_path / "dump", graph).tensors["mask"]
    assert tensor.load().dtype == np.int64 and np.array_equal(tensor.load(), mask)
    assert tensor.how == ("int32 for int64",)


def test_damage_costs_a_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a", "b")
    folder = tmp_path / "dump"
    folder.mkdir()
    np.save(folder / "b.npy", image())
    np.save(folder / "a.npy", image())
    (folder / "a.npy").write_bytes((folder / "a.npy").read_bytes()[:-100])
    np.save(folder / "x.npy", np.array([{"pickled": 1}], object), allow_pickle=True)
    dump = read_dump(folder, graph)
    assert set(dump.tensors) == {"b"}
    assert len(dump.problems) == 2 and "cut off" in dump.problems[0]


def test_a_folder_of_nothing_says_what_was_looked_for(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a", "b")
    (tmp_path / "dump").mkdir()
    with pytest.raises(ModelError, match="holds no tensor of model"):
        read_dump(tmp_path / "dump", graph)


def test_an_archive_whose_bits_have_turned_is_found_out_by_its_checksum(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a", "b")
    large = image((1, 3, 64, 96))  # the first bytes are looked at at once
    write_npz(tmp_path / "d.npz", {"a": large, "b": image(seed=1)})
    data = bytearray((tmp_path / "d.npz").read_bytes())
    data[large.nbytes // 2] ^= 1
    (tmp_path / "d.npz").write_bytes(bytes(data))
    dump = read_dump(tmp_path / "d.npz", graph)
    assert np.array_equal(dump.tensors["b"].load(), image(seed=1))
    with pytest.raises(ModelError, match="checksum"):
        dump.tensors["a"].load()


def test_an_archive_that_unpacks_to_more_than_its_array_is_refused(tmp_path: Path) -> None:
    graph = pair_of_names(tmp_path, "a", "b")
    write_npz(tmp_path / "d.npz", {"a": image()})
    with zipfile.ZipFile(tmp_path / "d.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        held = io.BytesIO()
        np.save(held, image())
        archive.writestr("b.npy", held.getvalue() + bytes(50 << 20))
    dump = read_dump(tmp_path / "d.npz", graph)
    assert set(dump.tensors) == {"a"} and "holds more than its array" in dump.problems[0]
