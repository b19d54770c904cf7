"""``segdiff evaluate`` from the outside, on the bundled network: healthy, faulty, misfed, interrupted."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto
from rich.console import Console

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import EngineError, InputError
from segdiff.inputs import InputSpec, read_deploy_yaml
from segdiff.readers import find
from segdiff.report import forms
from segdiff.score.areas import areas, scores
from segdiff.score.compare import Agreement, ImageResult, OutputError, Summary
from segdiff.score.conclude import Terms, score_report
from segdiff.score.dataset import Entry, passed_over, read_dataset
from segdiff.score.evaluate import journal_of
from segdiff.score.evaluation import Evaluation
from segdiff.score.output import Output, Undo, argmax, output_of, way_back
from segdiff.score.protocol import EVALUATED, per_image
from segdiff.score.run import Loader
from segdiff.score.started import models_started
from tests.deployed.test_optimisation import padded_pool
from tests.models import chain
from tests.score.streets import write_streets
from tests.zoo.environments import READY
from tests.zoo.layout import root

EXAMPLE = Path(segdiff.__file__).parent / "example"
DEPLOY, HEALTHY, FAULTY = EXAMPLE / "deploy", EXAMPLE / "healthy.onnx", EXAMPLE / "model.onnx"
PADDLESEG_VAL = Path(__file__).parent / "paddleseg_val.py"


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
    assert report.input is not None and not report.input.same
    assert [(f.kind, f.proven) for f in report.input.findings] == [("input.channel_order", True)]
    table = report.attribution
    assert table is not None
    assert {step.home for step in table.steps} == {"score", "network", "input"}
    assert table.points("score") + table.points("network") + table.points("input") == pytest.approx(table.gap)
    end = per_image("linear")
    reference, same, own = (side.scores[end].miou for side in report.sides)
    assert table.points("network") == pytest.approx(same - reference) and same < reference
    assert table.points("input") == pytest.approx(own - same) and own < same
    assert len(report.files) == 3 and all(path.stat().st_size for path in report.files)
    assert re.fullmatch(r"01_street_\d\.png", report.files[0].name)
    out = shown(report)
    assert max(map(len, out.splitlines())) <= 80 and "…" not in out
    names = ("reference", "same input", "own input", "candidate, same input", "candidate, own input")
    assert all(re.search(rf"^  {name}  ", out, re.M) for name in names)


def test_one_command_names_both_faults_with_their_points(
    streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network fault and a script that feeds BGR: the table's sum, and `locate` on the worst image."""
    words = [
        "evaluate",
        str(DEPLOY),
        str(FAULTY),
        str(streets),
        "--candidate-input",
        f"{script(tmp_path)}:feed",
    ]
    assert main([*words, "--locate-worst", "--json", str(tmp_path / "r.json")]) == 1
    data = json.loads((tmp_path / "r.json").read_text())
    table = data["attribution"]
    points = {step["home"]: step["points"] for step in table["steps"]}
    assert set(points) == {"network", "input"} and all(lost < -1 for lost in points.values())
    assert sum(points.values()) == pytest.approx(table["gap"]) == pytest.approx(table["end"] - table["start"])
    (cause,) = data["input"]["causes"]
    assert cause["kind"] == "input.channel_order" and cause["proven"]
    located = data["located"]
    assert (
        located["first"]["cause"]["kind"] == "resize.coordinate_mode" and located["first"]["cause"]["proven"]
    )
    assert [cause["kind"] for cause in located["input"]["causes"]] == ["input.channel_order"]
    printed = " ".join(capsys.readouterr().out.split())
    assert "come from the input" in printed and "come from the network" in printed
    assert "[input.channel_order, proven]" in printed


def shown(report: segdiff.ScoreReport) -> str:
    """The report in full, as a terminal of 80 columns shows it."""
    console = Console(width=80, file=io.StringIO())
    console.print(forms.shown(report, "rich", "full"))
    return "\n".join(map(str.rstrip, console.file.getvalue().splitlines()))  # type: ignore[attr-defined]


