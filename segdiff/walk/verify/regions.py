"""Which origins belong together? Those that touch, and those whose tensors could have been mistaken.

A segment that agrees and holds most of both models is looked into, too: nothing in it was compared by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx
import numpy as np

from segdiff.align import Alignment
from segdiff.align.segments import swallows
from segdiff.walk.run import Run
from segdiff.walk.sketch import Sketch, could_be
from segdiff.walk.steps import Step


@dataclass(frozen=True)
class Region:
    """Origins that touch: their steps, and the values on both sides that can be looked at inside."""

    steps: tuple[Step, ...]
    inputs: tuple[tuple[str, str], ...]
    nodes: tuple[int, ...]
    reference_values: tuple[str, ...]
    candidate_values: tuple[str, ...]

    @property
    def wide(self) -> bool:
        """Whether there is anything to be told apart inside."""
        return len(self.steps) > 1 or len(self.candidate_values) > 1

    @property
    def wanted(self) -> tuple[str, ...]:
        """The reference's values that tell what is inside: those it starts from, and all behind."""
        return tuple(dict.fromkeys([r for r, _ in self.inputs if r] + list(self.reference_values)))

    def read(self) -> frozenset[str]:
        """Candidate values that an erring segment of the region starts from."""
        return frozenset(c for step in self.steps for _, c in step.segment.inputs)

    def lost_work(self) -> dict[str, frozenset[str]]:
        """Candidate values of single ops that nothing else in the region reads -> the pairs' references.

        Such a value may equal an inner value of the reference (a convolution that has lost its bias equals
        the unbiased one). That is no reason to pair the two: the blame would move on to the next operator.
        """
        read = self.read()
        ends = frozenset(r for step in self.steps for r, _ in step.segment.outputs)
        alone = [step.segment.outputs[0][1] for step in self.steps if len(step.segment.ops) == 1]
        return {c: ends for c in alone if c not in read}


def key_of(region: Region) -> tuple[tuple[str, str], ...]:
    """A region, told by the pairs its segments end in."""
    return tuple(sorted(pair for step in region.steps for pair in step.segment.outputs))


def regions_of(run: Run) -> list[Region]:
    """Group the origins that feed one another, whose tensors could have been mistaken for one another, or
    that read outputs of one op: it may have exchanged them.

    A segment that does not run on the reference's tensors belongs to them: where a value is wrongly paired,
    what reads it may refuse the other one's shape.
    """
    origins = [step for step in run.walk.steps if doubtful(run, step)]
    alignment = run.alignment
    maker = {pair: number for number, step in enumerate(origins) for pair in step.segment.outputs}
    touching = nx.Graph()
    touching.add_nodes_from(range(len(origins)))
    for number, step in enumerate(origins):
        touching.add_edges_from((maker[pair], number) for pair in step.segment.inputs if pair in maker)
    touching.add_edges_from(mistakable(run, origins))
    by_source: dict[int, int] = {}
    for number, step in enumerate(origins):
        for _, c in step.segment.inputs:
            source = alignment.candidate.producer.get(c)
            if source is not None and len(source.outputs) > 1:
                touching.add_edge(by_source.setdefault(source.index, number), number)
    groups = sorted(sorted(group) for group in nx.connected_components(touching))
    return [_region(alignment, tuple(origins[n] for n in group), run.hidden) for group in groups]


def doubtful(run: Run, step: Step) -> bool:
    """Whether a step is to be looked into: it errs, it did not run, or it holds most of both models."""
    sizes = len(run.alignment.reference.ops), len(run.alignment.candidate.ops)
    held = len(step.segment.reference_ops), len(step.segment.ops)
    return step.is_origin or step.failed or swallows(held, sizes)


def mistakable(run: Run, origins: list[Step]) -> Iterator[tuple[int, int]]:
    """Places of two origins of which one, on the reference's inputs, makes what the other should: of two
    values swapped, either holds what the other should."""
    ends = [(n, pair.sketches) for n, step in enumerate(origins) for pair in step.pairs if pair.sketches]
    by_size: dict[int, list[tuple[int, tuple[Sketch, Sketch]]]] = defaultdict(list)
    for number, sketches in ends:
        by_size[sketches[0].size].append((number, sketches))
    for alike in by_size.values():
        if len(alike) > 1:
            unit = max(run.probe.unit(origins[number].segment) for number, _ in alike)
            found = could_be([truth for _, (truth, _) in alike], [made for _, (_, made) in alike], unit)
            for i, j in zip(*np.nonzero(found), strict=True):
                yield alike[i][0], alike[j][0]


def _region(alignment: Alignment, steps: tuple[Step, ...], hidden: frozenset[str]) -> Region:
    made = {pair for step in steps for pair in step.segment.outputs}
    inputs = dict.fromkeys(pair for step in steps for pair in step.segment.inputs if pair not in made)
    ours, theirs = alignment.reference, alignment.candidate
    looked_at = frozenset(ours.values) - hidden, frozenset(theirs.values)
    reference_ops = sorted({index for step in steps for index in step.segment.reference_ops})
    ops = sorted({index for step in steps for index in step.segment.ops})
    return Region(
        steps=steps,
        inputs=tuple(inputs),
        nodes=tuple(sorted({index for step in steps for index in step.segment.nodes})),
        reference_values=tuple(
            name for index in reference_ops for name in ours.graph.op(index).outputs if name in looked_at[0]
        ),
        candidate_values=tuple(
            name for index in ops for name in theirs.graph.op(index).outputs if name in looked_at[1]
        ),
    )
