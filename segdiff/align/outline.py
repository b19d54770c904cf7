"""What is drawn of a graph? The operators that compute, and what reads what."""

from __future__ import annotations

from segdiff.align.view import View
from segdiff.core.outline import Drawn, Outline


def outline_of(view: View) -> Outline:
    """The outline of what computes.

    >>> from pathlib import Path
    >>> from segdiff.align.view import view_of
    >>> from segdiff.core.graph import Graph, Op
    >>> relu = Op(0, "Relu", "", ("x",), ("0",), ("a",), {})
    >>> neg = Op(1, "Neg", "", ("a",), ("0",), ("y",), {})
    >>> graph = Graph("onnx", Path("m"), (relu, neg), {}, {}, ("x",), ("y",))
    >>> [node.reads for node in outline_of(view_of(graph)).nodes]
    [(), (0,)]
    """
    places = {op.index: place for place, op in enumerate(view.ops)}
    nodes = []
    for place, op in enumerate(view.ops):
        makers = (view.producer.get(name) for name in view.reads[op.index])
        reads = dict.fromkeys(places[maker.index] for maker in makers if maker is not None)
        nodes.append(Drawn(op.type, op.name, tuple(each for each in reads if each < place), op.outputs))
    return Outline(tuple(nodes))
