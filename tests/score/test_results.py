"""Are masks that a device returned read as what they are, and never guessed?"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import InputError
from segdiff.score.results import Form, class_numbers, found_form, read_result

SIZE = (24, 32)
Mask = NDArray[np.uint8]


def masks(count: int = 4, classes: int = 5, size: tuple[int, int] = SIZE, seed: int = 0) -> list[Mask]:
    random = np.random.default_rng(seed)
    return [
        np.asarray(
            cv2.resize(
                random.integers(0, classes, (6, 8), np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST
            )
        )
        for _ in range(count)
    ]


def folder_of(root: Path, name: str, arrays: list[Mask], dtype: str, ending: str = ".bin") -> Path:
    """A folder of ``img_0.bin`` and so on."""
    (root / name).mkdir(parents=True)
    for number, array in enumerate(arrays):
        path = root / name / f"img_{number}{ending}"
        if ending == ".npy":
            np.save(path, array.astype(dtype)[None])
        elif ending == ".txt":
            np.savetxt(path, array.astype(dtype), fmt="%d")
        else:
            array.astype(np.dtype(dtype).newbyteorder("<")).tofile(path)
    return root / name


def labels_of(root: Path, arrays: list[Mask]) -> Path:
    (root / "labels").mkdir()
    for number, array in enumerate(arrays):
        cv2.imwrite(str(root / "labels" / f"img_{number}.png"), array)
    return root / "labels"


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "int16", "float32"])
def test_bytes_of_any_type_are_the_classes_they_stand_for(dtype: str, tmp_path: Path) -> None:
    arrays = masks()
    labels, wide = labels_of(tmp_path, arrays), folder_of(tmp_path, "int64", arrays, "int64")
    other = folder_of(tmp_path, "device", arrays, dtype)
    report = segdiff.score(labels, wide, other, shape=SIZE, candidate_protocol="dataset")
    assert report.verdict == "agrees" and report.agreement.changed == 0
    assert {side.scores[p].miou for side in report.sides for p in side.scores} == {1.0}
    assert any(f"24x32 of {dtype}" in remark for remark in report.remarks)


@pytest.mark.parametrize("ending", [".npy", ".txt", ".raw"])
def test_other_files_of_a_device(ending: str, tmp_path: Path) -> None:
    arrays = masks()
    labels, other = labels_of(tmp_path, arrays), folder_of(tmp_path, "device", arrays, "int32", ending)
    report = segdiff.score(labels, labels, other, shape=SIZE if ending == ".raw" else None)
    assert report.images == 4 and report.agreement.changed == 0


def test_scores_become_the_class_of_the_highest(tmp_path: Path) -> None:
    (array,) = masks(1)
    noise = np.random.default_rng(1).standard_normal((5, *SIZE))
    logits = (np.stack([np.where(array == n, 9.0, -9.0) for n in range(5)]) + noise).astype(np.float32)
    for dtype, name in (("<f4", "float32"), ("<f2", "float16")):
        logits.astype(dtype).tofile(tmp_path / f"{name}.bin")
        form = found_form([tmp_path / f"{name}.bin"], Form(SIZE))
        assert form.dtype == name
        assert np.array_equal(read_result(tmp_path / f"{name}.bin", form), array)
    for layout in (logits[None], np.moveaxis(logits, 0, -1)[None]):
        assert np.array_equal(class_numbers(layout, Path("x.npy")), array)


def test_bytes_that_may_be_two_things_are_asked_about(tmp_path: Path) -> None:
    (array,) = masks(1)
    array.astype("<f2").tofile(tmp_path / "a.bin")  # ones are 0x3c00: class 15360 of whole numbers
    with pytest.raises(InputError, match=r"may be int16 or float16.*--dtype says which"):
        found_form([tmp_path / "a.bin"], Form(SIZE))
    said = Form(SIZE, "float16")
    assert np.array_equal(read_result(tmp_path / "a.bin", found_form([tmp_path / "a.bin"], said)), array)


def test_a_mask_of_one_class_is_no_question(tmp_path: Path) -> None:
    np.zeros(SIZE, np.int32).tofile(tmp_path / "a.bin")
    assert found_form([tmp_path / "a.bin"], Form(SIZE)).dtype == "int32"


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (Form(), "--shape HEIGHTxWIDTH .*8x8 of int64"),
        (Form((500, 500)), "512 bytes; 500x500 pixels are 250,000 of uint8, 1,000,000 of int32"),
        (Form((500, 500)), "8x8 of int64: a model that was built for one size returns masks of that size"),
    ],
)
def test_another_size_is_explained(form: Form, told: str, tmp_path: Path) -> None:
    np.zeros((8, 8), np.int64).tofile(tmp_path / "a.bin")
    with pytest.raises(InputError, match=told):
        found_form([tmp_path / "a.bin"], form)


def test_a_build_of_one_size_is_told_beside_labels_of_another(tmp_path: Path) -> None:
    """PSPNet built for 512x512 and fed pictures of 500x500, eight times smaller."""
    labels = labels_of(tmp_path, masks(size=(62, 62)))
    device = folder_of(tmp_path, "device", masks(size=(64, 64)), "int32")
    report = segdiff.score(labels, labels, device, shape=(64, 64))
    both = segdiff.score(labels, device, device, shape=(64, 64))
    assert both.remarks[0].startswith("The masks of both sides are 64x64, the labels 62x62")
    assert "built for 64x64 alone" in " ".join(str(both).split())  # in short, too
    told = [remark for remark in report.remarks if "built for 64x64 alone" in remark]
    assert len(told) == 1 and told[0].startswith("The candidate's masks are 64x64, the labels 62x62")
    with pytest.raises(InputError, match="64x64 of int32 or 128x128 of uint8: a model that was"):
        segdiff.score(labels, labels, device, shape=(62, 62))


def test_sizes_that_differ_with_the_picture_are_no_fixed_build(tmp_path: Path) -> None:
    arrays = [masks(1, size=(24 + 2 * n, 32))[0] for n in range(3)]
    half = [array[::2, ::2] for array in arrays]
    labels = labels_of(tmp_path, arrays)
    report = segdiff.score(labels, labels, folder_of(tmp_path, "device", half, "int64", ".npy"))
    assert not any("built for" in remark for remark in report.remarks)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.full(SIZE, -1, np.int32), "from -1 to"),
        (np.full(SIZE, 0.5, np.float32), "whole number"),
        (np.zeros((2, *SIZE), np.int64), "one mask a file"),
        (np.full((3, *SIZE), np.nan, np.float32), "NaN"),
        (np.zeros(SIZE, np.complex64), "no class numbers"),
        (np.float32(3), "one number"),
    ],
)
def test_what_is_no_mask(array: NDArray[np.generic], told: str) -> None:
    with pytest.raises(InputError, match=told):
        class_numbers(np.asarray(array), Path("a.npy"))


@pytest.mark.parametrize("damage", [b"", b"\x00", b"1 2\n3", b"\xff\xfe\x00", b"nan inf"])
def test_damaged_files_are_a_line_and_the_rest_goes_on(damage: bytes, tmp_path: Path) -> None:
    arrays = masks()
    labels = labels_of(tmp_path, arrays)
    for ending in (".bin", ".npy", ".txt"):
        device = folder_of(tmp_path, f"device{ending}", arrays, "int32", ending)
        (device / f"img_1{ending}").write_bytes(damage)
        report = segdiff.score(labels, labels, device, shape=SIZE)
        assert report.images == 3 and report.skipped == 1 and "img_1" in report.problems[0]


# --- names


def ais_bench(root: Path, arrays: list[Mask], *, inside: bool = False, outputs: int = 1) -> Path:
    """A run of ais_bench: inputs with other names than the results, and its account of them."""
    folder = root / "2026_11_27-10_00_00"
    folder.mkdir()
    infos = {}
    for number, array in enumerate(arrays):
        paths = [folder / f"{9 - number}_{output}.bin" for output in range(outputs)]
        for output, path in enumerate(paths):
            (array if not output else np.zeros_like(array)).astype("<i4").tofile(path)
        infos[str(number)] = {
            "infiles": [f"/home/HwHiAiUser/in/img_{number}.x.bin"],
            "outfiles": [f"/home/HwHiAiUser/out/{path.name}" for path in paths],
        }
    place = folder / "sumary.json" if inside else root / f"{folder.name}_summary.json"
    place.write_text(json.dumps({"filesinfo": infos}))
    return folder


@pytest.mark.parametrize("inside", [False, True])
def test_the_account_of_ais_bench_says_which_image_a_file_is_of(inside: bool, tmp_path: Path) -> None:
    arrays = masks()
    labels = labels_of(tmp_path, arrays)
    report = segdiff.score(labels, labels, ais_bench(tmp_path, arrays, inside=inside), shape=SIZE)
    assert report.images == 4 and report.agreement.changed == 0


def test_of_several_outputs_one_is_asked_for(tmp_path: Path) -> None:
    arrays = masks()
    labels, device = labels_of(tmp_path, arrays), ais_bench(tmp_path, arrays, outputs=2)
    with pytest.raises(InputError, match=r"several outputs of 'img_\d' \(0, 1\); --output-index"):
        segdiff.score(labels, labels, device, shape=SIZE)
    assert segdiff.score(labels, labels, device, shape=SIZE, output_index=0).agreement.changed == 0
    assert segdiff.score(labels, labels, device, shape=SIZE, output_index=1).agreement.changed > 0
    with pytest.raises(InputError, match="No result is of output 7"):
        segdiff.score(labels, labels, device, shape=SIZE, output_index=7)


@pytest.mark.parametrize("number", [0, 1])
def test_without_an_account_the_number_of_the_output_is_taken_off(number: int, tmp_path: Path) -> None:
    arrays = masks()
    labels, device = (
        labels_of(tmp_path, arrays),
        folder_of(tmp_path, "out/run", arrays, "int32", f"_{number}.bin"),
    )
    report = segdiff.score(labels, labels, device.parent, shape=SIZE)
    assert report.images == 4 and report.agreement.changed == 0
    assert any("matched by the image's name alone" in remark for remark in report.remarks)


def test_a_damaged_account_is_none(tmp_path: Path) -> None:
    arrays = masks()
    labels, device = labels_of(tmp_path, arrays), folder_of(tmp_path, "device", arrays, "int32")
    (tmp_path / "device_summary.json").write_text(
        '{"filesinfo": {"0": {"infiles": 7, "outfiles": [[]]}, "1": []}}'
    )
    assert segdiff.score(labels, labels, device, shape=SIZE).images == 4


def test_cityscapes_labels_are_read_as_its_classes_and_their_names_match(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ids = np.array([0, 3, 7, 11, 24, 26, 33], np.uint8)[random.integers(0, 7, SIZE)]
    train = {7: 0, 11: 2, 24: 11, 26: 13, 33: 18}
    mask = np.vectorize(lambda n: train.get(n, 0))(ids).astype(np.uint8)
    for name, ending, array in (("gt", "_gtFine_labelIds", ids), ("paddle", "_leftImg8bit", mask)):
        place = tmp_path / name / "frankfurt"
        place.mkdir(parents=True)
        cv2.imwrite(str(place / f"frankfurt_000000_000294{ending}.png"), array)
    (tmp_path / "om").mkdir()
    mask.astype("<i4").tofile(tmp_path / "om" / "frankfurt_000000_000294_leftImg8bit_0.bin")
    report = segdiff.score(tmp_path / "gt", tmp_path / "paddle", tmp_path / "om", shape=SIZE)
    assert report.names[0] == "road" and report.names[18] == "bicycle" and len(report.names) == 19
    found = report.sides[1].scores
    mmseg = next(scores.mmseg for scores in found.values() if scores.mmseg)
    assert mmseg.m_iou == mmseg.m_acc == mmseg.a_acc == 1.0
    assert [n for n, iou in enumerate(mmseg.class_iou) if np.isfinite(iou)] == [0, 2, 11, 13, 18]


def test_voc_palettes_and_colours_leave_255_out(tmp_path: Path) -> None:
    from PIL import Image

    from segdiff.score.palette import voc_colours

    label = masks(1, classes=3)[0]
    label[0, :5] = 255
    for name, mode in (("palette", "P"), ("colours", "RGB")):
        (tmp_path / name).mkdir()
        image = Image.fromarray(label, "P")
        image.putpalette(voc_colours().ravel().tolist())
        image.convert(mode).save(tmp_path / name / "a.png")
    (tmp_path / "om").mkdir()
    np.where(label == 255, 1, label).astype("<i8").tofile(tmp_path / "om" / "a.bin")
    for name in ("palette", "colours"):
        report = segdiff.score(tmp_path / name, tmp_path / "om", tmp_path / "om", shape=SIZE)
        assert len(report.names) == 3 and next(iter(report.sides[0].scores.values())).miou == 1.0


def test_the_command_prints_the_table_of_mmsegmentation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = masks()
    labels, device = labels_of(tmp_path, arrays), folder_of(tmp_path, "device", arrays, "int32")
    words = ["--labels", str(labels), "--reference-masks", str(labels), "--candidate-masks", str(device)]
    assert main(["score", *words, "--shape", "24x32", "--full"]) == 0
    shown = capsys.readouterr().out
    assert "As mmsegmentation counts" in shown and "aAcc" in shown and "mAcc" in shown
    assert main(["score", *words]) == 2
    assert "--shape HEIGHTxWIDTH" in capsys.readouterr().err
