"""Scores against PaddleSeg's definitions, written out the slow way."""

from __future__ import annotations

import numpy as np
import pytest

from segdiff.core.errors import InputError
from segdiff.score.areas import Areas, areas, scores


def slowly(pred: np.ndarray, label: np.ndarray, classes: int, ignore: int | None) -> list[list[int]]:
    """``calculate_area`` of PaddleSeg 2.8.0 in NumPy."""
    mask = np.ones(label.shape, bool) if ignore is None else label != ignore
    pred_is = [(pred == i) & mask for i in range(classes)]
    label_is = [label == i for i in range(classes)]
    return [
        [int((p & q).sum()) for p, q in zip(pred_is, label_is, strict=True)],
        [int(p.sum()) for p in pred_is],
        [int(q.sum()) for q in label_is],
    ]


@pytest.mark.parametrize("ignore", [255, None, 0, 2, 300])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_areas_are_paddlesegs(ignore: int | None, dtype: type) -> None:
    rng = np.random.default_rng(1)
    values = np.array([0, 1, 2, 3, 4, 7, 255], dtype)
    pred, label = rng.choice(values, (2, 40, 50))
    assert areas(pred, label, 5, ignore).to_list() == slowly(pred, label, 5, ignore)


def test_more_classes_than_a_byte_holds() -> None:
    rng = np.random.default_rng(2)
    pred = rng.integers(0, 256, (30, 30)).astype(np.uint8)
    label = rng.integers(0, 400, (30, 30)).astype(np.uint16)
    assert areas(pred, label, 400).to_list() == slowly(pred, label, 400, 255)


def test_scores_by_hand() -> None:
    found = scores(Areas(np.array([6, 2, 0]), np.array([8, 4, 0]), np.array([7, 5, 0])))
    assert found.class_iou == pytest.approx((6 / 9, 2 / 7, 0))
    assert found.miou == pytest.approx((6 / 9 + 2 / 7) / 3)  # an absent class counts as 0, as in PaddleSeg
    assert found.accuracy == pytest.approx(8 / 12)
    assert found.class_dice == pytest.approx((12 / 15, 4 / 9, 0))
    expected = (8 * 7 + 4 * 5) / 144
    assert found.kappa == pytest.approx((8 / 12 - expected) / (1 - expected))
    assert found.class_precision == pytest.approx((6 / 8, 2 / 4, 0))
    assert found.class_recall == pytest.approx((6 / 7, 2 / 5, 0))


def test_nothing_labelled_has_no_kappa_and_still_is_json() -> None:
    found = scores(Areas.none(2)).to_dict()
    assert found["kappa"] is None and found["accuracy"] is None and found["miou"] == 0


def test_masks_of_two_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="cannot be compared"):
        areas(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)


def test_the_same_areas_as_mmsegmentation_counts_them() -> None:
    """``intersect_and_union`` and ``total_area_to_metrics`` of mmsegmentation 1.2, written out in numpy."""
    random = np.random.default_rng(3)
    pred, label = random.integers(0, 4, (40, 50), np.uint8), random.integers(0, 4, (40, 50), np.uint8)
    label[label == 2] = 255  # no label has class 2, no side class 4
    kept = label != 255
    p, r = pred[kept], label[kept]
    hits = np.histogram(p[p == r], 5, (0, 4))[0].astype(float)
    in_mask, in_label = (np.histogram(each, 5, (0, 4))[0].astype(float) for each in (p, r))
    with np.errstate(invalid="ignore", divide="ignore"):
        iou, acc = hits / (in_mask + in_label - hits), hits / in_label
    found = scores(areas(pred, label, 5)).mmseg
    assert found is not None
    np.testing.assert_allclose(found.class_iou, iou)
    np.testing.assert_allclose(found.class_acc, acc)
    assert found.a_acc == hits.sum() / in_label.sum()
    assert found.m_iou == np.nanmean(iou) and found.m_acc == pytest.approx(np.nanmean(acc))
