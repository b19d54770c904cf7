"""What runs while something else is done? Whole files, as deployed: their cores would be idle.

The candidate runs while both graphs are aligned and the reference's engine still loads its model; the
reference, where that is asked for, in an engine of its own while both models walk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from segdiff.align import Alignment
from segdiff.align.inputs import obvious_inputs
from segdiff.core.errors import EngineError
from segdiff.deployed.whole import Running, begun
from segdiff.engines.cached import CachedEngine
from segdiff.finding.side_by_side import Sides
from segdiff.inputs import Prepared
from segdiff.walk import Whole


@dataclass(frozen=True)
class Begun:
    """A run of the candidate's whole file on the inputs that these ``pairs`` (the reference's names to the
    candidate's) give it."""

    running: Running
    pairs: Mapping[str, str]


def candidate_begun(sides: Sides, prepared: Prepared) -> Begun | None:
    """Let the candidate's file run as deployed before both graphs are aligned; None where only that can tell
    its inputs from one another."""
    pairs = obvious_inputs(*sides.graphs)
    if pairs is None or not set(sides.graphs[1].inputs) <= set(pairs.values()):
        return None
    return _begun(sides, pairs, prepared)


def _begun(sides: Sides, pairs: Mapping[str, str], prepared: Prepared) -> Begun:
    _, feeds = sides.engines.feeds(sides.graphs, pairs, prepared)
    engine = sides.engines.candidate.engine
    return Begun(begun(engine, feeds, sides.graphs[1].outputs), pairs)


def candidate_whole(
    sides: Sides, alignment: Alignment, prepared: Prepared, early: Begun | None
) -> Callable[[], Whole]:
    """What waits for the run that was begun ``early``, or, where the alignment says otherwise of the inputs,
    for one that begins now. Both models are loaded then. Raises EngineError where one cannot be."""
    candidate, inputs = sides.engines.candidate, set(sides.graphs[1].inputs)
    sides.engines.reference.engine.wait_until_ready()
    if early is not None and not fed_alike(early.pairs, alignment.pairs, inputs):
        early.running.ended()
        candidate.living()
        early = None
    running = (early or _begun(sides, alignment.pairs, prepared)).running
    running.loaded()

    @cache
    def ended() -> Whole:
        whole = running.ended()
        candidate.living()  # the run may have brought it down
        return whole

    return ended


def fed_alike(ours: Mapping[str, str], theirs: Mapping[str, str], inputs: set[str]) -> bool:
    """Whether both pair every one of the candidate's ``inputs`` with the same of the reference's."""
    one, other = ({(r, c) for r, c in pairs.items() if c in inputs} for pairs in (ours, theirs))
    return one == other


def reference_beside(sides: Sides, alignment: Alignment, prepared: Prepared) -> Callable[[], Whole] | None:
    """The reference's file run whole, as deployed, by an engine of its own while both models walk, which
    leaves cores idle now and then. None where there is one core alone, or no engine more can be started, or
    nothing is to be gained: one file stands on both sides, or the reference does not run, or its results are
    kept from one time to the next."""
    engines, graph = sides.engines, sides.graphs[0]
    reference = engines.reference.engine
    alone = sides.files[0].program == sides.files[1].program or isinstance(reference, CachedEngine)
    if engines.another is None or alone or reference.row.optimiser is None:
        return None
    if len(os.sched_getaffinity(0)) < 2:
        return None
    feeds, _ = engines.feeds(sides.graphs, alignment.pairs, prepared)
    try:
        engine = engines.another().engine
    except EngineError:
        return None
    return begun(engine, feeds, graph.outputs, last=True).ended
