"""What OpenCV does to a picture while it reads it is said, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segdiff.inputs.decoded import ORIENTATION, reading_notes
from segdiff.inputs.image import read_image

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
DEEP = PICTURE.astype(np.uint16) * 257


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(PICTURE).save(path, exif=exif)


@pytest.mark.parametrize(
    ("name", "save", "words"),
    [
        ("phone.jpg", turned, "EXIF orientation 6"),
        ("alpha.png", lambda path: Image.fromarray(PICTURE).convert("RGBA").save(path), "alpha channel"),
        (
            "deep.png",
            lambda path: cv2.imwrite(str(path), PICTURE.astype(np.uint16) * 257),
            "from 16 bits to 8",
        ),
        ("grey.png", lambda path: cv2.imwrite(str(path), PICTURE[..., 0].astype(np.uint16) * 257), "16 bits"),
    ],
)
def test_what_reading_changes_is_said(tmp_path: Path, name: str, save: object, words: str) -> None:
    path = tmp_path / name
    assert callable(save)
    save(path)
    (note,) = reading_notes(path, read_image(path))
    assert words in note and name in note


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp", "a.tif"])
def test_a_plain_picture_has_no_note(tmp_path: Path, name: str) -> None:
    cv2.imwrite(str(tmp_path / name), PICTURE)
    assert reading_notes(tmp_path / name, read_image(tmp_path / name)) == ()


def test_an_orientation_that_changes_nothing_is_not_told(tmp_path: Path) -> None:
    """Every pixel is the same, so turned by half it is what it was."""
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    assert reading_notes(tmp_path / "a.jpg", read_image(tmp_path / "a.jpg")) == ()
