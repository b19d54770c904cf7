"""``segdiff evaluate`` from the outside, on the bundled network: healthy, faulty, misfed, interrupted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import segdiff
from segdiff.cli import main
from segdiff.errors import InputError
from segdiff.evaluate import journal_of
from segdiff.masks.areas import areas, scores
from segdiff.masks.dataset import read_dataset
from segdiff.masks.output import Output, Undo, argmax, output_of, way_back
from segdiff.masks.protocol import EVALUATED, per_image
from tests.masks.streets import write_streets
from tests.zoo.environments import READY
from tests.zoo.layout import root

EXAMPLE = Path(segdiff.__file__).parent / "example"
DEPLOY, HEALTHY, FAULTY = EXAMPLE / "deploy", EXAMPLE / "healthy.onnx", EXAMPLE / "model.onnx"
PADDLESEG_VAL = Path(__file__).parent / "masks" / "paddleseg_val.py"


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_streets(tmp_path_factory.mktemp("streets"), 6)


@pytest.fixture(scope="module")
def healthy(streets: Path) -> segdiff.ScoreReport:
    return segdiff.evaluate(DEPLOY, HEALTHY, streets)


def bgr(path: str) -> Any:
    """A script that forgets to turn BGR into RGB; all else is PaddleSeg's."""
    image = cv2.resize(cv2.imread(path).astype(np.float32), (128, 96))
    return ((image / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]


def slowly(listed: Path) -> tuple[float, float]:
    """mIoU and accuracy as PaddleSeg's evaluation makes them, on onnxruntime, written out."""
    import onnxruntime as ort

    session = ort.InferenceSession(str(HEALTHY))
    total = None
    for line in listed.read_text().splitlines():
        image, label = (listed.parent / word for word in line.split())
        (output,) = session.run(None, {session.get_inputs()[0].name: bgr(str(image))[:, ::-1]})
        truth = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
        planes = [cv2.resize(plane, truth.shape[::-1]) for plane in output[0]]
        one = areas(np.argmax(planes, axis=0).astype(np.uint8), truth, 4)
        total = one if total is None else total + one
    assert total is not None
    return scores(total).miou, scores(total).accuracy


def test_healthy_models_score_the_same_and_right(healthy: segdiff.ScoreReport, streets: Path) -> None:
    assert (healthy.verdict, healthy.images, healthy.labelled, healthy.skipped) == ("agrees", 6, 6, 0)
    miou, accuracy = slowly(streets)
    for side in ("reference", "candidate"):
        assert healthy.score(side, EVALUATED).miou == pytest.approx(miou, abs=1e-4)
        assert healthy.score(side, EVALUATED).accuracy == pytest.approx(accuracy, abs=1e-4)
    assert healthy.output is not None and healthy.output.max_abs < 1e-4
    assert healthy.agreement.changed == healthy.agreement.clear == 0


def test_a_network_fault_and_an_input_fault_each_cost_points(streets: Path, tmp_path: Path) -> None:
    report = segdiff.evaluate(
        DEPLOY, FAULTY, streets, candidate_input=bgr, candidate_protocol="image", pictures=tmp_path, worst=2
    )
    assert report.verdict == "diverges"
    table = report.attribution
    assert table is not None
    assert {step.home for step in table.steps} == {"score", "network", "input"}
    assert table.points("score") + table.points("network") + table.points("input") == pytest.approx(table.gap)
    end = per_image("linear")
    reference, same, own = (side.scores[end].miou for side in report.sides)
    assert table.points("network") == pytest.approx(same - reference) and same < reference
    assert table.points("input") == pytest.approx(own - same) and own < same
    assert len(report.files) == 3 and all(path.stat().st_size for path in report.files)


def test_bad_images_are_lines_and_an_interrupted_run_goes_on(
    streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = streets.parent
    broken, wrong, unknown = (tmp_path / name for name in ("broken.png", "wrong.png", "unknown.png"))
    broken.write_bytes((folder / "label_0.png").read_bytes()[:200])
    cv2.imwrite(str(wrong), np.zeros((5, 7), np.uint8))
    cv2.imwrite(str(unknown), np.full((96, 128), 77, np.uint8))
    listed = tmp_path / "list.txt"
    image = folder / "street_0.png"
    lines = [f"{folder / 'street_1.png'} {folder / 'label_1.png'}", f"{folder / 'none.png'} {broken}"]
    lines += [f"{image} {label}" for label in (broken, wrong, unknown)]
    lines += [f"{folder / 'street_2.png'} {folder / 'label_2.png'}"]
    listed.write_text("\n".join(lines))
    out = tmp_path / "report.json"
    command = ["evaluate", str(DEPLOY), str(HEALTHY), str(listed), "--out", str(out)]
    assert main(command) == 0
    printed, err = capsys.readouterr()
    assert "4 images skipped" in err and len(err.splitlines()) == 1
    for words in ("none.png does not exist", "cannot be decoded", "has 5x7 pixels", "unknown class 77"):
        assert words in " ".join(printed.split())
    first = json.loads(out.read_text())

    journal = journal_of(out)
    whole = journal.read_bytes().splitlines(keepends=True)
    assert len(whole) == 3
    journal.write_bytes(b"".join(whole[:-1]) + whole[-1][:30])  # killed while it wrote the last line
    assert main(command) == 0
    assert "1 images were already done" in " ".join(capsys.readouterr().out.split())
    again = json.loads(out.read_text())
    assert again["sides"] == first["sides"] and again["images"] == first["images"]

    assert main([*command[:2], str(FAULTY), *command[3:]]) == 2  # results of another run are not mixed in
    assert "another candidate" in capsys.readouterr().err


def test_without_labels_there_are_masks_and_outputs(
    streets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(DEPLOY), str(FAULTY), str(streets.parent / "street_0.png")]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "There are no labels" in out and "max_abs_diff" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.txt",), "nowhere.txt does not exist"),
        (("list.txt", "--labels", "labels"), "names its own labels"),
        (("list.txt", "--candidate-protocol", "both"), "both"),
    ],
)
def test_a_run_that_cannot_start(
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("a.png b.png")
    try:
        code = main(["evaluate", str(DEPLOY), str(HEALTHY), *words])
    except SystemExit as exit_:
        code = exit_.code  # type: ignore[assignment]
    err = capsys.readouterr().err.splitlines()
    assert code == 2 and len(err) == 1 and said in err[0]


# --- the parts


def test_a_list_names_images_and_labels(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("\ufeffa.jpg l/a.png\n\n b.jpg\n", encoding="utf-8")
    entries = read_dataset(listed, root="data")
    assert [(e.name, e.image, e.label) for e in entries] == [
        ("a.jpg", Path("data/a.jpg"), Path("data/l/a.png")),
        ("b.jpg", Path("data/b.jpg"), None),
    ]
    listed.write_text("a b.png c.png")
    with pytest.raises(InputError, match="line 1"):
        read_dataset(listed)


def test_the_way_back_crops_padding_and_resizes() -> None:
    steps = [("ResizeByLong", {"long_size": 64}), ("Padding", {"target_size": [64, 64]}), ("Normalize", {})]
    undo = way_back((30, 60), steps, "deploy.yaml", (64, 64))
    assert undo == (Undo("crop", (32, 64)), Undo("resize", (30, 60)))
    planes = np.zeros((2, 64, 64), np.float32)
    planes[1, :, 32:] = 1
    planes[1, 32:] = 9
    output = Output(planes)
    assert output.without_padding(undo).mask().shape == (32, 64)
    mask = output.mask_at(undo)
    assert mask.shape == (30, 60) and mask.mean() == pytest.approx(0.5)
    with pytest.raises(InputError, match="ScalePadding"):
        way_back((30, 60), [("ScalePadding", {})], "deploy.yaml", (512, 512))


def test_argmax_takes_the_first_of_equals() -> None:
    planes = np.random.default_rng(0).integers(0, 4, (300, 20, 30)).astype(np.float32)
    assert np.array_equal(argmax(iter(planes)), planes.argmax(0))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32, np.uint8])
