"""Which value of the graph does Paddle's output hook speak of?

For a ``.pdmodel`` the hook names the variable, which may be written several times. For PIR it names an
instruction (``pd_op.conv2d:0``) and an anonymous variable (``<scope>_inner_var_20``), both numbered in
program order. The blocks inside an if or a while number their instructions from 0 again; their scopes tell
them apart.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from segdiff.core.graph import Graph, Op

Namer = Callable[[str, str], str | None]
"""``namer(op, variable)``: the value's name in the graph, or None where it cannot be told."""

_NUMBERED = re.compile(r"^(.*)_inner_var_(\d+)$")
_FETCHED = re.compile(r"^fetch_name_(\d+)$")

_CREATED = 19
"""Digits of a scope's name that say when it was made: nanoseconds since 1970, behind an address."""

BRANCHING = frozenset({"if", "while"})
"""PIR's ops with blocks of their own."""


def namer_for(graph: Graph, scope: str | None = None) -> Namer:
    """A namer for one run of this program; ``scope`` as :func:`outer_scope` tells it."""
    return InstructionNamer(graph, scope) if graph.format == "pir" else VariableNamer(graph)


def has_blocks(graph: Graph) -> bool:
    """Whether the hook will speak of values that are none of this graph's."""
    return graph.format == "pir" and any(op.type in BRANCHING for op in graph.ops)


def outer_scope(graph: Graph, heard: Iterable[tuple[str, str]]) -> str | None:
    """Of all that the hook was told in one run, (op, variable), the scope of the program itself.

    It was made before those of the blocks inside, and every instruction in it is the program's. None where
    the program's own values all have names.
    """
    ops: dict[str, list[str]] = defaultdict(list)
    for op, variable in heard:
        if numbered := _NUMBERED.match(variable):
            ops[numbered[1]].append(op)
    instructions = InstructionNamer(graph)
    whole = [scope for scope, told in ops.items() if all(instructions.find(op) for op in told)]
    return min(whole, key=lambda scope: scope[-_CREATED:], default=None)


class VariableNamer:
    """Counts the writes to each variable, as the reader does."""

    def __init__(self, graph: Graph) -> None:
        self.present = frozenset(graph.parameters) | frozenset(graph.inputs)
        self.writes: Counter[str] = Counter()

    def __call__(self, op: str, variable: str) -> str | None:
        """The SSA name of this write."""
        version = self.writes[variable] + (variable in self.present)
        self.writes[variable] += 1
        return f"{variable}@{version}" if version else variable


class InstructionNamer:
    """Finds the op by the instruction's number and its output by the variable's.

    Holds for an unoptimised program (measured on 30 of them): instruction k is the k-th op, not counting
    ``builtin.split``, which runs as no instruction. A variable of another ``scope`` than the program's lies
    inside a block and is none of the graph's; None where there are no blocks.
    """

    def __init__(self, graph: Graph, scope: str | None = None) -> None:
        self.scope = scope
        self.outputs = graph.outputs
        self.instructions = [op for op in graph.ops if op.type != "builtin.split"]
        self.results_before = results_before(graph)
        self.shift: int | None = None

    def __call__(self, op: str, variable: str) -> str | None:
        """The value behind an instruction's output."""
        found = self.find(op)
        return self._output(found, variable) if found else None

    def find(self, op: str) -> Op | None:
        """The op behind an instruction, None where the program has another op at its place."""
        kind, _, number = op.rpartition(":")
        if not number.isdigit() or int(number) >= len(self.instructions):
            return None
        found = self.instructions[int(number)]
        same = found.type == kind.removeprefix("pd_op.").removesuffix("_instruction").rstrip("_")
        return found if same else None

    def _output(self, op: Op, variable: str) -> str | None:
        if fetched := _FETCHED.match(variable):
            position = int(fetched[1])
            known = position < len(self.outputs) and self.outputs[position] in op.outputs
            return self.outputs[position] if known else None
        numbered = _NUMBERED.match(variable)
        if not numbered:
            return None  # a named variable is a parameter that the op updates, such as a running mean
        if self.scope is not None and numbered[1] != self.scope:
            return None
        number = int(numbered[2]) - self.results_before[op.index]
        if len(op.outputs) == 1:
            self.shift = number  # from here on the numbers tell which output of an op is meant
            return op.outputs[0]
        if self.shift is None:
            self.shift = number  # the program begins with this op, whose first output is shown first
        offset = number - self.shift
        return op.outputs[offset] if 0 <= offset < len(op.outputs) else None


def results_before(graph: Graph) -> dict[int, int]:
    """Op index -> how many results the ops before it have: Paddle numbers anonymous variables that way."""
    counts, total = {}, 0
    for op in graph.ops:
        counts[op.index] = total
        total += len(op.outputs)
    return counts
