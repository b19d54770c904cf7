"""Which value of the candidate is which value of the reference?

Seeds are certain: the models' inputs and outputs, and operators that use a parameter of equal content. From
there two arguments alternate until neither finds more:

*topology*  ops of one kind whose inputs are paired have paired outputs, and the other way round;
*cone*      values below the same seeds and above the same seeds correspond (dominance on both sides, which
            survives fusing, folding and decomposing), told apart by kind and shape.

Names take no part; where they agree, they are noted as further evidence. Every pair is later put to the
test on the tensors of the run (:mod:`segdiff.walk`), so a wrong pair costs time and not truth.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from segdiff.align.cones import RULES, Cells, Rule, readers
from segdiff.align.inputs import paired_inputs
from segdiff.align.kinds import COMMUTATIVE, kind_of
from segdiff.align.operands import adds_parameter, one_is_a_scalar
from segdiff.align.outputs import Places, pair_outputs
from segdiff.align.parameters import ParameterPair
from segdiff.align.quantised import CLIPPING, never_negative, plain, same_nature, shown_alike
from segdiff.align.shapes import may_be_equal
from segdiff.align.view import View
from segdiff.core.graph import Op

CERTAIN = frozenset({"parameters", "model input", "model output"})
"""Arguments that hold whatever the shapes say: a fault may change a shape, but not what the weights are."""


@dataclass
class Matcher:
    """The pairs found so far, both ways, each with the argument that found it.

    ``reference`` and ``candidate`` see a value in all of its forms as one; ``whole`` are the views of all
    ops.
    """

    reference: View
    candidate: View
    parameters: dict[str, ParameterPair]
    whole: tuple[View, View]
    forward: dict[str, str] = field(default_factory=dict)
    backward: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ops: dict[int, int] = field(default_factory=dict)
    taken: Counter[int] = field(default_factory=Counter)
    fresh: list[str] = field(default_factory=list)
    outputs: Places = ()

    @cached_property
    def known(self) -> frozenset[str]:
        """The candidate's parameters that have a partner."""
        return frozenset(pair.candidate for pair in self.parameters.values())

    @cached_property
    def quantised(self) -> bool:
        """Whether one side keeps floats as bytes; then what is certain may be another form of a value."""
        return bool(self.reference.graph.quantised or self.candidate.graph.quantised)

    def add(self, r: str, c: str, *why: str) -> bool:
        """Pair two values unless one is taken or their shapes or natures exclude it."""
        if r in self.forward or c in self.backward:
            return False
        sure = bool(CERTAIN.intersection(why))
        if not sure and not self.compatible(r, c):
            return False
        if (not sure or self.quantised) and not same_nature(self.reference.graph, r, self.candidate.graph, c):
            return False
        self.forward[r], self.backward[c], self.evidence[r] = c, r, why
        self.fresh.append(r)
        return True

    def compatible(self, r: str, c: str) -> bool:
        """Whether the declared shapes allow the two to be one tensor."""
        return may_be_equal(self.reference.graph.value(r).shape, self.candidate.graph.value(c).shape)

    def add_ops(self, ours: Op, theirs: Op, why: str) -> None:
        """Two ops are the same: so is their input and, where neither does more, are their outputs.

        Several inputs are not paired by their position: a converter may have swapped them.
        """
        if ours.index in self.ops:
            self.taken[self.ops[ours.index]] -= 1
        self.ops[ours.index] = theirs.index
        self.taken[theirs.index] += 1
        mine, other = self.reference.reads[ours.index], self.candidate.reads[theirs.index]
        if len(mine) == len(other) == 1:
            self.add(mine[0], other[0], why)
        if biased := self.bias_after(ours, theirs):
            self.add(biased, theirs.outputs[0], why)
        elif clipped := self.clipped_after(ours, theirs):
            self.add(*clipped, why)
        elif held := self.bias_inside(ours, theirs):
            self.add(*held, why)
        elif self.does_the_same(ours, theirs):
            for r, c in self.outputs_of(ours, theirs):
                if r in self.reference.producer and c in self.candidate.producer:
                    self.add(r, c, why)

    def outputs_of(self, ours: Op, theirs: Op) -> list[tuple[str, str]]:
        """The outputs of two ops that do the same, side by side.

        Loops and branches may write what nobody reads, which one side lacks: only what is read counts.
        """
        mine, other = list(ours.outputs), list(theirs.outputs)
        if kind_of(ours) in ("branch", "loop"):
            read = set(self.reference.values), set(self.candidate.values)
            mine, other = [n for n in mine if n in read[0]], [n for n in other if n in read[1]]
            if len(mine) != len(other):
                return []
        return list(zip(mine, other, strict=False))

    def bias_after(self, ours: Op, theirs: Op) -> str | None:
        """The biased value behind a convolution whose bias the candidate adds nowhere, else None.

        Paddle adds the bias in an op of its own; where the candidate has lost it, the operator to blame is
        the one that should have had it.
        """
        if kind_of(ours) not in ("conv", "conv_transpose", "matmul") or kind_of(ours) != kind_of(theirs):
            return None
        if len(self.candidate.parameters_of[theirs.index]) > 1 or "activation" in theirs.attributes:
            return None
        behind = [op for name in ours.outputs for op in self.reference.readers.get(name, ())]
        after = [op for name in theirs.outputs for op in self.candidate.readers.get(name, ())]
        if len(behind) != 1 or any(adds_parameter(self.candidate, op) for op in after):
            return None
        return behind[0].outputs[0] if adds_parameter(self.reference, behind[0]) else None

    def bias_inside(self, ours: Op, theirs: Op) -> tuple[str, str] | None:
        """The biased values of two products: one adds the bias itself, the other in an op behind it."""
        sides = [(self.reference, ours), (self.candidate, theirs)]
        counts = [len(view.parameters_of[op.index]) for view, op in sides]
        if kind_of(ours) not in ("conv", "conv_transpose", "matmul") or kind_of(ours) != kind_of(theirs):
            return None
        if abs(counts[0] - counts[1]) != 1 or min(counts) < 1 or "activation" in theirs.attributes:
            return None
        ends = []
        for (view, op), count in zip(sides, counts, strict=True):
            behind = view.readers.get(op.outputs[0], ())
            added = [reader for reader in behind if adds_parameter(view, reader)]
            apart = count == min(counts)
            if bool(added) != apart or (apart and len(behind) != 1):
                return None
            ends.append(added[0] if apart else op)
        return self.clipped_ends(ends[0], ends[1])

    def clipped_ends(self, ours: Op, theirs: Op) -> tuple[str, str] | None:
        """What two ops that do the same make, where one of them may keep it as bytes that cut off what an
        activation does behind the other."""
        left, right = never_negative(self.whole[0], ours), never_negative(self.whole[1], theirs)
        if left == right:
            return ours.outputs[0], theirs.outputs[0]
        view, op = (self.reference, ours) if right else (self.candidate, theirs)
        behind = view.readers.get(op.outputs[0], ())
        if len(behind) != 1 or kind_of(behind[0]) not in CLIPPING:
            return None
        out = behind[0].outputs[0]
        return (out, theirs.outputs[0]) if right else (ours.outputs[0], out)

    def clipped_after(self, ours: Op, theirs: Op) -> tuple[str, str] | None:
        """The values behind two ops one of which keeps its result as bytes of no negative numbers.

        A quantiser leaves out the activation behind such an op: the bytes cut off what it would.
        """
        if kind_of(ours) != kind_of(theirs):
            return None
        left, right = never_negative(self.whole[0], ours), never_negative(self.whole[1], theirs)
        return None if left == right else self.clipped_ends(ours, theirs)

    def does_the_same(self, ours: Op, theirs: Op) -> bool:
        """Kind and number of parameters agree: no bias, batch norm or activation is fused into either."""
        if kind_of(ours) != kind_of(theirs) or "activation" in theirs.attributes:
            return False
        mine = self.reference.parameters_of[ours.index]
        other = self.candidate.parameters_of[theirs.index]
        if kind_of(ours) in ("conv", "conv_transpose", "matmul"):
            return len(mine) == len(other)
        paired = {self.parameters[name].candidate for name in mine if name in self.parameters}
        return paired <= set(other) and not one_is_a_scalar((self.reference, ours), (self.candidate, theirs))


