"""Which value of the graph does Paddle's output hook speak of?

For a ``.pdmodel`` the hook names the variable, which may be written several times. For PIR it names an
instruction (``pd_op.conv2d:0``) and an anonymous variable (``…_inner_var_20``); instructions follow program
order, without the ops that were folded into constants, and anonymous variables are numbered in that order.
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
    """Follows the program op by op while the instructions come in."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.folded = foldable(graph)
        self.position = -1
        self.instruction = ""
        self.current: Op | None = None
        self.results_before = results_before(graph, self.folded)
        self.shift: int | None = None

    def __call__(self, op: str, variable: str) -> str | None:
        """The value behind an instruction's output."""
        if op != self.instruction:
            self.instruction = op
            self.current = self._advance(op)
        return self._output(self.current, variable) if self.current else None

    def _advance(self, instruction: str) -> Op | None:
        """The next op of the instruction's type: those that run come before those that may be folded."""
        kind = instruction.rpartition(":")[0].removeprefix("pd_op.").rstrip("_")
        for skip_folded in (True, False):
            for position in range(self.position + 1, len(self.graph.ops)):
                op = self.graph.ops[position]
                if op.type == kind and not (skip_folded and op.index in self.folded):
                    self.position = position
                    return op
        return None

    def _output(self, op: Op, variable: str) -> str | None:
        if fetched := _FETCHED.match(variable):
            number = int(fetched[1])
            known = number < len(self.graph.outputs) and self.graph.outputs[number] in op.outputs
            return self.graph.outputs[number] if known else None
        numbered = _NUMBERED.search(variable)
        if not numbered:
            return None  # a named variable is a parameter that the op updates, such as a running mean
        number = int(numbered[1]) - self.results_before[op.index]
        if len(op.outputs) == 1:
            self.shift = number  # from here on the numbers tell which output of an op is meant
            return op.outputs[0]
        offset = number - (self.shift or 0)
        return op.outputs[offset] if 0 <= offset < len(op.outputs) else None


def results_before(graph: Graph, folded: frozenset[int]) -> dict[int, int]:
    """Op index -> how many results the ops before it have: Paddle numbers anonymous variables that way."""
    counts, total = {}, 0
    for op in graph.ops:
        counts[op.index] = total
        total += 0 if op.index in folded else len(op.outputs)
    return counts


def foldable(graph: Graph) -> frozenset[int]:
    """Indices of the ops that hang on parameters and constants alone: Paddle computes them beforehand."""
    constant = set(graph.parameters)
    found = set()
    for op in graph.ops:
        if all(name in constant for name in op.inputs):
            found.add(op.index)
            constant.update(op.outputs)
    return frozenset(found)