def test_a_tensor_that_fits_no_image_is_the_cause_told_once(streets: Path) -> None:
    with pytest.raises(InputError, match=r"all 6 for the same reason: The candidate input: .*but the model"):
        segdiff.evaluate(DEPLOY, HEALTHY, streets, candidate_input=lambda path: bgr(path)[:, :, :50])


def script(folder: Path) -> Path:
    """A user's own preprocessing: it forgets BGR to RGB, and knows one image it does not like."""
    path = folder / "infer.py"
    path.write_text(
        "import cv2, numpy as np\n"
        "def feed(path):\n"
        "    if 'odd' in path:\n"
        "        raise ValueError('no calibration for this camera')\n"
        "    image = cv2.resize(cv2.imread(path).astype(np.float32), (128, 96))\n"
        "    return ((image / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]\n"
    )
    return path


def test_every_kind_of_bad_input_is_one_line_and_the_rest_counts(streets: Path, tmp_path: Path) -> None:
    """The command as a user runs it: six bad lines of eight, each named, and the scores of the other two."""
    folder = streets.parent
    good = [f"{folder / f'street_{n}.png'} {folder / f'label_{n}.png'}" for n in (1, 2)]
    image, label = tmp_path / "image.png", tmp_path / "label.png"
    shutil.copy(folder / "street_0.png", image)
    shutil.copy(folder / "label_0.png", label)
    wrong, unknown, cut, odd = (tmp_path / f"{name}.png" for name in ("wrong", "unknown", "cut", "odd"))
    cv2.imwrite(str(wrong), np.zeros((5, 7), np.uint8))
    cv2.imwrite(str(unknown), np.full((96, 128), 77, np.uint8))
    cut.write_bytes(image.read_bytes()[:2000])
    shutil.copy(image, odd)
    bad = {
        "none.png": (f"none.png {label}", "none.png does not exist"),
        "another size": (f"{image} {wrong}", "wrong.png has 5x7 pixels"),
        "unknown class": (f"{image} {unknown}", "unknown.png has the unknown class 77"),
        "broken PNG": (f"{cut} {label}", "cut.png cannot be decoded"),
        "callable": (f"{odd} {label}", "ValueError: no calibration for this camera"),
        "line": ("what is this line", "line 6: expected 'image label', found 4 words"),
    }
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join([*(line for line, _ in bad.values()), *good]))
    command = [sys.executable, "-m", "segdiff", "evaluate", DEPLOY, HEALTHY, listed, "--all", "--no-progress"]
    command += ["--candidate-input", f"{script(tmp_path)}:feed", "--json", tmp_path / "r.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1 and "6 images skipped" in done.stderr
    data = json.loads((tmp_path / "r.json").read_text())
    assert data["images"] == {"used": 2, "labelled": 2, "skipped": 6}
    assert len(data["problems"]) == 6
    for problem, (_, said) in zip(data["problems"], bad.values(), strict=True):
        assert said in problem and "\n" not in problem


def test_an_unknown_transform_is_one_line_before_anything_runs(
    streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    config = tmp_path / "deploy" / "deploy.yaml"
    config.write_text(config.read_text().replace("Normalize", "Brighten"))
    assert main(["evaluate", str(tmp_path / "deploy"), str(HEALTHY), str(streets)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert "deploy.yaml: the transform Brighten is unknown" in err


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
    assert main([*command, "--full"]) == 0
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
    assert "1 image was already done" in " ".join(capsys.readouterr().out.split())
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
        (("train.yml",), "train.yml is a config, not a data set"),
        (("list.txt", "--candidate-input", "infer.py:feed"), "input's script infer.py does not exist"),
        (("list.txt", "--candidate-input", "infer.py"), "module:function or path/to/script.py:function"),
        (("list.txt", "--candidate-input", "x.npy"), "The candidate input x.npy does not exist"),
        (("list.txt", "--candidate-input", "y.npy"), "is one tensor, but the data set has 2 images"),
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
    Path("list.txt").write_text("a.png b.png\nc.png d.png")
    Path("train.yml").write_text("val_dataset: {val_path: list.txt}")
    Path("y.npy").write_bytes(b"not looked at")
    try:
        code = main(["evaluate", str(DEPLOY), str(HEALTHY), *words])
    except SystemExit as exit_:
        code = exit_.code  # type: ignore[assignment]
    err = capsys.readouterr().err.splitlines()
    assert code == 2 and len(err) == 1 and said in err[0]


@pytest.mark.parametrize("dtype", [TensorProto.INT64, TensorProto.INT32])
def test_a_candidate_that_ends_in_an_argmax(dtype: int, streets: Path, tmp_path: Path) -> None:
    model = onnx.load(HEALTHY)
    (logits,) = (output.name for output in model.graph.output)
    model.graph.node.append(onnx.helper.make_node("ArgMax", [logits], ["number"], axis=1, keepdims=0))
    model.graph.node.append(onnx.helper.make_node("Cast", ["number"], ["mask"], to=dtype))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("mask", dtype, None))
    onnx.save(model, tmp_path / "mask.onnx")
    report = segdiff.evaluate(DEPLOY, tmp_path / "mask.onnx", streets)
    assert report.verdict == "agrees" and report.output is None and report.skipped == 0
    assert report.remarks == (
        "The reference gives logits, the candidate a mask: only the masks are compared.",
    )
    table = report.attribution
    assert table is not None and [step.home for step in table.steps] == ["network"]
    assert abs(table.gap) < 0.02  # a mask is resized to the label nearest, logits are not


@pytest.mark.usefixtures("pad_fusion")
def test_an_optimiser_that_changes_its_own_model_is_named(tmp_path: Path) -> None:
    """A pad with zeros becomes the max pool's own padding, which is -infinity."""
    model = chain(lambda net, x: net.node("Neg", net.node("Exp", net.conv(x, (3, 8)))), padded_pool)
    onnx.save(model, tmp_path / "model.onnx")
    shape = tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.random.default_rng(0).integers(0, 255, (*shape[2:], 3)).astype(np.uint8))
    file = find(tmp_path / "model.onnx")
    with models_started((file, file), 60.0, 1) as pair:
        loader = Loader((InputSpec("x", shape, "float32"),), None)
        evaluation = Evaluation(pair, loader, (), 255, None, lambda: 8)
        said = list(evaluation.optimised_away(Entry("image.png", image, None)))
    assert len(said) == 2 and all("onnxruntime's own optimiser changes the output" in each for each in said)


# --- the parts


@pytest.mark.parametrize(
    ("max_rel", "clear", "rounding", "verdict"),
    [
        (1e-3, 10, 2e-3, "agrees"),  # clear flips, but the network moves itself as far by rounding
        (1e-3, 10, 5e-4, "diverges"),
        (1e-3, 10, 0.0, "diverges"),
        (0.5, 10, 1.0, "diverges"),  # no rounding is half of the output
        (1e-3, 0, 0.0, "agrees"),
    ],
)
def test_clear_flips_within_the_networks_own_rounding(
    max_rel: float, clear: int, rounding: float, verdict: str
) -> None:
    summary = Summary(keep=1)
    summary.add(ImageResult("a", {}, Agreement(10_000, clear, clear), OutputError(1.0, max_rel)))
    terms = Terms(EVALUATED, EVALUATED)
    report = score_report(summary, terms, (EVALUATED,), {"reference": "r"}, (), rounding=rounding)
    assert report.verdict == verdict


def test_the_rounding_of_the_example_is_small_and_not_nothing(streets: Path) -> None:
    with models_started((find(DEPLOY), find(HEALTHY)), 60.0, 1) as pair:
        specs = (InputSpec("x", (1, 3, 96, 128), "float32"),)
        loader = Loader(specs, read_deploy_yaml(DEPLOY / "deploy.yaml"))
        evaluation = Evaluation(pair, loader, (), 255, None, lambda: 4)
        (entry, *_) = read_dataset(streets)
        assert 0 < evaluation.rounding(entry) < 1e-3
        assert "street_0.png" in evaluation.remarks[0]
        assert list(evaluation.optimised_away(entry)) == []


def test_a_list_names_images_and_labels(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("\ufeffa.jpg l/a.png\n\n b.jpg\n", encoding="utf-8")
    entries = read_dataset(listed, root="data")
    assert [(e.name, e.image, e.label) for e in entries] == [
        ("a.jpg", Path("data/a.jpg"), Path("data/l/a.png")),
        ("b.jpg", Path("data/b.jpg"), None),
    ]
    listed.write_text("a b.png c.png")
    with pytest.raises(InputError, match=r"line 1.*--separator"):
        read_dataset(listed)


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("my a.png my b.png", " "),
        ("my a.png\tmy b.png", " "),
        ("my a.png\tmy b.png", r"\t"),
        ("my a.png, my b.png", ","),
        ("my a.png   my b.png\r", " "),
    ],
)
def test_names_with_spaces(text: str, separator: str, tmp_path: Path) -> None:
    for name in ("my a.png", "my b.png"):
        (tmp_path / name).touch()
    listed = tmp_path / "list.txt"
    listed.write_text(text)
    (entry,) = read_dataset(listed, separator=separator)
    assert (entry.image, entry.label) == (tmp_path / "my a.png", tmp_path / "my b.png")


def test_a_line_that_makes_no_sense_spoils_no_other(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("a.png b.png\none two three\n" + "x " * 9000 + "\na\0.png b.png\nc\td.png")
    entries = read_dataset(listed)
    assert [bool(entry.problem) for entry in entries] == [False, True, True, True, False]


def test_the_label_of_one_image_or_of_a_folder_s(tmp_path: Path) -> None:
    for name in ("images/A.PNG", "images/b.jpg", "labels/A.png", "labels/b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"not looked at")
    (one,) = read_dataset(tmp_path / "images" / "A.PNG", labels=tmp_path / "labels")
    assert one.label == tmp_path / "labels" / "A.png"
    both = read_dataset(tmp_path / "images", labels=tmp_path / "labels")
    assert [entry.label and entry.label.name for entry in both] == ["A.png", "b.jpg"]


def test_what_a_folder_holds_beside_images_is_counted(tmp_path: Path) -> None:
    for name in (
        "images/a.png",
        "images/x.gif",
        "images/y.GIF",
        "images/note.md",
        "labels/a.png",
        "labels/b.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"not looked at")
    images, labels = tmp_path / "images", tmp_path / "labels"
    entries = read_dataset(images, labels=labels)
    said = f"Passed over in {images}: 2 GIF files, 1 label without an image."
    assert passed_over(images, labels, entries) == (said,)
    (images / "gone.png").symlink_to("nowhere.png")
    entries = read_dataset(images)
    said = f"Passed over in {images}: 2 GIF files, 1 link to a file that does not exist."
    assert passed_over(images, None, entries) == (said,)
    for name in ("x.gif", "y.GIF", "gone.png"):
        (images / name).unlink()
    assert passed_over(images, None, entries) == ()


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


@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_either_side_runs_with_another_python(side: str, streets: Path) -> None:
    before = psutil.Process().children()
    with pytest.raises(EngineError, match=r"/no/python cannot be started: No such file or directory"):
        segdiff.evaluate(DEPLOY, HEALTHY, streets, **{f"{side}_python": "/no/python"})  # type: ignore[arg-type]
    assert set(psutil.Process().children()) <= set(before)  # the other side's engine is stopped
