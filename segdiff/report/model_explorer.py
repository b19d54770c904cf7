"""What does the walk look like on the graph in Model Explorer? Node data: a number and a colour a node.

Model Explorer finds a node by any of its output tensors' names, so nothing else of the graph is needed.
https://github.com/google-ai-edge/model-explorer/wiki/2.-User-Guide#custom-node-data
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from segdiff.core.answer import Report

COLOURS = {"clean": "#d9f0d3", "origin": "#b2182b", "inherited": "#fddbc7", "unknown": "#e0e0e0"}
TEXTS = {"origin": "#ffffff"}
"""Of the states; the text's colour where black cannot be read."""

FLOOR = 1e-12
"""The error that stands for none at all: a logarithm needs one."""

LARGEST = 1e30
"""What an infinite error is drawn as."""


def render(report: Report) -> str:
    """The error of each pair on equal inputs as a power of ten, coloured by the pair's state."""
    results = dict(_results(report))
    data = {"name": "segdiff: error on equal inputs (log10 of rel_l2)", "results": results}
    return json.dumps(data, indent=1) + "\n"


def _results(report: Report) -> Iterator[tuple[str, dict[str, Any]]]:
    for pair in report.pairs:
        if pair.isolated is not None and pair.candidate:
            result = {"value": _power(pair.isolated.metrics.rel_l2), "bgColor": COLOURS[pair.state]}
            text = TEXTS.get(pair.state)
            yield pair.candidate, result | ({"textColor": text} if text else {})


def _power(error: float) -> float:
    if not math.isfinite(error):
        return round(math.log10(LARGEST), 3)
    return round(math.log10(min(max(error, FLOOR), LARGEST)), 3)
