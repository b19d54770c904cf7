"""An operator lost, added, exchanged or wrongly merged: the reference's own nodes in the segment's place.

Both sides are compared node by node (:mod:`segdiff.diagnose.reading.graph_difference`); where they part, the
reference's nodes are put in, or the candidate's left out. The smallest change that mends the segment tells
which node it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.align.kinds import kind_of
from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Op
from segdiff.diagnose.hypothesis import GENERAL, Hypothesis, family
from segdiff.diagnose.reading.case import Case
from segdiff.diagnose.reading.graph_difference import Difference, Gap, Site, difference
from segdiff.diagnose.reading.partner import copied, partner_of, plain
from segdiff.diagnose.reading.pieces import Piece, copyable, spelt
from segdiff.diagnose.reading.schema import snake

MOST_BUILT = 60
"""Nodes that are put in one gap: beyond that it is another network, and no cause."""


@family(GENERAL)
def other_node(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Every gap filled; all of them; then each end of the segment made by the reference's nodes alone."""
    found = difference(case)
    if found is None:
        yield from _in_place(case, op)
    if found is None or op is not case.nodes[0]:
        return
    single = [_filled(case, found, (gap,)) for gap in found.gaps]
    yield from (each for each in single if each is not None)
    for site in dict.fromkeys(gap.site.output for gap in found.gaps):
        here = tuple(gap for gap in found.gaps if gap.site.output == site)
        if 1 < len(here) < len(found.gaps) and (filled := _filled(case, found, here)):
            yield filled
    if len(found.gaps) > 1 and (filled := _filled(case, found, found.gaps)):
        yield filled
    ends = tuple(Gap(Site(c, None), r, c) for r, c in case.outputs)
    for gap in ends:
        if gap not in found.gaps and found.values.get(gap.ours) != gap.theirs:
            filled = _filled(case, found, (gap,))
            if filled is not None:
                yield filled
    if len(ends) > 1 and (filled := _filled(case, found, ends)):
        yield filled


def _in_place(case: Case, op: Op) -> Iterator[Hypothesis]:
    """Where not every op of the reference has an ONNX spelling: a node's partner written out in its place."""
    other = partner_of(case, op)
    pieces = spelt(case, other) if other is not None else None
    if other is None or not pieces or len(op.outputs) != 1:
        return
    made = {name for piece in pieces for name in piece.node.outputs}
    read = dict.fromkeys(o for p in pieces for o in p.node.inputs if isinstance(o, str) and o not in made)
    mine = [name for name in op.inputs if case.constant(name) is None]
    if len(read) != len(mine) or other.outputs[0] not in made:
        return
    end = op.outputs[0]
    names = {name: f"{end}.{name}" for name in made} | dict(zip(read, mine, strict=True))
    names[other.outputs[0]] = end
    text = f"{op.type} does something else than the reference's {_listed((other,))}, written out in its place"
    edit = Edit(end, nodes=tuple(_renamed(piece.node, names) for piece in pieces))
    yield Hypothesis(f"{snake(other.type)}.replaced", text, (edit,), general=True)


def _filled(case: Case, found: Difference, gaps: tuple[Gap, ...]) -> Hypothesis | None:
    edits = [_edit(case, found, gap) for gap in gaps]
    known = [edit for edit in edits if edit is not None]
    if not known or len(known) < len(edits):
        return None
    ours = _ops(piece for gap in gaps for piece in found.built(gap.ours))
    theirs = _ops(piece for gap in gaps if gap.theirs for piece in found.unmatched(gap.theirs))
    kind, text = _named(case, gaps, ours, theirs)
    whole = known[0]
    joined = (whole,) if len(known) == 1 else tuple(known)
    return Hypothesis(kind, text, joined, general=True)


def _ops(pieces: Iterator[Piece]) -> tuple[Op, ...]:
    return tuple({piece.op.index: piece.op for piece in pieces if not _computes_nothing(piece)}.values())


def _computes_nothing(piece: Piece) -> bool:
    """Whether a piece computes nothing: it spells a constant, or hands its input on."""
    named = any(isinstance(operand, str) for operand in piece.node.inputs)
    return not named or piece.node.op_type == "Identity"


# --- edits


def _edit(case: Case, found: Difference, gap: Gap) -> Edit | None:
    """What puts the reference's value at a gap's site."""
    pieces = found.built(gap.ours)
    if len(pieces) > MOST_BUILT:
        return None
    if gap.site.position is None:
        return _at_an_end(case, found, gap, pieces)
    stem = f"{gap.site.output}.{gap.site.position}"
    names = _names(found, pieces, stem)
    operand = found.values.get(gap.ours) or names.get(gap.ours)
    if operand is None:
        return None
    inputs: dict[int, Operand] = {gap.site.position: operand}
    return Edit(gap.site.output, inputs=inputs, before=tuple(_renamed(p.node, names) for p in pieces))


