"""Where do two small graphs of ONNX nodes part? What is equal from the front, and from the back; the rest.

From the front: nodes of one operator with equal settings on equal inputs have equal outputs. From the back:
what must hold for an end to be right is followed through nodes that do the same on both sides; where they do
not, there is a *gap*, which the reference's own nodes fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from segdiff.align.kinds import COMMUTATIVE, is_identity, kind_of
from segdiff.core.edit import Node, Operand
from segdiff.core.graph import Graph
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.partner import SAME
from segdiff.diagnose.reading.pieces import Piece, candidate_pieces, reference_pieces
from segdiff.diagnose.reading.piecewise import close
from segdiff.diagnose.reading.schema import settings


@dataclass(frozen=True)
class Site:
    """Where a value is read: an operand of a candidate's node, or (``position`` None) a segment's end."""

    output: str
    position: int | None


@dataclass(frozen=True)
class Gap:
    """At ``site`` the candidate has its value ``theirs`` where the reference's ``ours`` belongs."""

    site: Site
    ours: str
    theirs: str


@dataclass(frozen=True, eq=False)
class Difference:
    """How two sides of a case differ.

    ``values`` leads from the reference's values to the candidate's that are equal by construction; ``gaps``
    are what is wrong, told from the back; ``unlike`` are nodes of one operator in the same place,
    (reference's, candidate's), whose settings differ.
    """

    ours: tuple[Piece, ...]
    theirs: tuple[Piece, ...]
    values: Mapping[str, str]
    gaps: tuple[Gap, ...]
    unlike: tuple[tuple[Piece, Piece], ...]

    def writer(self, name: str) -> Piece | None:
        """The reference's piece that writes a value."""
        return _writers(self.ours).get(name)

    def built(self, name: str) -> tuple[Piece, ...]:
        """The reference's pieces from values that the candidate has to this one, in program order."""
        writers, found, queue = _writers(self.ours), set(), [name]
        while queue:
            each = queue.pop()
            piece = writers.get(each)
            if each in self.values or piece is None or id(piece) in found:
                continue
            found.add(id(piece))
            queue += _flowing(piece.node)
        return tuple(piece for piece in self.ours if id(piece) in found)

    def unmatched(self, name: str) -> tuple[Piece, ...]:
        """The candidate's pieces from values that the reference has to this one, in program order."""
        writers, found, queue = _writers(self.theirs), set(), [name]
        known = set(self.values.values())
        while queue:
            each = queue.pop()
            piece = writers.get(each)
            if each in known or piece is None or id(piece) in found:
                continue
            found.add(id(piece))
            queue += _flowing(piece.node)
        return tuple(piece for piece in self.theirs if id(piece) in found)


@lru_cache(maxsize=2)
def difference(case: Case) -> Difference | None:
    """How the reference's side of a case differs from the candidate's; None where it has no ONNX spelling."""
    ours, theirs = reference_pieces(case), candidate_pieces(case)
    if ours is None:
        return None
    values = _forward(case, ours, theirs)
    back = _Back(case, ours, theirs, values)
    for r, c in case.outputs:
        back.needs(r, c, Site(c, None))
    return Difference(ours, theirs, values, tuple(back.gaps), tuple(back.unlike))


def _flowing(node: Node) -> list[str]:
    """The operands of a node that are computed."""
    return [operand for operand in node.inputs if isinstance(operand, str)]


def _writers(pieces: tuple[Piece, ...]) -> dict[str, Piece]:
    return {name: piece for piece in pieces for name in piece.node.outputs}


# --- from the front


def _forward(case: Case, ours: tuple[Piece, ...], theirs: tuple[Piece, ...]) -> dict[str, str]:
    """The reference's values that the candidate has too, by equal nodes on equal inputs."""
    values = {r: c for r, c in case.inputs if r}
    left = [piece for piece in theirs if not _hands_on(piece)]
    same = _Aliases(case.candidate)
    for piece in ours:
        if _hands_on(piece):
            operand = piece.node.inputs[0]
            if isinstance(operand, str) and operand in values:
                values.setdefault(piece.node.outputs[0], values[operand])
            continue
        for other in left:
            if _equal(piece, other, values, same, case.opset):
                left.remove(other)
                values.update(zip(piece.node.outputs, other.node.outputs, strict=False))
                break
    return values


