"""Is it the operator, or were two values wrongly paired? Every origin is put to the proof.

A wrong pair leaves two wounds that heal together: the segment before it does not produce it and the segment
behind it does not accept it, yet both in one agree. A fault leaves one, and what follows agrees once the
reference's tensor is put in its place. So wherever origins touch, or one spans several operators, the
region is run again with all its values in sight, from reference tensors at its start, and values are paired
by what they hold. That also narrows a wide segment down to the operator.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np

from segdiff.align import Alignment, Segment, cut
from segdiff.align.kinds import kind_of
from segdiff.align.view import view_of
from segdiff.engines import Tensor
from segdiff.errors import EngineError
from segdiff.graph import Graph
from segdiff.metrics import compare_arrays
from segdiff.walk.lockstep import Lockstep, Step, Walk, digest_of

ROUNDS = 3
"""How often a region may be cut anew: wrong pairs in a row are settled front to back."""

LARGEST_REGION = 1 << 30
"""Bytes of reference tensors that a region may hold at once; a larger one is left as it is."""

SAME_REL_L2 = 1e-4
SAME_MAX_REL = 1e-3
"""Two tensors computed from the same inputs count as one value below both: far above rounding (4e-5 at the
most in measured segments), far below what unrelated tensors reach."""


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


Runner = Callable[[Iterable[str]], Iterator[tuple[str, Tensor]]]
"""Runs the reference once more and streams the values named."""


def settle(
    alignment: Alignment, walk: Walk, lockstep: Lockstep, run: Runner, hidden: frozenset[str]
) -> tuple[Alignment, Walk]:
    """Put every origin to the proof; returns the alignment and the walk with what was mended.

    ``hidden`` are reference values that the engine cannot show.
    """
    seen: set[tuple[tuple[str, str], ...]] = set()
    for _ in range(ROUNDS):
        regions = [r for r in regions_of(alignment, walk, hidden) if r.wide]
        todo = [r for r in regions if key_of(r) not in seen]
        pairs, evidence = dict(alignment.pairs), dict(alignment.evidence)
        drop_misfits(alignment, walk, pairs, evidence)
        for region in todo if pairs == alignment.pairs else ():
            seen.add(key_of(region))
            try:
                mend(region, lockstep, run, pairs, evidence)
            except EngineError:
                continue  # the proof failed, the finding stands unconfirmed
        if pairs == alignment.pairs:
            break
        alignment = replace(
            alignment,
            pairs=pairs,
            evidence=evidence,
            segments=cut(alignment.reference, alignment.candidate, pairs),
        )
        walk = rewalk(alignment, walk, lockstep, run)
    return alignment, walk


def drop_misfits(
    alignment: Alignment, walk: Walk, pairs: dict[str, str], evidence: dict[str, tuple[str, ...]]
) -> None:
    """Drop the pairs that only their place spoke for, once the tensors have turned out of another shape."""
    for step in walk.steps:
        for pair in step.pairs:
            words = (pair.isolated.mismatch if pair.isolated else None) or ""
            mismatch = words.startswith("shape")
            ours = alignment.reference.producer.get(pair.reference)
            theirs = alignment.candidate.producer.get(pair.candidate)
            if mismatch and ours and theirs and kind_of(ours) != kind_of(theirs):
                pairs.pop(pair.reference, None)
                evidence.pop(pair.reference, None)


def key_of(region: Region) -> tuple[tuple[str, str], ...]:
    """A region, told by the pairs its segments end in."""
    return tuple(sorted(pair for step in region.steps for pair in step.segment.outputs))


def regions_of(alignment: Alignment, walk: Walk, hidden: frozenset[str]) -> list[Region]:
    """Group the origins that feed one another, whose tensors could have been mistaken for one another, or
    that read outputs of one op: it may have exchanged them."""
    origins = [step for step in walk.steps if step.is_origin]
    maker = {pair: number for number, step in enumerate(origins) for pair in step.segment.outputs}
    touching = nx.Graph()
    touching.add_nodes_from(range(len(origins)))
    for number, step in enumerate(origins):
        touching.add_edges_from((maker[pair], number) for pair in step.segment.inputs if pair in maker)
    by_size: dict[int, int] = {}
    for number, step in enumerate(origins):  # of two values swapped, either holds what the other should
        for pair in step.pairs:
            first = by_size.setdefault(int(np.prod(pair.shape)), number)
            touching.add_edge(first, number)
    by_source: dict[int, int] = {}
    for number, step in enumerate(origins):
        for _, c in step.segment.inputs:
            source = alignment.candidate.producer.get(c)
            if source is not None and len(source.outputs) > 1:
                touching.add_edge(by_source.setdefault(source.index, number), number)
    groups = sorted(sorted(group) for group in nx.connected_components(touching))
    return [_region(alignment, tuple(origins[n] for n in group), hidden) for group in groups]


def _region(alignment: Alignment, steps: tuple[Step, ...], hidden: frozenset[str]) -> Region:
    made = {pair for step in steps for pair in step.segment.outputs}
    inputs = dict.fromkeys(pair for step in steps for pair in step.segment.inputs if pair not in made)
    ours, theirs = alignment.reference, alignment.candidate
    reference_ops = sorted({index for step in steps for index in step.segment.reference_ops})
    ops = sorted({index for step in steps for index in step.segment.ops})
    return Region(
        steps=steps,
        inputs=tuple(inputs),
        nodes=tuple(sorted({index for step in steps for index in step.segment.nodes})),
        reference_values=tuple(
            name
            for index in reference_ops
            for name in ours.graph.op(index).outputs
            if name in set(ours.values) and name not in hidden
        ),
        candidate_values=tuple(
            name for index in ops for name in theirs.graph.op(index).outputs if name in set(theirs.values)
        ),
    )


def mend(
    region: Region,
    lockstep: Lockstep,
    run: Runner,
    pairs: dict[str, str],
    evidence: dict[str, tuple[str, ...]],
) -> None:
    """Pair the region's values by what they hold, and drop the pairs that this refutes, in place."""
    truth = _reference_tensors(region, run)
    feeds = {c: lockstep.fitting(c, truth[r]) for r, c in region.inputs if r in truth}
    got = lockstep.candidate.run(feeds, region.candidate_values, region.nodes)
    proven = _same_values(region, truth, got, pairs, lockstep.reference, lockstep.graph)
    for r, c in proven.items():
        _unpair(pairs, evidence, r, c)
        pairs[r] = c
        evidence[r] = (*evidence.get(r, ()), "values")
    for r, c in _refuted(region, proven, lockstep):
        if pairs.get(r) == c:
            del pairs[r]
            evidence.pop(r, None)
    _bridge(region, lockstep, truth, pairs, evidence, frozenset(proven))
    _uncross(region, lockstep, truth, pairs, evidence)


