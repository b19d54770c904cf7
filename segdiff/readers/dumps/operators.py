"""What did the operators of an Ascend NPU read and write? Their tensors -> sightings of ONNX values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.readers.dumps.device_ops import DeviceOps, Placed
from segdiff.readers.dumps.gather import Sighting, shown, without_ones
from segdiff.readers.dumps.listing import Listing
from segdiff.readers.dumps.names import DeviceName, Names, Role
from segdiff.readers.dumps.om import OmOp, read_om
from segdiff.readers.dumps.stored import Stored


@dataclass(frozen=True)
class OpTensor:
    """A tensor of an operator; ``origin`` is the ONNX node and output that its header names, ("", 0) where it
    names none."""

    role: Role
    index: int
    stored: Stored
    origin: tuple[str, int] = ("", 0)


@dataclass(frozen=True)
class Operator:
    """An operator that was dumped: ``label`` is how a line about it calls it, ``reads`` how many tensors it
    read, of which not all need be there."""

    device: DeviceName
    label: str
    tensors: tuple[OpTensor, ...]
    reads: int


@dataclass
class _Found:
    """What was found so far."""

    sightings: list[Sighting] = field(default_factory=list)
    nodes: dict[str, frozenset[int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    inserted: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ReadOperators:
    """The sightings, the nodes of every operator by its name, and what is to be told."""

    sightings: tuple[Sighting, ...]
    nodes: Mapping[str, frozenset[int]]
    problems: tuple[str, ...]
    remarks: tuple[str, ...]


def read_operators(operators: Sequence[Operator], graph: Graph, map_file: Path | None) -> ReadOperators:
    """The tensors of the operators as values of the graph. Raises ModelError where the map cannot be read."""
    om: Mapping[str, OmOp] = read_om(map_file) if map_file else {}
    ops = DeviceOps(Names(graph), om, frozenset(operator.device.name for operator in operators))
    found = _Found()
    for operator in operators:
        placed = ops.placed(operator.device.name)
        if placed is None:
            _by_header(ops, operator, map_file, found)
        elif ops.unknown_nodes(placed):
            names = shown(ops.unknown_nodes(placed))
            found.problems.append(f"{operator.label}: stands for {names}, which {graph.path.name} has not")
        elif not placed.nodes:
            found.inserted.append(placed.name)
        else:
            _by_place(ops, placed, operator, found)
    return ReadOperators(
        tuple(found.sightings), found.nodes, (*found.problems, *_doubts(found)), _remarks(found)
    )


def _by_header(ops: DeviceOps, operator: Operator, map_file: Path | None, found: _Found) -> None:
    """The results of an operator that no name places: what its header calls their origin."""
    known = [
        Sighting(tensor.stored, meanings)
        for tensor in operator.tensors
        if tensor.role == "output" and (meanings := ops.origin(tensor.origin))
    ]
    found.sightings += known
    if not known:
        graph = ops.names.graph.path.name
        place = map_file.name if map_file else f"{graph}, as far as names tell"
        found.problems.append(
            f"{operator.label}: {operator.device.name} is none, or more than one, of the operators of {place}"
        )


def _by_place(ops: DeviceOps, placed: Placed, operator: Operator, found: _Found) -> None:
    """The tensors of an operator whose nodes are known."""
    outputs = [tensor for tensor in operator.tensors if tensor.role == "output"]
    origins = {tensor.origin[0] for tensor in outputs if tensor.origin[0]}
    if origins and all(tensor.origin[0] in ops.node_names for tensor in outputs):
        placed = ops.grown(replace(placed, doubtful=False), origins)
    found.nodes[placed.name] = placed.nodes
    if placed.doubtful and outputs:
        found.doubtful.append(placed.name)
    elif outputs:
        for tensor in outputs:
            meanings = ops.written(placed, tensor.index, tensor.origin)
            if meanings:
                found.sightings.append(Sighting(tensor.stored, meanings, placed.name))
            else:
                found.problems.append(
                    f"{operator.label}: its output {tensor.index} is no value of the ONNX file"
                )
    if placed.om is None and operator.reads > ops.operands(placed):
        return  # it reads more than the nodes of its name do, so it is more than these
    weights = frozenset(map(without_ones, ops.weights(placed)))
    for tensor in operator.tensors:
        meanings = ops.read(placed, tensor.index) if tensor.role == "input" else frozenset()
        if meanings:
            found.sightings.append(Sighting(tensor.stored, meanings, placed.name, weights))


def _doubts(found: _Found) -> list[str]:
    """A line about operators that may be more than their name says."""
    if not found.doubtful:
        return []
    who = "1 operator" if len(found.doubtful) == 1 else f"{len(found.doubtful)} operators"
    return [
        f"{who} may have the next one fused in, which has no file of its own ({shown(found.doubtful)}): "
        "give the OM's JSON as the map (not used)"
    ]


def _remarks(found: _Found) -> tuple[str, ...]:
    """A line about operators that the ONNX file does not have."""
    if not found.inserted:
        return ()
    who = "1 operator is" if len(found.inserted) == 1 else f"{len(found.inserted)} operators are"
    return (f"{who} the compiler's own ({shown(found.inserted)})",)


def one_run(listing: Listing, operators: Sequence[tuple[Path, DeviceName]]) -> None:
    """ModelError where several folders hold the same operators: a run each. ``operators`` are those of every
    file."""
    folders: dict[DeviceName, set[Path]] = {}
    for file, name in operators:
        folders.setdefault(name, set()).add(file.parent)
    runs = sorted(
        {listing.name(folder) for several in folders.values() if len(several) > 1 for folder in several}
    )
    if runs:
        raise ModelError(f"{listing.root}: holds {len(runs)} runs ({shown(runs)}); give the folder of one")
