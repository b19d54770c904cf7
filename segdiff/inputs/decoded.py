"""What did OpenCV do to a picture while it read it? Turned it, dropped alpha, brought 16 bits to 8.

Other readers do otherwise: PIL leaves the EXIF orientation to its caller. A network that is fed a turned
picture by one and an upright one by the other makes two masks. What is said is seen in the pixels: the file's
header only tells where to look.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from segdiff.inputs.image import Pixels, header

ORIENTATION = 0x0112
"""The EXIF tag; 1 is upright. CIPA DC-008 (Exif 3.0), 4.6.5.1."""

SEEN_THROUGH = ("RGBA", "LA", "PA", "RGBa", "La")
"""Pillow's modes that have an alpha channel."""


def reading_notes(path: str | Path, pixels: Pixels) -> tuple[str, ...]:
    """Sentences on what reading the file into ``pixels`` (H, W, 3) or (H, W) changed; none for most pictures.

    A second decoding is paid for where the header speaks of an orientation, an alpha channel or more bits.
    """
    found = header(Path(path))
    if found is None:
        return ()
    orientation = _orientation(found)
    if not (orientation > 1 or found.mode in SEEN_THROUGH or "transparency" in found.info or _is_deep(found)):
        return ()
    as_stored = _read(path, cv2.IMREAD_UNCHANGED)
    if as_stored is None:
        return ()
    notes = []
    if orientation > 1 and _was_turned(path, pixels):
        notes.append(
            f"OpenCV turned {path} by its EXIF orientation {orientation}; PIL leaves that to its caller."
        )
    if as_stored.ndim == 3 and as_stored.shape[2] == 4:
        notes.append(f"OpenCV dropped the alpha channel of {path}.")
    if as_stored.dtype != np.uint8:
        notes.append(f"OpenCV brought {path} from {8 * as_stored.dtype.itemsize} bits to 8.")
    return tuple(notes)


def _orientation(found: Any) -> int:
    """Of the header alone: asked for it, Pillow may decode the whole picture."""
    try:
        exif = Image.Exif()
        exif.load(found.info["exif"])
        return int(exif.get(ORIENTATION, 1))
    except Exception:  # none, or damaged: Pillow raises almost anything then
        return 1


def _is_deep(found: Any) -> bool:
    """Whether a channel has more than 8 bits: by the mode, or by how the decoder is told to read them."""
    return found.mode.startswith(("I", "F")) or any("16" in str(tile) for tile in found.tile)


def _was_turned(path: str | Path, pixels: Pixels) -> bool:
    colours = cv2.IMREAD_COLOR if pixels.ndim == 3 else cv2.IMREAD_GRAYSCALE
    stored = _read(path, colours | cv2.IMREAD_IGNORE_ORIENTATION)
    return stored is not None and not np.array_equal(stored, pixels)


def _read(path: str | Path, flags: int) -> Any:
    try:
        return cv2.imread(str(path), flags)
    except (cv2.error, MemoryError, UnicodeError):
        return None
