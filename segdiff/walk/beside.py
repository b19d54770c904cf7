"""What does a quantised reference round by itself? Its own segment, run undisturbed and disturbed.

The walk's reference streams its values and cannot be asked meanwhile, so another engine of the same file runs
the segments. Each side rounds for itself: what both do is what may lie between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from segdiff.align import Segment
from segdiff.align.kinds import QUANTIZE
from segdiff.core.edit import Edit, Node
from segdiff.core.errors import EngineError
from segdiff.core.graph import Array, Graph
from segdiff.core.precision import DEQUANTIZE, LOST, STEP
from segdiff.core.quantised import ends_of
from segdiff.engines import Blocks, Tensor
from segdiff.engines.revived import Candidate
from segdiff.readers.dtypes import numpy_dtype
from segdiff.walk import last_bit


@dataclass(frozen=True)
class Beside:
    """Another ``engine`` of the reference, whose ``graph`` is quantised; ``inputs`` are the model's own."""

    engine: Candidate
    graph: Graph
    blocks: Blocks
    inputs: Mapping[str, Tensor] = field(default_factory=dict)

    def moved(self, segment: Segment, c: str, feeds: Mapping[str, Tensor]) -> Array | None:
        """By how much the reference's own rounding moves what it has in the place of the candidate's ``c``.

        ``feeds`` are the segment's inputs by the candidate's names. None where the reference's segment makes
        no bytes, or does not run.
        """
        name = next((r for r, other in segment.outputs if other == c), "")
        stops = {r: other for r, other in segment.inputs if r}
        stops |= other_forms(self.graph, segment.reference_ops, stops)
        nodes = between(self.graph, name, stops)
        if not last_bit.quantises(self.graph, nodes):
            return None
        read = {each for index in nodes for each in self.graph.op(index).inputs}
        own = nodes
        if read & set(self.inputs) - set(
            stops
        ):  # what it starts from comes another way: it runs from the image
            own = tuple(index for index in nodes if index in segment.reference_ops)
        given = {r: self._fed(r, feeds[other]) for r, other in stops.items() if r in read and other in feeds}
        moved = {r: self._moved(r, tensor, place) for place, (r, tensor) in enumerate(given.items())}
        fixed = {r: tensor for r, tensor in self.inputs.items() if r in read and r not in stops}
        given, moved = {**fixed, **given}, {**fixed, **moved}
        try:
            still = self.engine.run(given, [name], nodes)[name]
            shaken = self.engine.run(moved, [name], nodes, last_bit.edits(self.graph, own))[name]
            plain = self.engine.run(given, [name], nodes, unrounded(self.graph, own))[name]
        except EngineError:
            return None
        if not still.array.shape == shaken.array.shape == plain.array.shape or still.array.dtype.kind != "f":
            return None
        array = shaken.array
        if name in self.graph.quantised:
            array = last_bit.moved(self.graph, name, array, last_bit.SEED + 1, STEP)
        noise, cut = array - still.array, plain.array - still.array
        if float(np.linalg.norm(cut)) > LOST * float(np.linalg.norm(still.array)):  # bytes as an activation
            return np.asarray(noise)
        return np.asarray(np.where(np.abs(cut) > np.abs(noise), cut, noise))

    def _moved(self, name: str, tensor: Tensor, place: int) -> Tensor:
        """A tensor of bytes moved by up to a step: what reads them may round inside."""
        if name not in self.graph.quantised:
            return tensor
        return self.blocks.tensor(
            last_bit.moved(self.graph, name, tensor.array, last_bit.SEED + 2 + place, STEP)
        )

    def _fed(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor in the type and shape that the reference has for a value, as far as the file tells."""
        value, array = self.graph.value(name), tensor.array
        shape = tuple(length for length in value.shape or () if length is not None)
        if len(shape) == len(value.shape or ()) and int(np.prod(shape)) == array.size:
            array = array.reshape(shape)
        if name not in self.graph.quantised and value.dtype and array.dtype.name != value.dtype:
            array = array.astype(numpy_dtype(value.dtype))
        return tensor if array is tensor.array else self.blocks.tensor(array)


def other_forms(graph: Graph, ops: Iterable[int], stops: Mapping[str, str]) -> dict[str, str]:
    """What some ops read of a value that is known in another form alone: as the floats that bytes were made
    of, or as the bytes of another reader."""
    known = {floats_of(graph, r): other for r, other in stops.items()}
    read = {name for index in ops for name in graph.op(index).inputs} - set(stops)
    inside = {name for index in ops for name in graph.op(index).outputs}
    found = {name: floats_of(graph, name) for name in read - inside}
    return {name: known[floats] for name, floats in found.items() if floats in known}


def floats_of(graph: Graph, name: str) -> str:
    """The value that was made bytes of, and numbers again, to give another one."""
    maker = graph.producer.get(name)
    while maker is not None and maker.type in QUANTIZE | DEQUANTIZE:
        name = maker.inputs[0]
        maker = graph.producer.get(name)
    return name


def unrounded(graph: Graph, nodes: tuple[int, ...]) -> tuple[Edit, ...]:
    """The edits that hand on what goes into bytes instead of what comes out of them: nothing is cut off but
    what bytes of no negative numbers do as an activation."""
    found = []
    for op in map(graph.op, nodes):
        maker = graph.producer.get(op.inputs[0]) if op.type in DEQUANTIZE else None
        if maker is not None and maker.type in QUANTIZE and maker.index in nodes:
            how = graph.quantised.get(maker.outputs[0])
            activates = how is not None and bool((how.zero_point == ends_of(how.dtype)[0]).all())
            node = Node("Relu" if activates else "Identity", maker.inputs[:1], op.outputs)
            found.append(Edit(op.outputs[0], nodes=(node,)))
    return tuple(found)


def between(graph: Graph, wanted: str, stops: Iterable[str]) -> tuple[int, ...]:
    """Indices of the ops that make a value of ``stops``, of the model's inputs and of constants."""
    found: set[int] = set()
    queue, known = [wanted], set(stops)
    while queue:
        op = graph.producer.get(queue.pop())
        if op is not None and op.index not in found:
            found.add(op.index)
            queue += [name for name in op.inputs if name not in known]
    return tuple(sorted(found))