def match(reference: View, candidate: View, parameters: Iterable[ParameterPair]) -> Matcher:
    """Pair the values of two views; see the module's docstring for the method.

    >>> from pathlib import Path
    >>> from segdiff.align.view import view_of
    >>> from segdiff.core.graph import Graph
    >>> def model(kinds, *names):
    ...     rows = enumerate(zip(kinds, names, names[1:]))
    ...     ops = [Op(i, kind, "", (read,), ("0",), (made,), {}) for i, (kind, read, made) in rows]
    ...     return view_of(Graph("onnx", Path("m"), tuple(ops), {}, {}, names[:1], names[-1:]))
    >>> ours = model(("Exp", "Relu", "Tanh"), "x", "a", "b", "y")
    >>> theirs = model(("Exp", "Elu", "Tanh"), "x", "b", "c", "z")
    >>> match(ours, theirs, ()).forward
    {'x': 'x', 'y': 'z', 'b': 'c', 'a': 'b'}
    """
    known = {pair.reference: pair for pair in parameters}
    whole = reference, candidate
    matcher = Matcher(plain(reference), plain(candidate), known, whole)
    pair_inputs(matcher)
    matcher.outputs = pair_outputs(matcher.reference, matcher.candidate, certain(matcher))
    for i, j in matcher.outputs:
        matcher.add(matcher.reference.outputs[i], matcher.candidate.outputs[j], "model output")
    pair_by_parameters(matcher)
    seeds = [(pair.reference, pair.candidate) for pair in matcher.parameters.values()]
    cells = Cells((matcher.reference, matcher.candidate), seeds)
    while True:
        spread(matcher)
        cells.part(matcher.forward, matcher.backward)
        if not (any(by_cone(matcher, cells, rule) for rule in RULES) or by_position(matcher)):
            return as_shown(matcher)


