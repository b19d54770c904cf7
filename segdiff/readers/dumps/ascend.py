"""Raw dumps of an Ascend NPU: a file an operator, with all that it read and wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path

from segdiff.core.dumped import Dump
from segdiff.core.errors import ModelError
from segdiff.core.graph import Array, Graph
from segdiff.readers.dumps.ascend_names import DIGITS, long_names
from segdiff.readers.dumps.ascend_names import NAME as MAPPING
from segdiff.readers.dumps.ascend_proto import RawTensor, read_header
from segdiff.readers.dumps.device_ops import DeviceOps, Placed
from segdiff.readers.dumps.gather import Sighting, gathered, shown
from segdiff.readers.dumps.listing import Asked, Listing
from segdiff.readers.dumps.manifest import NAME as MANIFEST
from segdiff.readers.dumps.names import DeviceName, Names, device_name
from segdiff.readers.dumps.om import OmOp, read_om
from segdiff.readers.dumps.stored import MAX_DIMS, Stored, bytes_of, decoded, itemsize, shape_text

NAME = "ascend"


@dataclass(frozen=True)
class _File:
    file: Path
    label: str
    device: DeviceName


def recognised(listing: Listing, graph: Graph) -> bool:
    """Whether files of operators lie there."""
    digits = any(file.name == MAPPING for file in listing.files)
    return any(
        _overflow(file) or device_name(file.name) or (digits and DIGITS.fullmatch(file.name))
        for file in listing.files
        if file.suffix not in _OTHERS
    )


_OTHERS = frozenset({".npy", ".npz", ".bin", ".raw", ".txt", ".json", ".csv"})


def read(listing: Listing, graph: Graph, asked: Asked) -> Dump:
    """The dump; ModelError where no operator of it is one of the graph, or it holds several runs."""
    problems, map_file = list(listing.problems), asked.map_file
    files = list(_files(listing, problems))
    one_run(listing, [(file.file, f"{file.device.type}.{file.device.name}") for file in files])
    ops = device_ops(Names(graph), map_file, frozenset(file.device.name for file in files))
    sightings: list[Sighting] = []
    nodes: dict[str, frozenset[int]] = {}
    inserted: list[str] = []
    doubtful: list[str] = []
    for file in files:
        placed = ops.placed(file.device.name)
        if placed is None:
            sightings += _by_header(ops, file, f"no operator of {_source(graph, map_file)}", problems)
        elif ops.unknown_nodes(placed):
            names = shown(ops.unknown_nodes(placed))
            problems.append(f"{file.label}: stands for {names}, which {graph.path.name} does not have")
        elif not placed.nodes:
            inserted.append(placed.name)
        else:
            placed, found = _operator(ops, placed, file, problems)
            nodes[placed.name] = placed.nodes
            if placed.doubtful and any(_written(one) for one in found):
                doubtful.append(placed.name)
                found = [one for one in found if not _written(one)]
            sightings += found
    problems += doubts(doubtful)
    return gathered(listing.root, NAME, sightings, graph, nodes, problems, remarks(inserted))


def _written(sighting: Sighting) -> bool:
    return any(meaning.role == "output" for meaning in sighting.meanings)


def device_ops(names: Names, map_file: Path | None, dumped: frozenset[str]) -> DeviceOps:
    """The operators of the device. Raises ModelError where the map cannot be read."""
    om: Mapping[str, OmOp] = read_om(map_file) if map_file else {}
    return DeviceOps(names, om, dumped)


def doubts(doubtful: list[str]) -> list[str]:
    """A line about operators that may be more than their name says."""
    if not doubtful:
        return []
    return [
        f"{len(doubtful)} operators may have what follows them fused in, which has no file of its own "
        f"({shown(doubtful)}); give the OM's JSON as the map (their results are not used)"
    ]


def remarks(inserted: list[str]) -> list[str]:
    """A line about operators that the ONNX file does not have."""
    if not inserted:
        return []
    return [f"{len(inserted)} operators are the compiler's own ({shown(inserted)})"]


def one_run(listing: Listing, files: list[tuple[Path, str]]) -> None:
    """ModelError where several folders hold the same operators: a run each."""
    folders: dict[str, set[Path]] = {}
    for file, name in files:
        folders.setdefault(name, set()).add(file.parent)
    runs = sorted(
        {listing.name(folder) for several in folders.values() if len(several) > 1 for folder in several}
    )
    if runs:
        raise ModelError(f"{listing.root}: holds {len(runs)} runs ({shown(runs)}); give the folder of one")


def _files(listing: Listing, problems: list[str]) -> Iterator[_File]:
    """The files of operators, under the names that they had before these grew too long."""
    names = long_names(listing, problems)
    aside = 0
    for file in listing.files:
        label = listing.name(file)
        if _overflow(file) or file.name in (MAPPING, MANIFEST):
            continue
        if file.suffix in _OTHERS:
            aside += 1
            continue
        device = device_name(names.get((file.parent, file.name), file.name))
        if device is None:
            problems.append(
                f"{label}: is not called as a dump of an operator is (type.name.task.stream.time)"
            )
        else:
            yield _File(file, label, device)
    if aside:
        problems.append(f"{aside} files beside the raw dumps are not read; give their folder by itself")


def _overflow(file: Path) -> bool:
    """Records of overflow, which hold no tensors."""
    return file.name.startswith("Opdebug.")


def _source(graph: Graph, map_file: Path | None) -> str:
    return map_file.name if map_file else f"{graph.path.name}, as far as names tell"


def _by_header(ops: DeviceOps, file: _File, why: str, problems: list[str]) -> list[Sighting]:
    """The results of an operator that no name places: what its header calls their origin."""
    found = []
    try:
        for tensor in read_header(file.file):
            meanings = ops.origin(tensor.origin) if tensor.role == "output" else frozenset()
            if meanings:
                label = f"{file.label} (output {tensor.index})"
                found.append(Sighting(_stored(file, label, tensor), meanings))
    except ModelError as error:
        problems.append(str(error))
        return found
    if not found:
        problems.append(f"{file.label}: {file.device.name} is {why}")
    return found


def _operator(
    ops: DeviceOps, placed: Placed, file: _File, problems: list[str]
) -> tuple[Placed, list[Sighting]]:
    """The operator, as its header completes it, and its tensors."""
    try:
        tensors = read_header(file.file)
    except ModelError as error:
        problems.append(str(error))
        return placed, []
    outputs = [tensor for tensor in tensors if tensor.role == "output"]
    origins = {tensor.origin[0] for tensor in outputs if tensor.origin[0]}
    known = all(tensor.origin[0] in ops.node_names for tensor in outputs)
    if origins and known:
        placed = ops.grown(Placed(placed.name, placed.nodes, placed.om), origins)
    # an operator that reads more than the nodes of its name do is more than these
    more = placed.om is None and len(tensors) - len(outputs) > ops.operands(placed)
    found = []
    for tensor in tensors:
        output = tensor.role == "output"
        if more and not output:
            continue
        meanings = (
            ops.written(placed, tensor.index, tensor.origin) if output else ops.read(placed, tensor.index)
        )
        if not meanings:
            if output:
                problems.append(f"{file.label}: its output {tensor.index} is no value of the ONNX file")
            continue
        try:
            label = f"{file.label} ({tensor.role} {tensor.index})"
            found.append(Sighting(_stored(file, label, tensor), meanings, placed.name))
        except ModelError as error:
            if output:
                problems.append(str(error))
    return placed, found


def _stored(file: _File, label: str, tensor: RawTensor) -> Stored:
    """A tensor of the file. Raises ModelError where its header does not fit its bytes."""
    if len(tensor.shape) > MAX_DIMS or len(tensor.original) > MAX_DIMS:
        raise ModelError(f"{label}: has more than {MAX_DIMS} dimensions; the header is damaged")
    if not tensor.dtype:
        raise ModelError(f"{label}: its header does not say what kind of numbers it holds")
    needed = prod(tensor.shape) * itemsize(tensor.dtype)
    there = min(tensor.size, max(0, file.file.stat().st_size - tensor.start))
    if needed > there:
        raise ModelError(
            f"{label}: cut off: {shape_text(tensor.shape)} of {tensor.dtype} needs {needed} bytes, "
            f"{there} are there; copy the dump again"
        )
    read = partial(_read, file.file, tensor.start, needed, tensor.dtype, tensor.shape)
    original = tensor.original or None
    return Stored(file.file, label, tensor.dtype, tensor.shape, read, tensor.layout, original)


def _read(file: Path, start: int, needed: int, dtype: str, shape: tuple[int, ...]) -> Array:
    return decoded(bytes_of(file, start, needed), dtype, shape)
