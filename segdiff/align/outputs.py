"""Which output of the candidate is which of the reference's?

Who reads a model's outputs reads them by their place or by their name, and both may be wrong. So what makes
them is asked first: the operators that parameters and topology show to be the same. Then names, then places;
where one side has more outputs, the shapes that are declared.
"""

from __future__ import annotations

from collections.abc import Callable

from segdiff.align.view import View
from segdiff.core.graph import Shape

Places = tuple[tuple[int, int], ...]
"""The place of an output among the reference's, and that of its partner among the candidate's."""


def pair_outputs(ours: View, theirs: View, known: dict[str, str]) -> Places:
    """Pair the outputs of two views, each once at the most; in the reference's order.

    ``known`` are pairs of values, reference -> candidate, that hold whatever the outputs are called.
    """
    found: dict[int, int] = {}

    def take(fits: Callable[[int, int], bool]) -> None:
        for i in range(len(ours.outputs)):
            free = [j for j in range(len(theirs.outputs)) if j not in found.values() and fits(i, j)]
            if i not in found and free:
                found[i] = i if i in free else free[0]

    take(lambda i, j: known.get(ours.outputs[i]) == theirs.outputs[j])
    take(lambda i, j: names_agree(ours.graph.outputs[i], theirs.graph.outputs[j]))
    if len(ours.outputs) == len(theirs.outputs):
        take(lambda i, j: i == j)
    else:
        take(lambda i, j: alike(_shape(ours, i), _shape(theirs, j)))
    take(lambda i, j: True)
    return tuple(sorted(found.items()))


def names_agree(reference: str, candidate: str) -> bool:
    """Whether the names say the same: paddle2onnx 1.x keeps Paddle's, 2.x writes ``p2o.<name>``.

    >>> names_agree("conv2d_3.tmp_0", "p2o.conv2d_3.tmp_0"), names_agree("a", "b")
    (True, False)
    """
    return candidate in (reference, f"p2o.{reference}")


def _shape(view: View, place: int) -> Shape | None:
    return view.graph.value(view.graph.outputs[place]).shape


def alike(ours: Shape | None, theirs: Shape | None) -> bool:
    """Whether two declared shapes have one rank and no length that differs."""
    if ours is None or theirs is None:
        return False
    lengths = zip(ours, theirs, strict=False)
    return len(ours) == len(theirs) and all(a is None or b is None or a == b for a, b in lengths)
