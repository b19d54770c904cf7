"""Data sets of drawn streets, as PaddleSeg's file lists name them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.example.street import draw

SIZES = ((96, 128), (120, 150), (200, 170))


def write_streets(folder: Path, count: int, seed: int = 3) -> Path:
    """Draw ``count`` streets of several sizes with noise, some label pixels ignored; the path of the list."""
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        image, label = draw(rng, SIZES[number % len(SIZES)])
        noisy = np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)
        label[:3, :5] = 255
        cv2.imwrite(str(folder / f"street_{number}.png"), noisy)
        cv2.imwrite(str(folder / f"label_{number}.png"), label.astype(np.uint8))
        lines.append(f"street_{number}.png label_{number}.png")
    listed = folder / "val.txt"
    listed.write_text("\n".join(lines) + "\n")
    return listed
