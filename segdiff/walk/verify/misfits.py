"""Which pairs do the shapes of the tensors contradict? Those that only their place spoke for."""

from __future__ import annotations

import math

import networkx as nx

from segdiff.align.kinds import kind_of
from segdiff.core.metrics import squeezed
from segdiff.walk.run import Run
from segdiff.walk.steps import PairResult, Step


def drop_misfits(run: Run, pairs: dict[str, str], evidence: dict[str, tuple[str, ...]]) -> None:
    """Drop the pairs that only their place spoke for, once the tensors have turned out of another shape.

    Of two operators of one kind that is a finding, with exceptions. Where only axes of length one stand
    elsewhere, or two reshapes make other axes of as many numbers: a simplifier does so as it likes inside a
    network, and what reads them tells whether it did so rightly. And where what reads them refuses the
    reference's tensor: a fault leaves one wound, a wrong pair leaves two. A third, of
    any shape: where all else that leaves the segment is right, and nothing but its own operators reads the
    value.
    """
    outputs = frozenset(run.outputs)
    twice = wounded_twice(run)
    for step in run.walk.steps:
        for pair in step.pairs:
            if (pair.reference, pair.candidate) in outputs:
                continue  # an output of another shape is the finding
            wrong = (pair.reference, pair.candidate) in twice or misfits(run, pair)
            if wrong or only_inside(run, step, pair):
                pairs.pop(pair.reference, None)
                evidence.pop(pair.reference, None)


def misfits(run: Run, pair: PairResult) -> bool:
    """Whether a pair of another shape was made by operators of two kinds, or only has its axes elsewhere."""
    ours = run.alignment.reference.producer.get(pair.reference)
    theirs = run.alignment.candidate.producer.get(pair.candidate)
    if pair.isolated is None or not pair.isolated.other_shape or ours is None or theirs is None:
        return False
    kinds = {kind_of(ours), kind_of(theirs)}
    form = run.walk.forms.get(pair.candidate)
    if form is None or len(kinds) > 1:
        return len(kinds) > 1
    same_size = kinds == {"reshape"} and math.prod(pair.shape) == math.prod(form[1])
    return same_size or squeezed(pair.shape) == squeezed(form[1])


def only_inside(run: Run, step: Step, pair: PairResult) -> bool:
    """Whether a value that differs is read in its own segment alone, on both sides, and all else that leaves
    the segment is right: an optimiser moves transposes through a part of a network, or folds a product into
    the convolution before it, and what stands in between is no longer there."""
    others = [each for each in step.pairs if each is not pair]
    if not others or pair.judgement is None or not pair.judgement.fault:
        return False
    if not all(each.judgement is not None and each.judgement.right for each in others):
        return False
    ours, theirs = run.alignment.reference, run.alignment.candidate
    readers = ours.readers.get(pair.reference, ()), theirs.readers.get(pair.candidate, ())
    inside = {op.index for op in readers[0]} <= set(step.segment.reference_ops)
    return bool(all(readers)) and inside and {op.index for op in readers[1]} <= set(step.segment.ops)


def wounded_twice(run: Run) -> frozenset[tuple[str, str]]:
    """The pairs of another shape from which, handed on by what takes any shape, a segment comes to be fed a
    tensor that it refuses, or makes another shape of as well."""
    steps = run.walk.steps
    maker = {pair: number for number, step in enumerate(steps) for pair in step.segment.outputs}
    found: set[tuple[str, str]] = set()
    graph = nx.DiGraph()
    for number, step in enumerate(steps):
        graph.add_edges_from((maker[pair], number) for pair in step.segment.inputs if pair in maker)
    handing_on = [number for number, step in enumerate(steps) if not step.is_origin and carries(step)]
    first = [
        n for n, step in enumerate(steps) if any(p.isolated and p.isolated.other_shape for p in step.pairs)
    ]
    refusing = [number for number, step in enumerate(steps) if refuses(step) and number in graph]
    if not first or not refusing:
        return frozenset()
    way = graph.subgraph([*handing_on, *first, *refusing])
    before = set().union(*(nx.ancestors(way, number) for number in refusing))
    behind = set().union(*({n, *nx.descendants(way, n)} for n in first if n in way))
    for number in before & behind:
        found |= {
            (pair.reference, pair.candidate)
            for pair in steps[number].pairs
            if pair.cumulative is not None and pair.cumulative.other_shape
        }
    return frozenset(found)


def refuses(step: Step) -> bool:
    """Whether a segment cannot do with the reference's tensors what the reference does."""
    return step.failed or reshapes(step)


def reshapes(step: Step) -> bool:
    """Whether a segment makes another shape of the reference's tensors."""
    return any(pair.isolated is not None and pair.isolated.other_shape for pair in step.pairs)


def carries(step: Step) -> bool:
    """Whether a value of the candidate has another shape in the run from the image."""
    return any(pair.cumulative is not None and pair.cumulative.other_shape for pair in step.pairs)
