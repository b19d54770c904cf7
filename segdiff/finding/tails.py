"""Does one side end in operators that the other does not have? An argmax, a softmax, a cast, a transpose.

What lies before such a tail is right, and the output is another all the same. So where an output errs, the
values inside its segment are looked at: one of the candidate's that is the reference's output has a tail of
the candidate behind it, and one of the reference's that is the candidate's output has a tail of the
reference. Where neither is to be seen, the two outputs themselves may tell (one is the argmax of the other).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np

from segdiff.align import Segment, cut
from segdiff.align.kinds import kind_of
from segdiff.align.quantised import ROUNDING
from segdiff.align.view import View
from segdiff.core.answer import Cause
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array, Op
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.outlets import Outlet
from segdiff.finding.outlets import built, in_form, outlet
from segdiff.finding.relations import relation, same
from segdiff.walk import Run, Step, ends_of
from segdiff.walk.verify import rewalk

ACTIVATIONS = frozenset(
    {"softmax", "log_softmax", "sigmoid", "relu", "tanh", "clip", "scale", "add", "mul", "cast"}
)
"""Tails of these alone keep an output's form: the diagnosis has causes of its own for them."""


NEARER = 0.5
"""Share of the output's error that the value before a tail may have; rounding alone is far below it."""


@dataclass(frozen=True)
class _Inside:
    """An erring output with all that its segment reads and computes on the reference's tensors, on both
    sides, in program order."""

    run: Run
    step: Step
    pair: tuple[str, str]
    truth: Mapping[str, Array]
    got: Mapping[str, Array]

    @property
    def unit(self) -> float:
        """One rounding of the segment's arithmetic."""
        return self.run.probe.unit(self.step.segment)

    @property
    def error(self) -> Comparison:
        """The isolated error of the output."""
        return compare_arrays(self.truth[self.pair[0]], self.got[self.pair[1]])

    @property
    def other_form(self) -> bool:
        """Whether the two have another shape, or one has floats and the other whole numbers."""
        ours, theirs = self.truth[self.pair[0]], self.got[self.pair[1]]
        return self.error.other_shape or (ours.dtype.kind == "f") != (theirs.dtype.kind == "f")

    @property
    def forms(self) -> str:
        """What both give, in words."""
        ours, theirs = self.truth[self.pair[0]], self.got[self.pair[1]]
        return (
            f"the reference gives {ours.dtype} of shape {tuple(ours.shape)}, "
            f"the candidate {theirs.dtype} of shape {tuple(theirs.shape)}"
        )


Causes = dict[Segment, Cause]


def cut_tails(run: Run, remarks: list[str]) -> tuple[Run, Causes, Causes]:
    """The run with tails cut off as segments of their own, and their causes; then the causes of what was
    left whole, for where the diagnosis finds none. Never raises: what was not found out is added to
    ``remarks``."""
    causes: Causes = {}
    otherwise: Causes = {}
    for pair in run.outputs:
        step = next((s for s in run.origins if pair in s.segment.outputs and errs(s, pair)), None)
        if step is None:
            continue
        try:
            inside = look_inside(run, step, pair)
            if inside is not None:
                tail = tail_of(inside)
                if tail is None:
                    causes.update(related(inside))
                elif tail.kept_whole:
                    otherwise[step.segment] = tail.cause
                else:
                    run, segment = cut_off(tail)
                    causes[segment] = tail.cause
        except EngineError as error:
            remarks.append(f"Whether {pair[1]!r} only ends otherwise is not known: {error}")
    return run, causes, otherwise


def errs(step: Step, pair: tuple[str, str]) -> bool:
    """Whether this very pair of the step errs."""
    return any((p.reference, p.candidate) == pair and p.judgement and p.judgement.fault for p in step.pairs)


def look_inside(run: Run, step: Step, pair: tuple[str, str]) -> _Inside | None:
    """Both sides' values of the segment on equal inputs. Raises EngineError."""
    ours, theirs = run.alignment.reference, run.alignment.candidate
    segment = step.segment
    mine = [name for name in made_by(ours, segment.reference_ops) if name not in run.hidden]
    other = made_by(theirs, segment.ops)
    truth = dict(run.reference({*mine, *ends_of(step)}))
    bench = run.probe.bench(segment, truth)
    got = {**bench.feeds, **bench.run(list(dict.fromkeys((*other, pair[1]))))}
    if pair[0] not in truth:
        return None
    inputs = [r for r, _ in segment.inputs if r in truth and r not in ours.graph.inputs]
    order = dict.fromkeys((*inputs, *mine, pair[0]))  # what is nearest to the output stands last
    return _Inside(
        run,
        step,
        pair,
        {name: truth[name].array for name in order if name in truth},
        {name: tensor.array for name, tensor in got.items() if name not in theirs.graph.inputs},
    )


