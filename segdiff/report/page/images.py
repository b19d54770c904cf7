"""How do pictures get into the page? As small PNGs and JPEGs that stand in it as text."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from segdiff.core.graph import Array
from segdiff.core.pictured import MaskName, Pictures
from segdiff.core.printable import clean
from segdiff.report.text import number, share
from segdiff.score.palette import COUNT, paddleseg_colours

STAYS, BACK, OTHER = (230, 159, 0), (86, 180, 233), (190, 190, 190)
"""RGB of flips: made worse or still there, made better or mended, neither. The first two are the orange and
the sky blue of Okabe and Ito's palette, which all kinds of colour blindness tell apart, by lightness too."""

LOSSLESS = 128 * 128
"""Pixels up to which a picture is kept as PNG; a larger photo is a JPEG of a tenth the size."""

QUALITY = 88
"""Of a JPEG: no artefact is seen at twice the size."""

SHADES = 32
"""Of the map of the error, from nothing to the largest."""

ORDER: tuple[MaskName, ...] = ("reference", "fed", "candidate", "repaired")
"""Of the masks: what is seen before what would be."""

CLASSES = 12
"""Classes in the legend; the largest ones."""

INFERNO = (
    (0.0, (20, 11, 54)),
    (0.25, (101, 21, 110)),
    (0.5, (186, 54, 85)),
    (0.75, (243, 120, 25)),
    (1.0, (252, 255, 164)),
)
"""Stops of matplotlib's inferno: rising lightness, so that it reads without colour."""


@dataclass(frozen=True)
class Layer:
    """One picture of the stage: its key, its title, what it shows, its data; ``over`` the picture, or
    instead of it."""

    key: str
    title: str
    alt: str
    data: str
    over: bool = True


@dataclass(frozen=True)
class Chip:
    """A colour of a legend, as ``#rrggbb``, and what it stands for."""

    colour: str
    text: str


@dataclass(frozen=True)
class Stage:
    """All that is laid over one picture: the layers, the legends, the pixels' size, what is missing."""

    name: str
    width: int
    height: int
    layers: tuple[Layer, ...]
    classes: tuple[Chip, ...]
    flips: tuple[Chip, ...]
    heat: tuple[str, str] | None
    notes: tuple[str, ...]
    coarse: bool


def stage_of(
    pictures: Pictures, name: str = "", names: Sequence[str] = (), notes: Sequence[str] = ()
) -> Stage:
    """The layers of one picture; ``names`` are those of the classes, ``notes`` are told beside it."""
    height, width = pictures.image.shape[:2]
    masks = pictures.masks
    layers = [
        Layer("picture", "picture", "The picture as the models are fed it", photo(pictures.image), False)
    ]
    titles = {
        "reference": ("reference", "The reference's mask"),
        "candidate": ("candidate", "The candidate's mask"),
        "fed": ("on its own input", "The candidate's mask on the input that its user feeds it"),
        "repaired": repaired_title(pictures),
    }
    layers += [Layer(key, *titles[key], coloured(masks[key])) for key in ORDER if key in masks]
    if pictures.labels is not None:
        layers.append(Layer("labels", "labels", "The true mask", coloured(pictures.labels)))
    flips, chips = _flips(pictures)
    if flips is not None:
        layers.append(Layer("flips", "flipped pixels", "Pixels whose class the candidate changes", flips))
    heat = None
    if pictures.heat is not None:
        data, most = heated(pictures.heat)
        told = f"Error of {clean(pictures.heat_value)} on equal inputs, over the picture"
        layers.append(Layer("heat", "error of the origin", told, data))
        heat = ("0", number(most))
    return Stage(
        clean(name),
        width,
        height,
        tuple(layers),
        tuple(_classes(pictures, names)),
        chips,
        heat,
        tuple(map(clean, notes)),
        max(width, height) <= 256,
    )


def repaired_title(pictures: Pictures) -> tuple[str, str]:
    """What the third mask is."""
    if pictures.by_repair:
        return "after repair", "The candidate's mask with every proven change made"
    return "origins mended", "The candidate's mask with the origins' errors taken away"


def photo(image: Array) -> str:
    """An (H, W, 3) uint8 RGB picture as a data URI."""
    form = "PNG" if image.shape[0] * image.shape[1] <= LOSSLESS else "JPEG"
    return _encoded(Image.fromarray(np.ascontiguousarray(image)), form)