class _Aliases:
    """What a candidate's value repeats, behind Identity."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __call__(self, name: str) -> str:
        op = self.graph.producer.get(name)
        while op is not None and op.inputs and is_identity(op):
            name = op.inputs[0]
            op = self.graph.producer.get(name)
        return name


def _hands_on(piece: Piece) -> bool:
    """Whether a piece only hands its input on."""
    return piece.node.op_type == "Identity" or (is_identity(piece.op) and piece.node.op_type == "Dropout")


def _equal(piece: Piece, other: Piece, values: Mapping[str, str], same: _Aliases, opset: int) -> bool:
    ours, theirs = piece.node, other.node
    if not alike(ours, theirs, opset) or len(ours.outputs) != len(theirs.outputs):
        return False
    mine = [values.get(name, None) if isinstance(name, str) else name for name in ours.inputs]
    if any(isinstance(name, str) and now is None for name, now in zip(ours.inputs, mine, strict=True)):
        return False
    if _operands_equal(mine, theirs.inputs, same):
        return True
    return kind_of(other.op) in COMMUTATIVE and _operands_equal(mine[::-1], theirs.inputs, same)


def _operands_equal(mine: Iterable[Operand], theirs: Iterable[Operand], same: _Aliases) -> bool:
    for one, other in zip(mine, theirs, strict=True):
        if isinstance(one, str) and isinstance(other, str):
            if same(one) != same(other):
                return False
        elif not one_constant(one, other):
            return False
    return True


def alike(ours: Node, theirs: Node, opset: int) -> bool:
    """Whether two nodes are one operator with equal attributes and as many operands."""
    if not same_operator(ours, theirs) or len(ours.inputs) != len(theirs.inputs):
        return False
    return not unlike_settings(ours, theirs, opset)


def same_operator(ours: Node, theirs: Node) -> bool:
    """Whether two nodes are of one operator."""
    return (ours.op_type, ours.domain) == (theirs.op_type, theirs.domain)


def unlike_settings(ours: Node, theirs: Node, opset: int) -> dict[str, tuple[Any, Any]]:
    """Attributes whose value differs, (reference's, candidate's); defaults count as said."""
    mine, other = settings(ours, opset), settings(theirs, opset)
    names = dict.fromkeys((*mine, *other))
    return {n: (mine.get(n), other.get(n)) for n in names if not one_setting(mine.get(n), other.get(n))}


def one_setting(one: Any, other: Any) -> bool:
    """Whether two values of an attribute are one, up to the rounding of float32."""
    if one is None or other is None or isinstance(one, str) or isinstance(other, str):
        return one is other or bool(isinstance(one, str) and one == other)
    try:
        return _close(np.asarray(one), np.asarray(other))
    except (TypeError, ValueError):
        return bool(one == other)


def one_constant(one: Operand, other: Operand) -> bool:
    """Whether two operands of one side are the same constant, the same name, or both absent."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and _close(one, other)
    return (one is None and other is None) or (
        isinstance(one, str) and isinstance(other, str) and one == other
    )


def _close(one: Any, other: Any) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "fc" or other.dtype.kind in "fc":
        if "c" not in one.dtype.kind + other.dtype.kind:
            return close(one, other, SAME)
        return bool(np.allclose(one, other, rtol=SAME, atol=0.0, equal_nan=True))
    return bool(np.array_equal(one, other))


# --- from the back


class _Back:
    """What must be for the ends to be right, followed through nodes of one operator in one place."""

    def __init__(
        self, case: Case, ours: tuple[Piece, ...], theirs: tuple[Piece, ...], values: Mapping[str, str]
    ) -> None:
        self.case, self.values = case, values
        self.ours, self.theirs = _writers(ours), _writers(theirs)
        self.same = _Aliases(case.candidate)
        self.known = {self.same(name) for name in values.values()}
        self.gaps: list[Gap] = []
        self.unlike: list[tuple[Piece, Piece]] = []
        self.seen: set[tuple[str, str]] = set()

    def needs(self, r: str, c: str, site: Site) -> None:
        """The candidate's value ``c``, read at ``site``, should be the reference's ``r``."""
        known = self.values.get(r)
        if known is not None and self.same(known) == self.same(c):
            return
        ours, theirs = self._behind(self.ours, r), self._behind(self.theirs, c)
        right = known is not None or self.same(c) in self.known  # as another value of the other side
        if right or ours is None or theirs is None or not self._one_place(ours, theirs):
            self._gap(Gap(site, r, c))
            return
        mine, other = ours.node, theirs.node
        if (mine.outputs[0], other.outputs[0]) in self.seen:
            return
        self.seen.add((mine.outputs[0], other.outputs[0]))
        crossed = kind_of(theirs.op) in COMMUTATIVE and self._crossed(mine, other)
        pairs = list(zip(mine.inputs[::-1] if crossed else mine.inputs, other.inputs, strict=False))
        plain = [(a, b) for a, b in pairs if not isinstance(a, str)]
        if not alike(mine, other, self.case.opset) or any(not one_constant(a, b) for a, b in plain):
            self.unlike.append((ours, theirs))
        for place, (one, two) in enumerate(pairs):
            if isinstance(one, str) and isinstance(two, str):
                self.needs(one, two, Site(other.outputs[0], place))
            elif isinstance(one, str):
                self._gap(Gap(Site(other.outputs[0], place), one, ""))

    def _behind(self, writers: Mapping[str, Piece], name: str) -> Piece | None:
        piece = writers.get(name)
        while piece is not None and _hands_on(piece) and isinstance(piece.node.inputs[0], str):
            piece = writers.get(piece.node.inputs[0])
        return piece

    def _one_place(self, ours: Piece, theirs: Piece) -> bool:
        """Whether two pieces may be the same one: what flows in and out of them is as many tensors."""
        mine, other = ours.node, theirs.node
        return (
            same_operator(mine, other)
            and len(mine.outputs) == len(other.outputs)
            and len(_flowing(mine)) == len(_flowing(other))
        )

    def _crossed(self, mine: Node, other: Node) -> bool:
        """Whether the operands of a commutative node fit better the other way round."""

        def fits(ours: Iterable[Operand]) -> int:
            pairs = zip(ours, other.inputs, strict=False)
            return sum(
                self.values.get(a) == b
                if isinstance(a, str) and isinstance(b, str)
                else isinstance(a, str) == isinstance(b, str)
                for a, b in pairs
            )

        return fits(mine.inputs[::-1]) > fits(mine.inputs)

    def _gap(self, gap: Gap) -> None:
        if gap not in self.gaps:
            self.gaps.append(gap)
