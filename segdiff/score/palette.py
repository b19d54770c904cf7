"""Which colour stands for a class? PaddleSeg's pseudo-colour map, and the VOC map that it is a shift of.

The bits of a class number become the highest bits of red, green and blue in turn (Pascal VOC's devkit).
PaddleSeg 2.8.0 (``utils/visualize.get_color_map_list``) leaves out black, the map's first
entry: its class 0 is VOC's 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.uint8]
"""(N, 3) RGB."""

COUNT = 256


def voc_colours(count: int = COUNT) -> Colours:
    """The VOC map: (count, 3) uint8 RGB, the first entry black."""
    numbers = np.arange(count)
    colours = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((numbers >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours


def paddleseg_colours(count: int = COUNT) -> Colours:
    """PaddleSeg's map: (count, 3) uint8 RGB, the first entry dark red."""
    return voc_colours(count + 1)[1:]


def packed(colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    """RGB triples in the last axis as single numbers."""
    wide = colours.astype(np.int32)
    return np.asarray((wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2], np.int32)
