"""A folder of ``.npy`` files, or an ``.npz``: one array a tensor, by the name of the ONNX tensor or node.

By hand, TensorRT's debug tensors, msprobe's ONNX side, Ascend dumps that msaccucmp converted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from segdiff.core.dumped import Dump
from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.readers.dumps.ascend_names import long_names
from segdiff.readers.dumps.gather import Sighting, constants_told, gathered
from segdiff.readers.dumps.listing import Asked, Listing
from segdiff.readers.dumps.manifest import Manifest, Named, as_said, read_manifest
from segdiff.readers.dumps.names import DeviceTensor, Meaning, Names, device_tensor
from segdiff.readers.dumps.operators import Operator, OpTensor, one_run, read_operators
from segdiff.readers.dumps.stored import ITS_OWN, Stored, stored_npy, stored_npz

NAME = "npy"
SUFFIXES = (".npy", ".npz")


def recognised(listing: Listing, graph: Graph) -> bool:
    """Whether arrays of numpy lie there."""
    return any(file.suffix in SUFFIXES for file in listing.files)


def read(listing: Listing, graph: Graph, asked: Asked) -> Dump:
    """The dump; ModelError where no array of it is a tensor of the graph."""
    problems = list(listing.problems)
    manifest = read_manifest(listing)
    problems += manifest.problems
    arrays = list(_arrays(listing, manifest, problems))
    long = long_names(listing, problems)
    converted = {array: tensor for array in arrays if (tensor := _converted(array, long))}
    names = Names(graph)
    names = Names(graph, any(names.letters(name) for array in arrays for name in array.names))
    one_run(listing, [(array.stored.file, tensor.device) for array, tensor in converted.items()])
    operators = read_operators(_operators(converted), graph, asked.map_file)
    sightings = list(operators.sightings)
    constants = 0
    for array in arrays:
        meanings = frozenset() if array in converted else _meanings(names, array)
        if meanings:
            sightings.append(Sighting(array.stored, meanings))
        elif any(map(names.constant, array.names)):
            constants += 1
        elif array not in converted:
            problems.append(f"{array.stored.label}: names no tensor or node of {graph.path.name}")
    problems += operators.problems
    remarks = (*operators.remarks, *constants_told(constants))
    return gathered(listing.root, NAME, sightings, graph, operators.nodes, problems, remarks)


@dataclass(frozen=True)
class _Array:
    """An array, the names that it may go by, and the tensor that a manifest says it is, "" without one."""

    names: tuple[str, ...]
    stored: Stored
    tensor: str = ""


def _arrays(listing: Listing, manifest: Manifest, problems: list[str]) -> Iterator[_Array]:
    for file in listing.files:
        label = listing.name(file)
        try:
            if file.suffix == ".npy":
                said = manifest.files.get(file, Named())
                names = tuple(dict.fromkeys((label.removesuffix(".npy"), file.stem)))
                yield _Array(names, as_said(stored_npy(file, label), said), said.tensor)
            elif file.suffix == ".npz":
                for key, member in stored_npz(file):
                    if isinstance(member, ModelError):
                        problems.append(str(member))
                    else:
                        yield _Array((key,), member)
        except ModelError as error:
            problems.append(str(error))


def _converted(array: _Array, long: Mapping[Path, Mapping[str, str]]) -> DeviceTensor | None:
    """Operator and place of a tensor that msaccucmp converted; None of any other."""
    if array.tensor or array.stored.file.suffix != ".npy":
        return None
    return device_tensor(array.names[-1], long.get(array.stored.file.parent, {}))


def _operators(converted: Mapping[_Array, DeviceTensor]) -> list[Operator]:
    """The operators whose tensors were converted, each with all of its tensors."""
    by_name: dict[str, list[tuple[DeviceTensor, Stored]]] = {}
    for array, tensor in converted.items():
        stored = array.stored
        if not tensor.shaped and not stored.layout:
            stored = replace(stored, layout=ITS_OWN)
        operator, _, _ = array.names[-1].rpartition(f".{tensor.role}.")
        by_name.setdefault(operator, []).append((tensor, stored))
    return [
        Operator(
            tensors[0][0].device,
            tensors[0][1].label,
            tuple(OpTensor(tensor.role, tensor.index, stored) for tensor, stored in tensors),
            sum(tensor.role == "input" for tensor, _ in tensors),
        )
        for tensors in by_name.values()
    ]


def _meanings(names: Names, array: _Array) -> frozenset[Meaning]:
    if array.tensor:
        return Names(names.graph, True).meanings(array.tensor)
    for name in array.names:
        if name in names.known:
            return names.meanings(name)
    return frozenset(meaning for name in array.names for meaning in names.meanings(name))
