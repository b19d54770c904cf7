"""What does the disagreement look like? One strip of pictures an image, one sheet of the worst.

Original, reference mask, candidate mask, the pixels that flip, and the reference's margin where they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import InputError
from segdiff.core.printable import clean
from segdiff.inputs.image import Pixels, as_bgr, one_line
from segdiff.score.dataset import PICTURES
from segdiff.score.files import SUFFIXES, Values
from segdiff.score.lettering import write_text
from segdiff.score.palette import COUNT, paddleseg_colours

TILE = 320
"""Width of one picture on the contact sheet, and the least in a strip of its own."""

WIDEST = 1280
"""Width of one picture in a strip at most."""

LINE = 18
"""Height of a line of text in pixels."""

GAP = 6
"""White pixels between two pictures."""

FAINT = 0.35
"""How much of the original shows under the flipped pixels."""

FLIPPED = (64, 64, 255)
"""BGR of a pixel that flips."""

BLACK = (0, 0, 0)
TITLES = ("image", "reference", "candidate", "pixels that flip", "margin where they flip")
LEGEND_NAMES = 12

Margin = NDArray[np.float32]


@dataclass(frozen=True)
class Shown:
    """One image: the original (uint8 BGR, any size) or None, both masks (equal sizes), and the margin.

    ``margin`` is the reference's largest logit minus its second largest, (H, W), or None without logits;
    ``label`` the true mask, of any size, where there is one.
    """

    name: str
    image: Pixels | None
    reference: Values
    candidate: Values
    margin: Margin | None = None
    label: Values | None = None


def write_gallery(folder: str | Path, shown: Iterable[Shown], names: tuple[str, ...]) -> tuple[Path, ...]:
    """Write a strip for each image, worst first, and ``contact_sheet.png`` of them all; returns the files.

    Raises InputError where the folder cannot be written.
    """
    root = Path(folder)
    files: list[Path] = []
    rows: list[Pixels] = []
    try:
        root.mkdir(parents=True, exist_ok=True)
        for rank, one in enumerate(shown, start=1):
            tiles = panels(one)
            files.append(root / f"{rank:02d}_{safe(one.name)}.png")
            write(files[-1], strip(tiles, one.name, min(max(TILE, tiles[1].shape[1]), WIDEST)))
            rows.append(strip(tiles, one.name, TILE))
        if rows:
            files.append(root / "contact_sheet.png")
            write(files[-1], sheet(rows, names))
    except (OSError, cv2.error) as error:
        raise InputError(f"The pictures cannot be written to {root}: {one_line(error)}.") from error
    return tuple(files)


def panels(shown: Shown) -> list[Pixels]:
    """The pictures of one image, all of the mask's size, (H, W, 3) uint8 BGR."""
    size = shown.reference.shape[::-1]
    flips = shown.reference != shown.candidate
    original = np.full((*shown.reference.shape, 3), 96, np.uint8)
    if shown.image is not None:
        original = cv2.resize(as_bgr(shown.image), size, interpolation=cv2.INTER_AREA)
    made = [coloured(shown.reference), coloured(shown.candidate), on_image(original, flips)]
    if shown.image is not None:
        made.insert(0, original)
    else:
        made.insert(0, np.zeros_like(original))
    if shown.margin is not None:
        made.append(margins(shown.margin, flips))
    return made


def coloured(mask: Values) -> Pixels:
    """A mask in PaddleSeg's pseudo colours, BGR; classes from 256 on start over."""
    table = paddleseg_colours()[:, ::-1]
    colours: Pixels = np.ascontiguousarray(table[mask & (COUNT - 1)])
    return colours


def on_image(image: Pixels, flips: NDArray[np.bool_]) -> Pixels:
    """The image, faint and grey, and the flipped pixels in red."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    faint: Pixels = np.repeat((grey * FAINT + 127 * (1 - FAINT)).astype(np.uint8)[..., None], 3, axis=2)
    faint[flips] = FLIPPED
    return faint


def margins(margin: Margin, flips: NDArray[np.bool_]) -> Pixels:
    """The margin where pixels flip, from dark (a tie) to bright; black elsewhere.

    The scale ends at the median of the margin over the whole image.
    """
    top = float(np.median(margin)) or 1.0
    level = np.clip(margin / top, 0.0, 1.0) * 200 + 55
    colours: Pixels = cv2.applyColorMap(level.astype(np.uint8), cv2.COLORMAP_INFERNO)
    colours[~flips] = BLACK
    return colours


def strip(tiles: list[Pixels], name: str, width: int) -> Pixels:
    """Pictures side by side under their titles, with the image's name above."""
    height = max(1, round(tiles[0].shape[0] * width / tiles[0].shape[1]))
    shown = [cv2.resize(tile, (width, height), interpolation=_how(tile, width)) for tile in tiles]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    row = np.hstack([part for tile in shown for part in (tile, gap)])
    head = np.full((2 * LINE, row.shape[1], 3), 255, np.uint8)
    write_text(head, clean(name, 100), 4, 2)
    for number, title in enumerate(TITLES[: len(tiles)]):
        write_text(head, title, number * (width + GAP) + 4, LINE + 2)
    return np.vstack([head, row])


def _how(tile: Pixels, width: int) -> int:
    return cv2.INTER_NEAREST if width >= tile.shape[1] else cv2.INTER_AREA


def sheet(rows: list[Pixels], names: tuple[str, ...]) -> Pixels:
    """Strips below each other, and the colours of the classes at the end."""
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(r, ((0, 0), (0, width - r.shape[1]), (0, 0)), constant_values=255) for r in rows]
    return np.vstack([*padded, legend(names, width)])


def legend(names: tuple[str, ...], width: int) -> Pixels:
    """The colour of each class with its name, as many as fit."""
    shown = names[:LEGEND_NAMES]
    canvas = np.full((LINE, width, 3), 255, np.uint8)
    step = max(60, width // max(1, len(shown)))
    for number, name in enumerate(shown):
        colour = tuple(int(c) for c in paddleseg_colours()[number][::-1])
        cv2.rectangle(canvas, (number * step + 4, 3), (number * step + 16, LINE - 4), colour, cv2.FILLED)
        write_text(canvas, clean(name, 24), number * step + 20, 2, stand_in=f"class {number}")
    return canvas


def safe(name: str) -> str:
    """An image's name as a file name, without an image's suffix: a name may have other dots."""
    if PurePosixPath(name).suffix.lower() in PICTURES | SUFFIXES:
        name = str(PurePosixPath(name).with_suffix(""))
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[-80:] or "image"


def write(path: Path, picture: NDArray[Any]) -> None:
    """Write a PNG. Raises OSError."""
    done, data = cv2.imencode(".png", picture)
    if not done:
        raise OSError(f"{path.name} could not be encoded")
    path.write_bytes(data.tobytes())
