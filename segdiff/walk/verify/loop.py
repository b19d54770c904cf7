"""Round after round: origins are grouped, their regions run again, wrong pairs mended and walked anew."""

from __future__ import annotations

from dataclasses import replace

from segdiff.align import cut
from segdiff.align.kinds import kind_of
from segdiff.core.errors import EngineError
from segdiff.walk.run import Run
from segdiff.walk.verify.pairing import mend
from segdiff.walk.verify.regions import key_of, regions_of
from segdiff.walk.verify.rewalk import rewalk

ROUNDS = 3
"""How often a region may be cut anew: wrong pairs in a row are settled front to back."""


def verify(run: Run) -> Run:
    """Put every origin to the proof; returns the run with alignment and walk as far as they were mended.

    Regions of origins run again on the reference's tensors, in the shape and dtype that the candidate has in
    their place; values that hold the same numbers become pairs, those that this refutes are dropped, and what
    was cut anew is walked again. A run without origins comes back as it is.

    Raises EngineError where the reference has to run again and fails.
    """
    seen: set[tuple[tuple[str, str], ...]] = set()
    for _ in range(ROUNDS):
        regions = [r for r in regions_of(run) if r.wide]
        todo = [r for r in regions if key_of(r) not in seen]
        known = run.alignment
        pairs, evidence = dict(known.pairs), dict(known.evidence)
        drop_misfits(run, pairs, evidence)
        for region in todo if pairs == known.pairs else ():
            seen.add(key_of(region))
            try:
                mend(region, run, pairs, evidence)
            except EngineError:
                continue  # the proof failed, the finding stands unconfirmed
        if pairs == known.pairs:
            break
        segments = cut(known.reference, known.candidate, pairs)
        alignment = replace(known, pairs=pairs, evidence=evidence, segments=segments)
        run = replace(run, alignment=alignment, walk=rewalk(run, segments))
    return run


def drop_misfits(run: Run, pairs: dict[str, str], evidence: dict[str, tuple[str, ...]]) -> None:
    """Drop the pairs that only their place spoke for, once the tensors have turned out of another shape."""
    for step in run.walk.steps:
        for pair in step.pairs:
            ours = run.alignment.reference.producer.get(pair.reference)
            theirs = run.alignment.candidate.producer.get(pair.candidate)
            if (pair.reference, pair.candidate) in run.outputs:
                continue  # an output of another shape is the finding
            other_shape = pair.isolated is not None and pair.isolated.other_shape
            if other_shape and ours and theirs and kind_of(ours) != kind_of(theirs):
                pairs.pop(pair.reference, None)
                evidence.pop(pair.reference, None)
