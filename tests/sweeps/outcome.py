"""Does a report say what was planted?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from segdiff.align.view import view_of
from segdiff.core.answer import Origin, Report
from segdiff.readers import find, read
from tests.faults import Fault

GOOD = ("hit", "quiet")
"""Outcomes that are as they should be; see :func:`outcome`."""


class Truth:
    """Where planted nodes are in the candidate as segdiff reads it."""

    def __init__(self, file: Path) -> None:
        self.view = view_of(read(find(file)))

    def held_by(self, fault: Fault, origin: Origin) -> str:
        """How an origin holds the planted node: ``node``, ``alias``, or "" if it does not.

        A fault can turn a node into one that hands its input on (a ReLU into an Identity). It then counts as
        held where the segment starts from what it hands on, or ends in it.
        """
        made = {name for node in origin.candidate_nodes for name in node.outputs}
        starts = {candidate for _, candidate in origin.inputs}
        if made.intersection(fault.outputs):
            return "node"
        sources = {self.view.source(name) for name in fault.outputs} - set(fault.outputs)
        return "alias" if sources & (made | starts | {origin.pair.candidate}) else ""

    def place(self, fault: Fault, origins: Iterable[Origin]) -> int | None:
        """Which origin holds the node."""
        how = [self.held_by(fault, origin) for origin in origins]
        return next((how.index(word) for word in ("node", "alias") if word in how), None)


def outcome(report: Report, place: int | None, level: str) -> str:
    """One word for a diagnosis.

    ``hit``    the first origin holds the planted node (where the fault is visible, or seen all the same)
    ``quiet``  nothing is visible and nothing is found
    ``late``   an origin holds it, but another comes first
    ``wrong``  there are origins, and none holds it
    ``silent`` the fault is visible and the models are said to agree
    ``unsure`` inconclusive
    """
    if report.verdict == "inconclusive":
        return "unsure"
    if place == 0:
        return "hit"
    if report.origins:
        return "late" if place is not None else "wrong"
    return "silent" if level == "visible" else "quiet"


def origin_facts(origin: Origin) -> dict[str, Any]:
    """An origin, as far as one needs to know it in a list of misses."""
    isolated = origin.pair.isolated
    return {
        "reference": [op.type for op in origin.reference_ops],
        "candidate": [op.type for op in origin.candidate_nodes],
        "value": [origin.pair.reference, origin.pair.candidate],
        "inputs": [list(pair) for pair in origin.inputs],
        "evidence": list(origin.pair.evidence),
        "reason": origin.pair.reason,
        "rel_l2": isolated.metrics.rel_l2 if isolated else None,
        "confirmed": origin.confirmed,
        "cause": origin.cause.kind if origin.cause else None,
        "because": origin.cause.text if origin.cause else None,
        "proven": bool(origin.cause and origin.cause.proven),
        "residual": origin.cause.residual.rel_l2 if origin.cause and origin.cause.residual else None,
        "effect": origin.effect.final_error_removed if origin.effect else None,
    }


def width(origin: Origin) -> tuple[int, int]:
    """Ops of the blamed segment, reference and candidate."""
    return len(origin.reference_ops), len(origin.candidate_nodes)
