"""Which ONNX nodes is an operator of the device, and which values does it read and write?

By the OM's JSON where there is one. Else by name, and then an operator whose follower has no file of its own
may have it fused in: what it wrote is not taken for the value that its name says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from segdiff.core.graph import Op
from segdiff.readers.dumps.names import Meaning, Names, Role, collapsed
from segdiff.readers.dumps.om import OmOp

MAX_HOPS = 8
"""Operators in a row that a compiler inserts between two of the model (TransData, Cast, TransData)."""

_MOVES = frozenset(
    {"Cast", "Constant", "Dropout", "Flatten", "Identity", "Reshape", "Shape", "Squeeze", "Unsqueeze"}
)
"""Followers that change no number, fused or not."""


_COMMUTE = frozenset({"Add", "Max", "Min", "Mul", "Sum"})
"""Operators whose operands a compiler may exchange."""


@dataclass(frozen=True)
class Placed:
    """An operator of the device: its own name, its nodes by index, none where the compiler inserted it.

    ``om`` is what the map says of it. ``doubtful``: its name alone says what it is, and it may be more.
    """

    name: str
    nodes: frozenset[int]
    om: OmOp | None = None
    doubtful: bool = False


@dataclass(frozen=True)
class DeviceOps:
    """The operators of a device against the ONNX graph; ``om`` is empty where no map was given, ``dumped``
    are the collapsed names of those that have files."""

    names: Names
    om: Mapping[str, OmOp]
    dumped: frozenset[str]

    def placed(self, name: str) -> Placed | None:
        """The operator of a (collapsed) name; None where neither the map nor the graph knows it, or two have
        it."""
        if self.om:
            found = self._mapped.get(collapsed(name), ())
            return self._by_map(found[0]) if len(found) == 1 else None
        nodes = self._by_name(name)
        return Placed(name, frozenset(nodes), doubtful=self._may_be_more(nodes)) if nodes else None

    def unknown_nodes(self, placed: Placed) -> tuple[str, ...]:
        """The nodes that the map names and the graph does not have, of an operator that has none of it."""
        return () if placed.om is None or placed.nodes else placed.om.originals

    def origin(self, origin: tuple[str, int]) -> frozenset[Meaning]:
        """The value that a header names as a result's origin; the operator's nodes stay unknown."""
        name, index = origin
        return frozenset(
            Meaning(node.outputs[index]) for node in self._node(name) if name and index < len(node.outputs)
        )

    def operands(self, placed: Placed) -> int:
        """How many tensors its nodes read that none of them writes, weights as well."""
        graph = self.names.graph
        inner = {value for node in placed.nodes for value in graph.op(node).outputs}
        return len(
            {name for node in placed.nodes for name in graph.op(node).inputs if name and name not in inner}
        )

    @cached_property
    def _mapped(self) -> Mapping[str, tuple[OmOp, ...]]:
        found: dict[str, list[OmOp]] = {}
        for op in self.om.values():
            found.setdefault(collapsed(op.name), []).append(op)
        return {key: tuple(ops) for key, ops in found.items()}

    def _by_map(self, op: OmOp) -> Placed:
        nodes = [node for name in op.originals for node in self._node(name)]
        return Placed(op.name, frozenset(node.index for node in nodes), op)

    @cached_property
    def _to_the_letter(self) -> Mapping[str, Op]:
        return {op.name: op for op in self.names.graph.ops}

    @property
    def node_names(self) -> Collection[str]:
        """The names of the graph's nodes, to the letter."""
        return self._to_the_letter

    def _node(self, name: str) -> tuple[Op, ...]:
        """The one node of that name."""
        found = self._to_the_letter.get(name)
        if found is not None:
            return (found,)
        several = self.names.nodes.get(collapsed(name), ())
        return several if len(several) == 1 else ()

    def weights(self, placed: Placed) -> list[tuple[int, ...]]:
        """The shapes of the parameters that may stand at any place of what it reads.

        Those of several nodes in one, or of one whose operands can change places; none where the map says
        which operand is which.
        """
        graph = self.names.graph
        types = [graph.op(node).type for node in placed.nodes]
        if (placed.om is not None and placed.om.inputs) or (len(types) == 1 and types[0] not in _COMMUTE):
            return []
        names = {name for node in placed.nodes for name in graph.op(node).inputs if name in graph.parameters}
        return [graph.parameters[name].shape for name in names]

    # --- without a map

    def _by_name(self, name: str) -> tuple[int, ...]:
        found = self.names.nodes.get(collapsed(name), ())
        if found:
            return (found[0].index,) if len(found) == 1 else ()
        ways = _joined(collapsed(name), self.names.nodes)
        if len(ways) != 1:
            return ()
        nodes = [self.names.nodes[part] for part in ways[0]]
        return tuple(several[0].index for several in nodes) if all(len(one) == 1 for one in nodes) else ()

    def _may_be_more(self, nodes: Sequence[int]) -> bool:
        """Whether what follows may be in it: one node alone reads its result, and that one has no file."""
        graph = self.names.graph
        followers = {
            reader.index: reader
            for index in nodes
            for value in graph.op(index).outputs
            for reader in graph.consumers.get(value, ())
            if reader.index not in nodes
        }
        ends = {value for index in nodes for value in graph.op(index).outputs} & set(graph.outputs)
        if len(followers) != 1 or ends:
            return False
        (follower,) = followers.values()
        return follower.type not in _MOVES and follower.index not in self._with_files

    @cached_property
    def _with_files(self) -> frozenset[int]:
        """The nodes of all operators that have files, as far as names tell."""
        return frozenset(index for name in self.dumped for index in self._by_name(name))

    # --- what is read and written

    def grown(self, placed: Placed, origins: Collection[str]) -> Placed:
        """The operator with all nodes up to those that the header itself names as the origin of a result."""
        ends = {node.index for name in origins for node in self._node(name)}
        if placed.om is not None or not ends - placed.nodes:
            return placed
        found = set(placed.nodes) | ends
        for end in ends:
            for start in placed.nodes:
                found |= self._between(start, end)
        return Placed(placed.name, frozenset(found))

    def _between(self, start: int, end: int) -> set[int]:
        """The nodes on the ways from one to another; none where the one is not above the other."""
        graph = self.names.graph
        behind = {end}  # of those that the program has between them, which is all that can lie between
        todo = [end]
        while todo:
            above = [graph.producer.get(name) for name in graph.op(todo.pop()).inputs]
            new = {op.index for op in above if op is not None and op.index >= start} - behind
            behind |= new
            todo += new
        ahead = {start} & behind
        for index in sorted(behind):
            if any(op.index in ahead for op in map(graph.producer.get, graph.op(index).inputs) if op):
                ahead.add(index)
        return ahead

    def written(self, placed: Placed, index: int, origin: tuple[str, int]) -> frozenset[Meaning]:
        """The values that a result can be: the one that its header or the map names, else the one that leaves
        the operator's nodes."""
        said = origin if origin[0] else None
        if placed.om is not None and index < len(placed.om.outputs):
            said = placed.om.outputs[index] or said
        if said is not None:
            exact = {
                Meaning(node.outputs[said[1]], node.index)
                for node in self._node(said[0])
                if said[1] < len(node.outputs)
            }
            if exact:
                return frozenset(exact)
        if len(placed.nodes) == 1:
            return self._at(placed, index, "output")
        leaving = list(self._leaving(placed.nodes))
        return frozenset(leaving) if index < len(leaving) else frozenset()

    def read(self, placed: Placed, index: int) -> frozenset[Meaning]:
        """The values that an operand can be, none of them a weight."""
        if placed.om is not None and placed.om.inputs:
            if index >= len(placed.om.inputs):
                return frozenset()
            value = self._source(placed.om.inputs[index])
            return frozenset({Meaning(value, min(placed.nodes), "input")} if value else ())
        if len(placed.nodes) == 1:
            return self._at(placed, index, "input")
        return frozenset(self._entering(placed.nodes))

    def _at(self, placed: Placed, index: int, role: Role) -> frozenset[Meaning]:
        (node,) = placed.nodes
        op = self.names.graph.op(node)
        names = op.outputs if role == "output" else [name for name in op.inputs if name]
        known = index < len(names) and names[index] in self.names.known
        return frozenset({Meaning(names[index], node, role)} if known else ())

    def _leaving(self, nodes: frozenset[int]) -> Iterator[Meaning]:
        graph = self.names.graph
        for node in sorted(nodes):
            for value in graph.op(node).outputs:
                read = {reader.index for reader in graph.consumers.get(value, ())}
                if read - nodes or value in graph.outputs:
                    yield Meaning(value, node)

    def _entering(self, nodes: frozenset[int]) -> Iterator[Meaning]:
        graph = self.names.graph
        inner = {value for node in nodes for value in graph.op(node).outputs}
        for node in sorted(nodes):
            for value in graph.op(node).inputs:
                if value in self.names.known and value not in inner:
                    yield Meaning(value, min(nodes), "input")

    def _source(self, edge: tuple[str, int]) -> str | None:
        """The value that flows along an edge of the map, through what the compiler inserted."""
        for _ in range(MAX_HOPS):
            name, index = edge
            op = self.om.get(name)
            if op is None or (not op.originals and not op.inputs):  # an input of the model
                inputs = [one for one in self.names.graph.inputs if collapsed(one) == collapsed(name)]
                return inputs[0] if len(inputs) == 1 else None
            if op.originals:
                meanings = self.written(self._by_map(op), index, ("", 0))
                return next(iter(meanings)).value if len(meanings) == 1 else None
            edge = op.inputs[0]
        return None


def _joined(name: str, parts: Collection[str]) -> list[tuple[str, ...]]:
    """The ways, two at most, to write a name as several names in a row (``conv1relu1``)."""
    lengths = sorted({len(part) for part in parts if part})
    ways: list[list[tuple[str, ...]]] = [[()], *([] for _ in name)]
    for end in range(1, len(name) + 1):
        for length in lengths:
            if length > end:
                break
            part = name[end - length : end]
            if part in parts:
                ways[end] += [(*way, part) for way in ways[end - length]]
        del ways[end][2:]
    return ways[-1]
