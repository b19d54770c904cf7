"""Which operators does a device fuse, so that only the last result of them is stored? Groups of nodes.

A group is a Conv, ConvTranspose, Gemm or MatMul with what follows it and nothing else reads: the sum with
a constant, the batch norm (where the target folds it), the sum with a value that is there already (a
residual), and one activation. Any other op that computes is a group of its own; a batch norm that is not
folded takes the activation behind it. What only moves or chooses numbers rounds nothing and is in no group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdiff.half.kinds import ACTIVATIONS, AS_THEY_ARE, GATES, HEADS, MOVES
from segdiff.half.read import File
from segdiff.half.rounding import stored
from segdiff.half.targets import How


@dataclass(frozen=True)
class Group:
    """Nodes that are computed as one, by their index in the graph; none for an input of the model.

    ``names`` are theirs (the first output of one without a name), ``types`` their op types, ``value`` the
    first float that the last of them writes, ``outputs`` all floats that it writes.
    """

    nodes: tuple[int, ...]
    names: tuple[str, ...]
    types: tuple[str, ...]
    value: str
    outputs: tuple[str, ...]

    def is_named(self, chosen: frozenset[str]) -> bool:
        """Whether one of its nodes or values is among some names."""
        return not chosen.isdisjoint({*self.names, *self.outputs})


def groups_of(file: File, how: How) -> tuple[Group, ...]:
    """The groups in the order in which their last nodes stand, those of the inputs first."""
    found = [Group((), (), (), name, (name,)) for name in file.inputs if name in file.floats]
    taken: set[int] = set()
    grown = []
    for index, node in enumerate(file.nodes):
        if index in taken or not computes(file, how, index):
            continue
        members = grow(file, how, index, taken) if node.op_type in (*HEADS, "BatchNormalization") else [index]
        taken.update(members)
        grown.append(group(file, members))
    return (*found, *sorted(grown, key=lambda each: each.nodes[-1]))


def group(file: File, members: list[int]) -> Group:
    """Some nodes as a group."""
    nodes = [file.nodes[index] for index in members]
    outputs = tuple(name for name in nodes[-1].output if name in file.floats)
    return Group(
        tuple(members),
        tuple(node.name or node.output[0] for node in nodes),
        tuple(node.op_type for node in nodes),
        outputs[0],
        outputs,
    )


def computes(file: File, how: How, index: int) -> bool:
    """Whether a node makes floats that have to be rounded before they are stored."""
    node = file.nodes[index]
    written = [name for name in node.output if name in file.floats and name in file.activations]
    if not written:
        return False
    if node.op_type == "Resize" or node.op_type == "Upsample":
        mode = next((attr.s for attr in node.attribute if attr.name == "mode"), b"nearest")
        return bool(mode != b"nearest")
    if node.op_type not in MOVES:
        return True
    settings = AS_THEY_ARE.get(node.op_type, frozenset())
    numbers = [name for place, name in enumerate(node.input) if place not in settings]
    return any(changes(file, how, name) for name in numbers)


def changes(file: File, how: How, name: str) -> bool:
    """Whether a value is a constant that half precision changes, or computed of constants alone."""
    if name not in file.floats or name in file.activations:
        return False
    constant = file.constant(name)
    return constant is None or not np.array_equal(stored(constant, how), constant)


def grow(file: File, how: How, head: int, taken: set[int]) -> list[int]:
    """A head with what a device computes before it stores the result."""
    members = [head]

    def follower(*types: str) -> int | None:
        """The only reader of what the group has made so far, where it is of one of the types and free."""
        made = file.nodes[members[-1]].output[0]
        readers = file.readers.get(made, ())
        if len(readers) != 1 or readers[0] < 0 or readers[0] in taken:
            return None
        node = file.nodes[readers[0]]
        fits = node.op_type in types and len(node.output) == 1 and node.domain in ("", "ai.onnx")
        return readers[0] if fits else None

    if file.nodes[head].op_type in HEADS:
        following = follower("Add")
        if following is not None and _adds_constant(file, following):
            members.append(following)
        following = follower("BatchNormalization")
        if following is not None and how.batch_norm == "folded" and foldable(file, head):
            members.append(following)
        elif following is not None:
            return members
        following = follower("Add")
        if following is not None and _adds_known(file, following, members):
            members.append(following)
    following = follower(*ACTIVATIONS)
    if following is not None and _alone(file, following):
        members.append(following)
        return members
    return members + gate(file, members[-1], taken)


def foldable(file: File, head: int) -> bool:
    """Whether a batch norm behind a node can go into its weights."""
    node = file.nodes[head]
    return node.op_type in ("Conv", "ConvTranspose") and file.is_constant(node.input[1])


def gate(file: File, last: int, taken: set[int]) -> list[int]:
    """Swish as it is exported: a Sigmoid (or HardSigmoid) of the last result, and their product."""
    made = file.nodes[last].output[0]
    readers = sorted(set(file.readers.get(made, ())))
    if len(readers) != 2 or readers[0] < 0 or not taken.isdisjoint(readers):
        return []
    first, second = (file.nodes[index] for index in readers)
    same = sorted(second.input) == sorted([made, first.output[0]])
    if first.op_type in GATES and second.op_type == "Mul" and same:
        return readers if file.readers.get(first.output[0]) == (readers[1],) else []
    return []


def _adds_constant(file: File, index: int) -> bool:
    return any(file.is_constant(name) for name in file.nodes[index].input)


def _adds_known(file: File, index: int, members: list[int]) -> bool:
    """Whether an Add's other operand is an activation that is there before the group begins."""
    made = file.nodes[members[-1]].output[0]
    others = [name for name in file.nodes[index].input if name != made]
    if len(others) != 1 or others[0] not in file.activations:
        return False
    return file.producers.get(others[0], -1) < members[0]


def _alone(file: File, index: int) -> bool:
    """Whether an activation's other operands are constants."""
    return not any(name in file.activations for name in file.nodes[index].input[1:])
