"""Which input of the candidate is which of the reference's?

By name, as a rule. Where names were lost, what reads an input is asked first, then its declared shape and
type, and its place last: converters write inputs in an order of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from segdiff.align.outputs import alike
from segdiff.align.view import View
from segdiff.core.graph import Graph


def paired_inputs(ours: View, theirs: View, known: Callable[[], Mapping[str, str]]) -> list[tuple[str, str]]:
    """Pairs of input names, reference and candidate, each once at the most.

    ``known`` gives pairs of values that hold whatever the inputs are called; it is asked only where names
    leave a choice.
    """
    mine, other = list(ours.graph.inputs), list(theirs.graph.inputs)
    found = {name: name for name in mine if name in other}
    rest = [name for name in other if name not in found]

    def take(fits: Callable[[str, str], bool]) -> None:
        for r in mine:
            free = [c for c in rest if c not in found.values() and fits(r, c)]
            if r not in found and free:
                found[r] = min(free, key=lambda c: abs(other.index(c) - mine.index(r)))

    if len(rest) > 1:
        partners = known()
        take(lambda r, c: partners.get(r) == c)
        take(lambda r, c: _one_form(ours, theirs, r, c))
    left = [c for c in rest if c not in found.values()]
    found.update(zip([r for r in mine if r not in found], left, strict=False))
    return list(found.items())


def obvious_inputs(ours: Graph, theirs: Graph) -> dict[str, str] | None:
    """The pairs of input names, reference's to candidate's, that need no alignment; None where names leave
    a choice."""
    rest = [name for name in theirs.inputs if name not in ours.inputs]
    if len(rest) > 1:
        return None
    found = {name: name for name in ours.inputs if name in theirs.inputs}
    left = (name for name in ours.inputs if name not in found)
    return {**found, **dict(zip(left, rest, strict=False))}


def _one_form(ours: View, theirs: View, r: str, c: str) -> bool:
    """Whether two inputs are declared with one shape, and with types of one kind."""
    a, b = ours.graph.value(r), theirs.graph.value(c)
    return alike(a.shape, b.shape) and (not a.dtype or not b.dtype or a.dtype[0] == b.dtype[0])
