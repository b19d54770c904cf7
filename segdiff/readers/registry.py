"""Which reader reads which format? One row a format, its module imported when a file of it comes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from segdiff.core.errors import ModelError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Graph

HEAD = 4096
"""Bytes in which a mark must be: Paddle writes the keys of a program sorted, its magic comes first."""


@dataclass(frozen=True)
class ReaderRow:
    """One format: the ``suffix`` of its program, and the module whose ``read`` and ``read_program`` read it.

    ``carries_parameters``: they lie in the program, so there is no file of them. ``mark``: a pattern that the
    head of a program has, where other files have the suffix, too.
    """

    name: str
    suffix: str
    home: str
    carries_parameters: bool = False
    mark: bytes = b""


READERS: tuple[ReaderRow, ...] = (
    ReaderRow("pdmodel", ".pdmodel", "segdiff.readers.pdmodel"),
    ReaderRow("pir", ".json", "segdiff.readers.pir", mark=rb'"magic"\s*:\s*"pir"'),
    ReaderRow("onnx", ".onnx", "segdiff.readers.onnx", carries_parameters=True),
)


def row_of(file: Path) -> ReaderRow | None:
    """The row of the format that a file's name says it has."""
    return next((row for row in READERS if row.suffix == file.suffix), None)


def is_program(file: Path, row: ReaderRow) -> bool:
    """Whether a file is a program of a format, judged by its name and its first bytes. Raises OSError."""
    if file.suffix != row.suffix:
        return False
    if not row.mark:
        return True
    with file.open("rb") as stream:
        return re.search(row.mark, stream.read(HEAD)) is not None


def reader_for(model_format: str) -> ReaderRow:
    """The row of a format. Raises ModelError for one that no row has."""
    for row in READERS:
        if row.name == model_format:
            return row
    raise ModelError(f"no reader knows the format {model_format!r}")


def read(files: ModelFiles) -> Graph:
    """Read a model with its parameters.

    Raises ModelError where a file is missing, damaged, or parameters and program are of different models.
    """
    row = reader_for(files.format)
    module = import_module(row.home)
    graph: Graph = (
        module.read(files.program) if row.carries_parameters else module.read(files.program, files.params)
    )
    return graph


def read_program(files: ModelFiles) -> Graph:
    """Read a model whose parameter file is missing: the whole graph, but ``Parameter.load`` raises.

    A format that carries its parameters is read as :func:`read` does.
    """
    row = reader_for(files.format)
    if row.carries_parameters:
        return read(files)
    graph: Graph = import_module(row.home).read_program(files.program)
    return graph
