"""Which value of the graph does Paddle's output hook speak of?

For a ``.pdmodel`` the hook names the variable, which may be written several times. For PIR it names an
instruction (``pd_op.conv2d:0``) and an anonymous variable (``…_inner_var_20``), both numbered in program
order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from segdiff.graph import Graph, Op

Namer = Callable[[str, str], str | None]
"""``namer(op, variable)``: the value's name in the graph, or None where it cannot be told."""

_NUMBERED = re.compile(r"_inner_var_(\d+)$")
_FETCHED = re.compile(r"^fetch_name_(\d+)$")


def namer_for(graph: Graph) -> Namer:
    """A namer for one run of this program."""
    return InstructionNamer(graph) if graph.format == "pir" else VariableNamer(graph)


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
    ``builtin.split``, which runs as no instruction.
    """

    def __init__(self, graph: Graph) -> None:
        self.outputs = graph.outputs
        self.instructions = [op for op in graph.ops if op.type != "builtin.split"]
        self.results_before = results_before(graph)
        self.shift: int | None = None

    def __call__(self, op: str, variable: str) -> str | None:
        """The value behind an instruction's output."""
        kind, _, number = op.rpartition(":")
        if not number.isdigit() or int(number) >= len(self.instructions):
            return None
        found = self.instructions[int(number)]
        same = found.type == kind.removeprefix("pd_op.").rstrip("_")
        return self._output(found, variable) if same else None

    def _output(self, op: Op, variable: str) -> str | None:
        if fetched := _FETCHED.match(variable):
            position = int(fetched[1])
            known = position < len(self.outputs) and self.outputs[position] in op.outputs
            return self.outputs[position] if known else None
        numbered = _NUMBERED.search(variable)
        if not numbered:
            return None  # a named variable is a parameter that the op updates, such as a running mean
        number = int(numbered[1]) - self.results_before[op.index]
        if len(op.outputs) == 1:
            self.shift = number  # from here on the numbers tell which output of an op is meant
            return op.outputs[0]
        offset = number - (self.shift or 0)
        return op.outputs[offset] if 0 <= offset < len(op.outputs) else None


def results_before(graph: Graph) -> dict[int, int]:
    """Op index -> how many results the ops before it have: Paddle numbers anonymous variables that way."""
    counts, total = {}, 0
    for op in graph.ops:
        counts[op.index] = total
        total += len(op.outputs)
    return counts


def undelivered(graph: Graph) -> frozenset[str]:
    """Values that Paddle never shows to the hook: tensor lists and their parts."""
    if graph.format != "pir":
        return frozenset()
    lists = [op for op in graph.ops if op.type.startswith("builtin.")]
    return frozenset(name for op in lists for name in (*op.outputs, *op.inputs[: op.type == "builtin.split"]))
