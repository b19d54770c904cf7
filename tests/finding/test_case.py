"""An open case: the walk's pairs, every step asked again, another image, engines that die."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import segdiff
from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError, InputError
from segdiff.finding.case import OpenCase
from tests.finding.cases import SHAPE, files, network
from tests.killing import workers
from tests.models import image


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenCase]:
    pair = files(tmp_path_factory.mktemp("case"), mode="align_corners")
    with segdiff.open(*pair, image(SHAPE)) as opened:
        yield opened


def rel_l2(ours: Any, theirs: Any) -> float:
    return float(np.linalg.norm(theirs - ours) / np.linalg.norm(ours))


# --- what is known


def test_the_pairs_are_those_of_locate(case: OpenCase, tmp_path: Path) -> None:
    report = segdiff.locate(*files(tmp_path, mode="align_corners"), image(SHAPE))
    assert [(p.reference, p.candidate, p.state) for p in case.pairs] == [
        (p.reference, p.candidate, p.state) for p in report.pairs
    ]
    assert [pair.candidate for pair in case.pairs.origins] == ["large"]
    assert case.first_crossing is not None
    assert case.first_crossing.candidate == "large"


def test_neighbours_lie_around_their_pair(case: OpenCase) -> None:
    names = [pair.candidate for pair in case.neighbours("large")]
    assert names[:2] == ["deep", "large"]
    assert len(names) == 3
    assert len(case.neighbours("large", 2)) == 5
    assert [pair.candidate for pair in case.neighbours("large", 0)] == ["large"]


# --- what is asked


def test_the_three_tensors_of_a_pair(case: OpenCase) -> None:
    reference, candidate, isolated = case.tensors("large")
    assert reference.shape == candidate.shape == isolated.shape == (1, 6, 64, 96)
    pair = case["large"]
    assert pair.isolated is not None
    assert rel_l2(reference, isolated) == pytest.approx(pair.isolated.metrics.rel_l2, rel=1e-5)
    assert case.tensors(pair).reference is reference  # fetched once
    assert not reference.flags.writeable


def test_behind_the_origin_the_candidates_own_tensor_errs_and_the_isolated_one_does_not(
    case: OpenCase,
) -> None:
    reference, candidate, isolated = case.tensors("mask")
    assert rel_l2(reference, candidate) > 1e-2
    assert rel_l2(reference, isolated) < 1e-5


def test_a_pair_is_compared_again(case: OpenCase) -> None:
    origin, behind = case.compare("large"), case.compare("mask")
    assert not origin.agrees
    assert behind.agrees
    assert origin.isolated is not None
    assert origin.isolated.metrics.rel_l2 > 1e-2
    assert behind.cumulative is not None
    assert behind.cumulative.metrics.rel_l2 > 1e-2
    assert origin.where


def test_explained_and_weighed(case: OpenCase) -> None:
    cause = case.explain("large")
    assert cause.kind == "resize.coordinate_mode"
    assert cause.proven
    for effect in (case.weigh("large"), case.weigh("large", cause)):
        assert effect.final_error_removed > 0.999
        assert effect.mask_pixels_restored == 1.0
    assert abs(case.weigh("deep").final_error_removed) < 1e-3
    with pytest.raises(InputError, match="does not err on equal inputs"):
        case.explain("deep")


# --- another image, the same engines


def test_another_image_without_a_new_start(tmp_path: Path) -> None:
    pair = files(tmp_path, alpha=0.3)
    first, second = image(SHAPE, seed=1), image(SHAPE, seed=2)
    with segdiff.open(*pair, first) as case:
        running = {worker.pid for worker in workers()}
        before = case.tensors("leaky").reference
        case.image = second
        assert running <= {worker.pid for worker in workers()}
        assert case.image is second
        after = case.tensors("leaky").reference
        seen = [(p.candidate, p.state, str(p.isolated)) for p in case.pairs]
        with pytest.raises(InputError):
            case.image = np.zeros((1, 5, 8, 8), np.float32)
        assert case.image is second  # what does not fit changes nothing
        assert case.tensors("leaky").reference is after
    assert not np.array_equal(before, after)
    with segdiff.open(*pair, second) as fresh:
        assert seen == [(p.candidate, p.state, str(p.isolated)) for p in fresh.pairs]


# --- engines that die


@pytest.mark.parametrize("side", [0, 1])
def test_a_killed_engine_is_started_again(side: int, tmp_path: Path) -> None:
    known = {worker.pid for worker in workers()}
    with segdiff.open(*files(tmp_path, alpha=0.3), image(SHAPE)) as case:
        expected = case.compare("leaky").isolated
        ours = [worker for worker in workers() if worker.pid not in known]
        os.kill(ours[side].pid, signal.SIGKILL)
        assert case.compare("leaky").isolated == expected
        assert np.isfinite(case.tensors("mask").candidate).all()
        assert case.weigh("leaky").final_error_removed > 0.99
        for worker in [each for each in workers() if each.pid not in known]:
            worker.kill()
        case.image = image(SHAPE, seed=5)
        assert case["leaky"].state == "origin"
        assert case.restarted


def test_what_brings_an_engine_down_is_told_and_the_next_question_is_answered(tmp_path: Path) -> None:
    with segdiff.open(*files(tmp_path, alpha=0.3), image(SHAPE)) as case:
        attempt = case.attempt([Edit("leaky", op_type="NoSuchOperator")])
        assert attempt.problems
        assert not attempt.agrees
        with pytest.raises(EngineError):
            case.run("shifted", {"leaky": np.zeros((1, 6, 1, 1, 1), np.int64)})
        assert not case.compare("leaky").agrees


def test_an_interrupted_question_leaves_no_half_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with segdiff.open(*files(tmp_path, alpha=0.3), image(SHAPE)) as case:
        channel = case._sides.engines.candidate.engine.channel
        monkeypatch.setattr(channel, "receive", lambda timeout: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            case.compare("leaky")
        assert not case.compare("leaky").agrees


# --- opened and closed


def test_a_closed_case_says_so_and_no_worker_is_left(tmp_path: Path) -> None:
    known = {worker.pid for worker in workers()}
    case = segdiff.open(*files(tmp_path), image(SHAPE))
    kept = case.tensors("mask").reference
    case.close()
    case.close()
    assert case.closed
    assert {worker.pid for worker in workers()} == known
    assert kept.sum() == pytest.approx(64 * 96, rel=1e-4)
    with pytest.raises(InputError, match="is closed"):
        case.compare("mask")


def test_one_that_nobody_holds_any_more_is_closed(tmp_path: Path) -> None:
    known = {worker.pid for worker in workers()}
    case = segdiff.open(*files(tmp_path), image(SHAPE))
    assert not case.closed
    del case
    gc.collect()
    assert {worker.pid for worker in workers()} == known


def test_a_report_opens_its_models_again(tmp_path: Path) -> None:
    pair = files(tmp_path, alpha=0.3)
    report = segdiff.locate(*pair, image(SHAPE), rel_l2=0.5, deployed=False)
    assert report.verdict == "agrees"  # by the user's own threshold, which holds on
    with report.open() as case:
        assert [p.state for p in case.pairs] == [p.state for p in report.pairs]
        assert case[report.pairs[0]] == case.pairs[0]


def test_one_that_came_from_elsewhere_cannot_be_opened() -> None:
    from tests.report import reports

    with pytest.raises(InputError, match=r"segdiff\.open"):
        reports.report().open()


def test_the_candidates_own_input_is_judged(tmp_path: Path) -> None:
    pair = files(tmp_path)
    with segdiff.open(*pair, image(SHAPE), candidate_input=image(SHAPE) / 2) as case:
        assert case.as_fed is not None
        assert not case.as_fed.comparison.same
        assert case.as_fed.outputs[0].cumulative is not None
    with segdiff.open(*pair, image(SHAPE)) as case:
        assert case.as_fed is None
        assert list(case.feeds) == ["x"]


def test_a_model_in_memory_is_opened_too(tmp_path: Path) -> None:
    with segdiff.open(network(), network(alpha=0.3), image(SHAPE)) as case:
        assert [pair.candidate for pair in case.pairs.origins] == ["leaky"]
        mine = case.attempt({"leaky": {"alpha": 0.1}}).save(tmp_path / "mine.onnx")
    assert segdiff.locate(network(), mine, image(SHAPE), deployed=False).verdict == "agrees"


def test_the_face_names_it_and_a_star_leaves_pythons_own_open() -> None:
    assert {"open", "locate", "OpenCase", *segdiff.__all__} <= set(dir(segdiff))
    assert "open" not in segdiff.__all__
