"""The files that users make of one trained model: conversions, rewrites, half precision, bytes.

Every file is made by a process of its own, which may crash or hang: ``python -m tests.sweeps.trained_files
NAME IN.onnx OUT.onnx FEEDS.npz``. What was made is kept and taken again by the next run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from tests.sweeps.rewriters import REWRITERS, rewritten
from tests.sweeps.trained_models import Feeds, Model
from tests.zoo.convert import CONVERTER_ENVIRONMENT
from tests.zoo.environments import python_of

TIMEOUT = 240.0
OPSET = {"1.1.0": 13, "1.3.1": 13, "2.1.0": 14}
"""What each converter is asked for."""
PIR = ("2.1.0",)
"""The converters that read programs of PIR."""


@dataclass(frozen=True)
class Variant:
    """A file to be judged: ``base`` is the float32 file that it was made of, ``coarse`` the arithmetic.

    ``file`` is None where it could not be made, and ``problem`` says why.
    """

    name: str
    file: Path | None
    problem: str = ""
    base: Path | None = None
    coarse: str = ""


def variants(model: Model, data: Path, folder: Path, wanted: Callable[[str], bool]) -> Iterator[Variant]:
    """All of one model, those of other names left out."""
    folder.mkdir(parents=True, exist_ok=True)
    reference = data / model.reference
    for name, file in (("published", model.candidate), *model.others):
        if file and wanted(name):
            yield Variant(name, data / file)
    for base, file, problem in bases(model, reference, folder):
        if file is None or file != reference:
            if wanted(base):
                yield Variant(base, file, problem)
        elif wanted("itself"):
            yield Variant("itself", file)
        if file is not None:
            yield from rewrites_of(base, file, model.feeds(), folder, wanted)


def bases(model: Model, reference: Path, folder: Path) -> Iterator[tuple[str, Path | None, str]]:
    """The float32 ONNX files: the reference itself, or what each converter makes of a Paddle model."""
    if reference.suffix == ".onnx":
        yield "", reference, ""
        return
    pir = bool(list(reference.glob("*.json")))
    for version in PIR if pir else OPSET:
        target = folder / f"p2o-{version}.onnx"
        problem = kept(target, lambda version=version, target=target: converted(version, reference, target))
        yield f"p2o-{version}", None if problem else target, problem


def rewrites_of(
    base: str, source: Path, feeds: Feeds, folder: Path, wanted: Callable[[str], bool]
) -> Iterator[Variant]:
    """A file written differently, and in coarser arithmetic."""
    for name in (*REWRITERS, *COARSER):
        full = f"{base}/{name}" if base else name
        if not wanted(full):
            continue
        target = folder / f"{full.replace('/', '-')}.onnx"
        make = rewritten if name in REWRITERS else coarsened(feeds)
        problem = kept(target, lambda name=name, target=target, make=make: make(name, source, target) or "")
        coarse = COARSER[name][0] if name in COARSER else ""
        yield Variant(full, None if problem else target, problem, source, coarse)


def kept(target: Path, make: Callable[[], str]) -> str:
    """Make a file, unless an earlier run has; returns why there is none."""
    why = target.with_suffix(".why")
    if target.is_file():
        return ""
    if not why.is_file():
        problem = make()
        if not problem:
            return ""
        why.write_text(problem)
    return why.read_text()


def converted(version: str, reference: Path, target: Path) -> str:
    """Convert by another environment's paddle2onnx; returns why not."""
    program = next(each for end in ("*.pdmodel", "*.json") for each in sorted(reference.glob(end)))
    if program.suffix == ".json":
        program = reference / "inference.json"
    words = [
        *(str(python_of(CONVERTER_ENVIRONMENT[version]).with_name("paddle2onnx")),),
        *("--model_dir", str(reference), "--model_filename", program.name),
        *("--params_filename", f"{program.stem}.pdiparams", "--save_file", str(target)),
        *("--opset_version", str(OPSET[version]), "--enable_onnx_checker", "False"),
    ]
    return ran(words, target)


def ran(words: list[str], target: Path) -> str:
    """Run a command that writes a file; returns why it did not."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, env=dict(os.environ))
    except subprocess.TimeoutExpired:
        return f"no answer in {TIMEOUT:g} s"
    if done.returncode == 0 and target.is_file():
        return ""
    target.unlink(missing_ok=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    telling = [line for line in lines if "ERROR" in line or "Error" in line] or lines
    return f"exit code {done.returncode}: {telling[-1][:200] if telling else ''}"


def coarsened(feeds: Feeds) -> Callable[[str, Path, Path], str]:
    """A maker of half precision and bytes, in a process of its own."""

    def make(name: str, source: Path, target: Path) -> str:
        given = target.with_suffix(".npz")
        np.savez(given, **feeds)  # type: ignore[arg-type]
        words = [sys.executable, "-m", __name__, name, str(source), str(target), str(given)]
        return ran(words, target)

    return make


def float16(source: Path, target: Path, feeds: Feeds) -> None:
    """onnxruntime's conversion to half precision, inputs and outputs kept."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(str(source)), keep_io_types=True), str(target))


def common16(keep_io: bool) -> Callable[[Path, Path, Feeds], None]:
    """onnxconverter-common's."""

    def make(source: Path, target: Path, feeds: Feeds) -> None:
        from onnxconverter_common import float16

        made = float16.convert_float_to_float16(onnx.load(str(source)), keep_io_types=keep_io)
        onnx.save(made, str(target))

    return make


def int8(per_channel: bool) -> Callable[[Path, Path, Feeds], None]:
    """Static quantisation as QDQ, after onnxruntime's own preparation, calibrated on the input itself."""

    def make(source: Path, target: Path, feeds: Feeds) -> None:
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        class Once(CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self.left = [feeds]

            def get_next(self) -> Feeds | None:
                return self.left.pop() if self.left else None

        prepared = target.with_suffix(".prepared.onnx")
        try:
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            file = prepared
        except Exception:  # it may fail in any way; the tool works without, too
            file = source
        options = {"quant_format": QuantFormat.QDQ, "per_channel": per_channel}
        quantize_static(str(file), str(target), Once(), **options)
        prepared.unlink(missing_ok=True)

    return make


def dynamic(source: Path, target: Path, feeds: Feeds) -> None:
    """Dynamic quantisation: the weights are bytes, the ranges of the activations are taken on the run."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(source), str(target), weight_type=QuantType.QUInt8)


COARSER: dict[str, tuple[str, Callable[[Path, Path, Feeds], None]]] = {
    "float16": ("float16", float16),
    "common16": ("float16", common16(True)),
    "common16-io": ("float16", common16(False)),
    "int8": ("int8", int8(True)),
    "dynamic": ("int8", dynamic),
}
"""Name -> the arithmetic, and who makes it. ``common16`` where onnxconverter-common is installed."""


def main(name: str, source: Path, target: Path, given: Path) -> None:
    """Make one file."""
    with np.load(given) as arrays:
        COARSER[name][1](source, target, {each: arrays[each] for each in arrays.files})


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:5]))
