"""Which parameters of the two models are the same, whatever they are called?

Content decides. A digest that does not depend on the order of elements finds a weight that was transposed or
reshaped; directions of output channels find one that a folded batch norm has rescaled, or that was rounded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from segdiff.core.graph import Array, Graph, Parameter

SMALLEST_ANCHOR = 3
"""Elements: scalars and pairs are too often equal by chance (an epsilon, a 0 and 1 bound)."""

ALIKE = 0.98
"""Mean |cosine| between output channels from which two weights count as one that was rescaled. Unrelated
trained 3x3x16 kernels stay below 0.5; a fold or a cast keeps every direction, above 0.999."""

SAMPLED_CHANNELS = 16
SAMPLED_ELEMENTS = 64
"""How much of a weight its signature keeps: 16 directions of 64 numbers tell thousands of weights apart."""

AT_ONCE = 1 << 16
"""Elements that are mixed at once: they stay in the processor's cache, and need no room beside the weight."""

ROWS_AT_ONCE = 256
"""Weights that are compared with all others at once: 20 MB for 10,000 of them."""

SLACK = 1e-9
"""What rounding may add up to in a sum of cosines."""


@dataclass(frozen=True)
class ParameterPair:
    """Two parameters that hold the same weights; ``exact`` where the elements are the same bit for bit."""

    reference: str
    candidate: str
    exact: bool


def match_parameters(
    reference: Graph, candidate: Graph, used: tuple[Iterable[str], Iterable[str]]
) -> list[ParameterPair]:
    """Pair the parameters that compute ops use; only pairs that are unambiguous on both sides.

    ``used`` are the names of those parameters, the reference's and the candidate's. Raises ModelError where
    one cannot be read.

    >>> from pathlib import Path
    >>> def model(**arrays):
    ...     held = {n: Parameter(n, a.shape, a.dtype.name, lambda a=a: a) for n, a in arrays.items()}
    ...     return Graph("onnx", Path("m"), (), {}, held, (), ())
    >>> w = np.arange(24, dtype=np.float32).reshape(4, 6)
    >>> ours, theirs = model(w=w, b=w[0], c=w[0]), model(p=w.T, q=w[0])
    >>> match_parameters(ours, theirs, (ours.parameters, theirs.parameters))
    [ParameterPair(reference='w', candidate='p', exact=True)]

    A transposed weight is the same one; of ``b`` and ``c`` either could be ``q``.
    """
    ours = [as_numbers(reference, name) for name in dict.fromkeys(used[0])]
    theirs = [as_numbers(candidate, name) for name in dict.fromkeys(used[1])]
    found: list[ParameterPair] = list(_equal_content(ours, theirs))
    left = _left(ours, theirs, found)
    if any(p.dtype == "float16" for side in left for p in side):
        found += _equal_content(*left, np.float16)
        left = _left(ours, theirs, found)
    return found + list(_rescaled(*left))


def as_numbers(graph: Graph, name: str) -> Parameter:
    """A parameter as the numbers that it stands for, where it is kept as integers."""
    known, how = graph.parameters[name], graph.quantised.get(name)
    if how is None or known.dtype != how.dtype:
        return known
    return replace(known, dtype="float32", load=lambda: how.numbers(known.load()))


def _left(
    ours: list[Parameter], theirs: list[Parameter], found: list[ParameterPair]
) -> tuple[list[Parameter], list[Parameter]]:
    """The parameters without a partner yet, of both sides."""
    taken = {pair.reference for pair in found}, {pair.candidate for pair in found}
    return [p for p in ours if p.name not in taken[0]], [p for p in theirs if p.name not in taken[1]]


@dataclass(frozen=True)
class Likeness:
    """How many of ``compared`` parameters of the reference the candidate has, bit for bit but for their
    order (``equal``), and those that nothing in the candidate resembles (``unlike``)."""

    compared: int
    equal: int
    unlike: frozenset[str]


def likeness(ours: Iterable[Parameter], theirs: Iterable[Parameter]) -> Likeness:
    """Which of the reference's parameters does the candidate have, whatever it calls them?

    A kernel that was rounded, rescaled by a fold or transposed resembles the original; so does a parameter of
    the same elements in another order. Constants of one number all over say nothing and are left out, and so
    are integers. Raises ModelError where one cannot be read.
    """
    mine = {p.name: p for p in ours if p.dtype in FLOATS}
    other = [p for p in theirs if p.size]
    digests = {(p.size, content_digest(p.load())) for p in other}
    telling, unlike = 0, []
    for parameter in mine.values():
        array = parameter.load()
        if array.size == 0 or bool((array == array.reshape(-1)[0]).all()):
            continue
        telling += 1
        if (parameter.size, content_digest(array)) not in digests:
            unlike.append(parameter)
    found = _resembling(unlike, other)
    return Likeness(telling, telling - len(unlike), frozenset(p.name for p in unlike) - found)


def is_kernel(parameter: Parameter) -> bool:
    """Whether a parameter is a weight whose directions tell it from all others."""
    return len(parameter.shape) >= 2 and parameter.size >= SMALLEST_ANCHOR and parameter.dtype in FLOATS


FLOATS = frozenset({"float64", "float32", "float16", "bfloat16"})


def _resembling(ours: list[Parameter], theirs: list[Parameter]) -> frozenset[str]:
    """The kernels that point the same way as one of the candidate's, its first two axes exchanged or not."""
    shapes = _by_shape(ours), _by_shape(theirs)
    found: set[str] = set()
    for shape, mine in shapes[0].items():
        left, right = (shapes[1].get(s, []) for s in (shape, shape[1::-1] + shape[2:]))
        if left or right:
            other = chain((p.load() for p in left), (np.swapaxes(p.load(), 0, 1) for p in right))
            found.update(mine[i].name for i, _, _ in _alike((p.load() for p in mine), other))
    return frozenset(found)


