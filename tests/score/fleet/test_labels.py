"""Does a sweep tell the points that a pair loses, as ``evaluate`` counts them, whoever does the work?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import InputError
from segdiff.core.sweep_report import SweepReport, SweptLabel
from segdiff.report.forms import shown
from segdiff.score.fleet.labels import Reading, matched, reading_of
from segdiff.score.fleet.points import labelled, score_of
from segdiff.score.protocol import EVALUATED
from tests.schema import check
from tests.score.fleet.test_sweep import table
from tests.score.streets import write_streets

EXAMPLE = Path(segdiff.__file__).parent / "example"
IMAGES = 3


def with_argmax(source: Path, path: Path) -> Path:
    """A model that ends in the class numbers."""
    model = onnx.load(source)
    logits = model.graph.output[0].name
    model.graph.node.append(helper.make_node("ArgMax", [logits], ["mask"], axis=1))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("mask", onnx.TensorProto.INT64, None))
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nets of logits and two of masks, three streets with labels, and a picture that has none."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("healthy", "model"):
        shutil.copy(EXAMPLE / f"{name}.onnx", folder)
        with_argmax(EXAMPLE / f"{name}.onnx", folder / f"{name}_mask.onnx")
    shutil.copy(EXAMPLE / "deploy" / "deploy.yaml", folder)
    write_streets(folder, IMAGES)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for number in range(IMAGES):
        shutil.copy(folder / f"street_{number}.png", folder / "images" / f"{number}.png")
        shutil.copy(folder / f"label_{number}.png", folder / "labels" / f"{number}.png")
    return folder


def pairs_in(desk: Path) -> list[dict[str, Any]]:
    """A pair with a list, one of masks with folders, one without labels, one whose label is no picture."""
    (desk / "broken.png").write_bytes(b"no label")
    same = {"reference": "healthy.onnx", "candidate": "healthy.onnx", "images": "street_0.png"}
    return [
        {"name": "1 listed", "reference": "healthy.onnx", "candidate": "model.onnx", "images": "val.txt"},
        {
            **{"name": "2 masks", "reference": "healthy_mask.onnx", "candidate": "model_mask.onnx"},
            **{"images": "images", "labels": "labels"},
        },
        {**same, "name": "3 none"},
        {**same, "name": "4 broken", "labels": "broken.png"},
    ]


@pytest.fixture(scope="module")
def listed(desk: Path) -> Path:
    path = desk / "pairs.json"
    path.write_text(json.dumps({"pairs": pairs_in(desk)}))
    return path


@pytest.fixture(scope="module")
def alone(listed: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepReport:
    return segdiff.sweep(listed, out=tmp_path_factory.mktemp("out") / "swept")


def miou(report: segdiff.ScoreReport, side: str) -> float:
    return report.score(side, EVALUATED).miou


@pytest.mark.parametrize(
    ("name", "models"),
    [("1 listed", ("healthy.onnx", "model.onnx")), ("2 masks", ("healthy_mask.onnx", "model_mask.onnx"))],
)
def test_points_are_those_that_evaluate_counts(
    desk: Path, alone: SweepReport, name: str, models: tuple[str, str]
) -> None:
    score = alone.pair(name).score
    assert score is not None and score.images == IMAGES
    whole = segdiff.evaluate(*(desk / each for each in models), desk / "val.txt", threads=1)
    assert (score.reference, score.candidate) == (miou(whole, "reference"), miou(whole, "candidate"))
    assert score.points == 100 * (score.reference - score.candidate) > 0
    first = alone.pair(name).images[0].labelled
    one = segdiff.evaluate(
        *(desk / each for each in models),
        desk / "street_0.png",
        labels=desk / "label_0.png",
        num_classes=first and first.classes,
        threads=1,
    )
    assert first and first.score and first.score.candidate == miou(one, "candidate")


def test_what_is_not_known_is_told(alone: SweepReport) -> None:
    check(alone.to_dict())
    without, broken = alone.pair("3 none"), alone.pair("4 broken")
    assert without.score is None and without.images[0].labelled is None
    failed = broken.images[0].labelled
    assert broken.verdict == "agrees" and broken.score is None
    assert failed and failed.failure and "broken.png" in failed.failure.message
    text = " ".join(shown(alone, "text", "full").split())
    assert "points" in text and "1 image not scored" in text and "1 image without one" in text
    rows = shown(alone, "text", "short").splitlines()
    row = next(line for line in rows if line.strip().startswith("1 listed"))
    score = alone.pair("1 listed").score
    assert score and f"{score.points:.2f}" in row


def test_it_comes_back_as_it_was(alone: SweepReport, tmp_path: Path) -> None:
    again = segdiff.load(alone.save(tmp_path / "r.json"))
    assert isinstance(again, SweepReport) and again.to_dict() == alone.to_dict()
    assert [pair.score for pair in again.pairs] == [pair.score for pair in alone.pairs]


def test_two_workers_and_a_cluster_give_the_same(listed: Path, alone: SweepReport) -> None:
    assert table(segdiff.sweep(listed, workers=2)) == table(alone)
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True, silence_logs=50
    ) as cluster:
        assert table(segdiff.sweep(listed, scheduler=cluster.scheduler_address)) == table(alone)


def test_what_was_kept_has_its_points_and_a_changed_label_is_scored_anew(desk: Path, tmp_path: Path) -> None:
    label, out = tmp_path / "label.png", tmp_path / "swept"
    shutil.copy(desk / "label_0.png", label)
    rows = [{**pairs_in(desk)[3], "name": "one", "images": desk / "street_0.png", "labels": str(label)}]
    rows[0] |= {"reference": desk / "healthy.onnx", "candidate": desk / "model.onnx"}

    def again() -> SweepReport:
        return segdiff.sweep(rows, out=out)

    first, second = again(), again()
    assert second.remarks and table(second) == table(first) and first.pair("one").score
    other = 3 - cv2.imread(str(label), cv2.IMREAD_UNCHANGED).clip(0, 3)
    cv2.imwrite(str(label), other)
    changed = again()
    assert not changed.remarks and changed.pair("one").score != first.pair("one").score


def test_the_command_takes_labels_as_evaluate_does(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"name": "a", "reference": "healthy.onnx", "candidate": "model.onnx"}]
    pairs = desk / "plain.json"
    pairs.write_text(json.dumps(rows))
    words = ["sweep", str(pairs), "--images", str(desk / "images"), "--labels", str(desk / "labels")]
    assert main([*words, "--ignore-index", "none", "--num-classes", "256", "--json", "-"]) == 1
    saved = json.loads(capsys.readouterr().out)
    check(saved)
    found = [each["labelled"] for each in saved["swept"][0]["images"]]
    assert all(each["failure"] is None and each["classes"] == 256 for each in found)
    assert main([*words[:4], "--labels", str(desk / "deploy.yaml")]) == 2
    assert "deploy.yaml" in capsys.readouterr().err
    taken = tmp_path / "labels" / "r.json"
    shutil.copytree(desk / "labels", tmp_path / "labels")
    (tmp_path / "labels" / "0.json").write_text("{}")
    kept = ["--labels", str(tmp_path / "labels"), "--json", str(tmp_path / "labels" / "0.json")]
    assert main([*words[:4], *kept]) == 2 and not taken.exists()


def test_labels_are_matched_by_name_and_never_guessed(desk: Path, tmp_path: Path) -> None:
    labels = str(desk / "labels")
    assert matched(("/x/0.png", "/x/none.png"), labels) == {"/x/0.png": f"{labels}/0.png"}
    (tmp_path / "a").mkdir()
    for name in ("0.png", "a/0.png"):
        shutil.copy(desk / "label_0.png", tmp_path / name)
    found = matched(("/x/a/0.png", "/x/b/0.png"), str(tmp_path))
    assert found == {"/x/a/0.png": str(tmp_path / "a/0.png"), "/x/b/0.png": str(tmp_path / "0.png")}
    with pytest.raises(InputError, match="could both have"):
        matched(("/x/0.png", "/y/0.png"), labels)
    with pytest.raises(InputError, match="one label"):
        matched(("/x/0.png", "/y/1.png"), str(desk / "label_0.png"))
    with pytest.raises(InputError, match="has the name of an image"):
        row = {"reference": desk / "healthy.onnx", "candidate": desk / "model.onnx", "labels": labels}
        segdiff.sweep([{**row, "images": desk / "street_0.png"}])
    with pytest.raises(InputError, match="no label in"):
        row = {"reference": desk / "healthy.onnx", "candidate": desk / "model.onnx"}
        segdiff.sweep([{**row, "images": desk / "street_0.png"}], labels=labels)


def test_black_and_white_is_read_by_all_labels_of_a_pair_together(desk: Path, tmp_path: Path) -> None:
    black, white = np.zeros((96, 128), np.uint8), np.full((96, 128), 255, np.uint8)
    for name, label in (("0", black), ("1", white)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), label)
    files = tuple(str(tmp_path / f"{name}.png") for name in "01")
    reading = reading_of(files, None, None, 255)
    assert reading.kind == "binary" and reading.doubt is not None
    image = str(desk / "street_0.png")
    models = str(desk / "healthy_mask.onnx"), str(desk / "healthy_mask.onnx")
    found = labelled(*models, image, files[0], reading, {"threads": 1})
    assert (found.reading, found.classes, found.failure) == ("class", 2, None)
    told = reading_of(files, "index", None, 255)
    assert labelled(*models, image, files[0], told, {"threads": 1}).classes == 1
    assert reading_of(files, "nonsense", None, 255).problem is not None


def test_areas_of_masks_add_up_to_the_classes_that_all_labels_have() -> None:
    few = SweptLabel("a", None, 1, ((4,), (4, 0, 2), (6,)), ((4,), (4, 2), (6,)))
    many = SweptLabel("b", None, 2, ((3, 3), (3, 3), (3, 3)), ((3, 3), (3, 3), (3, 3)))
    score = score_of([few, None, many])
    assert score is not None and score.images == 2
    assert score.reference == (7 / 9 + 3 / 3) / 2  # class 2 is no label's, and counts nowhere
    assert score.candidate == (7 / 9 + 3 / 5) / 2
    assert score_of([SweptLabel("c", failure=None), None]) is None
    assert Reading().ignore_index == 255
