"""Which values of a region are one another? Those that hold the same numbers from the same inputs on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping

import networkx as nx
import numpy as np

from segdiff.align import Segment
from segdiff.align.view import View
from segdiff.core.errors import EngineError
from segdiff.core.graph import Graph
from segdiff.core.metrics import Metrics, compare_arrays, same_form
from segdiff.core.precision import EPSILON
from segdiff.engines import Tensor
from segdiff.walk.run import Run
from segdiff.walk.sketch import SAME_UNITS, could_be, largest_error, sketch_of
from segdiff.walk.verify.regions import Region

LARGEST_REGION = 1 << 30
"""Bytes of reference tensors that a region may hold at once; a larger one is left as it is."""

SAME_REL_L2 = 1e-4
"""Two tensors computed from the same inputs count as one value below it, and below ``largest_error``."""


def mend(
    region: Region,
    run: Run,
    pairs: dict[str, str],
    evidence: dict[str, tuple[str, ...]],
    end: float,
) -> None:
    """Pair the region's values by what they hold, and drop the pairs that this refutes, in place.

    From ``end`` (by ``time.monotonic``) on no segment is tried any more: what is proven until then stays.
    """
    truth = _reference_tensors(region, run)
    feeds = {c: run.probe.fitting(c, truth[r]) for r, c in region.inputs if r in truth}
    got = run.probe.candidate.run(feeds, region.candidate_values, region.nodes)
    proven = _same_values(region, truth, got, pairs, run)
    for r, c in proven.items():
        _unpair(pairs, evidence, r, c)
        pairs[r] = c
        evidence[r] = (*evidence.get(r, ()), "values")
    for r, c in _refuted(region, proven, run, truth):
        if pairs.get(r) == c:
            del pairs[r]
            evidence.pop(r, None)
    _bridge(region, run, truth, pairs, evidence, frozenset(proven), end)
    _uncross(region, run, truth, pairs, evidence, end)


def _reference_tensors(region: Region, run: Run) -> dict[str, Tensor]:
    held: dict[str, Tensor] = {}
    total = 0
    for name, tensor in run.reference(region.wanted):
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
    run: Run,
) -> dict[str, str]:
    """Reference -> candidate values of the region that hold the same numbers; the closest wins.

    Outputs of one op are not exchanged for that where all that read them agree as they are: then the op has
    exchanged them, and is to blame. Two outputs of the models that are one another's partners are only ever
    exchanged for outputs: an operator lost or added at the very end would have nothing to be judged by.
    """
    reference = run.probe.reference
    backward = {c: r for r, c in pairs.items()}
    views = run.alignment.reference, run.alignment.candidate
    outputs = frozenset(views[0].outputs), frozenset(views[1].outputs)
    finals = {r: pairs[r] for r in outputs[0] if pairs.get(r) in outputs[1]}
    last = frozenset(finals.values())
    rated = []
    unit = max(run.probe.unit(step.segment) for step in region.steps)
    only, read = region.lost_work(), region.read()
    known = [r for r in region.reference_values if r in truth]
    near = could_be(
        [sketch_of(truth[r].array) for r in known],
        [sketch_of(got[c].array) for c in region.candidate_values],
        unit,
    )
    for place, c in enumerate(region.candidate_values):
        for r in (known[i] for i in np.flatnonzero(near[:, place])):
            if c in only and r not in only[c]:
                continue
            if c not in read and siblings(reference, r, backward.get(c, r)):
                continue
            if (r in finals) != (c in last) and not (r in outputs[0] and c in outputs[1]):
                continue
            if backward.get(c) != r and not same_form(truth[r].array.shape, got[c].array.shape):
                continue  # the walk would call that another shape, and what is behind it is compared as well
            found = compare_arrays(truth[r].array.reshape(-1), got[c].array.reshape(-1))
            metrics = found.metrics
            if truth[r].array.any() and same_value(metrics, unit):
                rated.append((backward.get(c) != r, metrics.rel_l2, place, r, c))
    proven: dict[str, str] = {}
    taken: set[str] = set()
    fixed = {r: pairs[r] for r in known if r in pairs}
    for new, _, _, r, c in sorted(rated):
        if r in proven or c in taken or (new and crosses(views, (r, c), {**fixed, **proven})):
            continue
        proven[r] = c
        taken.add(c)
    return proven


def crosses(views: tuple[View, View], pair: tuple[str, str], pairs: Mapping[str, str]) -> bool:
    """Whether a pair comes before one of ``pairs`` on one side and behind it on the other: two forms of one
    value, floats and what their bytes stand for, hold nearly the same numbers."""
    flows = [view.flow for view in views]
    if any(name not in flow for flow, name in zip(flows, pair, strict=True)):
        return False
    before = [nx.ancestors(flow, name) for flow, name in zip(flows, pair, strict=True)]
    behind = [nx.descendants(flow, name) for flow, name in zip(flows, pair, strict=True)]
    return any(
        (r in before[0] and c in behind[1]) or (r in behind[0] and c in before[1]) for r, c in pairs.items()
    )


def same_value(metrics: Metrics, unit: float) -> bool:
    """Whether two tensors computed from the same inputs, with roundings of that unit, are one value."""
    coarse = SAME_UNITS * unit if unit > EPSILON else 0.0
    return metrics.rel_l2 <= max(SAME_REL_L2, coarse) and metrics.max_rel <= largest_error(unit)


def siblings(graph: Graph, one: str, other: str) -> bool:
    """Whether two values are different outputs of one op."""
    op = graph.producer.get(one)
    return op is not None and one != other and other in op.outputs


def _unpair(pairs: dict[str, str], evidence: dict[str, tuple[str, ...]], r: str, c: str) -> None:
    for other in [o for o, partner in pairs.items() if (partner == c) != (o == r)]:
        del pairs[other]
        evidence.pop(other, None)


def _refuted(
    region: Region, proven: Mapping[str, str], run: Run, truth: Mapping[str, Tensor]
) -> Iterator[tuple[str, str]]:
    """Pairs with a wound on both sides although a later value of the region comes out right.

    Bytes that end before the reference's numbers do are a wound of their own, and tell nothing of the pair.
    """
    entered = {pair for step in region.steps for pair in step.segment.inputs}
    flow = run.probe.graph.flow
    right = set(proven.values())
    for step in region.steps:
        for r, c in step.segment.outputs:
            if (r, c) not in entered or proven.get(r) == c or not right & nx.descendants(flow, c):
                continue
            if r not in truth or not run.probe.ends_before(c, truth[r]):
                yield r, c


def _bridge(
    region: Region,
    run: Run,
    truth: Mapping[str, Tensor],
    pairs: dict[str, str],
    evidence: dict[str, tuple[str, ...]],
    proven: frozenset[str],
    end: float,
) -> None:
    """Behind a fault no value tells its partner: try the partners that make the next segment agree."""
    for behind in region.steps:
        for r, c in behind.segment.inputs:
            if (r, c) in region.inputs or r in proven or pairs.get(r) != c:
                continue
            if r in truth and run.probe.ends_before(c, truth[r]):
                continue
            for other in region.reference_values:
                free = other not in proven and other != r and other in truth
                if time.monotonic() > end:
                    return
                if free and _accepts(behind.segment, run, truth, pairs, (other, c)):
                    _unpair(pairs, evidence, other, c)
                    pairs[other] = c
                    evidence[other] = ("values behind it",)
                    break


def _uncross(
    region: Region,
    run: Run,
    truth: Mapping[str, Tensor],
    pairs: dict[str, str],
    evidence: dict[str, tuple[str, ...]],
    end: float,
) -> None:
    """Two readers of one op err, and agree with its outputs exchanged: then that op has exchanged them.

    One fault explains more than two, so the pairs are crossed and the blame goes to the op that both read.
    """
    for step, other in itertools.combinations(region.steps, 2):
        if time.monotonic() > end:
            return
        for (r, c), (q, d) in itertools.product(step.segment.inputs, other.segment.inputs):
            exchanged = r != q and siblings(run.probe.graph, c, d) and pairs.get(r) == c and pairs.get(q) == d
            if (
                exchanged
                and _accepts(step.segment, run, truth, pairs, (q, c))
                and _accepts(other.segment, run, truth, pairs, (r, d))
            ):
                pairs[r], pairs[q] = d, c
                evidence[r] = evidence[q] = ("values behind it",)
                return


def _accepts(
    segment: Segment,
    run: Run,
    truth: Mapping[str, Tensor],
    pairs: Mapping[str, str],
    trial: tuple[str, str],
) -> bool:
    """Whether a segment agrees when one input is paired differently."""
    partner = {c: r for r, c in segment.inputs} | {trial[1]: trial[0]}
    if truth[trial[0]].array.size != int(np.prod(run.probe.forms.get(trial[1], (None, (-1,)))[1])):
        return False
    if any(r not in truth for r in partner.values()):
        return False
    feeds = {c: run.probe.fitting(c, truth[r]) for c, r in partner.items()}
    try:
        got = run.probe.candidate.run(feeds, [c for _, c in segment.outputs], segment.nodes)
    except EngineError as error:
        if error.died:
            raise
        return False  # it does not take such a tensor
    for r, c in segment.outputs:
        if r not in truth or truth[r].array.size != got[c].array.size:
            return False
        metrics = compare_arrays(truth[r].array.reshape(-1), got[c].array.reshape(-1)).metrics
        if not same_value(metrics, run.probe.unit(segment)):
            return False
    return True
