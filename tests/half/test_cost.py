"""Are the differences of outputs and masks counted right?"""

from __future__ import annotations

import math

import numpy as np
import pytest

from segdiff.half.cost import Tally, difference
from tests.models import image


def test_errors_and_masks_add_up_over_images() -> None:
    plain = image((1, 3, 4, 5))
    found = plain.copy()
    found[0, :, 0, 0] = [9, 0, 0] if plain[0, :, 0, 0].argmax() else [0, 9, 0]
    tally = Tally()
    tally.add({"y": difference(plain, found)})
    tally.add({"y": difference(plain, plain)})
    cost = tally.cost(0.5)
    assert cost.mask_changed == 1 / 40 and cost.miou_points == 0.5
    error = np.linalg.norm(found - plain) / np.linalg.norm(plain) / math.sqrt(2)
    assert cost.rel_l2 == pytest.approx(error, rel=1e-6)
    assert cost.max_abs == pytest.approx(np.abs(found - plain).max())


@pytest.mark.parametrize("lost", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_lost(lost: float) -> None:
    plain, found = image((1, 3, 4, 5)), np.full((1, 3, 4, 5), lost, np.float32)
    told = difference(plain, found)
    assert told.lost == 60 and told.relative == pytest.approx(1)
    tally = Tally()
    tally.add({"y": told})
    assert math.isinf(tally.cost().max_abs)


def test_classes_and_probabilities_are_masks_and_other_maps_are_none() -> None:
    classes = np.zeros((1, 4, 5), np.int64)
    assert difference(classes, np.eye(4, 5, dtype=np.int64)[None]).changed == 4
    probabilities = np.full((1, 1, 4, 5), 0.4, np.float32)
    assert difference(probabilities, probabilities + 0.2, 0.5).changed == 20
    assert difference(probabilities, probabilities + 0.2, 0.3).changed == 0
    assert difference(probabilities * 9, probabilities).pixels == 0
    assert difference(image((2, 7)), image((2, 7))).pixels == 0
