"""What did an optimiser do to a graph? Two saved ONNX graphs, before and after, node by node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
import onnx

from segdiff.core.answer import OpInfo


@dataclass(frozen=True)
class Rewriting:
    """Nodes of one place that went, and the nodes that came for them (none where they became a constant)."""

    before: tuple[OpInfo, ...]
    after: tuple[OpInfo, ...]

    def __str__(self) -> str:
        went = " + ".join(op.type for op in self.before) or "nothing"
        came = " + ".join(op.type for op in self.after) or "a constant"
        return f"{went} into {came} at '{self.output}'"

    @property
    def output(self) -> str:
        """The last tensor that the place makes."""
        return (self.after or self.before)[-1].outputs[0]


def rewritings(before: Path, after: Path) -> tuple[Rewriting, ...]:
    """Where two graphs differ, place by place in program order. Names of nodes do not count."""
    old, new = nodes(before), nodes(after)
    went = [node for key, node in old.items() if key not in new]
    came = [node for key, node in new.items() if key not in old]
    return tuple(
        Rewriting(
            tuple(told(node) for node in went if set(node.output) & place),
            tuple(told(node) for node in came if set(node.output) & place),
        )
        for place in places(went, came)
    )


def nodes(file: Path) -> dict[bytes, onnx.NodeProto]:
    """The nodes of a file, each by all that it is but its name."""
    model = onnx.load(str(file), load_external_data=False)
    opsets = {each.domain: each.version for each in model.opset_import}
    return {identity(node, opsets.get(node.domain, 1)): node for node in model.graph.node}


def identity(node: onnx.NodeProto, opset: int) -> bytes:
    """What a node is: its name left out, and attributes that say no more than the default does."""
    bare = onnx.NodeProto(op_type=node.op_type, domain=node.domain, input=node.input, output=node.output)
    defaults = default_attributes(node, opset)
    given = {each.name: each.SerializeToString(deterministic=True) for each in node.attribute}
    told = sorted(name for name, value in given.items() if value != defaults.get(name))
    return bytes(bare.SerializeToString(deterministic=True)) + b"".join(given[name] for name in told)


def default_attributes(node: onnx.NodeProto, opset: int) -> dict[str, bytes]:
    """The operator's defaults; none for one that onnx does not know."""
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    except onnx.defs.SchemaError:
        return {}
    values = {name: each.default_value for name, each in schema.attributes.items()}
    return {name: value.SerializeToString(deterministic=True) for name, value in values.items() if value.name}


def places(went: Sequence[onnx.NodeProto], came: Sequence[onnx.NodeProto]) -> list[set[str]]:
    """Tensors that changed nodes make, in groups that hang together by tensors which only one side has."""
    listed = [*went, *came]
    ends = made_by(went) & made_by(came)
    inner = made_by(listed) - ends
    graph = nx.Graph()
    for node in listed:
        outputs = [name for name in node.output if name]
        graph.add_edges_from((outputs[0], name) for name in (*outputs, *inner.intersection(node.input)))
    order = {name: place for place, name in enumerate(name for node in listed for name in node.output)}
    return sorted(nx.connected_components(graph), key=lambda names: min(order[name] for name in names))


def made_by(nodes: Iterable[onnx.NodeProto]) -> set[str]:
    """Names of all tensors that nodes make."""
    return {name for node in nodes for name in node.output if name}


def told(node: onnx.NodeProto) -> OpInfo:
    """A node as reports show it."""
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    op_type = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    return OpInfo(op_type, node.name, tuple(node.output), attributes)
