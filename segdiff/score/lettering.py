"""How are names written into a picture? With Pillow, in a font of this machine that has their characters.

Class names are often Chinese. Pillow's own font has no such characters, so the fonts installed are tried; a
text for which there is none is written with a stand-in the caller gives (the number of the class).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SIZE = 12
"""Height of a font in pixels that goes with a line of 18."""

FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")
WANTED = (
    *("NotoSansCJK*", "NotoSansSC*", "NotoSansHans*", "SourceHanSans*", "wqy*", "DroidSansFallback*"),
    *("msyh*", "simhei*", "simsun*", "NotoSans-Regular*", "DejaVuSans.ttf"),
)
"""Fonts that have many characters, those with Chinese ones first, as the distributions name their files."""

MISSING = "\U0010fffe"
"""A character that no font has: what it draws for this one, it draws for every one it lacks."""


def write_text(canvas: Pixels, text: str, left: int, top: int, stand_in: str = "") -> None:
    """Write black text into a (H, W, 3) uint8 picture, in place; ``stand_in`` where no font has it."""
    font = font_for(text)
    if font is None:
        text = stand_in or text.encode("ascii", "replace").decode()
        font = fonts()[-1]
    picture = Image.fromarray(canvas)
    ImageDraw.Draw(picture).text((left, top), text, fill=(0, 0, 0), font=font)
    canvas[:] = np.asarray(picture)


def font_for(text: str) -> Font | None:
    """The first font that has every character of a text; Pillow's own for plain ASCII."""
    if text.isascii():
        return fonts()[-1]
    return next((font for font in fonts() if all(has(font, each) for each in text if each != " ")), None)


@cache
def fonts() -> tuple[Font, ...]:
    """The fonts found, and last of all Pillow's own."""
    found: list[Font] = []
    folders = [folder for folder in (Path(name).expanduser() for name in FOLDERS) if folder.is_dir()]
    for pattern in WANTED:
        files = sorted(file for folder in folders for file in folder.rglob(pattern) if file.is_file())
        for file in files[:1]:
            try:
                found.append(ImageFont.truetype(str(file), SIZE))
            except OSError:  # a bitmap font, or a damaged one
                continue
    return (*found, ImageFont.load_default(SIZE))


@cache
def has(font: Font, character: str) -> bool:
    """Whether a font has a character: it draws another picture than for one that it lacks."""
    return bytes(font.getmask(character)) != bytes(font.getmask(MISSING))
