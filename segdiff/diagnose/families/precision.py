"""Does a number not fit in the type? What float16 cannot hold: too large, too small, or cut off beforehand.

The change is always the same: the operator computes in float32, between Casts. A value that overflows cannot
be handed on in float16 either, so the operators behind it follow, up to one that brings it back to size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Array, Graph, Op
from segdiff.core.precision import LARGEST, SMALLEST_STEP
from segdiff.diagnose.hypothesis import ANY, Hypothesis, family
from segdiff.diagnose.reading import weights
from segdiff.diagnose.reading.candidate_constants import Held, compatible, held_by, holds, laid
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.differences import cut_off
from segdiff.diagnose.reading.weights import Wanted

FLOAT, HALF = 1, 10
"""onnx.TensorProto's numbers of the two types."""

SETTLING = frozenset(
    [
        "sqrt",
        "rsqrt",
        "div",
        "log",
        "sigmoid",
        "tanh",
        "softmax",
        "log_softmax",
        "batch_norm",
        "layer_norm",
        "instance_norm",
        "group_norm",
        "norm",
        "clip",
        "hard_sigmoid",
        "reciprocal",
        "arg_max",
        "arg_min",
        "top_k",
    ]
)
"""Kinds that bring a large or tiny number back to a size that float16 holds."""

LONGEST = 8
"""Operators that may follow one another in float32."""


@family(ANY)
def half(case: Case, op: Op) -> Iterator[Hypothesis]:
    """What float16 does to a segment, asked once (at its first node)."""
    if op is not case.nodes[0] or not any(form[0] == "float16" for form in case.forms.values()):
        return
    cut, right = _constants(case)
    yield from (_with_constant(case, found, right) for found in cut)
    yield from _results(case, right)


@dataclass(frozen=True, eq=False)
class CutOff:
    """A constant that the type does not hold, with the reference's in its place."""

    held: Held
    want: Wanted
    array: Array
    kind: str
    words: str


def _constants(case: Case) -> tuple[list[CutOff], dict[tuple[int, int], Array]]:
    """Constants that the type has cut off; and for every op and input position the reference's constant."""
    forms = [found for op in case.reference_ops if (found := weights.affine_forms(case, op))]
    asked = weights.wanted(case, forms)
    cut: list[CutOff] = []
    right: dict[tuple[int, int], Array] = {}
    for held in held_by(case):
        usable = [want for want in asked if compatible(held, want)] if held.array.dtype == np.float16 else []
        for want, array in ((each, a) for each in usable for a in laid(held, each.array)):
            words = cut_off(held.array, array)
            if words or holds(held, array):
                right[held.op.index, int(held.slot)] = array
                cut += [CutOff(held, want, array, *words)] if words else []
                break
    return cut, right


def _with_constant(case: Case, found: CutOff, right: Mapping[tuple[int, int], Array]) -> Hypothesis:
    """The operator in float32 with the reference's constants; a tiny one must be handed on in float32 too."""
    op = found.held.op
    text = (
        f"the reference's {found.want.words} goes {found.words} for float16; "
        f"{op.type} needs float32 and the right {found.held.role or 'constant'} there"
    )
    ops = followed(case.candidate, [op]) if found.kind == "precision.underflow" else [op]
    return Hypothesis(found.kind, text, in_float32(case.candidate, ops, case.forms, right), expected=True)


def _results(case: Case, right: Mapping[tuple[int, int], Array]) -> Iterator[Hypothesis]:
    """A result that is infinite, or gone, where the reference's is a number that float16 does not hold."""
    computing = [op for op in case.ops if kind_of(op) != "cast"]
    for kind, lost in (("precision.overflow", _overflows), ("precision.underflow", _vanishes)):
        ends = [c for c in case.truth if c in case.got and lost(case.got[c], case.truth[c])]
        if not ends or not computing:
            continue
        edits = in_float32(case.candidate, followed(case.candidate, computing), case.forms, right)
        largest = max(float(np.abs(case.truth[c]).max()) for c in ends)
        what = (
            f"makes numbers up to {largest:.3g}, and float16 ends at {LARGEST['float16']:.0f}"
            if kind == "precision.overflow"
            else f"makes numbers of {largest:.3g} at the most, which float16 rounds to nothing"
        )
        yield Hypothesis(kind, f"{computing[-1].type} {what}; it needs float32", edits, expected=True)


def _overflows(got: Array, truth: Array) -> bool:
    """Whether float16 ends before the reference's numbers do, also where a constant cut off hides it."""
    if got.dtype != np.float16 or not np.isfinite(truth).all():
        return False
    return bool((~np.isfinite(got)).any()) or float(np.abs(truth).max(initial=0)) > LARGEST["float16"]


