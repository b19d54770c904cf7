from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from segdiff.core.errors import InputError
from segdiff.inputs.image import MAX_PIXELS, as_bgr, check_image, cut_off_note, declared_size, read_image
from tests.inputs.pictures import noise, save


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff", ".webp", ".ppm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_is_read_as_opencv_does(tmp_path: Path, suffix: str, channels: int) -> None:
    path = save(tmp_path / f"picture{suffix}", noise(37, 53))
    flag = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR
    assert np.array_equal(read_image(path, channels), cv2.imread(str(path), flag))
    assert declared_size(path) == (37, 53)
    assert cut_off_note(path) == ()


def test_a_progressive_jpeg_declares_its_size(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    assert cv2.imwrite(str(path), noise(37, 53), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert declared_size(path) == (37, 53)


def test_alpha_and_16_bits_are_dropped(tmp_path: Path) -> None:
    alpha = save(tmp_path / "alpha.png", noise(9, 11, 4))
    deep = tmp_path / "deep.png"
    assert cv2.imwrite(str(deep), noise(9, 11).astype(np.uint16) * 257)
    assert np.array_equal(read_image(alpha), noise(9, 11, 4)[..., :3])
    assert np.array_equal(read_image(deep), noise(9, 11))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jpg", None, "does not exist"),
        ("a.jpg", b"", "zero bytes"),
        ("a.jpg", b"no picture", "cannot be decoded"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
        ("a.jpg", b"\xff\xd8\xff", "cannot be decoded"),
        ("a.bmp", b"BM" + bytes(10), "cannot be decoded"),
        ("a.tiff", b"II*\0\xff\xff\xff\x7f", "cannot be decoded"),
        ("a\0.png", None, "cannot be read|does not exist"),
        ("a" * 300, None, "cannot be read|does not exist"),
    ],
)
def test_unreadable_images(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_image(path)
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)


def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path = tmp_path / "bomb.png"
    data = struct.pack(">I", 4) + b"IDAT" + bytes(8)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + data)
    with pytest.raises(InputError, match="100000x100000 pixels"):
        read_image(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    with pytest.raises(InputError, match=r"cannot (be decoded|decode)"):
        read_image(path)
    large = np.broadcast_to(np.uint8(0), (MAX_PIXELS, 2, 3))
    with pytest.raises(InputError, match="more than the"):
        check_image(large)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_cut_off_file_is_an_error_or_a_warning(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"picture{suffix}", noise(64, 64))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    try:
        read_image(path)
    except InputError:
        return
    assert "ends before its end marker" in cut_off_note(path)[0]


def test_arrays_become_what_a_file_would_give() -> None:
    colour, grey = noise(9, 11), noise(9, 11, 1)
    assert np.array_equal(check_image(colour)[0], colour)
    assert np.array_equal(check_image(grey, 1)[0], grey)
    assert np.array_equal(check_image(grey[..., None], 1)[0], grey)
    assert np.array_equal(check_image(grey)[0], np.stack([grey] * 3, axis=-1))
    assert np.array_equal(check_image(colour, 1)[0], cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY))
    assert np.array_equal(check_image(colour[::-1, ::-1])[0], colour[::-1, ::-1])
    assert as_bgr(grey).shape == (9, 11, 3)


@pytest.mark.parametrize("shape", [(9, 11, 4), (9, 11, 2), (3, 9, 11), (0, 11, 3), (9, 0)])
def test_arrays_that_are_no_pictures(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"is no picture|no pixels"):
        check_image(np.zeros(shape, np.uint8))
