"""Which files exactly was a report made of? Their sizes and hashes, taken while the engines start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from segdiff.core.answer import ModelInfo, Report
from segdiff.core.files import HashedFile, ModelFiles, hashed
from segdiff.core.graph import Graph
from segdiff.readers.companions import external_data

Hashes = Mapping[Path, tuple[HashedFile, ...]]
"""By a model's program: what it consists of."""


def hashes_of(files: tuple[ModelFiles, ModelFiles]) -> Hashes:
    """The files of both models; one that has gone meanwhile is left out."""
    return {each.program: tuple(_hashed(each)) for each in files}


def image_file(image: Any) -> HashedFile | None:
    """The picture or the tensors, where they came as a file."""
    if isinstance(image, str | Path):
        with suppress(OSError):
            return hashed(Path(image), Path(image).name)
    return None


def identified(report: Report, graphs: tuple[Graph, Graph], hashes: Hashes) -> Report:
    """The report with the files of both models, and their opsets."""
    reference, candidate = (
        _identified(side, graph, hashes)
        for side, graph in zip((report.reference, report.candidate), graphs, strict=True)
    )
    return replace(report, reference=reference, candidate=candidate)


def _identified(side: ModelInfo, graph: Graph, hashes: Hashes) -> ModelInfo:
    return replace(side, opset=graph.opset or None, files=hashes.get(side.path, ()))


def _hashed(files: ModelFiles) -> Iterator[HashedFile]:
    folder = files.program.parent
    for path in dict.fromkeys(_members(files)):
        with suppress(OSError):
            name = path.relative_to(folder) if path.is_relative_to(folder) else path.name
            yield hashed(path, str(name))


def _members(files: ModelFiles) -> Iterator[Path]:
    """The program, its parameters and external data, and the config that was read."""
    yield files.program
    if files.params is not None and files.params.is_dir():
        yield from sorted(each for each in files.params.iterdir() if each.is_file())
    elif files.params is not None:
        yield files.params
    if files.format == "onnx":
        yield from external_data(files.program)
    if files.deploy_yaml is not None:
        yield files.deploy_yaml
