"""What is known once both models have walked? The run: what may be asked further, and what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from segdiff.align import Alignment, Segment
from segdiff.core.errors import EngineError
from segdiff.core.graph import Graph
from segdiff.core.thresholds import Thresholds
from segdiff.engines import Tensor
from segdiff.engines.registry import engine_for
from segdiff.engines.session import Engines
from segdiff.walk.alone import walk_alone
from segdiff.walk.beside import Beside
from segdiff.walk.probe import Probe
from segdiff.walk.reference_tensors import ReferenceTensors
from segdiff.walk.same import NOTHING, walk_past
from segdiff.walk.steps import Own, Step, Walk, bytes_of
from segdiff.walk.walker import walk_through

FOR_PROOFS = 4
"""Of the memory for the reference's tensors, the share that the walk leaves for those within a region: where
much errs, and all was kept at its ends, each region had a run of its own."""


@dataclass(frozen=True)
class Whole:
    """What a file, the candidate's as a rule, gave when it ran whole from the image, by the names of its
    outputs.

    ``written`` as the file says, ``deployed`` optimised; None where it did not run so, or was not asked to;
    ``error`` says why it did not run optimised, where nobody is to ask again.
    ``acquitted``: as deployed it gives the reference's outputs, within what its segments' errors add up to.
    """

    written: Mapping[str, Tensor] | None = None
    deployed: Mapping[str, Tensor] | None = None
    acquitted: bool = False
    error: EngineError | None = None


@dataclass(frozen=True)
class Run:
    """A walk, with what ran it.

    ``probe`` runs segments of the candidate, ``reference`` the reference once more; ``alignment`` and
    ``walk`` are what is known so far; ``hidden`` are reference values that its engine cannot show; ``whole``
    is what the candidate's file gave when it ran whole, where it has.
    """

    probe: Probe
    reference: ReferenceTensors
    alignment: Alignment
    walk: Walk
    hidden: frozenset[str] = frozenset()
    whole: Whole | None = None

    @property
    def origins(self) -> tuple[Step, ...]:
        """The steps that err on equal inputs, in walk order."""
        return tuple(step for step in self.walk.steps if step.is_origin)

    @property
    def outputs(self) -> tuple[tuple[str, str], ...]:
        """The model outputs that have a partner, (reference, candidate)."""
        return self.alignment.output_values


def walked(
    engines: Engines,
    alignment: Alignment,
    feeds: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    thresholds: Thresholds,
    memory: int,
    progress: Callable[[int], None],
    own: Own = "everywhere",
    same: frozenset[Segment] = NOTHING,
) -> Run:
    """Walk both models side by side, every segment on equal inputs.

    ``feeds`` are the inputs of the reference and of the candidate, ``memory`` the bytes of reference tensors
    that may be kept for the proofs; ``own`` as :func:`segdiff.walk.walker.walk_through` has it.
    With ``same`` these segments are not run (:mod:`segdiff.walk.same`).
    """
    probe = probe_of(engines, alignment, feeds, thresholds)
    start = time.monotonic()
    stream = values_of(engines, alignment, feeds[0], same)
    if same:
        walk = walk_past(probe, stream, alignment.segments, same, feeds[0], progress)
    else:
        room = memory - memory // FOR_PROOFS
        walk = walk_through(probe, stream, alignment.segments, feeds[0], progress, own, room)
    walk = replace(walk, seconds=time.monotonic() - start)
    return run_of(engines, alignment, feeds[0], probe, walk, memory)


def walked_by_itself(
    engines: Engines,
    alignment: Alignment,
    feeds: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    thresholds: Thresholds,
    memory: int,
    progress: Callable[[int], None],
) -> Run:
    """The walk of a file that stands on both sides, run once as a whole: that it agrees with itself need not
    be measured, as long as it draws no random numbers. What is returned is as of :func:`walked`."""
    probe = probe_of(engines, alignment, feeds, thresholds)
    stream = engines.reference.stream(feeds[0], needed_of(alignment, feeds[0]))
    ends, start = frozenset(alignment.candidate.outputs), time.monotonic()
    walk = walk_alone(stream, alignment.segments, feeds[0], ends, progress)
    walk = replace(walk, seconds=time.monotonic() - start)
    return run_of(engines, alignment, feeds[0], probe, walk, memory)


def probe_of(
    engines: Engines,
    alignment: Alignment,
    feeds: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    thresholds: Thresholds,
) -> Probe:
    """What runs segments of the candidate."""
    graphs = alignment.reference.graph, alignment.candidate.graph
    own = beside(engines, graphs[0], feeds[0])
    return Probe(engines.candidate, *graphs, engines.blocks, thresholds, feeds[1], beside=own)


def needed_of(
    alignment: Alignment, fed: Mapping[str, Tensor], same: frozenset[Segment] = NOTHING
) -> set[str]:
    """The reference's values at the ends of segments that run, and its outputs; but for what it is fed."""
    ends = {r for s in alignment.segments if s not in same for r, _ in (*s.inputs, *s.outputs) if r}
    paired = {pair for s in same for pair in s.outputs}
    return (ends | {r for r, c in alignment.output_values if (r, c) in paired}) - fed.keys()


def values_of(
    engines: Engines, alignment: Alignment, fed: Mapping[str, Tensor], same: frozenset[Segment]
) -> Iterator[tuple[str, Tensor]]:
    """The reference's values that the walk needs, as they come; where no segment of two ONNX files runs these
    are the outputs alone, and nothing is cut to show them."""
    needed, view = needed_of(alignment, fed, same), alignment.reference
    names = {view.source(name): name for name in view.graph.outputs}
    if not (same and needed and needed <= names.keys()):
        yield from engines.reference.stream(fed, needed)
        return
    found = engines.reference.run_written(fed, [name for r, name in names.items() if r in needed])
    yield from ((r, found[name]) for r, name in names.items() if name in found)


def run_of(
    engines: Engines,
    alignment: Alignment,
    fed: Mapping[str, Tensor],
    probe: Probe,
    walk: Walk,
    memory: int,
) -> Run:
    """A walk with what ran it, and the tensors kept that the proofs will ask for."""
    held = {name: tensor for name, tensor in walk.held.items() if name not in fed}
    aside = memory // FOR_PROOFS
    left = max(0, memory - aside - bytes_of(held) - bytes_of(walk.frontier))
    reference = ReferenceTensors(engines.reference, fed, left, held, once=set(held), aside=aside)
    reference.held.update(walk.finals)
    partner = {c: r for r, c in alignment.pairs.items()}
    reference.held.update({partner[c]: tensors[0] for c, tensors in walk.ends.items() if c in partner})
    for step in walk.steps:
        reference.keep(ends_of(step) if step.is_origin else ())
    reference.keep(alignment.reference.outputs)
    partner = {c: r for r, c in alignment.pairs.items()}
    reference.held.update({partner[c]: ours for c, (ours, _) in walk.ends.items() if c in partner})
    hidden = engines.hidden(alignment.reference.graph)
    return Run(replace(probe, forms=walk.forms), reference, alignment, walk, hidden)


def beside(engines: Engines, graph: Graph, inputs: Mapping[str, Tensor]) -> Beside | None:
    """Another engine of a quantised reference, where it can run segments: what does it round by itself?"""
    if not graph.quantised or not engine_for(graph.format).cuts:
        return None
    engine = engines.beside(graph)
    return None if engine is None else Beside(engine, graph, engines.blocks, inputs)


def ends_of(step: Step) -> set[str]:
    """The reference's values at both ends of a segment."""
    return {r for r, _ in (*step.segment.inputs, *step.segment.outputs) if r}