def made_by(view: View, ops: Iterable[int]) -> list[str]:
    """The values that ops of a view make and somebody reads, in program order."""
    values = set(view.values)
    return [name for index in ops for name in view.graph.op(index).outputs if name in values]


@dataclass(frozen=True)
class Tail:
    """Operators at the end that only one side has: the candidate's (``extra``), or the reference's.

    ``inner`` is the value before them, on the side that has them.
    """

    inside: _Inside
    inner: str
    ops: tuple[Op, ...]
    extra: bool

    @property
    def kept_whole(self) -> bool:
        """Whether the diagnosis of operators is asked first: an activation leaves an output's form alone."""
        return not self.inside.other_form and all(kind_of(op) in ACTIVATIONS for op in self.ops)

    @property
    def cause(self) -> Cause:
        """Proven by the value before the tail."""
        r, c = self.inside.pair
        truth, got = self.inside.truth, self.inside.got
        if self.extra:
            residual = compare_arrays(truth[r], got[self.inner])
            has = f"{self.inner!r} before it is the reference's output {r!r}"
            text = f"The candidate ends in {listed(self.ops)}, which the reference does not have: {has}"
        else:
            residual = compare_arrays(truth[self.inner], got[c])
            has = f"it gives what the reference has before it, {self.inner!r}"
            text = f"The reference ends in {listed(self.ops)}, which the candidate does not have: {has}"
        before = self.inside.error.metrics
        text = f"{text}; {self.inside.forms}."
        return Cause(kind_of_tail(self.ops), text, True, residual.metrics, before, ends=self.outlet)

    @property
    def outlet(self) -> Outlet | None:
        """The output as it should be: the value before the candidate's tail, or behind the reference's."""
        run, (r, c) = self.inside.run, self.inside.pair
        if not self.extra:
            return outlet(run, c, built(run, r, {self.inner: c}))
        have, want = self.inside.got[self.inner], self.inside.truth[r]
        return outlet(run, c, in_form(run, self.inner, have, want))


def tail_of(inside: _Inside) -> Tail | None:
    """The tail that explains the output, if there is one."""
    r, c = inside.pair
    ours, theirs = inside.run.alignment.reference, inside.run.alignment.candidate
    for v in reversed([name for name in inside.got if name != c and before(theirs, name, c)]):
        ops = between(theirs, v, c) if before_tail(inside, inside.truth[r], inside.got[v]) else ()
        if ops and not only_rounds(inside, ops):
            return Tail(inside, v, ops, extra=True)
    for u in reversed([name for name in inside.truth if name != r and before(ours, name, r)]):
        ops = between(ours, u, r) if before_tail(inside, inside.truth[u], inside.got[c]) else ()
        if ops and not only_rounds(inside, ops):
            return Tail(inside, u, ops, extra=False)
    return None


def only_rounds(inside: _Inside, ops: tuple[Op, ...]) -> bool:
    """Whether operators keep a value as bytes and turn it back: what errs there is how they do it."""
    return not inside.other_form and all(op.type in ROUNDING for op in ops)


def before_tail(inside: _Inside, ours: Array, theirs: Array) -> bool:
    """Whether two values are one, so that what follows on one side is a tail; another form is no number."""
    least = np.inf if inside.other_form else inside.error.metrics.rel_l2
    return nearer(ours, theirs, least, inside.unit)


def nearer(ours: Array, theirs: Array, least: float, unit: float) -> bool:
    """Whether two values are the same, up to rounding and to a share of the relative error ``least``.

    A small error of what comes before is no tail: the output then errs as little as the value before it.
    """
    if not same(ours, theirs, unit):
        return False
    return compare_arrays(ours.reshape(-1), theirs.reshape(-1)).metrics.rel_l2 <= NEARER * least


