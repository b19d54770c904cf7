"""Whatever bytes a file holds, reading it ends in a Graph or a ModelError, and soon."""

import random
import time

import pytest

from segdiff import readers
from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from tests.readers.models import save_external, write_onnx, write_pdmodel, write_pir

WRITERS = {
    "pdmodel": write_pdmodel,
    "pir": write_pir,
    "onnx": write_onnx,
    "external": save_external,
}
DAMAGED = {
    "pdmodel": "model.pdmodel",
    "pdiparams": "model.pdiparams",
    "pir": "model.json",
    "onnx": "model.onnx",
    "external": "model.onnx",
}
CASES = 200
SECONDS = 30  # for all the cases of a format, which take a tenth of that on an idle core


def attempt(path):
    """Graph or ModelError; anything else goes through."""
    try:
        graph = readers.read(readers.find(path))
        for parameter in graph.parameters.values():
            assert parameter.load().shape == parameter.shape
    except ModelError as error:
        assert "\n" not in str(error)
        return error
    assert isinstance(graph, Graph)
    assert list(graph.producer)  # the graph is usable
    assert len(graph.flow) > 0
    return graph


def damage(data, rng):
    """Bytes with one wound: cut, flipped, overwritten, or something put between."""
    place = rng.randrange(len(data))
    kind = rng.randrange(4)
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
    noise = rng.randbytes(rng.randrange(1, 9))
    return data[:place] + noise + data[place + (len(noise) if kind == 2 else 0) :]


@pytest.mark.parametrize("kind", DAMAGED)
def test_wounded_files(tmp_path, kind):
    program = WRITERS["pdmodel" if kind == "pdiparams" else kind](tmp_path)
    victim = tmp_path / DAMAGED[kind]
    data = victim.read_bytes()
    rng = random.Random(f"segdiff {kind}")
    start = time.monotonic()
    outcomes = []
    for _ in range(CASES):
        victim.write_bytes(damage(data, rng))
        outcomes.append(attempt(program))
    assert time.monotonic() - start < SECONDS
    assert any(isinstance(outcome, ModelError) for outcome in outcomes)


@pytest.mark.parametrize("name", ["model.pdmodel", "model.json", "model.onnx"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello, this is text\n" * 50,
        b"<html></html>",
        random.Random(0).randbytes(5000),
        b"\x08\x08",
    ],
    ids=["empty", "zero", "text", "html", "random", "header"],
)
def test_files_that_are_no_model(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    error = attempt(tmp_path / name)
    assert isinstance(error, ModelError)
    assert name in str(error)


def test_a_missing_file_of_known_name(tmp_path):
    files = readers.find(write_onnx(tmp_path))
    files.program.unlink()
    with pytest.raises(ModelError, match="no such file"):
        readers.read(files)
