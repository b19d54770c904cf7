"""Which ONNX value does the name of a dumped file mean?

Writers collapse what a file name cannot hold (``/ : . \\`` and space become ``_``), number their files, add
the index of the output, its shape, the time. Every reading of a name that the graph knows is kept; a name
that means two values means none, unless the sizes decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from segdiff.core.graph import Graph, Op

Role = Literal["output", "input"]


@dataclass(frozen=True, order=True)
class Meaning:
    """An ONNX value; ``op`` is the index of the node that was seen to read or write it, -1 where the name
    is the tensor's own."""

    value: str
    op: int = -1
    role: Role = "output"


@dataclass(frozen=True)
class DeviceName:
    """The name of a raw Ascend dump, taken apart: ``name`` is the operator's, collapsed."""

    type: str
    name: str


def collapsed(name: str) -> str:
    """The name as a writer of files leaves it."""
    return re.sub(r"[^\w-]", "_", name)


@dataclass(frozen=True)
class Names:
    """What can be meant: the values and nodes of a graph, by their collapsed names.

    ``keeps`` says that the dump is seen to keep the signs that others collapse, so that a name that is a
    value's to the letter means that value.
    """

    graph: Graph
    keeps: bool = False

    @cached_property
    def values(self) -> Mapping[str, tuple[str, ...]]:
        """Collapsed name -> the values that have it."""
        found: dict[str, list[str]] = {}
        for name in self.known:
            found.setdefault(collapsed(name), []).append(name)
        return {key: tuple(names) for key, names in found.items()}

    @cached_property
    def known(self) -> frozenset[str]:
        """Every value that flows: inputs and what the nodes write."""
        return frozenset(self.graph.inputs) | {name for op in self.graph.ops for name in op.outputs if name}

    @cached_property
    def nodes(self) -> Mapping[str, tuple[Op, ...]]:
        """Collapsed name of a node -> the nodes that have it."""
        found: dict[str, list[Op]] = {}
        for op in self.graph.ops:
            found.setdefault(collapsed(op.name), []).append(op)
        return {key: tuple(ops) for key, ops in found.items()}

    @cached_property
    def constants(self) -> frozenset[str]:
        """Collapsed names of what the file holds itself: weights, and what its Constant nodes write."""
        return frozenset(map(collapsed, self.graph.parameters))

    def constant(self, name: str) -> bool:
        """Whether the name is a constant of the file: a runtime that shows every tensor shows these, too."""
        numbered = _NUMBERED.fullmatch(name)
        return bool({collapsed(name), collapsed(numbered["rest"] if numbered else name)} & self.constants)

    def letters(self, name: str) -> bool:
        """Whether the name is a value's to the letter, with a sign in it that others collapse."""
        return name in self.known and collapsed(name) != name

    def meanings(self, name: str) -> frozenset[Meaning]:
        """Everything that a file's name, its suffix taken off, can mean; nothing where it means nothing."""
        if name in self.known:
            alike = self.values[collapsed(name)]
            if self.keeps or collapsed(name) != name or len(alike) == 1:
                return frozenset({Meaning(name)})
            return frozenset(map(Meaning, alike))
        return frozenset(self._read(name))

    def _read(self, name: str) -> Iterator[Meaning]:
        """Every reading of a name that is no value's to the letter."""
        yield from self._tensor(name)
        numbered = _NUMBERED.fullmatch(name)
        if numbered:
            yield from self._tensor(numbered["rest"])
        for pattern in (_ROLE, _TIMED):
            match = pattern.fullmatch(name)
            if match:
                yield from self._indexed(match)
                return
        yield from self._bare_node(name)

    def _tensor(self, name: str) -> Iterator[Meaning]:
        for text in dict.fromkeys((name, name.removesuffix("_to_float"))):
            yield from map(Meaning, self.values.get(collapsed(text), ()))

    def _indexed(self, match: re.Match[str]) -> Iterator[Meaning]:
        """``name.output.0``, ``name.0.1700000000000000``, ``input_name.1.17…``."""
        groups, index = match.groupdict(), int(match["index"])
        role: Role = "input" if groups.get("role") == "input" else "output"
        name = match["name"]
        device = device_name(name)
        texts = {name} if device is None else {device.name}
        for text in texts:
            yield from self.node(text, index, role)
            if role == "output" and index == 0:
                yield from map(Meaning, self.values.get(collapsed(text), ()))
        if not groups.get("role") and name.startswith("input_"):
            yield from self.node(name.removeprefix("input_"), index, "input")

    def node(self, name: str, index: int, role: Role) -> Iterator[Meaning]:
        """What the nodes of that name read or write at a place."""
        for op in self.nodes.get(collapsed(name), ()):
            names = op.outputs if role == "output" else op.inputs
            if index < len(names) and names[index] in self.known:
                yield Meaning(names[index], op.index, role)

    def _bare_node(self, name: str) -> Iterator[Meaning]:
        for op in self.nodes.get(collapsed(name), ()):
            if len(op.outputs) == 1:
                yield from self.node(name, 0, "output")
        match = _AT.fullmatch(name)
        if match:
            yield from self.node(match["name"], int(match["index"]), "output")


@dataclass(frozen=True)
class DeviceTensor:
    """The name of a tensor that msaccucmp converted: its operator, which of its tensors it is, and whether
    the name has the shape, which it has where the layout was converted as well."""

    device: DeviceName
    role: Role
    index: int
    shaped: bool


def device_tensor(text: str, long_names: Mapping[str, str]) -> DeviceTensor | None:
    """The name of a converted tensor, taken apart; ``long_names`` are those that stand as digits."""
    match = _ROLE.fullmatch(text)
    device = device_name(long_names.get(match["name"], match["name"])) if match else None
    if match is None or device is None:
        return None
    role: Role = "input" if match["role"] == "input" else "output"
    return DeviceTensor(device, role, int(match["index"]), match["shape"] is not None)


def device_name(text: str) -> DeviceName | None:
    """Type and name in the file name of a raw Ascend dump, with or without ``.output.0`` cut off before.

    Either five fields ``type.name.task.stream.time``, or nine or ten that end in the device's number.
    """
    match = _RAW.fullmatch(text) if len(text) <= MAX_NAME else None
    return DeviceName(match["type"], match["name"]) if match else None


MAX_NAME = 8192
"""Letters of an operator's name; where many nodes are fused, some hundred for each."""

_NUMBERED = re.compile(r"\d{4,}_(?P<rest>.+)", re.DOTALL)
_ROLE = re.compile(
    r"(?P<name>.+)\.(?P<role>output|input)\.(?P<index>\d{1,4})(?:\.(?P<shape>\d{1,12}(?:[x_]\d{1,12})*))?",
    re.DOTALL,
)
_TIMED = re.compile(r"(?P<name>.+)\.(?P<index>\d{1,4})\.\d{10,20}", re.DOTALL)
_AT = re.compile(r"(?P<name>.+)[_.:](?P<index>\d{1,4})", re.DOTALL)
_RAW = re.compile(
    r"(?P<type>[^./]+)\.(?P<name>[^./]+)\.\d{1,10}(?:\.\d{1,10})?\.\d{10,20}"
    r"(?:\.\d{1,10}\.\d{1,10}\.\d{1,10}\.\d{1,10})?"
)
