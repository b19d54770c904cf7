"""Which picture does the user mean? Image files and uint8 arrays to uint8 BGR or grey, nothing more.

The reader is OpenCV's ``imread``, as in PaddleSeg's ``Compose`` (2.8.0,
``paddleseg/transforms/transforms.py``): BGR order, alpha dropped, 16 bits brought to 8, the EXIF orientation
applied.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdiff.core.errors import InputError

Pixels = NDArray[np.uint8]

# 2^27 pixels (11,585 squared) are 0.4 GB as uint8 and 1.6 GB as the float32 the transforms work on.
MAX_PIXELS = 1 << 27
GREY, COLOUR = 1, 3

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000")
"""Formats whose header Pillow reads for us, before a decoder allocates what it declares."""
MAGIC = 16
"""Bytes by which Pillow tells them."""


def read_image(path: str | Path, channels: int = COLOUR) -> Pixels:
    """Read an image file as PaddleSeg does: uint8, (H, W, 3) in BGR order, or (H, W) for one channel.

    ``channels`` 3 reads with ``IMREAD_COLOR`` and 1 with ``IMREAD_GRAYSCALE``. Raises InputError where the
    file is missing, empty, no image OpenCV can decode, or declares more than ``MAX_PIXELS`` pixels.
    Source: ``Compose.__call__`` of PaddleSeg 2.8.0.
    """
    path = check_file(path, "image")
    size = declared_size(path)
    if size is not None:
        check_pixels(*size, f"The image {path}")
    flag = cv2.IMREAD_GRAYSCALE if channels == GREY else cv2.IMREAD_COLOR
    try:
        image: Pixels | None = cv2.imread(str(path), flag)
    except (cv2.error, MemoryError, UnicodeError) as error:
        raise InputError(f"OpenCV cannot decode the image {path}: {one_line(error)}.") from error
    if image is None or image.size == 0:
        raise InputError(
            f"The image {path} cannot be decoded: it is damaged or of a format OpenCV does not read. "
            "Convert it to PNG or JPEG, or give the tensor itself as a .npy file."
        )
    check_pixels(image.shape[0], image.shape[1], f"The image {path}")
    return image


def check_image(array: NDArray[Any], channels: int = COLOUR) -> tuple[Pixels, tuple[str, ...]]:
    """Bring a uint8 picture to what ``read_image`` gives; the sentences say what was changed.

    ``array`` is (H, W), (H, W, 1) or (H, W, 3); three channels count as BGR, which is what ``cv2.imread``
    gives and what PaddleSeg's ``Compose`` assumes of an array. Raises InputError for any other shape.
    """
    height, width, depth = _picture_shape(array)
    check_pixels(height, width, "The image array")
    image: Pixels = np.ascontiguousarray(array)
    if depth == GREY:
        image = image.reshape(height, width)
    if depth == channels:
        order = "BGR, as cv2.imread gives it" if depth == COLOUR else "grey"
        return image, (f"Took a uint8 array of {height}x{width} pixels as {order}.",)
    if channels == GREY:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return image, (f"Took a uint8 array of {height}x{width} pixels as BGR and turned it to grey.",)
    image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return image, (f"Took a grey uint8 array of {height}x{width} pixels and repeated it as B, G and R.",)


def as_bgr(image: Pixels) -> Pixels:
    """The same picture as (H, W, 3) uint8 BGR, whether it was read in colour or grey."""
    if image.ndim == 3:
        return image
    coloured: Pixels = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return coloured


def cut_off_note(path: str | Path) -> tuple[str, ...]:
    """A warning for the report where the file lacks its end marker; empty otherwise."""
    if not looks_cut_off(Path(path)):
        return ()
    return (
        f"Warning: {path} ends before its end marker, so part of the picture may be the decoder's filling.",
    )


def check_file(path: str | Path, what: str) -> Path:
    """The path of an existing file with something in it. Raises InputError otherwise."""
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"The {what} {path} is a folder; give one file.")
        if not path.is_file():
            raise InputError(f"The {what} {path} does not exist.")
        if path.stat().st_size == 0:
            raise InputError(f"The {what} {path} is empty (zero bytes).")
        with path.open("rb"):
            return path
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise InputError(f"The {what} {str(path)!r} cannot be read: {one_line(error)}.") from error


def check_pixels(height: int, width: int, what: str) -> None:
    """Raise InputError where a picture has no pixels or more than ``MAX_PIXELS``."""
    if height < 1 or width < 1:
        raise InputError(f"{what} has no pixels ({height}x{width}, height x width).")
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{what} has {height}x{width} pixels (height x width), more than the {MAX_PIXELS:,} that "
            "segdiff takes. Cut out a tile, or scale it down first."
        )


def one_line(error: BaseException) -> str:
    """The message of somebody else's exception on one line, without the full stop."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.rstrip(". ")


def declared_size(path: Path) -> tuple[int, int] | None:
    """The (height, width) that an image file declares, read without decoding it; None where it tells none."""
    found = header(path)
    return None if found is None else (found.height, found.width)


def header(path: Path) -> Any:
    """What Pillow reads of an image file without decoding it; None where it does not tell.

    ``Image.open`` would refuse a size above a limit of Pillow's own without saying it, so the format's reader
    is asked itself.
    """
    Image.preinit()
    Image.init()
    for name in FORMATS:
        reader, accepts = Image.OPEN.get(name, (None, None))
        try:
            with path.open("rb") as file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a damaged header is the decoder's to tell
                if reader is None or accepts is None or accepts(file.read(MAGIC)) is not True:
                    continue
                file.seek(0)
                return reader(file, str(path))
        except Exception:  # Pillow raises almost anything on a damaged file; the decoder will refuse it
            return None
    return None


def looks_cut_off(path: Path) -> bool:
    """Whether a JPEG or PNG file lacks its end marker: decoders fill the missing rows without a word.

    Raises OSError where the file cannot be read.
    """
    data = path.read_bytes()
    if data.startswith(b"\xff\xd8"):  # the end mark before the last scan is a thumbnail's
        return data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
    return data.startswith(b"\x89PNG\r\n\x1a\n") and b"IEND" not in data


def _picture_shape(array: NDArray[Any]) -> tuple[int, int, int]:
    if array.ndim == 2:
        return array.shape[0], array.shape[1], GREY
    if array.ndim == 3 and array.shape[2] in (GREY, COLOUR):
        return array.shape[0], array.shape[1], array.shape[2]
    raise InputError(
        f"A uint8 array of shape {array.shape} is no picture: give (H, W, 3) in BGR order or (H, W). "
        "A picture with an alpha channel: array[..., :3]."
    )
