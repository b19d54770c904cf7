"""Could an error that the norm of a tensor hides be seen further on? Then one looks there.

A constant of 1e-8 that is lost from a softmax errs by nothing that its norm shows, and the logarithm behind
it errs by percents, though both are right on the reference's tensors. Operators that make so much of so
little are few. They, and up to three segments above each, also run on what the candidate has made itself, so
that such an error is not lost between two segments; where it leaps up, the whole walk is made on the
candidate's own tensors. What a segment makes of the reference's stands for its own until they are told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from segdiff.align import Segment
from segdiff.align.view import view_of
from segdiff.core.errors import EngineError
from segdiff.core.graph import Graph, Op
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.precision import EPSILON
from segdiff.engines import Tensor
from segdiff.walk.probe import Probe
from segdiff.walk.steps import error_size
from segdiff.walk.upstream import upstream

ABOVE = 3
"""Segments above one that amplifies: as many as are judged together with it (``verify.surfacing``)."""

VISIBLE = 500.0
"""Units of the arithmetic from which an error is asked about: 6e-5 in float32."""

GROWS = 100.0
"""By how much more an error is out than in. Operators that amplify as much are few, and their own rounding
acquits them."""

AMPLIFIES: Mapping[str, tuple[int, ...]] = {
    **dict.fromkeys(
        ("Log", "Reciprocal", "Sqrt", "Tan", "Acos", "Asin", "Atanh", "Acosh", "Exp", "Sinh", "Cosh"), (0,)
    ),
    **dict.fromkeys(
        ("Sign", "Floor", "Ceil", "Round", "ArgMax", "ArgMin", "TopK", "Hardmax", "NonZero"), (0,)
    ),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mod", "Pow"), (0, 1)),
    "Div": (1,),
    "NonMaxSuppression": (0, 1),
}
"""Operators that may make any error of a small one, and of which inputs: near zero, at an edge."""

INTEGERS = frozenset(range(2, 8)) | {9, 12, 13}
"""The types of ONNX to which a Cast cuts a float off."""

AVERAGES = frozenset(
    {"ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare", "ReduceL1", "GlobalAveragePool"}
)
"""What is made of a whole tensor stands for its norm: what divides by it amplifies nothing."""

LENGTHS = frozenset({"Shape", "Size"})
"""What is made of these depends on how long a tensor is, and on none of its numbers."""


@dataclass
class Hidden:
    """The segments that are looked at so, by what they end in, and what the candidate has made there."""

    watched: frozenset[Segment] = frozenset()
    read: frozenset[str] = frozenset()
    own: dict[str, Tensor] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)

    def feeds(self, segment: Segment, given: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        """What the segment reads of the candidate's own; None where that is nothing that is known."""
        mine = {c: self.own[c] for _, c in segment.inputs if c in self.own}
        return {**given, **mine} if mine else None

    def keep(self, made: Mapping[str, Tensor], errors: Mapping[str, Comparison]) -> None:
        """Remember what a segment has made, as far as another that is looked at reads it."""
        for c in self.read & errors.keys():
            self.own[c], self.errors[c] = made[c], error_size(errors[c])

    def leaps(self, segment: Segment, errors: Mapping[str, Comparison]) -> bool:
        """Whether far more error comes out of a segment than goes in."""
        before = max([EPSILON, *(self.errors.get(c, 0.0) for _, c in segment.inputs)])
        return any(
            error.mismatch is not None or error_size(error) > max(VISIBLE * EPSILON, GROWS * before)
            for error in errors.values()
        )


def look_behind(
    hidden: Hidden,
    probe: Probe,
    segment: Segment,
    given: Mapping[str, Tensor],
    isolated: Mapping[str, Tensor],
    truths: Mapping[str, Tensor],
) -> bool:
    """Whether an error leaps up that the reference's tensors do not show; what the segment makes is kept.

    ``given`` is what it is fed of the reference's, ``isolated`` what it makes of that, ``truths`` are the
    reference's tensors in the place of these.
    """
    made, feeds = isolated, hidden.feeds(segment, given)
    if feeds is not None:
        try:
            made = probe.run(segment, feeds, list(truths))
        except EngineError:  # it refuses its own tensors: the walk on these tells why
            return True
    errors = {c: compare_arrays(truth.array, made[c].array) for c, truth in truths.items()}
    leaps = feeds is not None and hidden.leaps(segment, errors)
    hidden.keep(made, errors)
    return leaps


def hidden_in(graph: Graph, segments: tuple[Segment, ...]) -> Hidden:
    """The segments of a candidate that amplify, and those above them."""
    watched = frozenset[Segment]().union(*watched_together(graph, segments))
    return Hidden(watched, frozenset(c for segment in watched for _, c in segment.inputs))


def watched_together(graph: Graph, segments: tuple[Segment, ...]) -> Iterator[frozenset[Segment]]:
    """Each segment of a candidate that amplifies, with those above it; but for those that end in its outputs,
    which are compared anyway."""
    finals = set(view_of(graph).outputs)
    maker = {c: segment for segment in segments for _, c in segment.outputs}
    for segment in segments:
        if {c for _, c in segment.outputs} <= finals or not amplifies(graph, segment):
            continue
        group, level = {segment}, {segment}
        for _ in range(ABOVE):
            level = {maker[c] for each in level for _, c in each.inputs if c in maker}
            group |= level
        yield frozenset(group)


def amplifies(graph: Graph, segment: Segment) -> bool:
    """Whether an operator of the segment may make any error of a small one in what the segment reads."""
    return any(_reaches(graph, segment, name) for op in _ops(graph, segment) for name in _amplified(op))


def _ops(graph: Graph, segment: Segment) -> Iterator[Op]:
    return map(graph.op, segment.nodes)


def _amplified(op: Op) -> Iterator[str]:
    if op.type == "Cast" and op.attributes.get("to") in INTEGERS:
        yield op.inputs[0]
    for slot, name in zip(op.slots, op.inputs, strict=True):
        if slot.isdigit() and int(slot) in AMPLIFIES.get(op.type, ()):
            yield name


def _reaches(graph: Graph, segment: Segment, name: str) -> bool:
    """Whether a value is, or is made of, what the segment reads, and not of an average of it."""
    inputs = frozenset(c for _, c in segment.inputs)
    if name in inputs:
        return True
    lengths = {each for op in _ops(graph, segment) if op.type in LENGTHS for each in op.outputs}
    if name in lengths:
        return False
    ops = [graph.op(index) for index in upstream(graph, [name], inputs | lengths)]
    inside = [op for op in ops if op.index in segment.nodes]
    read = {each for op in inside for each in op.inputs}
    return bool(read & inputs) and not any(op.type in AVERAGES for op in inside)
