"""Which form does a dump have? One row a form, recognised by what lies there; the first that fits reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from segdiff.core.dumped import Dump
from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.readers.dumps.gather import nothing_usable
from segdiff.readers.dumps.listing import Asked, listed
from segdiff.readers.dumps.shapes import with_inputs
from segdiff.readers.guard import guard


@dataclass(frozen=True)
class DumpRow:
    """One form: the module whose ``recognised(listing, graph)`` knows it and whose
    ``read(listing, graph, asked)`` reads it."""

    name: str
    home: str


DUMPS: tuple[DumpRow, ...] = (
    DumpRow("ascend", "segdiff.readers.dumps.ascend"),
    DumpRow("json", "segdiff.readers.dumps.runner_json"),
    DumpRow("results", "segdiff.readers.dumps.results"),
    DumpRow("npy", "segdiff.readers.dumps.arrays"),
)


def read_dump(
    path: Path,
    graph: Graph,
    *,
    map_file: Path | None = None,
    sample: str | None = None,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
) -> Dump:
    """What a device wrote while it ran the ONNX file of ``graph``.

    ``map_file`` is the OM's JSON or its ``.om2``: which ONNX nodes the device fused into which operator.
    ``sample`` is the file name of the input that was run, for a folder with the results of many. ``inputs``
    are the shapes that the device was fed: where the ONNX file leaves sizes open, the shapes of files without
    a header, and padding that the dump does not tell of, follow from them. Only headers are read here;
    ``DumpedTensor.load`` reads the data. Raises ModelError where nothing there can be used; whatever else is
    wrong is a line of ``Dump.problems``.
    """
    listing = listed(path)
    asked = Asked(map_file, Path(sample or "").name.partition(".")[0], inputs or {})
    with guard(path, "the dump"):
        graph = with_inputs(graph, inputs or {})
        for row in DUMPS:
            home = import_module(row.home)
            if home.recognised(listing, graph):
                dump: Dump = home.read(listing, graph, asked)
                return dump
        raise ModelError(nothing_usable(path, graph, listing.problems))
