"""``segdiff score`` from the outside: the real case, folders as people have them, and broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import InputError
from segdiff.score.protocol import DATASET, per_image

CASE = Path(__file__).parents[3] / "shared" / "seaformer_case"
FOLDERS = ("labels", "reference", "candidate")


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Six labels of 60x80, three classes; masks of 30x40, the candidate's with a square of another class."""
    rng = np.random.default_rng(5)
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    for number in range(6):
        field = cv2.GaussianBlur(rng.standard_normal((60, 80, 3)).astype(np.float32), (0, 0), 6)
        label = field.argmax(2).astype(np.uint8)
        mask = label[::2, ::2].copy()
        cv2.imwrite(str(tmp_path / "labels" / f"{number}.png"), label)
        cv2.imwrite(str(tmp_path / "reference" / f"{number}.png"), mask)
        mask[: 2 * number, : 2 * number] = 1
        cv2.imwrite(str(tmp_path / "candidate" / f"{number}.png"), mask)
    return tmp_path


def words(root: Path, *more: str) -> list[str]:
    labels, reference, candidate = (str(root / name) for name in FOLDERS)
    return [
        "score", "--labels", labels, "--reference-masks", reference, "--candidate-masks", candidate, *more
    ]  # fmt: skip


def scored(root: Path, **options: object) -> segdiff.ScoreReport:
    return segdiff.score(*(root / name for name in FOLDERS), **options)  # type: ignore[arg-type]


@pytest.mark.skipif(not CASE.is_dir(), reason="the case is not beside this repository")
def test_the_case_closed_unanswered_in_two_trackers() -> None:
    report = segdiff.score(
        CASE / "labels" / "test",
        CASE / "paddle_inference",
        CASE / "onnx_inference",
        reference_score=95.10,
        candidate_score=89.13,
    )
    script = per_image("linear")
    for side, dataset, image in (("reference", 95.04, 93.98), ("candidate", 92.19, 89.13)):
        assert 100 * report.score(side, DATASET).miou == pytest.approx(dataset, abs=0.01)
        assert 100 * report.score(side, script).miou == pytest.approx(image, abs=0.01)
    assert 100 * report.score("candidate", script).class_iou[0] == pytest.approx(80.66, abs=0.01)
    assert 100 * report.score("candidate", script).class_iou[1] == pytest.approx(97.60, abs=0.01)
    table = report.attribution
    assert table is not None
    assert (table.start, table.end) == (0.951, 0.8913)
    assert sum(step.points for step in table.steps) == pytest.approx(table.gap)
    points = {step.kind: round(100 * step.points, 2) for step in table.steps}
    assert points["masks"] == -4.85
    assert points["score.average"] == -1.12
    assert points["score.half_pixel"] == -0.04
    assert points["score.edges"] == -0.03
    assert table.points("unexplained") == 0
    assert report.verdict == "diverges"


def test_the_worst_image_comes_first(folders: Path) -> None:
    report = scored(folders)
    assert report.worst[0].name in {"4", "5"}
    shares = [result.agreement.share for result in report.worst]
    assert shares == sorted(shares, reverse=True)
    assert report.images == 6 and report.skipped == 0 and report.exit_code == 1


def test_equal_masks_agree_though_the_protocols_differ(folders: Path) -> None:
    report = segdiff.score(folders / "labels", folders / "reference", folders / "reference")
    assert report.exit_code == 0
    assert report.attribution is not None
    assert report.attribution.points("input or network") == 0
    assert report.attribution.gap == pytest.approx(report.attribution.points("score"))


def test_a_score_that_no_logits_can_give_is_unexplained(folders: Path) -> None:
    table = scored(folders, reference_score=50).attribution
    assert table is not None and table.steps[0].home == "unexplained"


def test_pictures_of_the_worst(folders: Path, tmp_path: Path) -> None:
    report = scored(folders, pictures=tmp_path / "pictures", worst=3, names="sky,road,car")
    assert len(report.files) == 4 and report.files[-1].name == "contact_sheet.png"
    assert all(cv2.imread(str(path)) is not None for path in report.files)
    assert report.names == ("sky", "road", "car")


def test_the_command_prints_the_table_and_writes_json(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(folders, "--full", "--json", str(tmp_path / "r.json"))) == 1
    out, err = capsys.readouterr()
    assert "Where the points go" in out and err == ""
    assert max(map(len, out.splitlines())) <= 80
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["verdict"] == "diverges" and len(data["sides"]) == 2
    steps = data["attribution"]["steps"]
    assert sum(step["points"] for step in steps) == pytest.approx(data["attribution"]["gap"])
    found = data["agreement"]
    assert found["changed_share"] == pytest.approx(found["changed"] / found["pixels"])
    assert found["share"] == found["equal_share"] == pytest.approx(1 - found["changed_share"])
    assert (tmp_path / "r.json").read_text().startswith('{\n "schema": 1')


def break_one(root: Path, how: str) -> str:
    """Damage one image of six; what the line about it says."""
    mask = root / "candidate" / "2.png"
    if how == "missing":
        mask.unlink()
        return f"2: not in {root / 'candidate'}"
    if how == "cut off":
        mask.write_bytes(mask.read_bytes()[:-40])
        return "cannot be decoded"
    if how == "unknown class":
        cv2.imwrite(str(mask), np.full((30, 40), 9, np.uint8))
        return "unknown class 9; there are 3 classes, 0 to 2"
    if how == "empty":
        mask.write_bytes(b"")
        return "is empty"
    cv2.imwrite(str(mask), np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8))
    return "colour picture"


@pytest.mark.parametrize("how", ["missing", "cut off", "unknown class", "empty", "colours"])
def test_a_bad_image_is_one_line_and_the_rest_goes_on(
    how: str, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = break_one(folders, how)
    encoding = ("--candidate-encoding", "index") if how == "colours" else ()
    assert main(words(folders, *encoding)) == 1
    out, err = capsys.readouterr()
    assert "5 images used, 5 with a label, 1 skipped" in " ".join(out.split())
    assert len(err.splitlines()) == 1 and said in err


def test_where_no_image_is_left_the_first_reason_is_given(folders: Path) -> None:
    with pytest.raises(InputError, match=r"No image could be used.*unknown class 2"):
        scored(folders, num_classes=2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--labels", "nowhere"), "nowhere does not exist"),
        (("--reference-score", "120"), "120"),
        (("--candidate-protocol", "pixels"), "pixels"),
        (("--label-encoding", "rgb"), "rgb"),
        (("--names", "a,b,c,d"), "4 names for 3 classes"),
    ],
)
def test_a_bad_option_is_one_line_and_exit_code_2(
    options: tuple[str, str], said: str, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(words(folders, *options))
    except SystemExit as exit_:
        code = exit_.code  # type: ignore[assignment]
    assert code == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1 and said in err[0]


def test_folders_that_share_no_name(folders: Path) -> None:
    for path in (folders / "labels").iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    with pytest.raises(InputError, match="same name"):
        scored(folders)
