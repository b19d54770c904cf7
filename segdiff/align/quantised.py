"""Which values are only another form of a value? Floats that a file keeps as bytes, and turns back.

A quantiser puts QuantizeLinear and DequantizeLinear between an operator and its readers. What the reference
has as one value is then three: the floats as computed, the bytes, and the floats that the bytes stand for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from segdiff.align.view import View
from segdiff.core.graph import Graph, Op

ROUNDING = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""Operators that only store a value in another form."""


def nature(graph: Graph, name: str) -> str | None:
    """``f`` of floats (also where they are kept as bytes), ``i`` of everything else; None where unknown."""
    dtype = graph.value(name).dtype
    if dtype is None or name in graph.quantised:
        return "f" if name in graph.quantised else None
    return "f" if "float" in dtype else "i"


CLIPPING = frozenset({"relu", "relu6", "clip"})
"""Activations that bytes of no negative numbers do by themselves."""


def never_negative(graph: Graph, op: Op) -> bool:
    """Whether an op's result is kept as bytes whose smallest stands for zero."""
    how = graph.quantised.get(op.outputs[0]) if len(op.outputs) == 1 else None
    if how is None or op.outputs[0] in graph.parameters:
        return False
    return bool((how.zero_point == np.iinfo(how.dtype).min).all())


def passing(graph: Graph, name: str) -> bool:
    """Whether a value is bytes that only repeat floats: made of them, or turned back by whatever reads it."""
    if name not in graph.quantised:
        return False
    maker = graph.producer.get(name)
    if maker is not None and maker.type == "QuantizeLinear":
        return name not in graph.outputs
    types = {op.type for op in graph.consumers.get(name, ())}
    return types == {"DequantizeLinear"} and name not in graph.outputs


def readers_behind(view: View, op: Op) -> list[Op]:
    """The ops that read what an op makes, or what its bytes are turned back to."""
    found: list[Op] = []
    queue = list(op.outputs)
    while queue:
        for reader in view.readers.get(queue.pop(), ()):
            if reader.type in ROUNDING:
                queue += reader.outputs
            else:
                found.append(reader)
    return found


def settled(view: View, pairs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The pairs that change, (reference, candidate), so that a value of several readers is stored once.

    ``pairs`` leads from the candidate's values to the reference's. Floats that nobody reads but as bytes, and
    that several ops read when they are turned back, are taken where they are turned back: otherwise each of
    the readers would turn them into bytes for itself, and a wrong scale would be the fault of each.
    """
    for c, r in pairs.items():
        ends = _turned_back(view, c)
        if len(ends) == 1 and ends[0] not in pairs and len(view.readers.get(ends[0], ())) > 1:
            yield r, ends[0]


def _turned_back(view: View, c: str) -> list[str]:
    """What floats become behind their bytes, where they are read in no other way."""
    readers = view.readers.get(c, ())
    if c in view.outputs or any(op.type != "QuantizeLinear" for op in readers):
        return []
    back = [op for reader in readers for op in view.readers.get(reader.outputs[0], ())]
    return [op.outputs[0] for op in back] if all(op.type == "DequantizeLinear" for op in back) else []
