"""What does an open case show of itself, of its pairs, of a tensor, of a change that was tried?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from segdiff.core.errors import SegdiffError
from segdiff.core.graph import Array
from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean
from segdiff.report.document import (
    Cell,
    Column,
    Detail,
    Document,
    Heading,
    Headline,
    Note,
    Part,
    Picture,
    Pictures,
    Table,
    lines,
    without_empty,
)
from segdiff.report.pair_table import pair_table
from segdiff.report.text import number, rel_l2, shape_text, share, shorten
from segdiff.report.thumbnails import channels_of, grey, heat, limits, telling

if TYPE_CHECKING:
    from segdiff.core.answer import PairInfo
    from segdiff.finding.case import OpenCase
    from segdiff.finding.case_attempt import Attempted, TriedOutput, TriedPair
    from segdiff.finding.case_pairs import Pairs
    from segdiff.finding.case_tensors import Arrays, Compared, Tensors

ROWS = 24
"""Pairs that are shown of a longer list."""

ARRAYS = 12
"""Arrays that are shown of more."""

NAME = 60


def case_document(case: OpenCase, detail: Detail = "full") -> Document:
    """An open case: what is open, and where to begin."""
    return tuple(_case(case))


def _case(case: OpenCase) -> Iterator[Part]:
    origins, crossing = case.pairs.origins, case.first_crossing
    state = "An open case" if not case.closed else "A closed case"
    yield Heading(f"{state}: {len(case.pairs)} pairs, {len(origins)} err on equal inputs")
    ours, theirs = case.graphs
    rows = [
        ("reference", f"{clean(ours.path)} ({ours.format}, {len(ours.ops)} ops)"),
        ("candidate", f"{clean(theirs.path)} ({theirs.format}, {len(theirs.ops)} ops)"),
        ("image", told_image(case.image)),
    ]
    rows += [("restarted", told) for told in case.restarted] + [("unknown", told) for told in case.reasons]
    yield from lines(rows)
    if crossing is None:
        yield Note("The two runs from the image do not differ visibly at any pair.")
    else:
        yield Note(f"The first pair that differs visibly is {clean(crossing.reference, 120)!r}.")
    if origins:
        yield from pair_table(list(origins)[:ROWS])


def told_image(image: object) -> str:
    """An image, as it was given, in a few words."""
    if isinstance(image, np.ndarray):
        return f"an array, {image.dtype} {shape_text(image.shape)}"
    if isinstance(image, Mapping):
        return f"arrays for {', '.join(clean(name, NAME) for name in image)}"
    return clean(image)


def pairs_document(pairs: Pairs, detail: Detail = "full") -> Document:
    """Pairs in a table, the first of a long list."""
    return tuple(_pairs(pairs))


def _pairs(pairs: Pairs) -> Iterator[Part]:
    yield Heading(f"{pairs.title} ({len(pairs)})")
    if not len(pairs):
        yield Note("No pair fits.", "dim")
        return
    yield from pair_table(list(pairs)[:ROWS])
    if len(pairs) > ROWS:
        yield Note(f"and {len(pairs) - ROWS} more; filter(...) and slices narrow them down", "dim")


def tensors_document(tensors: Tensors, detail: Detail = "full") -> Document:
    """The three tensors of a pair, with a few channels of each."""
    return tuple(_tensors(tensors))


def _tensors(tensors: Tensors) -> Iterator[Part]:
    yield Heading(_title(tensors.pair))
    try:
        found = _three(tensors)
    except SegdiffError as error:
        yield Note(f"Not fetched: {clean(error)}", "warning")
        return
    yield _array_table(found)
    yield from _three_pictures(found)


def _three(tensors: Tensors) -> dict[str, Array]:
    return {"reference": tensors.reference, "candidate": tensors.candidate, "isolated": tensors.isolated}


def _title(pair: PairInfo) -> str:
    ours, theirs = (shorten(clean(name), NAME) for name in (pair.reference, pair.candidate))
    return f"{clean(pair.reference_op)} {ours!r} ↔ {clean(pair.candidate_op)} {theirs!r}"


def arrays_document(arrays: Arrays, detail: Detail = "full") -> Document:
    """Arrays by name, with a few channels of each."""
    return tuple(_arrays(arrays))


def _arrays(arrays: Arrays) -> Iterator[Part]:
    yield Heading(f"{arrays.title} ({len(arrays)})")
    shown = dict(list(dict.items(arrays))[:ARRAYS])
    if shown:
        yield _array_table(shown)
    if len(arrays) > len(shown):
        yield Note(f"and {len(arrays) - len(shown)} more", "dim")
    pictures = tuple(
        _picture(array, telling(channels_of(array)), limits(channels_of(array)), clean(name, NAME))
        for name, array in shown.items()
        if _seen(array)
    )
    if pictures:
        yield Pictures(pictures)


def _array_table(arrays: Mapping[str, Array]) -> Table:
    """A line an array: type, shape, range, mean, spread, and what is not finite."""
    titles = ("", "type", "shape", "from", "to", "mean", "deviation", "not finite")
    widths = (20, 8, 16, 9, 9, 9, 9, 10)
    rows = tuple(tuple(map(Cell, summary(name, array))) for name, array in arrays.items())
    columns = tuple(Column(title, width) for title, width in zip(titles, widths, strict=True))
    return without_empty(Table(columns, rows, airy=True))


def summary(name: str, array: Array) -> tuple[str, ...]:
    """An array in a few words: its name, type, shape, smallest, largest, mean, deviation, and how many of its
    elements are not finite."""
    head = (clean(name, NAME), str(array.dtype), shape_text(array.shape))
    if array.dtype.kind not in "fiub" or not array.size:
        return (*head, *[""] * 5)
    numbers = array.astype(np.float64).reshape(-1)
    finite = numbers[np.isfinite(numbers)]
    odd = numbers.size - finite.size
    told = f"{odd} ({share(odd / numbers.size)})" if odd else ""
    if not finite.size:
        return (*head, *[""] * 4, told)
    values = finite.min(), finite.max(), finite.mean(), finite.std()
    return (*head, *(f"{value:.4g}" for value in values), told)


def _seen(array: Array) -> bool:
    """Whether there is anything to see in a picture of it."""
    return array.dtype.kind in "fiub" and array.ndim > 0 and array.size > 1


def _picture(array: Array, which: list[int], between: tuple[float, float], caption: str) -> Picture:
    planes = channels_of(array)
    return Picture((grey(planes[which], between),), caption, f"{caption}: {_channels(planes, which)}")


def _channels(planes: Array, which: list[int]) -> str:
    if len(planes) == 1:
        return "the whole of it"
    return f"channel{'s' if len(which) > 1 else ''} {', '.join(map(str, which))} of {len(planes)}"


def _three_pictures(found: Mapping[str, Array]) -> Iterator[Part]:
    """The same channels of all three, in one scale of grey, and what the segment alone does wrong."""
    ours, _, isolated = found.values()
    if not _seen(ours):
        return
    planes = channels_of(ours)
    alike = isolated.shape == ours.shape
    which = telling(planes, channels_of(isolated) if alike else None)
    between = limits(planes[which])
    pictures = [
        _picture(array, which, between, caption)
        for caption, array in found.items()
        if array.shape == ours.shape
    ]
    if alike:
        with np.errstate(all="ignore"):
            error = np.abs(channels_of(isolated)[which].astype(np.float64) - planes[which])
        largest = number(limits(error)[1])
        caption = f"|isolated - reference|, yellow is {largest}"
        pictures.append(Picture((heat(error),), caption, f"{caption}: {_channels(planes, which)}"))
    scale = f"black is {between[0]:.3g}, white {between[1]:.3g}"
    yield Pictures(tuple(pictures), f"{_channels(planes, which)}; {scale}")


def compared_document(found: Compared, detail: Detail = "full") -> Document:
    """A pair measured again."""
    return tuple(_compared(found))


def _compared(found: Compared) -> Iterator[Part]:
    yield Heading(_title(found.pair))
    words = "agrees on the reference's inputs" if found.agrees else "errs on the reference's inputs"
    rows = [
        ("the segment", words if found.problem is None else f"could not be run: {clean(found.problem)}"),
        ("isolated", _error(found.isolated)),
        ("cumulative", _error(found.cumulative)),
        ("rounding", _error(found.pair.noise)),
        ("difference", found.where),
    ]
    yield from lines((label, told) for label, told in rows if told)
    try:
        yield from _three_pictures(_three(found.tensors))
    except SegdiffError as error:
        yield Note(f"Not fetched: {clean(error)}", "warning")


def _error(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    if comparison.mismatch:
        return clean(comparison.mismatch)
    return f"rel_l2 {rel_l2(comparison)}, max_abs {number(comparison.metrics.max_abs)}"


def attempt_document(found: Attempted, detail: Detail = "full") -> Document:
    """What a change does: to its segments alone, to the outputs, to the mask."""
    return tuple(_attempt(found))


def _attempt(found: Attempted) -> Iterator[Part]:
    if found.problems:
        yield Headline("?", "Not all could be run with this change.", "unknown")
    elif not found.pairs:
        yield Headline("?", "The change lies in no segment that is compared; the outputs tell.", "unknown")
    elif found.agrees:
        yield Headline("✓", "With this change every segment that it touches agrees.", "good")
    else:
        yield Headline("✗", "With this change a segment that it touches still errs.", "bad")
    yield from lines(("changed", f"{node}: {words}") for node, words in found.changes)
    if found.pairs:
        yield Heading("On the reference's inputs")
        yield _table(PAIR_TITLES, [_tried_pair(each) for each in found.pairs])
    if found.outputs:
        yield Heading("Run from the image")
        yield without_empty(_table(OUTPUT_TITLES, [_tried_output(each) for each in found.outputs]))
    for problem in found.problems:
        yield Note(clean(problem), "warning")


PAIR_TITLES = (("pair", 34), ("before", 9), ("after", 9), ("", 8))
OUTPUT_TITLES = (("output", 28), ("before", 9), ("after", 9), ("mask before", 14), ("mask after", 14))
"""With the width of each column."""


def _table(titles: Iterable[tuple[str, int]], rows: list[tuple[Cell, ...]]) -> Table:
    return Table(tuple(Column(title, width) for title, width in titles), tuple(rows), airy=True)


def _tried_pair(tried: TriedPair) -> tuple[Cell, ...]:
    return (
        Cell(clean(tried.pair.candidate), lead=clean(tried.pair.candidate_op), one_line=True),
        Cell(rel_l2(tried.before)),
        Cell(rel_l2(tried.after)),
        Cell("agrees", "good") if tried.agrees else Cell("errs", "bad"),
    )


def _tried_output(tried: TriedOutput) -> tuple[Cell, ...]:
    return (
        Cell(clean(tried.candidate), one_line=True),
        Cell(rel_l2(tried.before)),
        Cell(rel_l2(tried.after)),
        Cell(_pixels(tried.pixels_before, tried.pixels)),
        Cell(_pixels(tried.pixels_after, tried.pixels)),
    )


def _pixels(changed: int | None, count: int | None) -> str:
    if changed is None or not count:
        return "-"
    return f"{changed} ({share(changed / count)})" if changed else "no pixel"
