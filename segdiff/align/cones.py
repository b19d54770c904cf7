"""Which values lie below the same pairs and above the same pairs?

The *cones* of a value are the seeds above it and the seeds below it; a seed is a paired value or a paired
parameter. Values of both graphs with equal cones are in one *cell*. Cells only ever split: the seeds are
brought in a few thousand at a time, and each time the values of a cell part by the new seeds in their cones
(partition refinement, as in Paige and Tarjan, Three partition refinement algorithms, 1987). So no value's
whole cone is ever held, and a seed is looked at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from segdiff.align.kinds import kind_of
from segdiff.align.view import View

Label = tuple[object, ...]

AT_ONCE = 4096
"""Seeds by which the cells are split at a time: half a kilobyte a value, and few passes over the graphs."""


def cones(view: View, bits: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Value -> the seeds above it, and value -> the seeds below it, as bit sets; missing where none is.

    ``bits`` gives the bit of every seed: a paired value or a paired parameter. A seed is above itself.

    >>> from pathlib import Path
    >>> from segdiff.align.view import view_of
    >>> from segdiff.core.graph import Graph, Op
    >>> names = ("x", "a", "b", "y")
    >>> ops = [Op(i, "Relu", "", names[i : i + 1], ("0",), names[i + 1 : i + 2], {}) for i in range(3)]
    >>> view = view_of(Graph("onnx", Path("m"), tuple(ops), {}, {}, ("x",), ("y",)))
    >>> cones(view, {"a": 1, "y": 2})
    ({'a': 1, 'b': 1, 'y': 3}, {'b': 2, 'a': 2, 'x': 3})
    """
    own = bits.get
    above: dict[str, int] = {name: bits[name] for name in view.graph.inputs if name in bits}
    parents = above.get
    for op in view.ops:
        seeds = 0
        for name in view.reads[op.index]:
            seeds |= parents(name) or own(name, 0)
        for name in view.parameters_of[op.index]:
            seeds |= own(name, 0)
        for name in op.outputs:
            if found := seeds | own(name, 0):
                above[name] = found
    below: dict[str, int] = {}
    children = below.get
    for op in reversed(view.ops):
        seeds = 0
        for name in op.outputs:
            seeds |= children(name, 0) | own(name, 0)
        for name in view.parameters_of[op.index]:
            seeds |= own(name, 0)
        if seeds:
            for name in view.reads[op.index]:
                below[name] = children(name, 0) | seeds
    return above, below


# --- what a value is, but for its place ------------------------------------------------------------------


Rule = Callable[[View, str], Label]


def both_neighbours(view: View, name: str) -> Label:
    """What writes a value and what reads it."""
    return (*writer(view, name), *readers(view, name))


def readers(view: View, name: str) -> Label:
    """What reads a value."""
    kinds = sorted(kind_of(op) for op in view.readers.get(name, ()))
    return ("read by", *kinds, name in view.outputs)


WRITTEN_OUT = (("layer_norm", {"reduce_mean", "sub"}), ("swish", {"sigmoid", "mul"}))
"""Operators that converters write out in several, and the kinds of those that read the operator's input."""


def purposes(view: View, name: str) -> Label:
    """What reads a value, an operator that is written out counting as the whole."""
    kinds = Counter(kind_of(op) for op in view.readers.get(name, ()))
    for whole, parts in WRITTEN_OUT:
        while all(kinds[part] > 0 for part in parts):
            kinds.subtract(parts)
            kinds[whole] += 1
    return ("read for", *sorted(kinds.elements()), name in view.outputs)


def writer(view: View, name: str) -> Label:
    """What writes a value, and as which of its outputs."""
    op = view.producer.get(name)
    return ("input",) if op is None else (kind_of(op), op.outputs.index(name))


def anything(view: View, name: str) -> Label:
    """Nothing but the place."""
    return ()


RULES: tuple[tuple[Rule, bool], ...] = (
    (both_neighbours, False),
    (readers, False),
    (purposes, False),
    (both_neighbours, True),
    (writer, False),
    (anything, False),
)
"""From strict to lax; True allows a tie between equally many values on both sides: program order decides."""


# --- cells -----------------------------------------------------------------------------------------------


@dataclass
class Cells:
    """The unpaired values of both views, by their cones.

    ``seeds`` are the pairs by which the cells are still to be split, at first those of parameters. ``left``
    are the unpaired values in program order; ``numbers`` tells of each which cell it is in, a number that
    both sides share; ``known`` is how many pairs of values the cells have been split by.
    """

    views: tuple[View, View]
    seeds: list[tuple[str, str]]
    left: tuple[list[str], list[str]] = field(init=False)
    numbers: tuple[dict[str, int], dict[str, int]] = field(init=False)
    known: int = 0
    labels: dict[tuple[Rule, int, str], Label] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = list(self.views[0].values), list(self.views[1].values)
        self.numbers = dict.fromkeys(self.left[0], 0), dict.fromkeys(self.left[1], 0)

    def part(self, forward: Mapping[str, str], backward: Mapping[str, str]) -> None:
        """Leave out the values that are paired now, and part the others by which pairs are in their cones.

        ``forward`` are all pairs in the order they were found, ``backward`` the same the other way round.
        """
        for left, taken in zip(self.left, (forward, backward), strict=True):
            left[:] = [name for name in left if name not in taken]
        seeds = self.seeds + list(forward.items())[self.known :]
        self.seeds, self.known = [], len(forward)
        for start in range(0, len(seeds) if all(self.left) else 0, AT_ONCE):
            self._split(seeds[start : start + AT_ONCE])

    def _split(self, seeds: Sequence[tuple[str, str]]) -> None:
        length = len(seeds) // 8 + 1
        cells: dict[tuple[int, bytes, bytes], int] = {}
        for side in (0, 1):
            bits = {pair[side]: 1 << place for place, pair in enumerate(seeds)}
            above, below = cones(self.views[side], bits)
            numbers = self.numbers[side]
            for name in self.left[side]:
                # as bytes: Python's hash of an integer is a remainder, the same for many of these
                key = (
                    numbers[name],
                    above.get(name, 0).to_bytes(length, "little"),
                    below.get(name, 0).to_bytes(length, "little"),
                )
                numbers[name] = cells.setdefault(key, len(cells))

    def alike(self, rule: Rule) -> Iterator[tuple[list[str], list[str]]]:
        """The unpaired values, (reference's, candidate's), that share a cell and what ``rule`` says."""
        ours, theirs = self._grouped(0, rule), self._grouped(1, rule)
        for key, values in ours.items():
            if key in theirs:
                yield values, theirs[key]

    def _grouped(self, side: int, rule: Rule) -> Mapping[tuple[int, Label], list[str]]:
        groups: dict[tuple[int, Label], list[str]] = defaultdict(list)
        for name in self.left[side]:
            groups[self.numbers[side][name], self._label(side, rule, name)].append(name)
        return groups

    def _label(self, side: int, rule: Rule, name: str) -> Label:
        key = rule, side, name
        if key not in self.labels:
            self.labels[key] = rule(self.views[side], name)
        return self.labels[key]
