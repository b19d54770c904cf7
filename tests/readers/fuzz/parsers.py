"""Which parsers are there to fuzz, and what may a parser do with any bytes?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from segdiff import readers
from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.readers import onnx_light
from segdiff.readers.onnx import load_light
from tests.readers.models import save_external, write_onnx, write_pdmodel, write_pir

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Parser:
    """How to write a sound model, which file of it is the parser's, who reads it."""

    write: Callable[[Path], object]
    victim: str
    read: Callable[[Path], object]


def graph(name: str) -> Callable[[Path], Graph]:
    """A reader of the whole model."""

    def read(folder: Path) -> Graph:
        found = readers.read(readers.find(folder / name))
        for parameter in found.parameters.values():
            assert parameter.load().shape == parameter.shape
        return found

    return read


def light(folder: Path) -> object:
    """The reader of an ONNX file that leaves its weights where they are, also of a file this small."""
    with patch.object(onnx_light, "LARGE", 16):
        load_light(folder / "model.onnx")
        return graph("model.onnx")(folder)


PARSERS: Mapping[str, Parser] = {
    "pdmodel": Parser(write_pdmodel, "model.pdmodel", graph("model.pdmodel")),
    "pdiparams": Parser(write_pdmodel, "model.pdiparams", graph("model.pdmodel")),
    "pir": Parser(write_pir, "model.json", graph("model.json")),
    "onnx_light": Parser(write_onnx, "model.onnx", light),
    "onnx_tensors": Parser(save_external, "model.onnx", graph("model.onnx")),
}


def attempt(name: str, folder: Path, data: bytes) -> None:
    """Read a model whose one file is these bytes. Raises what no reader may raise."""
    parser = PARSERS[name]
    (folder / parser.victim).write_bytes(data)
    try:
        parser.read(folder)
    except ModelError as error:
        words = str(error)
        if not words or not words.isprintable():
            raise AssertionError(f"not one line: {words!r}") from error


@cache
def sound(name: str) -> bytes:
    """The file of a sound model."""
    with tempfile.TemporaryDirectory() as folder:
        PARSERS[name].write(Path(folder))
        return (Path(folder) / PARSERS[name].victim).read_bytes()
