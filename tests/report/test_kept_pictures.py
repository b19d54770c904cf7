"""Do a report's pictures survive in its JSON, small, and is a hostile one refused?"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import segdiff
from segdiff.commands.cli import main
from segdiff.core.answer import Repaired
from segdiff.core.pictured import Pictures
from segdiff.example import example_files
from segdiff.report.kept_pictures import LONGEST, pictures_of, pictures_to_dict
from tests.report import reports


def pictures(size: tuple[int, int] = (96, 128), *, heat: bool = True) -> Pictures:
    random = np.random.default_rng(0)
    masks = {name: random.integers(0, 20, size, np.uint8) for name in ("reference", "candidate", "repaired")}
    error = random.uniform(0, 3.5, size).astype(np.float32)
    return Pictures(
        random.integers(0, 255, (*size, 3), np.uint8),
        masks,  # type: ignore[arg-type]
        heat=error if heat else None,
        heat_value="conv_1" if heat else None,
        by_repair=True,
        missing={"labels": "none were given"},
    )


def test_they_come_back_as_they_were() -> None:
    before = pictures()
    data = pictures_to_dict(before)
    after = pictures_of(json.loads(json.dumps(data)))
    assert after is not None and before.heat is not None and after.heat is not None
    assert np.array_equal(after.image, before.image)
    assert all(np.array_equal(after.masks[name], mask) for name, mask in before.masks.items())
    assert np.abs(after.heat - before.heat).max() <= before.heat.max() / 255
    assert (after.heat_value, after.by_repair, after.missing) == ("conv_1", True, before.missing)
    assert pictures_to_dict(after) == data  # and stay so, however often they are saved
    assert pictures_to_dict(None) is None and pictures_of(None) is None


def test_large_ones_are_kept_small() -> None:
    data = pictures_to_dict(pictures((512, 1024), heat=False))
    after = pictures_of(data)
    assert after is not None and after.image.shape == (LONGEST // 2, LONGEST, 3)
    assert set(np.unique(after.masks["reference"])) <= set(range(20))
    assert len(json.dumps(data)) < 200_000  # noise; a photo is a third of it


def test_a_map_of_an_error_that_is_no_number_is_left_out() -> None:
    made = pictures()
    assert made.heat is not None
    made.heat[0, 0] = np.inf
    data = pictures_to_dict(made)
    assert data and data["heat"] is None and data["heat_value"] is None


def png(size: tuple[int, int], mode: str = "RGB", kind: str = "PNG") -> str:
    kept = io.BytesIO()
    Image.new(mode, size).save(kept, kind)
    return "data:image/png;base64," + base64.b64encode(kept.getvalue()).decode()


@pytest.mark.parametrize(
    "image",
    [
        "http://example.com/a.png",
        "data:image/png;base64,@@@",
        "data:image/png;base64,AAAA",
        "data:image/svg+xml;base64,PHN2Zy8+",
        png((4000, 4000)),
        png((8, 8), "RGBA"),
        png((8, 8), kind="JPEG"),
        "data:image/png;base64," + "A" * (1 << 21),
    ],
)
def test_what_is_no_small_png_is_a_clear_line(image: str, tmp_path: Path) -> None:
    data = replace(reports.diverging(), pictures=pictures()).to_dict()
    data["pictures"]["image"] = image
    (tmp_path / "r.json").write_text(json.dumps(data))
    with pytest.raises(segdiff.InputError, match=r"r\.json: is damaged: a picture in it"):
        segdiff.load(tmp_path / "r.json")


def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    data = replace(reports.diverging(), pictures=pictures()).to_dict()
    data["pictures"]["masks"]["reference"] = png((8, 8), "L")
    (tmp_path / "r.json").write_text(json.dumps(data))
    with pytest.raises(segdiff.InputError, match="not of one size"):
        segdiff.load(tmp_path / "r.json")


def test_show_has_pictures_and_the_json_in_a_page_has_none(tmp_path: Path) -> None:
    path = replace(reports.diverging(), pictures=pictures()).save(tmp_path / "r.json")
    assert main(["show", str(path), "--html", str(tmp_path / "r.html")]) == 1
    page = (tmp_path / "r.html").read_text()
    assert "The picture and the masks" in page and '"pictures":null' in page


def test_a_score_keeps_the_pictures_of_its_worst_images(tmp_path: Path) -> None:
    from tests.report.test_score_report import made

    path = replace(made(100), pictures=(("street_1.png", pictures()),)).save(tmp_path / "r.json")
    ((name, seen),) = segdiff.load(path).pictures  # type: ignore[misc, union-attr]
    assert name == "street_1.png" and seen.image.shape == (96, 128, 3)
    main(["show", str(path), "--html", str(tmp_path / "r.html")])
    page = (tmp_path / "r.html").read_text()
    assert "How the masks differ" in page and '"pictures":[]' in page


def test_a_repair_shows_the_mask_that_its_file_makes(tmp_path: Path) -> None:
    with example_files() as files:
        report = segdiff.locate(*files)
        repaired = report.repair(tmp_path / "fixed.onnx")
    assert repaired.pictures is not None and repaired.pictures.by_repair
    masks = repaired.pictures.masks
    assert np.array_equal(masks["repaired"], masks["reference"])
    assert not np.array_equal(masks["candidate"], masks["reference"])
    page = repaired.save(tmp_path / "r.html").read_text()
    assert "The picture, the masks before and after" in page and "flipped pixels" in page
    again: Any = segdiff.load(repaired.save(tmp_path / "r.json"))
    assert isinstance(again, Repaired) and again.pictures is not None
    assert again.to_dict() == repaired.to_dict()
