"""Which node should have written an output that the file declares, and nothing in it makes?

A converter may leave out what an operator gives besides its first result (where a pool's maxima stand), and
list it among the outputs all the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from segdiff.core.graph import Op
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.outlets import Outlets
from segdiff.core.precision import unit_of
from segdiff.finding.outlets import built, shown, whole
from segdiff.finding.outputs import alone, references
from segdiff.finding.relations import agree
from segdiff.walk import Run


@dataclass(frozen=True)
class Unwritten:
    """The output in words, the node to blame, and what the file shall give out instead with the error of that
    output then; None where no such list is known."""

    text: str
    node: Op | None
    ends: Outlets | None = None
    error: Comparison | None = None


def unwritten(run: Run) -> Unwritten | None:
    """The first output of the candidate that nothing writes; None where all are written.

    Raises EngineError.
    """
    graph, ours = run.probe.graph, run.alignment.reference
    if not graph.unwritten:
        return None
    text = f"nothing writes its output {graph.unwritten[0]!r}"
    lost = [ours.outputs[place] for place in alone(run)[0]]
    maker = ours.graph.producer.get(lost[0]) if lost else None
    if maker is None:
        return Unwritten(text, None)
    node = beside(run, maker)
    text += f", the reference's {lost[0]!r}, by {maker.type}"
    if node is not None:
        text += f"; {node.type} {node.name!r} in its place does not make it"
    listed = whole(run, dict(run.alignment.outputs))
    errors = [remade(run, value) for value in lost] if listed is not None else [None]
    if None in errors:
        return Unwritten(text, node)
    worst = max(
        (each for each in errors if each), key=lambda each: (bool(each.mismatch), each.metrics.rel_l2)
    )
    return Unwritten(text, node, listed, worst)


def beside(run: Run, maker: Op) -> Op | None:
    """The candidate's node that stands for an op of the reference: what makes another of its results, or what
    reads the same."""
    theirs, pairs = run.alignment.candidate, run.alignment.pairs
    for name in maker.outputs:
        if pairs.get(name) in theirs.producer:
            return theirs.producer[pairs[name]]
    for name in maker.inputs:
        for reader in theirs.readers.get(pairs.get(name, ""), ()):
            return reader
    return None


def remade(run: Run, value: str) -> Comparison | None:
    """How far the reference's output is from its own operators in ONNX on the candidate's tensors; None where
    these do not run, or give something else."""
    made = built(run, value, run.alignment.pairs)
    got = None if made is None else shown(run, run.alignment.candidate.outputs[0], made)
    places = {name: place for place, name in enumerate(run.alignment.reference.outputs)}
    truth = references(run)[places[value]]
    if got is None or truth is None:
        return None
    found = compare_arrays(truth, got)
    return found if agree(found, unit_of(got.dtype.name)) else None