@pytest.mark.parametrize("shape", [(1, 4, 6), (1, 1, 4, 6)])
def test_an_output_may_be_a_mask_already(dtype: type, shape: tuple[int, ...]) -> None:
    mask = np.arange(24).reshape(4, 6)
    output = output_of(mask.reshape(shape).astype(dtype), "The output")
    assert output.classes is None and np.array_equal(output.mask(), mask)
    assert output.mask_at((Undo("resize", (8, 12)),)).shape == (8, 12)


@pytest.mark.parametrize(
    "array",
    [np.zeros((1, 5)), np.full((1, 3, 2, 2), np.nan), np.full((1, 1, 2, 2), 0.5), np.zeros((2, 3, 4, 4))],
)
def test_what_is_no_mask_is_said_so(array: np.ndarray) -> None:
    with pytest.raises(InputError, match="The output"):
        output_of(array.astype(np.float32), "The output")


# --- against PaddleSeg itself


@pytest.mark.real
def test_scores_are_what_paddleseg_prints(healthy: segdiff.ScoreReport, streets: Path) -> None:
    environment = root() / "env" / "p26"
    if not (environment.is_symlink() or (environment / READY).exists()):
        pytest.skip("the zoo's environment p26, which has paddleseg, is not made")
    command = [
        environment / "bin" / "python",
        PADDLESEG_VAL,
        DEPLOY / "model",
        DEPLOY / "deploy.yaml",
        streets,
        "4",
    ]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    theirs = json.loads(printed.splitlines()[-1])
    ours = healthy.score("reference", EVALUATED)
    for name in ("miou", "accuracy", "kappa"):
        assert getattr(ours, name) == pytest.approx(theirs[name], abs=1e-4)
    assert ours.class_iou == pytest.approx(theirs["class_iou"], abs=1e-4)
