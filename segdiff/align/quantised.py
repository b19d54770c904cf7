"""Which values are only another form of a value? Floats that a file keeps as bytes, and turns back.

A quantiser puts QuantizeLinear and DequantizeLinear between an operator and its readers. What the reference
has as one value is then three: the floats as computed, the bytes, and the floats that the bytes stand for.
The matcher sees one value in them; which of the forms stands for it in the walk is decided afterwards.
"""

from __future__ import annotations

from dataclasses import replace

from segdiff.align.kinds import QUANTIZE, kind_of
from segdiff.align.view import View
from segdiff.core.graph import Graph, Op
from segdiff.core.precision import DEQUANTIZE
from segdiff.core.quantised import ends_of

ROUNDING = QUANTIZE | DEQUANTIZE
"""Operators that only store a value in another form."""


def plain(view: View) -> View:
    """The view without the operators that only store a value in another form: all forms are one value."""
    rounding = [op for op in view.ops if op.type in ROUNDING and view.reads[op.index]]
    rounding = [op for op in rounding if not _fed(view, view.reads[op.index][0])]
    if not rounding:
        return view
    alias = dict(view.alias)
    for op in rounding:
        source = view.reads[op.index][0]
        alias[op.outputs[0]] = alias.get(source, source)
    alias = {name: alias.get(source, source) for name, source in alias.items()}
    gone = {op.index for op in rounding}
    return replace(
        view,
        ops=tuple(op for op in view.ops if op.index not in gone),
        alias=alias,
        reads={
            index: tuple(alias.get(name, name) for name in names)
            for index, names in view.reads.items()
            if index not in gone
        },
    )


def _fed(view: View, name: str) -> bool:
    """Whether a value is bytes that the user feeds: no floats stand behind them."""
    return name in view.graph.inputs and nature(view.graph, name) == "i"


def shown(view: View, value: str) -> str:
    """The form of a value, of those that :func:`plain` takes for one, that stands for it in the walk.

    That is the last one through which all readers get it, so that a wrong scale is the fault of whoever makes
    the value, once, and not of each that reads it; an input of the model, or an output, stands for itself.
    """
    if value in view.graph.inputs:
        return value
    forms, queue = [value], [value]
    while queue:
        behind = [op for op in view.readers.get(queue.pop(), ()) if op.type in ROUNDING]
        queue += [op.outputs[0] for op in behind]
        forms += [op.outputs[0] for op in behind]
    for form in forms:
        if form in view.outputs:
            return form
    while len(view.readers.get(value, ())) == 1 and view.readers[value][0].type in ROUNDING:
        value = view.readers[value][0].outputs[0]
    return value


def nature(graph: Graph, name: str) -> str | None:
    """``f`` of floats (also where they are kept as bytes), ``i`` of everything else; None where unknown."""
    dtype = graph.value(name).dtype
    if dtype is None or name in graph.quantised:
        return "f" if name in graph.quantised else None
    return "f" if "float" in dtype else "i"


def same_nature(reference: Graph, r: str, candidate: Graph, c: str) -> bool:
    """Whether two values hold numbers of one nature, as far as the files tell.

    A converter may cast floats to integers in front of an operator: what that reads then is not what its
    partner reads.
    """
    ours, theirs = nature(reference, r), nature(candidate, c)
    return ours is None or theirs is None or ours == theirs


def shown_alike(sides: tuple[View, View], r: str, c: str) -> tuple[str, str]:
    """The forms of two paired values that stand for them in the walk: both before bytes cut off what an
    activation would, or both behind it.

    Where each reader has bytes of its own, nothing behind them stands for all; so the other side's floats are
    shown, too.
    """
    ours, theirs = shown(sides[0], r), shown(sides[1], c)
    if clipped_by_each(sides[1], theirs) and _cut_off(sides[0], r, ours):
        return r, theirs
    if clipped_by_each(sides[0], ours) and _cut_off(sides[1], c, theirs):
        return ours, c
    return ours, theirs


def clipped_by_each(view: View, value: str) -> bool:
    """Whether each of several readers makes bytes of no negative numbers of a value."""
    readers, maker = view.readers.get(value, ()), view.producer.get(value)
    if len(readers) < 2 or maker is None or kind_of(maker) in CLIPPING:
        return False
    return all(op.type in QUANTIZE and _from_zero(view, op.outputs[0]) for op in readers)


def _cut_off(view: View, value: str, form: str) -> bool:
    """Whether bytes of no negative numbers lie on the way from a value to a form of it."""
    while value != form:
        value = view.readers[value][0].outputs[0]
        if _from_zero(view, value):
            return True
    return False


def _from_zero(view: View, name: str) -> bool:
    """Whether a value is kept as bytes whose smallest stands for zero."""
    how = view.graph.quantised.get(name)
    return how is not None and bool((how.zero_point == ends_of(how.dtype)[0]).all())


CLIPPING = frozenset({"relu", "relu6", "clip"})
"""Activations that bytes of no negative numbers do by themselves."""


def never_negative(view: View, op: Op) -> bool:
    """Whether an op's result is kept as bytes whose smallest stands for zero, and no activation is behind it.

    ``view`` is one of all operators. A quantiser leaves out an activation that the bytes do by themselves.
    """
    if len(op.outputs) != 1 or op.outputs[0] in view.graph.parameters:
        return False
    form = shown(view, op.outputs[0])
    if any(kind_of(reader) in CLIPPING for reader in view.readers.get(form, ())):
        return False
    names, name = [op.outputs[0]], op.outputs[0]
    while name != form:
        name = view.readers[name][0].outputs[0] if len(view.readers.get(name, ())) == 1 else form
        names.append(name)
    return any(_from_zero(view, each) for each in names)
