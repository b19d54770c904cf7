"""Are the images found on which two models differ most, each located, and what they share told once?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import InputError
from segdiff.core.images_report import ImagesReport
from segdiff.engines import client
from segdiff.example import example_files
from segdiff.report.exports import exports_of
from segdiff.report.forms import shown
from tests.models import Net, save


def streets(folder: Path, flat: int = 2, busy: int = 3) -> Path:
    """Pictures of one colour, on which a wrong resize shows nothing, and noisy ones."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(flat):
        cv2.imwrite(str(folder / f"a_flat{number}.png"), np.full((96, 128, 3), 40 * number + 60, np.uint8))
    for number in range(busy):
        coarse = random.integers(0, 256, (6 + 6 * number, 8 + 8 * number, 3), np.uint8)
        picture = cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(folder / f"b_busy{number}.png"), picture)
    return folder


def test_the_worst_are_located_with_one_start_and_the_origin_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    spawn = client.spawn

    def spied(files: Any, *more: Any) -> Any:
        started.append(files.program.name)
        return spawn(files, *more)

    monkeypatch.setattr(client, "spawn", spied)
    with example_files() as (reference, candidate, _):
        found = segdiff.locate_images(reference, candidate, streets(tmp_path / "x"), worst=3)
    assert (found.verdict, found.exit_code, found.run) == ("diverges", 1, 5)
    assert len(found.entries) == 3 and all(each.name.startswith("b_busy") for each in found.entries)
    assert [each.changed for each in found.entries] == sorted(
        (e.changed for e in found.entries), reverse=True
    )
    assert len(started) == 4  # both models to look, both to locate
    assert len(found.origins) == 1 and set(found.origins[0].images) == {each.name for each in found.entries}
    assert found.origins[0].origin.cause.kind == "resize.coordinate_mode"
    assert "on 3 of the 3 worst of 5 images; the same origin on all of them" in found.sentence
    assert "3 of 3" in str(found)
    assert found.told is found.entries[0] and found.pictures is not None


def test_a_broken_image_is_told_and_the_rest_located(tmp_path: Path) -> None:
    folder = streets(tmp_path / "x", 1, 1)
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    with example_files() as (reference, candidate, _):
        found = segdiff.locate_images(reference, candidate, folder)
        assert (found.run, found.skipped, len(found.entries)) == (2, 1, 2)
        assert "broken" in found.problems[0] and "1 image could not be used" in found.sentence
        assert "broken" in str(found)
        for each in list(folder.glob("[ab]_*")):
            each.unlink()
        with pytest.raises(InputError, match="none of the 1 images could be used"):
            segdiff.locate_images(reference, candidate, folder)


def test_models_that_agree_agree_on_every_image(tmp_path: Path) -> None:
    folder = streets(tmp_path / "x", 1, 1)
    with example_files("healthy.onnx") as (reference, candidate, _):
        found = segdiff.locate_images(reference, candidate, folder, worst=9)
    assert (found.verdict, found.exit_code, found.differing, found.origins) == ("agrees", 0, 0, ())
    assert len(found.entries) == 2 and "agree on 2 images" in found.sentence


def test_without_masks_the_outputs_rank(tmp_path: Path) -> None:
    def network(slope: float) -> Any:
        net = Net((1, 3, 32, 32), seed=2)
        return net.model(net.node("LeakyRelu", net.conv("x", (3, 1)), alpha=slope))

    before, after = save(network(0.1), tmp_path / "a.onnx"), save(network(0.2), tmp_path / "b.onnx")
    folder = streets(tmp_path / "x", 2, 1)
    found = segdiff.locate_images(before, after, folder, worst=1)
    assert found.verdict == "diverges" and found.entries[0].max_abs > 0
    assert found.origins[0].origin.cause.kind.startswith("leaky_relu")


@pytest.mark.parametrize("worst", [0, -1, 1.5, "x"])
def test_a_number_that_makes_no_sense_is_refused(worst: Any) -> None:
    with example_files() as files, pytest.raises(InputError, match="whole one from 1 up"):
        segdiff.locate_images(*files, worst=worst)


def test_by_command_and_back_from_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, saved = streets(tmp_path / "x", 1, 2), tmp_path / "r.json"
    with example_files() as (reference, candidate, _):
        files = [str(reference), str(candidate), str(folder)]
        assert main(["locate", *files, "--json", str(saved), "--html", str(tmp_path / "r.html")]) == 1
        said = " ".join(capsys.readouterr().out.split())
        assert "on 3 of 3 images; the same origin on all of them" in said
        assert main(["locate", *files, "--worst", "1", "--json", str(tmp_path / "one.json")]) == 1
        assert len(json.loads((tmp_path / "one.json").read_text())["worst_images"]) == 1
        with pytest.raises(SystemExit, match="2"):
            main(["locate", *files, "--batch", "2"])
        assert "--batch" in capsys.readouterr().err
    again = segdiff.load(saved)
    assert isinstance(again, ImagesReport) and again.to_dict() == json.loads(saved.read_text())
    for form in ("text", "markdown", "html"):
        assert again.sentence.split(";")[0] in " ".join(str(shown(again, form)).split())
    for export in exports_of("ImagesReport"):
        assert export.text(again)
    assert main(["show", str(saved)]) == 1
    assert "the same origin on all of them" in " ".join(capsys.readouterr().out.split())


def test_the_told_one_can_be_repaired(tmp_path: Path) -> None:
    with example_files() as (reference, candidate, _):
        found = segdiff.locate_images(reference, candidate, streets(tmp_path / "x", 0, 1))
        assert found.repair(tmp_path / "fixed.onnx").agrees
