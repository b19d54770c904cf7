"""Form 1: a folder of .npy files, or one .npz, in the namings of those who write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.graph import Graph
from tests.dumps.layouts import packed
from tests.dumps.names import TIME, safe

if TYPE_CHECKING:
    from tests.dumps.ascend import DeviceOp

Array = NDArray[Any]


def write_npy(folder: Path, graph: Graph, values: Mapping[str, Array], naming: str) -> dict[str, Path]:
    """Every value as a file, named as ``naming`` (of ``NAMINGS``) does it; value -> file.

    Values that no node writes (the feeds) are left out where names are those of nodes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = NAMINGS[naming](graph, values)
    files = {value: folder / f"{name}.npy" for value, name in names.items()}
    for value, file in files.items():
        np.save(file, values[value])
    if naming == "manifest":
        manifest = {files[value].name: {"tensor": value} for value in files}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return files


def write_converted(
    folder: Path,
    ops: Sequence[DeviceOp],
    values: Mapping[str, Array],
    *,
    layout: str = "NCHW",
    padding: float = 0.0,
    inputs: bool = True,
) -> list[Path]:
    """What ``msaccucmp convert -t npy`` makes of raw dumps: an array a file in the device's own layout, no
    shape in its name. Weights are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, op in enumerate(ops):
        for role, names in (("input", op.inputs if inputs else ()), ("output", op.outputs)):
            for place, name in enumerate(names):
                if name in values:
                    stem = f"{op.type}.{safe(op.name)}.{number + 2}.5.{TIME}.{role}.{place}"
                    files.append(folder / f"{stem}.npy")
                    np.save(files[-1], packed(values[name], layout, padding)[0])
    return files


def write_npz(file: Path, values: Mapping[str, Array], packed: bool = False) -> None:
    """All of them in one archive, keys to the letter."""
    (np.savez_compressed if packed else np.savez)(file, **values)


def _to_the_letter(graph: Graph, values: Mapping[str, Array]) -> dict[str, str]:
    return {value: value.replace("/", "_") for value in values}


def _trtexec(graph: Graph, values: Mapping[str, Array]) -> dict[str, str]:
    return {value: f"{number:04d}_{safe(value)}" for number, value in enumerate(values)}


def _places(graph: Graph, values: Mapping[str, Array]) -> dict[str, tuple[Any, int]]:
    return {
        value: (op, place) for op in graph.ops for place, value in enumerate(op.outputs) if value in values
    }


def _msprobe(graph: Graph, values: Mapping[str, Array]) -> dict[str, str]:
    return {value: f"{safe(op.name)}.{place}.{TIME}" for value, (op, place) in _places(graph, values).items()}


def _msaccucmp(graph: Graph, values: Mapping[str, Array]) -> dict[str, str]:
    """``convert -f NCHW``: the shape stands in the name."""
    return {
        value: f"{op.type}.{safe(op.name)}.{op.index + 2}.5.{TIME}.output.{place}."
        + "x".join(map(str, values[value].shape))
        for value, (op, place) in _places(graph, values).items()
    }


def _manifest(graph: Graph, values: Mapping[str, Array]) -> dict[str, str]:
    return {value: f"t{number}" for number, value in enumerate(values)}


NAMINGS: Mapping[str, Callable[[Graph, Mapping[str, Array]], dict[str, str]]] = {
    "hand": _to_the_letter,
    "trtexec": _trtexec,
    "msprobe": _msprobe,
    "msaccucmp": _msaccucmp,
    "manifest": _manifest,
}
