"""Which node does the sentence name?"""

from __future__ import annotations

from dataclasses import replace

from segdiff.core.answer import Cause, OpInfo
from segdiff.core.edit import Edit
from segdiff.finding.decide import blame
from tests.report import reports


def test_the_node_that_a_proven_cause_changes_is_named() -> None:
    """A weight is wrong in a segment of three nodes: not the last of them is to blame."""
    first = reports.explained().origins[0]
    end = first.pair.candidate
    nodes = tuple(
        OpInfo(kind, "", (name,), {}) for kind, name in (("LSTM", "h"), ("Squeeze", "s"), ("Reshape", end))
    )
    wrong = Cause("recurrent.gates", "Two gates are exchanged.", True, edits=(Edit("h", inputs={1: None}),))
    sentence = blame((replace(first, candidate_nodes=nodes, cause=wrong),))
    assert sentence.startswith("The models diverge at LSTM 'h', where the reference has")
    for other in (replace(wrong, proven=False), replace(wrong, edits=(Edit("h"), Edit("s"))), None):
        sentence = blame((replace(first, candidate_nodes=nodes, cause=other),))
        assert repr(end) in sentence