def as_shown(matcher: Matcher) -> Matcher:
    """The matcher with each value in the form that stands for it in the walk."""
    form = {r: shown_alike(matcher.whole, r, c) for r, c in matcher.forward.items()}
    matcher.evidence = {form[r][0]: why for r, why in matcher.evidence.items()}
    matcher.forward = dict(form.values())
    matcher.backward = {c: r for r, c in matcher.forward.items()}
    return matcher


def certain(found: Matcher) -> dict[str, str]:
    """What parameters and topology pair without a word from the outputs; nothing where there is only one."""
    if len(found.reference.outputs) == len(found.candidate.outputs) == 1:
        return {}
    matcher = Matcher(found.reference, found.candidate, found.parameters, found.whole)
    pair_inputs(matcher)
    pair_by_parameters(matcher)
    spread(matcher)
    return matcher.forward


def pair_inputs(matcher: Matcher) -> None:
    """The models' inputs; where their names leave a choice, the parameters of what reads them are asked."""
    ours, theirs = matcher.reference, matcher.candidate

    def known() -> dict[str, str]:
        alone = Matcher(ours, theirs, matcher.parameters, matcher.whole)
        pair_by_parameters(alone)
        spread(alone)
        return alone.forward

    for r, c in paired_inputs(ours, theirs, known):
        matcher.add(r, c, "model input", *(["name"] if r == c else []))


def pair_by_parameters(matcher: Matcher) -> None:
    """Ops that alone use a parameter of the same content, and are of the same kind, are the same op."""
    mine, other = users(matcher.reference), users(matcher.candidate)
    for pair in matcher.parameters.values():
        ours, theirs = mine.get(pair.reference, []), other.get(pair.candidate, [])
        if len(ours) == len(theirs) == 1 and kind_of(ours[0]) == kind_of(theirs[0]):
            matcher.add_ops(ours[0], theirs[0], "parameters")


def users(view: View) -> dict[str, list[Op]]:
    """Parameter -> the compute ops that use it."""
    found: dict[str, list[Op]] = defaultdict(list)
    for op in view.ops:
        for name in view.parameters_of[op.index]:
            found[name].append(op)
    return found


# --- topology -----------------------------------------------------------------------------------------


def spread(matcher: Matcher) -> None:
    """Follow every new pair to the ops that read it and to the op that writes it."""
    while matcher.fresh:
        r = matcher.fresh.pop()
        _spread_down(matcher, r, matcher.forward[r])
        _spread_up(matcher, r, matcher.forward[r])


def _spread_down(matcher: Matcher, r: str, c: str) -> None:
    ours = [op for op in matcher.reference.readers.get(r, ()) if op.index not in matcher.ops]
    theirs = [op for op in matcher.candidate.readers.get(c, ()) if not matcher.taken[op.index]]
    if not ours or not theirs:
        return
    rivals, others = _by_reads(matcher.reference, ours), _by_reads(matcher.candidate, theirs)
    for kind, mine in _by_kind(ours).items():
        for op in mine:
            reads = _partner_reads(matcher, op)
            other = others.get((kind, reads), []) if reads else []
            partner = _partner(matcher, op, rivals[_reads(matcher.reference, op)], other)
            if partner is not None:
                other.remove(partner)
                matcher.add_ops(op, partner, "topology")