def _vanishes(got: Array, truth: Array) -> bool:
    if got.dtype != np.float16 or got.shape != truth.shape:
        return False
    gone = (got == 0) & (truth != 0)
    return bool(gone.any()) and float(np.abs(truth).max()) < 2**10 * SMALLEST_STEP


def followed(graph: Graph, start: Iterable[Op]) -> list[Op]:
    """The ops, and those behind them until one brings the values back to size."""
    found = {op.index: op for op in start}
    queue = [(op, 0) for op in found.values()]
    while queue:
        op, depth = queue.pop(0)
        if kind_of(op) in SETTLING or depth >= LONGEST or set(op.outputs) & set(graph.outputs):
            continue
        for name in op.outputs:
            for reader in graph.consumers.get(name, ()):
                if reader.index not in found and kind_of(reader) != "cast":
                    found[reader.index] = reader
                    queue.append((reader, depth + 1))
    return [found[index] for index in sorted(found)]


def in_float32(
    graph: Graph,
    ops: list[Op],
    forms: Mapping[str, tuple[str, tuple[int, ...]]],
    constants: Mapping[tuple[int, int], Array] | None = None,
) -> tuple[Edit, ...]:
    """The edits that make ops compute in float32 and hand float32 on among themselves.

    ``constants`` are others in the place of theirs, by op and input position. What leaves the group is cast
    back to float16, where it leaves: behind an op whose values all go outside, in front of the reader else.
    """
    inside = {op.index for op in ops}
    wide = {name for op in ops for name in op.outputs if _stays_wide(graph, op, name, inside)}
    readers = {r.index: r for name in wide for r in graph.consumers.get(name, ()) if r.index not in inside}
    edits = [_widened(graph, op, wide, forms, constants or {}) for op in ops]
    return (*edits, *(_narrowing(reader, wide) for reader in readers.values()))


def _stays_wide(graph: Graph, op: Op, name: str, inside: set[int]) -> bool:
    """Whether a value is handed on in float32: someone inside reads it, and nobody receives it."""
    if kind_of(op) in SETTLING or name in graph.outputs or not _is_half(graph, name, {}):
        return False
    return any(reader.index in inside for reader in graph.consumers.get(name, ()))


def _is_half(graph: Graph, name: str, forms: Mapping[str, tuple[str, tuple[int, ...]]]) -> bool:
    """Whether a tensor is float16, as far as the run or the file tell; a value of no known type is."""
    if name in graph.parameters:
        return graph.parameters[name].dtype == "float16"
    return (forms[name][0] if name in forms else graph.value(name).dtype or "float16") == "float16"


def _widened(
    graph: Graph,
    op: Op,
    wide: set[str],
    forms: Mapping[str, tuple[str, tuple[int, ...]]],
    constants: Mapping[tuple[int, int], Array],
) -> Edit:
    before: list[Node] = []
    inputs: list[Operand] = [None] * (1 + max((int(s) for s in op.slots if s.isdigit()), default=-1))
    for slot, name in zip(op.slots, op.inputs, strict=True):
        if not slot.isdigit():
            continue
        place = int(slot)
        if (op.index, place) in constants:
            inputs[place] = constants[op.index, place].astype(np.float32)
        elif name in wide or not _is_half(graph, name, forms):
            inputs[place] = name
        elif name in graph.parameters:
            inputs[place] = graph.parameters[name].load().astype(np.float32)
        else:
            cast = f"{op.outputs[0]}.{place}.float"
            before.append(Node("Cast", (name,), (cast,), {"to": FLOAT}))
            inputs[place] = cast
    narrow = [name for name in op.outputs if name not in wide and _is_half(graph, name, forms)]
    outputs = tuple(f"{name}.float" if name in narrow else name for name in op.outputs)
    domain, _, op_type = op.type.rpartition(".")
    after = [Node("Cast", (f"{name}.float",), (name,), {"to": HALF}) for name in narrow]
    node = Node(op_type, tuple(inputs), outputs, dict(op.attributes), domain)
    return Edit(op.outputs[0], nodes=(*before, node, *after))


def _narrowing(reader: Op, wide: set[str]) -> Edit:
    """A node outside that reads what is float32 now: it gets its float16 back."""
    before: list[Node] = []
    inputs: list[Operand] = [None] * (1 + max(int(s) for s in reader.slots if s.isdigit()))
    for slot, name in zip(reader.slots, reader.inputs, strict=True):
        if slot.isdigit():
            inputs[int(slot)] = name
            if name in wide:
                cast = f"{reader.outputs[0]}.{slot}.half"
                before.append(Node("Cast", (name,), (cast,), {"to": HALF}))
                inputs[int(slot)] = cast
    domain, _, op_type = reader.type.rpartition(".")
    node = Node(op_type, tuple(inputs), reader.outputs, dict(reader.attributes), domain)
    return Edit(reader.outputs[0], nodes=(*before, node))
