"""Values are in one cell exactly when the same seeds are above and below them, however the seeds come."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from segdiff.align import align, cones
from segdiff.align.cones import Cells, anything
from segdiff.align.view import View, view_of
from tests.models import Net, folded, graph_of, hand_made, scrambled, segmenter


def net(seed: int, ops: int = 40) -> View:
    """Random unary and binary ops, each reading one of the last five values."""
    random = np.random.default_rng(seed)
    values, made = ["x"], []
    for place in range(ops):
        reads = [values[int(random.integers(max(0, place - 4), place + 1))] for _ in range(1 + place % 2)]
        made.append(("Add" if len(reads) > 1 else "Relu", reads, [f"v{place}"]))
        values.append(f"v{place}")
    return view_of(hand_made(made, outputs=[values[-1]]))


def seeds_around(view: View, name: str, seeds: set[str]) -> tuple[frozenset[str], frozenset[str]]:
    """The seeds above and below a value, walked one by one."""

    def reached(step: dict[str, list[str]]) -> frozenset[str]:
        seen, queue = {name}, [name]
        while queue:
            for other in step.get(queue.pop(), []):
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
        return frozenset(seen & seeds)

    up = {op.outputs[0]: list(view.reads[op.index]) for op in view.ops}
    down: dict[str, list[str]] = {}
    for made, read in up.items():
        for each in read:
            down.setdefault(each, []).append(made)
    return reached(up), reached(down)


@pytest.mark.parametrize(("seed", "at_once"), list(product(range(4), (1, 3, 4096))))
def test_two_values_share_a_cell_when_they_share_their_seeds(
    seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cones, "AT_ONCE", at_once)
    view = net(seed)
    seeds = {name: name for name in view.values[::4]}
    cells = Cells((view, view), [])
    cells.part(seeds, seeds)
    for one, other in combinations([name for name in view.values if name not in seeds], 2):
        alike = seeds_around(view, one, set(seeds)) == seeds_around(view, other, set(seeds))
        assert (cells.numbers[0][one] == cells.numbers[0][other]) == alike
    assert cells.numbers[0] == cells.numbers[1]
    assert all(ours == theirs for ours, theirs in cells.alike(anything))


@pytest.mark.parametrize("seed", range(3))
def test_the_pairs_do_not_depend_on_how_many_seeds_are_looked_at_at_once(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = graph_of(segmenter(seed), tmp_path, "ours")
    theirs = graph_of(scrambled(folded(segmenter(seed)), seed), tmp_path, "theirs")
    whole = align(ours, theirs)
    monkeypatch.setattr(cones, "AT_ONCE", 2)
    assert align(ours, theirs) == whole


def test_a_deep_network_with_all_its_batch_norms_folded_is_aligned_to_the_end(tmp_path: Path) -> None:
    """6,000 ops against 4,000: thousands of gaps, and every one is closed at the same time."""
    made, x = Net((1, 2, 1, 1)), "x"
    for _ in range(2000):
        x = made.node("Relu", made.batch_norm(made.conv(x, (2, 2), kernel=1, bias=False), 2))
    model = made.model(x)
    found = align(graph_of(model, tmp_path, "ours"), graph_of(scrambled(folded(model)), tmp_path, "theirs"))
    assert len(found.pairs) == 4001
    assert len(found.segments) == 4000
