"""Which class numbers does a mask file hold? The file as it is, before anybody says what its values mean.

Read with Pillow, as PaddleSeg reads labels: a palette PNG gives its indices, not its colours.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdiff.core.errors import InputError
from segdiff.inputs.image import check_file, check_pixels, declared_size, one_line

SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".gif"})
"""Formats without loss. A JPEG invents values between the classes, so it is no mask."""

Values = NDArray[Any]


class NoFilesError(InputError):
    """A folder has none of the files that were looked for."""


@dataclass(frozen=True)
class Raw:
    """A mask file as it is stored: (H, W) numbers, or (H, W, 3) RGB where the channels differ.

    ``palette`` says that the numbers are indices into a palette, so that they are classes beyond doubt.
    """

    values: Values
    palette: bool = False

    @property
    def coloured(self) -> bool:
        """Whether a pixel is a colour, not a number."""
        return self.values.ndim == 3


def read_raw(path: str | Path) -> Raw:
    """Read a mask: (H, W) uint8 or uint16, or (H, W, 3) uint8 RGB; three equal channels count as one.

    Raises InputError where the file is missing, damaged, cut off, of a lossy format, or too large.
    """
    path = check_file(path, "mask")
    if path.suffix.lower() in {".jpg", ".jpeg"}:
        raise InputError(f"The mask {path} is a JPEG, which invents values between the classes; save a PNG.")
    size = declared_size(path)
    if size is not None:
        check_pixels(*size, f"The mask {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit of pixels stands below
            with Image.open(path) as image:
                check_pixels(image.height, image.width, f"The mask {path}")
                return _raw(image, path)
    except InputError:
        raise
    except Exception as error:  # Pillow raises almost anything on a damaged file
        raise InputError(
            f"The mask {path} cannot be decoded, it is damaged or no image: {one_line(error)}."
        ) from error


def _raw(image: Image.Image, path: Path) -> Raw:
    if image.mode in ("P", "PA"):
        indices = np.asarray(image)
        return Raw(np.ascontiguousarray(indices if indices.ndim == 2 else indices[..., 0]), palette=True)
    if image.mode in ("RGB", "RGBA"):
        colours = np.asarray(image)[..., :3]
        equal = np.array_equal(colours[..., 0], colours[..., 1]) and np.array_equal(
            colours[..., 0], colours[..., 2]
        )
        return Raw(np.ascontiguousarray(colours[..., 0] if equal else colours))
    numbers = np.asarray(image)
    if image.mode == "LA":
        numbers = numbers[..., 0]
    if numbers.dtype == np.bool_:
        numbers = numbers.astype(np.uint8)
    if numbers.ndim != 2 or numbers.dtype.kind not in "iu":
        raise InputError(f"The mask {path} is stored as {image.mode!r}, which holds no class numbers.")
    if numbers.size and (numbers.min() < 0 or numbers.max() > np.iinfo(np.uint16).max):
        raise InputError(
            f"The mask {path} has numbers from {numbers.min()} to {numbers.max()}; a class is 0 to 65535."
        )
    narrow = np.uint8 if numbers.size == 0 or numbers.max() <= 255 else np.uint16
    return Raw(np.ascontiguousarray(numbers, dtype=narrow))


def list_masks(folder: str | Path, suffixes: frozenset[str] = SUFFIXES) -> dict[str, Path]:
    """The mask files below a folder by their relative path without suffix, in order.

    Raises InputError where the folder is missing or empty, or two files differ in nothing but the suffix.
    """
    root = Path(folder)
    try:
        if not root.is_dir():
            raise InputError(
                f"The folder {root} does not exist." if not root.exists() else f"{root} is a file."
            )
        paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    except (OSError, ValueError) as error:
        raise InputError(f"The folder {str(root)!r} cannot be read: {one_line(error)}.") from error
    found: dict[str, Path] = {}
    for path in paths:
        key = path.relative_to(root).with_suffix("").as_posix()
        if key in found:
            raise InputError(f"{found[key]} and {path} both could be {key!r}; keep one of them.")
        found[key] = path
    if not found:
        raise NoFilesError(f"The folder {root} has no {', '.join(sorted(suffixes))} files.")
    return found
