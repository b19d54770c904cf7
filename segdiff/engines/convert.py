"""How does a user without an ONNX file get one? paddle2onnx, in a process of its own.

The converter may abort or divide by zero and take its process down; what it prints is kept, and its most
telling line goes into the error message. The file appears whole or not at all.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from onnx.defs import onnx_opset_version

from segdiff.core.errors import EngineError, InputError, ModelError
from segdiff.core.process import how_it_ended, mortal, start
from segdiff.engines.lacking import advice, lacking_operators
from segdiff.readers import ModelFiles, find, read
from segdiff.readers.urls import a_model, takes_urls

TIMEOUT = 1800.0
"""Seconds. Most models take less than ten; folding the constants of a branchy one has taken five minutes."""

OLDEST = 7
"""The lowest opset that paddle2onnx writes (its own message; 1.0 to 2.1 alike)."""

SUFFIX = {"pdmodel": ".pdmodel", "pir": ".json"}
"""By which paddle2onnx tells the formats."""

LONGEST_REASON = 300

REASONS = (
    re.compile(r"\[ERROR\].*(\[OP:|not support)"),  # an operator, or an option of one
    re.compile(r"\[ERROR\](?!.*(Due to|Model exporting|There are))"),
    re.compile(r"\[ERROR\]"),
    re.compile(r"^(?!FatalError)[\w.]*(Error|Exception)\s*:"),  # Python's last words
)
"""What the log says of a failure, the most telling first."""

NOISE = re.compile(
    r"\x1b\[[\d;]*m|\d{4}-\d\d-\d\d [\d:]{8}\s+(?=\[)|\[(ERROR|WARNING|INFO|Paddle2ONNX|I)\]\s*"
    r"|Failed to convert PaddlePaddle model: "
)
"""Colours, times and labels of a log line."""


@takes_urls(reference=a_model)
def convert(
    reference: str | Path, onnx_path: str | Path, *, opset: int | None = None, timeout: float = TIMEOUT
) -> Path:
    """Convert a Paddle model to ONNX with the installed paddle2onnx, as its command line does.

    reference   a folder with a Paddle model, or its ``.pdmodel`` or ``.json`` (PIR) file
    onnx_path   the file to write; it appears at the end, complete, and replaces an older one
    opset       of the ONNX file; by default the converter chooses, and it may raise the one you ask for
    timeout     seconds after which the converter is stopped

    Returns ``onnx_path``. Raises ModelError for a reference that cannot be converted and a target that cannot
    be written, InputError for an opset that does not exist, EngineError where paddle2onnx fails or dies.

    >>> from segdiff.example import example_files
    >>> with example_files() as files, tempfile.TemporaryDirectory() as folder:
    ...     made = convert(files.reference, Path(folder) / "model.onnx")
    ...     made.name, made.stat().st_size > 10_000
    ('model.onnx', True)
    """
    check_opset(opset)
    files, target = find(reference), Path(onnx_path)
    params = parameter_file(files)
    try:
        with tempfile.TemporaryDirectory(prefix=".segdiff-", dir=target.absolute().parent) as folder:
            made = converted(files, params, Path(folder), opset, timeout)
            made.replace(target)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


def check_opset(opset: int | None) -> None:
    """Raise InputError for an opset that paddle2onnx does not write or onnx does not know."""
    latest = onnx_opset_version()
    if opset is not None and not OLDEST <= opset <= latest:
        raise InputError(
            f"There is no opset {opset} to convert to: paddle2onnx writes {OLDEST} and up, and the installed "
            f"onnx knows none above {latest}. Leave --opset out, and the converter chooses."
        )


def parameter_file(files: ModelFiles) -> Path | None:
    """The one file of parameters that the converter needs; None for a program that has no parameters."""
    if files.format == "onnx":
        raise ModelError(f"{files.program}: this is an ONNX file already; give a Paddle model to convert")
    if files.params is None and not read(files).parameters:
        return None  # Paddle writes no such file then
    if files.params is None:
        raise ModelError(f"{files.program}: its parameters (.pdiparams) are missing; put them beside it")
    if not files.params.is_file():
        raise ModelError(f"{files.params}: one file for each parameter; paddle2onnx reads a single one only")
    return files.params


def converted(
    files: ModelFiles, params: Path | None, folder: Path, opset: int | None, timeout: float
) -> Path:
    """Run the converter in ``folder`` and return the file it made there."""
    program, made = f"model{SUFFIX[files.format]}", folder / "model.onnx"
    (folder / program).symlink_to(files.program.resolve())
    options = {"--model_dir": str(folder), "--model_filename": program, "--save_file": str(made)}
    if params is not None:
        options["--params_filename"] = "model.pdiparams"  # of the program's stem: a .pdmodel needs that
        (folder / "model.pdiparams").symlink_to(params.resolve())
    if opset is not None:
        options["--opset_version"] = str(opset)
    words = [word for option in options.items() for word in option]
    code, log = run([sys.executable, "-m", "paddle2onnx.command", *words], folder, timeout)
    if code is None:
        raise EngineError(f"{files.program}: paddle2onnx did not end within {timeout:g} s and was stopped")
    if code != 0 or not made.is_file() or made.stat().st_size == 0:
        why = lacking_operators(files, log)
        told = f": {why}" if why else last_words(log)
        ended = how_it_ended(code) if code else "wrote no file"
        raise EngineError(f"{files.program}: paddle2onnx {ended}{told.rstrip('.')}. {advice(log, opset)}")
    return made


def run(command: list[str], folder: Path, timeout: float) -> tuple[int | None, str]:
    """The exit code of a command run in ``folder``, None where it had to be stopped, and what it printed."""
    child = start(
        mortal(command),
        # Its scratch files go with the folder, crash or not.
        environment={**os.environ, "TMPDIR": str(folder)},
        folder=folder,  # python -m looks here first: the user's folder may hold one called paddle
    )
    try:
        return child.wait(timeout), child.printed()
    finally:
        child.close()


def last_words(log: str) -> str:
    """The line of the log that says why, to go behind a message."""
    lines = [line for line in log.splitlines() if NOISE.sub("", line).strip()]
    found = next((line for why in REASONS for line in reversed(lines) if why.search(line)), None)
    if found is None:
        steps = [line for line in lines if "[Paddle2ONNX]" in line or re.match(r"\[I\]", line)]
        return f" after: {tidy(steps[-1])}" if steps else f": {tidy(lines[-1])}" if lines else ""
    return f": {tidy(found)}"


def tidy(line: str) -> str:
    """A log line without its labels, and not too long."""
    return " ".join(NOISE.sub("", line).split())[:LONGEST_REASON]
