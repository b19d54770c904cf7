"""Where operators stand, which stretches are folded, how the curve runs."""

from __future__ import annotations

import itertools
import random
import time

import pytest

from segdiff.core.outline import Outline
from segdiff.report.page.curve import HEIGHT, curve_of
from segdiff.report.page.drawing import Known
from segdiff.report.page.layout import LONGEST, laid_out
from segdiff.report.page.strip import Strip, strip_of, what_is_known
from tests.report import reports
from tests.report.page import made


def nets() -> list[list[list[int]]]:
    """Chains, ladders, and random ones."""
    dice = random.Random(0)
    wild = [
        sorted({dice.randrange(place) for _ in range(dice.randint(1, 3))}) if place else []
        for place in range(80)
    ]
    return [
        [],
        [[]],
        [[], [0], [1]],
        [[], [], [0, 1]],
        wild,
        [list(n.reads) for n in made.outline(["v"] * 120).nodes],
    ]


@pytest.mark.parametrize("reads", nets())
def test_every_operator_stands_below_what_it_reads_and_on_nobody(reads: list[list[int]]) -> None:
    found = laid_out(reads)
    for place, makers in enumerate(reads):
        assert all(found.ranks[maker] < found.ranks[place] for maker in makers)
    for rank in range(found.depth):
        row = sorted(found.columns[p] for p in range(len(reads)) if found.ranks[p] == rank)
        assert all(b - a >= 0.99 for a, b in itertools.pairwise(row))
    assert min(found.columns, default=0.0) >= 0 and max(found.columns, default=0.0) <= found.width
    edges = {(maker, place) for place, makers in enumerate(reads) for maker in makers}
    assert {edge for edge, _ in found.lines} | set(found.cut) == edges
    for (first, last), line in found.lines:
        assert len(line) == found.ranks[last] - found.ranks[first] + 1 <= LONGEST + 1
        assert (line[0], line[-1]) == (found.columns[first], found.columns[last])


def test_a_chain_is_straight_and_a_diamond_symmetric() -> None:
    assert set(laid_out([[], [0], [1], [2]]).columns) == {0.0}
    assert laid_out([[], [0], [0], [1, 2]]).columns == (0.5, 0.0, 1.0, 0.5)


def test_barycentres_undo_a_crossing() -> None:
    found = laid_out([[], [], [1], [0]])
    assert (found.columns[0] < found.columns[1]) == (found.columns[3] < found.columns[2])


def test_a_large_graph_is_laid_out_in_a_moment() -> None:
    reads = [node.reads for node in made.outline(["v"] * 1500).nodes]
    best = min(timed(reads) for _ in range(3))
    assert best < 2.0  # 0.1 s on an idle machine


def timed(reads: list[tuple[int, ...]]) -> float:
    start = time.perf_counter()
    laid_out(reads)
    return time.perf_counter() - start


def strip(count: int, faults: tuple[int, ...]) -> Strip:
    report = made.report(count, faults)
    assert report.outlines is not None
    outline = report.outlines[1]
    return strip_of(outline, what_is_known(report, outline, 1))


@pytest.mark.parametrize(
    "count, faults", [(1, ()), (5, (2,)), (200, (20, 40, 150)), (200, ()), (60, tuple(range(60)))]
)
def test_every_operator_is_in_one_block_and_no_origin_is_folded(count: int, faults: tuple[int, ...]) -> None:
    found = strip(count, faults)
    drawn = [box.place for block in found.blocks if block.drawing for box in block.drawing.boxes]
    assert sorted(drawn) == list(range(count))
    assert sum(block.operators for block in found.blocks) == count
    ranks = [(block.start, block.start + block.ranks) for block in found.blocks]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranks)) and ranks[-1][1] == found.depth
    for block in found.blocks:
        if block.folded and len(faults) < 20:
            assert block.drawing and not any(box.known.origin for box in block.drawing.boxes)


def test_healthy_stretches_are_folded() -> None:
    found = strip(200, (20, 40, 150))
    folded = sum(block.operators for block in found.blocks if block.folded)
    assert folded > 150 and any(not block.folded for block in found.blocks)
    assert sum(mark.size for mark in found.marks) == found.depth
    assert sum(mark.origin for mark in found.marks) == 3


def test_what_was_not_measured_is_counted_in_a_fold() -> None:
    report = made.unknown(400)
    assert report.outlines is not None
    found = strip_of(report.outlines[1], what_is_known(report, report.outlines[1], 1))
    assert sum(block.unknown for block in found.blocks) == 399
    assert any(block.folded for block in found.blocks)


def test_an_empty_graph_has_an_empty_strip() -> None:
    found = strip_of(Outline(()), [Known()][:0])
    assert (found.blocks, found.marks, found.depth) == ((), (), 0)


def test_the_curve_has_a_cliff_at_each_origin() -> None:
    found = curve_of(made.report(100, (20, 40, 50)))
    assert found is not None and [cliff.pair for cliff in found.cliffs] == [20, 40, 50]
    assert found.cliffs[0].x == 20.5 and found.count == 100
    assert found.isolated.count("M") == 100 and found.cumulative.startswith("M0.5 ")


def test_errors_that_are_no_numbers_are_at_the_top() -> None:
    found = curve_of(reports.not_finite())
    assert found is not None and f" {HEIGHT}" not in found.isolated[-8:] and " 0h0" in found.isolated


def test_nothing_measured_is_no_curve() -> None:
    assert curve_of(reports.empty()) is None


def test_a_long_walk_has_a_point_for_every_few_pairs_and_keeps_its_peaks() -> None:
    found = curve_of(made.report(9000, (4000,)))
    assert found is not None and found.isolated.count("M") == 3000
    short = curve_of(made.report(100, (40,)))
    assert short is not None
    peak = min(int(word.split()[1]) for word in short.isolated.replace("h0", "").split("M")[1:])
    assert peak == min(int(word.split()[1]) for word in found.isolated.replace("h0", "").split("M")[1:])
