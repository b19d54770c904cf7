"""Mask files as people save them, and as they break."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdiff.core.errors import InputError
from segdiff.score.encoding import Encoding, Raw, Sightings, decode
from segdiff.score.files import list_masks, read_raw
from segdiff.score.folder import classes_in, open_masks
from segdiff.score.palette import paddleseg_colours, voc_colours


def sighted(raws: list[Raw]) -> Encoding | None:
    sightings = Sightings()
    for raw in raws:
        sightings.add(raw)
    return sightings.kind()


MASK = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)


def save(path: Path, array: np.ndarray, palette: bytes | None = None) -> Path:
    image = Image.fromarray(array)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)
    return path


def through(path: Path) -> np.ndarray:
    raw = read_raw(path)
    kind = sighted([raw])
    assert kind is not None
    return decode(raw, kind, path)


def test_an_index_png_is_its_values(tmp_path: Path) -> None:
    assert np.array_equal(through(save(tmp_path / "m.png", MASK)), MASK)


def test_a_palette_png_is_its_indices_not_its_colours(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", MASK, paddleseg_colours().tobytes())
    assert Image.open(path).mode == "P"
    assert np.array_equal(through(path), MASK)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_palette_png_of_few_bits(tmp_path: Path, bits: int) -> None:
    mask = MASK % (1 << bits)
    image = Image.fromarray(mask)
    image.putpalette(voc_colours(1 << bits).tobytes())
    image.save(tmp_path / "m.png", bits=bits)
    assert np.array_equal(through(tmp_path / "m.png"), mask)


@pytest.mark.parametrize("channels", [1, 3])
def test_black_and_white_is_0_and_1(tmp_path: Path, channels: int) -> None:
    mask = (MASK > 0).astype(np.uint8)
    stored = mask * np.uint8(255)
    stored = stored if channels == 1 else np.repeat(stored[..., None], 3, axis=2)
    assert np.array_equal(through(save(tmp_path / "m.png", stored)), mask)


def test_three_equal_channels_are_one(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.repeat(MASK[..., None], 3, axis=2))
    assert np.array_equal(through(path), MASK)


@pytest.mark.parametrize("colours", [paddleseg_colours(), voc_colours()])
def test_colours_of_a_known_map_are_classes(tmp_path: Path, colours: np.ndarray) -> None:
    assert np.array_equal(through(save(tmp_path / "m.png", colours[MASK])), MASK)


def test_unknown_colours_are_named(tmp_path: Path) -> None:
    good, bad = paddleseg_colours()[MASK], paddleseg_colours()[MASK]
    bad[0, 0] = (1, 2, 3)
    raws = [read_raw(save(tmp_path / f"{i}.png", a)) for i, a in enumerate((good, bad))]
    assert sighted(raws[:1]) == "paddleseg"
    assert sighted(raws) is None
    with pytest.raises(InputError, match="#010203"):
        decode(raws[1], "paddleseg", "The mask 1.png")


def test_a_folder_decides_what_255_means(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.array([[0, 255]], np.uint8))
    assert open_masks(tmp_path).kind == "binary"
    save(tmp_path / "b.png", np.array([[0, 1]], np.uint8))
    folder = open_masks(tmp_path)
    assert folder.kind == "index"
    assert folder.read("a").tolist() == [[0, 255]]
    assert classes_in(folder, 255) == 2


def test_sixteen_bits_hold_more_than_256_classes(tmp_path: Path) -> None:
    mask = np.array([[0, 300], [70, 65535]], np.uint16)
    assert np.array_equal(through(save(tmp_path / "m.png", mask)), mask)


def test_a_cut_off_png_is_an_error_with_its_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = save(tmp_path / "m.png", rng.integers(0, 200, (64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"m\.png cannot be decoded"):
        read_raw(path)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 64])
def test_what_is_no_image_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.png").write_bytes(content)
    with pytest.raises(InputError, match=r"m\.png"):
        read_raw(tmp_path / "m.png")


def test_a_jpeg_is_no_mask(tmp_path: Path) -> None:
    Image.fromarray(MASK).save(tmp_path / "m.jpg")
    with pytest.raises(InputError, match="JPEG"):
        read_raw(tmp_path / "m.jpg")


def test_a_png_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", MASK)
    data = bytearray(path.read_bytes())
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="100000x100000"):
        read_raw(path)


def test_files_are_named_by_their_path_without_suffix(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    save(tmp_path / "sub" / "m.png", MASK)
    assert list(list_masks(tmp_path)) == ["sub/m"]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "m.png", MASK)
    save(tmp_path / "m.bmp", MASK)
    with pytest.raises(InputError, match="keep one"):
        list_masks(tmp_path)


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: None])
def test_a_folder_that_is_empty_or_missing_is_an_error(tmp_path: Path, make: object) -> None:
    make(tmp_path / "masks")  # type: ignore[operator]
    with pytest.raises(InputError, match="masks"):
        list_masks(tmp_path / "masks")
