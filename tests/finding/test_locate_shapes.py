"""Is every batch and every size compared, each with a verdict of its own, and none passed off as compared?"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.equal_masks import masks_alone_equal
from segdiff.core.errors import InputError
from tests.models import Net, classified, image, segmenter

FREE = ("N", 3, "H", "W")


def squeezing(shape: list[int], axes: list[int] | None = None) -> onnx.ModelProto:
    """A gate on the channels: their mean, by a Reshape to this shape and a ReduceMean along these axes."""
    net = Net(FREE, seed=1, opset=13)
    values = net.node("Relu", net.conv("x", (3, 8)))
    flat = net.node("Reshape", values, net.constant(shape, np.int64))
    mean = net.node("ReduceMean", flat, axes=axes or [2], keepdims=1)
    gate = net.node("Sigmoid", net.node("Reshape", mean, net.constant([-1, 8, 1, 1], np.int64)))
    logits = net.conv(net.node("Mul", values, gate), (8, 5), kernel=1)
    return net.model(net.node("Softmax", logits, outputs=["y"], axis=1))


def test_a_rewritten_softmax_is_found_at_every_batch_where_no_mask_shows_it() -> None:
    swept = segdiff.locate_shapes(
        classified(rewritten=False), classified(rewritten=True), image((1, 3, 24, 32)), batch=(1, 4, 8, 16)
    )
    assert [entry.shape for entry in swept.entries] == [(n, 3, 24, 32) for n in (1, 4, 8, 16)]
    for entry in swept.entries:
        assert entry.report and entry.report.first and entry.report.first.cause
        assert entry.report.first.cause.kind == "softmax.axis" and entry.report.first.cause.proven
        assert entry.report.outputs[0].mask_changed == 0 and masks_alone_equal(entry.report)
        assert entry.report.outputs[0].cumulative and entry.report.outputs[0].cumulative.metrics.max_abs > 0.1
    assert swept.verdict == "diverges" and swept.exit_code == 1
    assert "The masks are equal, the values are not." in swept.sentence
    assert "the masks are equal, the values are not" in str(swept)


def test_the_same_by_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(classified(rewritten=False), tmp_path / "before.onnx")
    onnx.save(classified(rewritten=True), tmp_path / "after.onnx")
    np.save(tmp_path / "x.npy", image((1, 3, 24, 32)))
    files = [str(tmp_path / name) for name in ("before.onnx", "after.onnx", "x.npy")]
    words = ["--batch", "1,4,8,16", "--json", str(tmp_path / "r.json")]
    assert main(["locate", *files, *words]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "The masks are equal, the values are not." in shown and shown.endswith("-o fixed.onnx --batch 1")
    saved = json.loads((tmp_path / "r.json").read_text())
    assert [entry["shape"][0] for entry in saved["entries"]] == [1, 4, 8, 16] and saved["told"] == 0
    assert saved["command"][:2] == ["segdiff", "locate"]


@pytest.mark.parametrize(
    ("candidate", "kind"),
    [
        (squeezing([1, 8, -1]), "reshape.shape"),
        (squeezing([0, 8, -1], axes=[0, 2]), "reduce.axes"),
    ],
)
def test_what_mixes_the_elements_of_a_batch_shows_from_two_on_and_one_repair_mends_all(
    candidate: onnx.ModelProto, kind: str, tmp_path: Path
) -> None:
    good, x = squeezing([0, 8, -1]), image((1, 3, 24, 32))
    swept = segdiff.locate_shapes(good, candidate, x, batch=(4, 1, 2))
    assert [entry.verdict for entry in swept.entries] == ["diverges", "agrees", "diverges"]
    assert swept.told is swept.entries[2]  # the smallest that fails
    report = swept.entries[2].report
    assert report and report.first and report.first.cause and report.first.cause.kind == kind
    assert swept.repair(tmp_path / "fixed.onnx").agrees
    assert segdiff.locate_shapes(good, tmp_path / "fixed.onnx", x, batch=(1, 2, 4)).verdict == "agrees"


def test_a_fault_of_one_size_is_that_sizes() -> None:
    def upsampled(sizes: list[int] | None) -> onnx.ModelProto:
        net = Net(FREE, seed=1)
        down = net.node("MaxPool", net.conv("x", (3, 4)), kernel_shape=[2, 2], strides=[2, 2])
        options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        if sizes is None:
            return net.model(net.node("Resize", down, "", net.constant([1, 1, 2, 2]), **options))
        fixed = net.constant(sizes, np.int64)
        return net.model(net.node("Resize", down, "", "", fixed, **options))

    x = image((1, 3, 24, 32))
    swept = segdiff.locate_shapes(upsampled(None), upsampled([1, 4, 24, 32]), x, sizes=((24, 32), (32, 48)))
    assert [entry.verdict for entry in swept.entries] == ["agrees", "diverges"]
    assert swept.entries[1].shape == (1, 3, 32, 48)
    assert any("Resampled input 'x' from 24x32 to 32x48 linearly" in line for line in swept.how)


def test_a_file_of_one_shape_is_told_and_not_run_and_nothing_is_green() -> None:
    fixed = segmenter(shape=(1, 3, 16, 24))
    swept = segdiff.locate_shapes(fixed, fixed, image(), batch=(1, 4), sizes=((16, 24), (20, 24)))
    compared = [entry.shape for entry in swept.entries if entry.report]
    assert compared == [(1, 3, 16, 24)] and swept.verdict == "inconclusive" and swept.exit_code == 2
    kinds = {entry.not_run.kind for entry in swept.entries if entry.not_run}
    assert kinds == {"fixed"}
    assert "takes 1x3x16x24 alone, so 4x3x16x24, 1x3x20x24, 4x3x20x24 were not compared" in swept.sentence


def test_where_no_shape_is_taken_nothing_is_compared() -> None:
    fixed = segmenter(shape=(2, 3, 16, 24))
    swept = segdiff.locate_shapes(fixed, fixed, image((2, 3, 16, 24)), batch=(1,))
    assert swept.verdict == "inconclusive" and swept.told is None
    assert "compared at no shape" in swept.sentence and "takes 2x3x16x24 alone" in " ".join(
        str(swept).split()
    )
    with pytest.raises(InputError, match="nothing to repair by"):
        swept.repair("never.onnx")


def test_a_candidate_that_breaks_at_a_batch_does_not_take_the_others_with_it() -> None:
    good, candidate = segmenter(shape=FREE), segmenter(shape=FREE)  # both end in a Reshape of batch 1
    swept = segdiff.locate_shapes(good, candidate, image(), batch=(2, 1))
    assert [entry.verdict for entry in swept.entries] == ["inconclusive", "agrees"]


def test_a_picture_is_resized_as_its_config_says(tmp_path: Path) -> None:
    model = classified(rewritten=False)
    onnx.save(model, tmp_path / "model.onnx")
    (tmp_path / "deploy.yaml").write_text(
        "Deploy:\n  transforms:\n  - type: Resize\n    target_size: [32, 24]\n    interp: NEAREST\n"
        "  - type: Normalize\n"
    )
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "street.png"), picture)
    files = [tmp_path / "model.onnx", tmp_path / "model.onnx", tmp_path / "street.png"]
    swept = segdiff.locate_shapes(*files, sizes=((24, 32), (48, 64)))
    assert swept.verdict == "agrees" and [e.shape[2:] for e in swept.entries] == [(24, 32), (48, 64)]
    assert not any("Resampled" in line for line in swept.how)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name what to compare at"),
        ({"batch": (0,)}, "from 1 up"),
        ({"batch": (1.5,)}, "from 1 up"),
        ({"sizes": ((5,),)}, "height, width"),
        ({"sizes": (("a", 3),)}, "height, width"),
        ({"batch": tuple(range(1, 60))}, "more than the"),
    ],
)
def test_shapes_that_make_no_sense(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        segdiff.locate_shapes(segmenter(), segmenter(), image(), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--batch", "1,x"], "not a whole number"),
        (["--sizes", "512"], "HEIGHTxWIDTH"),
        (["--batch", "2", "--csv", "p.csv"], "--csv goes with the image's own shape"),
        (["--batch", "2", "--candidate-input", "x.npy"], "--candidate-input goes with"),
    ],
)
def test_slips_on_the_command_line(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["locate", "a.onnx", "b.onnx", "x.npy", *words])
    assert ended.value.code == 2 and told in capsys.readouterr().err
