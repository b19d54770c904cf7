"""What did a user's own edit of a file change? Node by node in the parameters, and in the end.

A script that makes small scales larger, or clips a constant, is meant for half precision; it changes what
the model gives in float32 as well. Both are measured on the same images, against the file as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from segdiff.core.graph import Array, Graph, Op
from segdiff.core.half import Cost, HalfEdit, Static
from segdiff.half.norms import Norm, norm_of
from segdiff.half.remedies.trial import Trials
from segdiff.half.static import called, listed, role
from segdiff.readers import find, read


def edited(trials: Trials, program: Path, before: Cost) -> HalfEdit:
    """What an edit changes: its parameters by node, the outputs in float32, and what half precision costs.

    ``before`` is what it costs the file as it was. Raises ModelError where the edited file cannot be read,
    EngineError where it does not run.
    """
    changes = tuple(changes_of(trials.graph, read(find(program))))
    return HalfEdit(program, changes, trials.moved(program), before, trials.cost(program))


def changes_of(before: Graph, after: Graph) -> Iterator[Static]:
    """What became of each node: other parameters, other settings, gone or new."""
    pairs = paired(before, after)
    for ours, theirs in pairs:
        yield from _parameters(before, after, ours, theirs)
        yield from _settings(ours, theirs)
    gone = Counter(op.type for op in before.ops) - Counter(op.type for op in after.ops)
    new = Counter(op.type for op in after.ops) - Counter(op.type for op in before.ops)
    met = {ours.index for ours, _ in pairs}
    if gone or new:
        nodes = tuple(called(op) for op in before.ops if op.index not in met)
        words = [
            f"{part} {word}" for part, word in ((_counted(gone), "gone"), (_counted(new), "new")) if part
        ]
        yield Static(nodes, "edit.structure", ", ".join(words))


def _counted(types: Counter[str]) -> str:
    return ", ".join(f"{many} {kind}" for kind, many in sorted(types.items()))


def paired(before: Graph, after: Graph) -> list[tuple[Op, Op]]:
    """The nodes of both files that are the same: in one order where that fits, else by what they write."""
    if [op.type for op in before.ops] == [op.type for op in after.ops]:
        return list(zip(before.ops, after.ops, strict=True))
    by_output = {(op.type, op.outputs[:1]): op for op in after.ops}
    by_name = {(op.type, op.name): op for op in after.ops}
    found = []
    for op in before.ops:
        other = by_output.get((op.type, op.outputs[:1])) or by_name.get((op.type, op.name))
        if other is not None:
            found.append((op, other))
    return found


def _parameters(before: Graph, after: Graph, ours: Op, theirs: Op) -> Iterator[Static]:
    """The parameters of a node that have other numbers."""
    for slot, name in zip(ours.slots, ours.inputs, strict=True):
        other = next((n for s, n in zip(theirs.slots, theirs.inputs, strict=True) if s == slot), None)
        known, changed = before.parameters.get(name), after.parameters.get(other or "")
        if known is None or changed is None:
            continue
        old, new = known.load(), changed.load()
        what = role(ours, slot)
        if old.shape != new.shape or old.dtype.kind != new.dtype.kind:
            text = f"the {what} is {new.dtype} {list(new.shape)}, and was {old.dtype} {list(old.shape)}"
            yield Static((called(ours),), "edit.parameter", text)
        elif not np.array_equal(old, new, equal_nan=old.dtype.kind == "f"):
            yield _told(norm_of(before, ours), ours, what, old, new)


def _told(norm: Norm | None, op: Op, what: str, old: Array, new: Array) -> Static:
    """One parameter's change in words: how many numbers, how far, and how many turned their sign."""
    wide, now = old.astype(np.float64).reshape(-1), new.astype(np.float64).reshape(-1)
    changed = np.flatnonzero(wide != now)
    turned = np.flatnonzero(wide * now < 0)
    far = float(np.abs(now - wide).max())
    ones = "channels" if old.ndim == 1 and norm is not None else "numbers"
    where = f" ({ones} {listed(changed)})" if old.ndim == 1 else ""
    text = f"the {what} changes in {changed.size} of {wide.size} {ones}{where}, by up to {far:.3g}"
    if norm is not None and what == "scale":
        text += f": for each standard deviation of its input such a channel moves by up to {far:.3g}"
    if turned.size:
        verb = "1 turns its sign" if turned.size == 1 else f"{turned.size} turn their sign"
        text += f"; {verb}{f' ({listed(turned)})' if old.ndim == 1 else ''}"
    return Static((called(op),), "edit.sign" if turned.size else "edit.parameter", text)


def _settings(ours: Op, theirs: Op) -> Iterator[Static]:
    """The attributes of a node that have another value."""
    for name in sorted({*ours.attributes, *theirs.attributes}):
        old, new = ours.attributes.get(name), theirs.attributes.get(name)
        if not np.array_equal(np.asarray(old, object), np.asarray(new, object)):
            yield Static((called(ours),), "edit.setting", f"{name} is {new}, and was {old}")