def _at_an_end(case: Case, found: Difference, gap: Gap, pieces: tuple[Piece, ...]) -> Edit | None:
    end = gap.site.output
    writer = case.candidate.producer.get(end)
    if writer is None:
        return None
    names = _names(found, pieces, end)
    read = {names.get(o, o) for p in pieces for o in p.node.inputs if isinstance(o, str)}
    direct = found.values.get(gap.ours)
    nodes: list[Node] = []
    if end in read or len(writer.outputs) > 1 or direct == end:
        if not copyable(writer):
            return None
        nodes.append(copied(writer, {end: f"{end}.before"}))
        names = {name: f"{end}.before" if new == end else new for name, new in names.items()}
    if direct is not None:
        nodes.append(Node("Identity", (direct,), (end,)))
    elif gap.ours not in names:
        return None
    else:
        names[gap.ours] = end
        nodes += [_renamed(piece.node, names) for piece in pieces]
    return Edit(writer.outputs[0], nodes=tuple(nodes))


def _names(found: Difference, pieces: tuple[Piece, ...], stem: str) -> dict[str, str]:
    """Reference's value -> its name in the candidate: the equal value's, or a new one."""
    made = {name: f"{stem}.{name}" for piece in pieces for name in piece.node.outputs}
    return {**made, **found.values}


def _renamed(node: Node, names: dict[str, str]) -> Node:
    inputs = tuple(names.get(o, o) if isinstance(o, str) else o for o in node.inputs)
    outputs = tuple(names.get(name, name) for name in node.outputs)
    return Node(node.op_type, inputs, outputs, node.attributes, node.domain)


# --- words


def _named(
    case: Case, gaps: tuple[Gap, ...], ours: tuple[Op, ...], theirs: tuple[Op, ...]
) -> tuple[str, str]:
    """The kind of a filled gap and its sentence."""
    place = _place(case, gaps[0])
    if not ours and not theirs:
        return _rewired(case, gaps)
    if not ours:
        kind = snake(theirs[0].type) if _one_type(theirs) else "operator"
        return f"{kind}.surplus", f"the candidate has {_listed(theirs)} {place} where the reference has none"
    if not theirs:
        kind = kind_of(ours[0]) if _one_type(ours) else "operator"
        text = f"the reference has {_listed(ours)} {place} where the candidate has nothing"
        return f"{snake(kind)}.lost", text
    return _exchanged_kind(
        ours, theirs
    ), f"the candidate has {_listed(theirs)} {place} in place of the reference's {_listed(ours)}"


def _exchanged_kind(ours: tuple[Op, ...], theirs: tuple[Op, ...]) -> str:
    """By the reference's operator, where it is one."""
    if not _one_type(ours):
        return "operator.replaced"
    merged = _one_type((*ours, *theirs)) and len(ours) != len(theirs)
    return f"{snake(ours[0].type)}.{'merged' if merged else 'replaced'}"


def _rewired(case: Case, gaps: tuple[Gap, ...]) -> tuple[str, str]:
    """Words for tensors that both sides have and that are read in other places."""
    makers = {op.index: op for gap in gaps if (op := case.reference.producer.get(gap.ours)) is not None}
    ends = [case.candidate.producer.get(gap.site.output) for gap in gaps]
    readers = {op.index: op for op in ends if op is not None}
    if len(gaps) > 1 and len(makers) == 1:
        (maker,) = makers.values()
        return f"{snake(maker.type)}.order", f"the outputs of {maker.type} are read in another order"
    first = next(iter(readers.values()))
    word = "order" if len(gaps) > 1 and len(readers) == 1 else "operands"
    read = "its tensors in another order" if word == "order" else "other tensors"
    return f"{snake(first.type)}.{word}", f"{first.type} reads {read} than the reference's"


def _place(case: Case, gap: Gap) -> str:
    writer = case.candidate.producer.get(gap.site.output)
    if gap.site.position is None or writer is None:
        return f"at {gap.site.output}"
    return f"before {writer.type}"


def _one_type(ops: tuple[Op, ...]) -> bool:
    return len({op.type for op in ops}) == 1


LISTED = 5

TOLD = (
    *("axis", "axes", "dim", "perm", "shifts", "porder", "asvector", "keepdim", "keep_dim", "aligned"),
    *("spatial_scale", "sampling_ratio", "reduce", "scale", "bias", "starts", "ends", "paddings", "mode"),
)
"""Attributes of a Paddle op that say what it does, and are told with its name."""


def _listed(ops: tuple[Op, ...]) -> str:
    """The types of some ops, in order; of a single one of Paddle what it says, too."""
    types = [op.type for op in ops]
    if len(ops) == 1 and not types[0][:1].isupper():
        said = [f"{name} {plain(ops[0].attributes[name])}" for name in TOLD if name in ops[0].attributes]
        return types[0] + (f" ({', '.join(said)})" if said else "")
    more = f" and {len(types) - LISTED} more" if len(types) > LISTED else ""
    return ", ".join(types[:LISTED]) + more