def _reference_tensors(region: Region, run: Runner) -> dict[str, Tensor]:
    wanted = dict.fromkeys([r for r, _ in region.inputs if r] + list(region.reference_values))
    held: dict[str, Tensor] = {}
    total = 0
    for name, tensor in run(wanted):
        held[name] = tensor
        total += tensor.nbytes
        if total > LARGEST_REGION:
            raise EngineError("the region is too large to be held in memory")
    return held


def _same_values(
    region: Region,
    truth: Mapping[str, Tensor],
    got: Mapping[str, Tensor],
    pairs: Mapping[str, str],
    reference: Graph,
    candidate: Graph,
) -> dict[str, str]:
    """Reference -> candidate values of the region that hold the same numbers; the closest wins.

    Outputs of one op are not exchanged for that where all that read them agree as they are: then the op has
    exchanged them, and is to blame. Two outputs of the models that are one another's partners are only ever
    exchanged for outputs: an operator lost or added at the very end would have nothing to be judged by.
    """
    backward = {c: r for r, c in pairs.items()}
    finals = final_pairs(reference, candidate, pairs)
    last = frozenset(finals.values())
    rated = []
    only, read = region.lost_work(), region.read()
    for place, c in enumerate(region.candidate_values):
        for r in region.reference_values:
            if c in only and r not in only[c]:
                continue
            if r not in truth or truth[r].array.size != got[c].array.size:
                continue
            if c not in read and siblings(reference, r, backward.get(c, r)):
                continue
            if (r in finals) != (c in last):
                continue
            found = compare_arrays(truth[r].array.reshape(-1), got[c].array.reshape(-1))
            metrics = found.metrics
            if truth[r].array.any() and metrics.rel_l2 <= SAME_REL_L2 and metrics.max_rel <= SAME_MAX_REL:
                rated.append((backward.get(c) != r, metrics.rel_l2, place, r, c))
    proven: dict[str, str] = {}
    for _, _, _, r, c in sorted(rated):
        if r not in proven and c not in proven.values():
            proven[r] = c
    return proven


def final_pairs(reference: Graph, candidate: Graph, pairs: Mapping[str, str]) -> dict[str, str]:
    """The pairs that are outputs of both models."""
    ours, theirs = (frozenset(view_of(graph).outputs) for graph in (reference, candidate))
    return {r: c for r, c in pairs.items() if r in ours and c in theirs}


def siblings(graph: Graph, one: str, other: str) -> bool:
    """Whether two values are different outputs of one op."""
    op = graph.producer.get(one)
    return op is not None and one != other and other in op.outputs


def _unpair(pairs: dict[str, str], evidence: dict[str, tuple[str, ...]], r: str, c: str) -> None:
    for other in [o for o, partner in pairs.items() if (partner == c) != (o == r)]:
        del pairs[other]
        evidence.pop(other, None)


def _refuted(region: Region, proven: Mapping[str, str], lockstep: Lockstep) -> Iterator[tuple[str, str]]:
    """Pairs with a wound on both sides although a later value of the region comes out right."""
    entered = {pair for step in region.steps for pair in step.segment.inputs}
    flow = lockstep.graph.flow
    right = set(proven.values())
    for step in region.steps:
        for r, c in step.segment.outputs:
            if (r, c) in entered and proven.get(r) != c and right & nx.descendants(flow, c):
                yield r, c