def related(inside: _Inside) -> Causes:
    """The cause where one output is a function of the other, of another form."""
    r, c = inside.pair
    found = relation(inside.truth[r], inside.got[c], inside.unit) if inside.other_form else None
    if found is None:
        return {}
    name = inside.run.alignment.output_name(c)
    told = f"The candidate's output {name!r} is {found.words} of the reference's"
    if found.backward:
        told = f"The reference's output is {found.words} of the candidate's {name!r}"
    text = f"{told}: {inside.forms}."
    made = outlet(inside.run, c, built(inside.run, r, dict(inside.step.segment.inputs)))
    cause = Cause(found.kind, text, True, found.residual.metrics, inside.error.metrics, ends=made)
    return {inside.step.segment: cause}


def before(view: View, name: str, end: str) -> bool:
    """Whether a value goes into another."""
    return name in view.flow and end in nx.descendants(view.flow, name)


def between(view: View, start: str, end: str) -> tuple[Op, ...]:
    """The compute ops that make ``end`` of ``start`` alone; none where something else takes part."""
    found: dict[int, Op] = {}
    queue = [end]
    while queue:
        name = queue.pop()
        if name == start:
            continue
        op = view.producer.get(name)
        if op is None:
            return ()
        found[op.index] = op
        queue += view.reads[op.index]
    return tuple(found[index] for index in sorted(found))


def cut_off(tail: Tail) -> tuple[Run, Segment]:
    """The run with the tail in a segment of its own, and that segment: what comes before agrees."""
    run, (r, c) = tail.inside.run, tail.inside.pair
    places = tuple(op.index for op in tail.ops)
    old = tail.inside.step.segment
    if tail.extra:
        flow, v = run.probe.graph.flow, tail.inner
        upstream = nx.ancestors(flow, c) - nx.ancestors(flow, v)
        nodes = tuple(sorted(i for i in upstream if isinstance(i, int) and not makes(run, i, v)))
        segment = Segment(((r, c),), ((r, v),), nodes, places, (), same_ends=True)
        pairs = {a: b for a, b in run.alignment.pairs.items() if b != v} | {r: v}
        return recut(tail.inside, pairs, segment, r), segment
    last = run.alignment.candidate.producer[c].index
    segment = Segment(((r, c),), old.inputs, old.nodes, (last,), places, same_ends=True)
    pairs = {a: b for a, b in run.alignment.pairs.items() if a not in (r, tail.inner)} | {tail.inner: c}
    return recut(tail.inside, pairs, segment, tail.inner), segment


def recut(inside: _Inside, pairs: dict[str, str], tail: Segment, new: str) -> Run:
    """The run with the output's segment cut in two: what agrees, and the tail."""
    run, known = inside.run, inside.run.alignment
    evidence = {name: why for name, why in known.evidence.items() if name in pairs} | {new: ("values",)}
    segments = cut(known.reference, known.candidate, pairs)
    alignment = replace(known, pairs=pairs, evidence=evidence, segments=segments)
    walk = rewalk(replace(run, alignment=alignment), segments)
    old = next(p for p in inside.step.pairs if (p.reference, p.candidate) == inside.pair)
    step = Step(tail, (replace(old, isolated=inside.error),))
    tails = tuple(s for s in run.walk.steps if s.segment not in known.segments)
    steps = sorted((*walk.steps, *tails, step), key=lambda each: each.segment.nodes[-1])
    walk = replace(walk, steps=tuple(steps))
    return replace(run, alignment=alignment, walk=walk)


def makes(run: Run, index: int, name: str) -> bool:
    """Whether an op of the candidate writes this value."""
    return name in run.probe.graph.op(index).outputs


def kind_of_tail(tail: tuple[Op, ...]) -> str:
    """What a tail changes: the layout, the type, the shape, or what the output is."""
    kinds = {kind_of(op) for op in tail}
    for kind, words in (("transpose", "layout"), ("cast", "dtype"), ("reshape", "shape")):
        if kinds == {kind}:
            return f"output.{words}"
    return "output.layout" if kinds == {"transpose", "reshape"} else "output.op"


SHOWN = ("axis", "axes", "perm", "to", "keepdims", "k")
"""Attributes that say what a tail does."""


def listed(ops: tuple[Op, ...]) -> str:
    """Operators in a row, with what says what they do."""
    return " and ".join(_named(op) for op in ops)


def _named(op: Op) -> str:
    told = [f"{name} {op.attributes[name]}" for name in SHOWN if name in op.attributes]
    return f"{op.type} ({', '.join(told)})" if told else op.type
