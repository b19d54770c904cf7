"""Raw dumps of an Ascend NPU: a file an operator, with all that it read and wrote."""

from __future__ import annotations

from collections.abc import Iterator
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
from segdiff.readers.dumps.gather import gathered
from segdiff.readers.dumps.listing import Asked, Listing
from segdiff.readers.dumps.manifest import NAME as MANIFEST
from segdiff.readers.dumps.names import DeviceName, device_name
from segdiff.readers.dumps.operators import Operator, OpTensor, one_run, read_operators
from segdiff.readers.dumps.stored import Stored, bytes_of, decoded, itemsize, shape_text

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
    problems = list(listing.problems)
    files = list(_files(listing, problems))
    one_run(listing, [(file.file, file.device) for file in files])
    operators = [operator for file in files if (operator := _operator(file, problems))]
    found = read_operators(operators, graph, asked.map_file)
    return gathered(
        listing.root,
        NAME,
        found.sightings,
        graph,
        found.nodes,
        (*problems, *found.problems),
        found.remarks,
    )


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
        device = device_name(names.get(file.parent, {}).get(file.name, file.name))
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


def _operator(file: _File, problems: list[str]) -> Operator | None:
    """The operator of a file; a line where it, or a result of it, is damaged."""
    try:
        tensors = read_header(file.file)
    except ModelError as error:
        problems.append(str(error))
        return None
    found = []
    for tensor in tensors:
        label = f"{file.label} ({tensor.role} {tensor.index})"
        try:
            found.append(OpTensor(tensor.role, tensor.index, _stored(file, label, tensor), tensor.origin))
        except ModelError as error:
            if tensor.role == "output":
                problems.append(str(error))
    reads = sum(tensor.role == "input" for tensor in tensors)
    return Operator(file.device, file.label, tuple(found), reads)


def _stored(file: _File, label: str, tensor: RawTensor) -> Stored:
    """A tensor of the file. Raises ModelError where its header does not fit its bytes."""
    if not tensor.dtype:
        raise ModelError(f"{label}: its header does not say what kind of numbers it holds")
    needed = prod(tensor.shape) * itemsize(tensor.dtype, label)
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