def _partner(matcher: Matcher, op: Op, rivals: list[Op], other: list[Op]) -> Op | None:
    """The one op that can be ``op``. Of several with the same inputs the declared shapes decide, or else
    nothing here: what lies below them (the cones) tells them apart better than their order in the file."""
    fitting = [o for o in other if _parameters_allow(matcher, op, o)]
    if fitting and (len(fitting) > 1 or len(rivals) > 1):
        shape = matcher.reference.graph.value(op.outputs[0]).shape
        rivals = [m for m in rivals if matcher.reference.graph.value(m.outputs[0]).shape == shape]
        fitting = [o for o in fitting if shape and matcher.candidate.graph.value(o.outputs[0]).shape == shape]
    return fitting[0] if len(fitting) == len(rivals) == 1 else None


def _by_kind(ops: list[Op]) -> dict[str, list[Op]]:
    found: dict[str, list[Op]] = defaultdict(list)
    for op in ops:
        found[kind_of(op)].append(op)
    return found


def _by_reads(view: View, ops: list[Op]) -> dict[Hashable, list[Op]]:
    """The ops by their kind and what they read."""
    found: dict[Hashable, list[Op]] = defaultdict(list)
    for op in ops:
        found[_reads(view, op)].append(op)
    return found


def _reads(view: View, op: Op) -> tuple[str, Hashable]:
    return kind_of(op), _in_any_order(kind_of(op), view.reads[op.index])


def _partner_reads(matcher: Matcher, op: Op) -> Hashable:
    """What the partner of a reference op has to read; None where an input has no partner yet."""
    names = tuple(matcher.forward.get(name, "") for name in matcher.reference.reads[op.index])
    return _in_any_order(kind_of(op), names) if all(names) else None


def _in_any_order(kind: str, names: tuple[str, ...]) -> Hashable:
    """The names, in an order of their own where that of the inputs plays no part."""
    return tuple(sorted(names)) if kind in COMMUTATIVE else names


def _parameters_allow(matcher: Matcher, ours: Op, theirs: Op) -> bool:
    """No parameter of one op is known to be a parameter of another op than the other one."""
    mine = matcher.reference.parameters_of[ours.index]
    other = set(matcher.candidate.parameters_of[theirs.index])
    paired = {matcher.parameters[name].candidate for name in mine if name in matcher.parameters}
    return paired <= other and (other & matcher.known) <= paired


def _spread_up(matcher: Matcher, r: str, c: str) -> None:
    ours, theirs = matcher.reference.producer.get(r), matcher.candidate.producer.get(c)
    if ours is None or theirs is None or ours.index in matcher.ops:
        return
    same_output = ours.outputs.index(r) == theirs.outputs.index(c)
    if same_output and matcher.does_the_same(ours, theirs) and _parameters_allow(matcher, ours, theirs):
        matcher.add_ops(ours, theirs, "topology")


# --- cones -------------------------------------------------------------------------------------------


def by_cone(matcher: Matcher, cells: Cells, rule: tuple[Rule, bool]) -> bool:
    """Pair the values that share cones and label; returns whether any pair was found."""
    label, ties = rule
    found = False
    for ours, theirs in cells.alike(label):
        if len(ours) == len(theirs) == 1 or (ties and len(ours) == len(theirs)):
            found |= _plausible(matcher, label, ours[0], theirs[0]) and matcher.add(
                ours[0], theirs[0], "cone", label.__name__.replace("_", " ")
            )
    return found


def by_position(matcher: Matcher) -> bool:
    """Last of all, pair what is left of the inputs of matched ops by position."""
    by_index = {op.index: op for op in matcher.reference.ops}
    found = False
    for ours, theirs in list(matcher.ops.items()):
        mine, other = matcher.reference.reads[ours], matcher.candidate.reads[theirs]
        if len(mine) == len(other) and kind_of(by_index[ours]) not in COMMUTATIVE:
            for r, c in zip(mine, other, strict=True):
                found |= matcher.add(r, c, "position")
    return found


def _plausible(matcher: Matcher, label: Rule, r: str, c: str) -> bool:
    """Where a weight is involved, the same writer must do the same: a fused bias belongs to a later value."""
    ours, theirs = matcher.reference.producer.get(r), matcher.candidate.producer.get(c)
    if ours is None or theirs is None:
        return ours is theirs
    if label is readers or kind_of(ours) != kind_of(theirs):
        return True
    return matcher.does_the_same(ours, theirs)