def _bridge(
    region: Region,
    lockstep: Lockstep,
    truth: Mapping[str, Tensor],
    pairs: dict[str, str],
    evidence: dict[str, tuple[str, ...]],
    proven: frozenset[str],
) -> None:
    """Behind a fault no value tells its partner: try the partners that make the next segment agree."""
    for behind in region.steps:
        for r, c in behind.segment.inputs:
            if (r, c) in region.inputs or r in proven or pairs.get(r) != c:
                continue
            for other in region.reference_values:
                free = other not in proven and other != r and other in truth
                if free and _accepts(behind.segment, lockstep, truth, pairs, (other, c)):
                    _unpair(pairs, evidence, other, c)
                    pairs[other] = c
                    evidence[other] = ("values behind it",)
                    break


def _uncross(
    region: Region,
    lockstep: Lockstep,
    truth: Mapping[str, Tensor],
    pairs: dict[str, str],
    evidence: dict[str, tuple[str, ...]],
) -> None:
    """Two readers of one op err, and agree with its outputs exchanged: then that op has exchanged them.

    One fault explains more than two, so the pairs are crossed and the blame goes to the op that both read.
    """
    for step, other in itertools.combinations(region.steps, 2):
        for (r, c), (q, d) in itertools.product(step.segment.inputs, other.segment.inputs):
            exchanged = r != q and siblings(lockstep.graph, c, d) and pairs.get(r) == c and pairs.get(q) == d
            if (
                exchanged
                and _accepts(step.segment, lockstep, truth, pairs, (q, c))
                and _accepts(other.segment, lockstep, truth, pairs, (r, d))
            ):
                pairs[r], pairs[q] = d, c
                evidence[r] = evidence[q] = ("values behind it",)
                return


def _accepts(
    segment: Segment,
    lockstep: Lockstep,
    truth: Mapping[str, Tensor],
    pairs: Mapping[str, str],
    trial: tuple[str, str],
) -> bool:
    """Whether a segment agrees when one input is paired differently."""
    partner = {c: r for r, c in segment.inputs} | {trial[1]: trial[0]}
    if truth[trial[0]].array.size != int(np.prod(lockstep.forms.get(trial[1], (None, (-1,)))[1])):
        return False
    if any(r not in truth for r in partner.values()):
        return False
    feeds = {c: lockstep.fitting(c, truth[r]) for c, r in partner.items()}
    try:
        got = lockstep.candidate.run(feeds, [c for _, c in segment.outputs], segment.nodes)
    except EngineError:
        return False
    for r, c in segment.outputs:
        if r not in truth or truth[r].array.size != got[c].array.size:
            return False
        metrics = compare_arrays(truth[r].array.reshape(-1), got[c].array.reshape(-1)).metrics
        if metrics.rel_l2 > SAME_REL_L2 or metrics.max_rel > SAME_MAX_REL:
            return False
    return True


def rewalk(alignment: Alignment, walk: Walk, lockstep: Lockstep, run: Runner) -> Walk:
    """Walk the segments that changed; the others keep their steps."""
    known = {step.segment: step for step in walk.steps}
    changed = tuple(segment for segment in alignment.segments if segment not in known)
    again = lockstep.again()
    wanted = {r for segment in changed for r, _ in (*segment.inputs, *segment.outputs) if r}
    fresh = again.walk(run(wanted), changed, ({}, lockstep.feeds), lambda done: None)
    measured = {step.segment: _with_cumulative(step, walk, lockstep, run) for step in fresh.steps}
    steps = tuple(known.get(segment) or measured[segment] for segment in alignment.segments)
    return Walk(steps, walk.problem or fresh.problem)


def _with_cumulative(step: Step, before: Walk, lockstep: Lockstep, run: Runner) -> Step:
    """Cumulative errors: as the first walk measured them, or from one more run where the pair is new."""
    known = {(pair.reference, pair.candidate): pair for old in before.steps for pair in old.pairs}
    new = [pair for pair in step.pairs if pair.cumulative is None]
    new = [pair for pair in new if (pair.reference, pair.candidate) not in known]
    ours = dict(run([pair.reference for pair in new])) if new else {}
    theirs = lockstep.candidate.engine.run(lockstep.feeds, [p.candidate for p in new]) if new else {}
    pairs = []
    for pair in step.pairs:
        if old := known.get((pair.reference, pair.candidate)):
            pairs.append(replace(pair, cumulative=old.cumulative, mask_changed=old.mask_changed))
        elif pair in new and pair.reference in ours and pair.candidate in theirs:
            found = compare_arrays(ours[pair.reference].array, theirs[pair.candidate].array)
            pairs.append(replace(pair, cumulative=found))
        else:
            pairs.append(pair)
    return replace(step, pairs=tuple(pairs))


def repeats_itself(run: Runner, walk: Walk) -> list[str]:
    """The faulty pairs' reference values that come out differently on a second run."""
    digests = {p.reference: p.digest for s in walk.steps for p in s.pairs if p.digest is not None}
    return [name for name, tensor in run(digests) if digest_of(tensor.array) != digests[name]]