def _equal_content(
    ours: list[Parameter], theirs: list[Parameter], rounded: type[np.float16] | None = None
) -> Iterator[ParameterPair]:
    """Parameters of equal content; where a type is given, once both are ``rounded`` to it."""
    groups = _by_digest(ours, rounded), _by_digest(theirs, rounded)
    for digest, mine in groups[0].items():
        other = groups[1].get(digest, [])
        if len(mine) == len(other) == 1:
            yield ParameterPair(mine[0].name, other[0].name, exact=rounded is None)


def _by_digest(
    parameters: list[Parameter], rounded: type[np.float16] | None
) -> dict[tuple[int, int], list[Parameter]]:
    groups: dict[tuple[int, int], list[Parameter]] = defaultdict(list)
    for parameter in parameters:
        if parameter.size >= SMALLEST_ANCHOR:
            array = parameter.load()
            if rounded is not None and array.dtype.kind == "f":
                with np.errstate(over="ignore"):
                    array = array.astype(rounded)
            groups[parameter.size, content_digest(array)].append(parameter)
    return groups


def content_digest(array: Array) -> int:
    """A 64-bit digest of the elements that does not depend on their order, shape or float width.

    The sum of a mixing function over the bit patterns (an additive multiset hash).
    """
    flat = array.reshape(-1)
    parts = (flat[start : start + AT_ONCE] for start in range(0, flat.size, AT_ONCE))
    return sum(map(_mixed, parts)) % 2**64


def _mixed(part: Array) -> int:
    """The sum of the mixing function over some elements, modulo 2^64."""
    if part.dtype.kind == "f":
        bits = (part.astype(np.float32) + np.float32(0.0)).view(np.uint32).astype(np.uint64)
    else:
        bits = part.astype(np.int64).view(np.uint64)
    bits *= np.uint64(0x9E3779B97F4A7C15)
    bits ^= bits >> np.uint64(29)
    bits *= np.uint64(0xBF58476D1CE4E5B9)
    bits ^= bits >> np.uint64(32)
    return int(bits.sum(dtype=np.uint64))


def _rescaled(ours: list[Parameter], theirs: list[Parameter]) -> Iterator[ParameterPair]:
    """Pairs of kernels of one shape whose output channels point the same way; best mutual matches only."""
    shapes = _by_shape(ours), _by_shape(theirs)
    for shape, mine in shapes[0].items():
        other = shapes[1].get(shape)
        if not other:
            continue
        alike = list(_alike((p.load() for p in mine), (p.load() for p in other)))
        best_of_mine, best_of_other = _best(alike), _best((j, i, value) for i, j, value in alike)
        for i, j in best_of_mine.items():
            if best_of_other[j] == i:
                yield ParameterPair(mine[i].name, other[j].name, exact=False)


def _best(alike: Iterable[tuple[int, int, float]]) -> dict[int, int]:
    """For each first the second that is most alike; of equals the one that comes first."""
    best: dict[int, int] = {}
    for i, j, _ in sorted(alike, key=lambda found: (found[0], -found[2], found[1])):
        best.setdefault(i, j)
    return best


def _by_shape(parameters: list[Parameter]) -> dict[tuple[int, ...], list[Parameter]]:
    groups: dict[tuple[int, ...], list[Parameter]] = defaultdict(list)
    for parameter in parameters:
        if len(parameter.shape) >= 2 and parameter.size >= SMALLEST_ANCHOR:
            groups[parameter.shape].append(parameter)
    return groups


def _alike(mine: Iterable[Array], other: Iterable[Array]) -> Iterator[tuple[int, int, float]]:
    """Places in ``mine`` and ``other`` whose mean |cosine| over the channels is ``ALIKE`` or more.

    Channel after channel, only those pairs go on that can still reach it: of unrelated kernels hardly one
    is left after the first.
    """
    ours = np.stack([_directions(array) for array in mine])
    theirs = np.stack([_directions(array) for array in other])
    channels = ours.shape[1]
    for start in range(0, len(ours), ROWS_AT_ONCE):
        first = np.abs(ours[start : start + ROWS_AT_ONCE, 0] @ theirs[:, 0].T)
        i, j = np.nonzero(first >= channels * ALIKE - (channels - 1) - SLACK)
        total = first[i, j]
        i += start
        for channel in range(1, channels):
            total = total + np.abs(np.einsum("ij,ij->i", ours[i, channel], theirs[j, channel]))
            kept = total >= channels * ALIKE - (channels - 1 - channel) - SLACK
            i, j, total = i[kept], j[kept], total[kept]
        yield from zip(i.tolist(), j.tolist(), (total / channels).tolist(), strict=True)


def _directions(array: Array) -> Array:
    """Unit vectors of a sample of the kernel's output channels, ``(channels, elements)`` float64."""
    rows = array.reshape(array.shape[0], -1)
    rows = rows[:: max(1, rows.shape[0] // SAMPLED_CHANNELS)][:SAMPLED_CHANNELS]
    rows = rows[:, :: max(1, rows.shape[1] // SAMPLED_ELEMENTS)][:, :SAMPLED_ELEMENTS].astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # of a mask of minus infinity
        return np.asarray(rows / np.where(norms > 0, norms, 1.0))
