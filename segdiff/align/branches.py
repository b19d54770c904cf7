"""What is a branch in a ``.pdmodel``? Two conditional blocks and the op that selects between them.

Other formats write one op for it, so here it becomes one: ``select_input`` reads what its blocks read. A
block whose branch is not taken writes nothing, so its own result cannot be looked at.
"""

from __future__ import annotations

from dataclasses import replace

from segdiff.core.graph import Graph, Op


def with_whole_branches(graph: Graph) -> tuple[Op, ...]:
    """The ops of a graph, each ``select_input`` reading its mask and what its blocks read."""
    blocks = {name: op for op in graph.ops if op.type == "conditional_block" for name in op.outputs}
    if not blocks:
        return graph.ops
    return tuple(_whole(op, blocks) if op.type == "select_input" else op for op in graph.ops)


def _whole(op: Op, blocks: dict[str, Op]) -> Op:
    reads: dict[str, str] = {}
    for slot, name in zip(op.slots, op.inputs, strict=True):
        if name not in blocks:
            reads[name] = slot
            continue
        block = blocks[name]
        captured = [n for s, n in zip(block.slots, block.inputs, strict=True) if s != "Cond"]
        reads |= {n: "captured" for n in captured if n not in reads}
    return replace(op, inputs=tuple(reads), slots=tuple(reads.values()))