def coloured(mask: Array) -> str:
    """A map of classes in PaddleSeg's pseudo colours; classes from 256 on start over."""
    palette = Image.fromarray((mask & (COUNT - 1)).astype(np.uint8))
    palette.putpalette(np.asarray(paddleseg_colours(), np.uint8).reshape(-1).tolist())
    return _encoded(palette, "PNG")


def heated(heat: Array) -> tuple[str, float]:
    """The error over the picture as a data URI, clear where there is none; and the largest that is finite."""
    finite = heat[np.isfinite(heat)]
    most = float(finite.max()) if finite.size else 0.0
    scaled = np.sqrt(np.clip(np.nan_to_num(heat, nan=most, posinf=most) / (most or 1.0), 0, 1))
    shades = np.ceil(scaled * (SHADES - 1)).astype(np.uint8)
    steps = np.linspace(0, 1, SHADES)
    at = [stop for stop, _ in INFERNO]
    table = np.stack([np.interp(steps, at, [rgb[c] for _, rgb in INFERNO]) for c in range(3)], axis=1)
    image = Image.fromarray(shades)
    image.putpalette(table.astype(np.uint8).reshape(-1).tolist())
    alpha = np.clip(np.linspace(0.0, 2.0, SHADES), 0, 0.92) * 255
    return _encoded(image, "PNG", transparency=bytes(alpha.astype(np.uint8))), most


def _flips(pictures: Pictures) -> tuple[str | None, tuple[Chip, ...]]:
    """The flipped pixels: with labels, made worse and made better; else, still there and mended."""
    masks, labels = pictures.masks, pictures.labels
    if "reference" not in masks or "candidate" not in masks:
        return None, ()
    ours, theirs, mended = masks["reference"], masks["candidate"], masks.get("repaired")
    by_repair, back = pictures.by_repair, "right once the origins are mended"
    if "fed" in masks:
        theirs, mended, by_repair, back = (
            masks["fed"],
            masks["candidate"],
            False,
            "right on the reference's input",
        )
    flipped = ours != theirs
    kinds = np.where(flipped, 1, 0).astype(np.uint8)
    words = ["flipped", "mended by the repair" if by_repair else back]
    if labels is not None:
        kinds[flipped & (theirs == labels)] = 2
        kinds[flipped & (theirs != labels) & (ours != labels)] = 3
        words = ["made worse", "made better", "wrong before and after"]
    elif mended is not None:
        kinds[flipped & (mended == ours)] = 2
        words[0] = "flipped, and stays so"
    if not flipped.any():
        return None, ()
    image = Image.fromarray(kinds)
    image.putpalette([0, 0, 0, *STAYS, *BACK, *OTHER])
    chips = [
        Chip(_hex(colour), f"{text}: {share(float(np.mean(kinds == kind)))} of the pixels")
        for kind, (colour, text) in enumerate(zip((STAYS, BACK, OTHER), words, strict=False), 1)
        if (kinds == kind).any()
    ]
    return _encoded(image, "PNG", transparency=bytes([0, 255, 255, 255])), tuple(chips)


def _classes(pictures: Pictures, names: Sequence[str]) -> Iterator[Chip]:
    """The largest classes, with the share that each has in every mask."""
    masks = pictures.masks
    if not masks:
        return
    size = next(iter(masks.values())).size
    counted: dict[int, dict[str, int]] = {}
    for key, mask in masks.items():
        for value, count in zip(*np.unique(mask, return_counts=True), strict=True):
            counted.setdefault(int(value), {})[key] = int(count)
    largest = sorted(counted, key=lambda value: -max(counted[value].values()))[:CLASSES]
    for value in sorted(largest):
        name = clean(names[value]) if 0 <= value < len(names) else f"class {value}"
        told = " → ".join(
            dict.fromkeys(
                f"{counted[value].get(key, 0) / size:.2%}"
                for key in ("reference", "candidate")
                if key in masks
            )
        )
        colour = paddleseg_colours()[value & (COUNT - 1)]
        yield Chip(_hex(colour), f"{name}: {told}")


def _hex(colour: Any) -> str:
    return "#" + "".join(f"{int(channel):02x}" for channel in colour)


def _encoded(image: Any, form: str, **more: Any) -> str:
    data = io.BytesIO()
    options = {"quality": QUALITY} if form == "JPEG" else {"optimize": True}
    image.save(data, form, **options, **more)
    return f"data:image/{form.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"
