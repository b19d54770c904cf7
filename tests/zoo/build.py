"""What are the steps from a name to a pair of models with its record, and which can be skipped?"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from .convert import Conversion, convert
from .environments import python_of
from .layout import Model, root
from .processes import StepError, run_logged

EXPORT_ENVIRONMENT = {"pdmodel": "p26", "pir": "p32"}
EXPORT_FAILED = "export-failed.txt"
"""Holds the reason why the model can't be exported, so that it isn't tried each time again."""


def build(conversion: Conversion) -> dict[str, Any]:
    """Make the Paddle model, its conversion and the record of it, as far as they are missing.

    Returns the record; under ``"failed"`` it has the reason if a step failed. Delete the folder of
    the model to have a failed export tried again.
    """
    if conversion.record.exists():
        return dict(json.loads(conversion.record.read_text()))
    began = time.monotonic()
    try:
        export(conversion.model)
    except StepError as error:
        record: dict[str, Any] = {"failed": f"export: {error}"}
        report(conversion, record)
        return record
    record = {"export_seconds": round(time.monotonic() - began, 1)}
    record |= _converted(conversion)
    conversion.record.write_text(json.dumps(record, indent=1))
    report(conversion, record)
    return record


def export(model: Model) -> None:
    """Write the Paddle model, unless it is there; raise StepError if it can't be exported."""
    if model.io.exists():
        return
    flags = ["--output-op", model.output_op, *(["--dynamic"] if model.dynamic else [])]
    size = [str(side) for side in model.size]
    _write_model(model, ["zoo.export", model.name, *size, model.folder, *flags])


def fill(model: Model, pdmodel: Path) -> None:
    """Write `model` from a program without weights, unless it is there; raise StepError if it can't be."""
    if not model.io.exists():
        _write_model(model, ["zoo.seaformer", pdmodel.resolve(), model.folder])


def _write_model(model: Model, module: Sequence[str | Path]) -> None:
    """Run a module with its arguments in the environment of the model's kind, in an empty folder."""
    failure = model.folder / EXPORT_FAILED
    if failure.exists():
        raise StepError(failure.read_text())
    shutil.rmtree(model.folder, ignore_errors=True)
    model.folder.mkdir(parents=True)
    command = [python_of(EXPORT_ENVIRONMENT[model.kind]), "-W", "ignore", "-m", *module]
    try:
        run_logged(command, model.folder / "export.log")
    except StepError as error:
        failure.write_text(str(error))
        raise


def _converted(conversion: Conversion) -> dict[str, Any]:
    """Convert and compare; return that part of the record."""
    began = time.monotonic()
    try:
        convert(conversion)
        seconds = {"convert_seconds": round(time.monotonic() - began, 1)}
    except StepError as error:
        return {"failed": f"convert: {error}"}
    try:
        return {**seconds, **compare(conversion)}
    except StepError as error:
        return {**seconds, "failed": f"onnxruntime: {error}"}


def compare(conversion: Conversion) -> dict[str, Any]:
    """Run the ONNX model on the input of the Paddle model, and return how far apart they are."""
    log = conversion.onnx.with_suffix(".run.log")
    run_logged([sys.executable, "-m", "zoo.compare", conversion.onnx, conversion.model.io], log)
    return dict(json.loads(log.read_text().splitlines()[-1]))


def report(conversion: Conversion, record: dict[str, Any]) -> None:
    """Add a line on the pair to ``progress.log``, and print it."""
    pair = f"{conversion.model.folder.name} {conversion.onnx.stem}"
    now = datetime.now().strftime("%H:%M:%S")
    line = f"{now} {'FAILED' if 'failed' in record else 'ok'} {pair}: {summary(record)}"
    with (root() / "progress.log").open("a") as progress:
        progress.write(line + "\n")
    print(line, flush=True)


def summary(record: dict[str, Any]) -> str:
    """Say in one line what a record holds."""
    if "failed" in record:
        return str(record["failed"])
    if "cosine" not in record:
        return f"shape {record['shape']} but Paddle's is {record['paddle_shape']}"
    finite = "" if record["finite"] and record["paddle_finite"] else " NOT FINITE"
    return (
        f"max_abs={record['max_abs']:.3g} of {record['paddle_max']:.3g} cosine={record['cosine']:.7f} "
        f"argmax={record['argmax_agrees']:.4f}{finite} "
        f"({record['export_seconds']} s export, {record['convert_seconds']} s convert)"
    )
