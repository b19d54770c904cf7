"""Which files does a model consist of? All that would be lost with it: parameters, configs, external data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from segdiff.core.errors import SegdiffError
from segdiff.readers.find import find, is_pir

BESIDE = frozenset({".pdmodel", ".pdiparams", ".pdparams", ".pdopt", ".yml", ".yaml", ".info"})
"""Suffixes that Paddle's tools write beside a program; which of them a run reads is theirs to know."""


def companions(path: str | Path) -> Iterator[Path]:
    """Every file that belongs to the model at ``path``, as far as one can tell; ``path`` itself first.

    Nothing is raised: for a path without a model there is only the path.
    """
    yield Path(path)
    try:
        files = find(path)
    except SegdiffError:
        folder = Path(path)
        yield from _beside(folder if folder.is_dir() else folder.parent)
        return
    yield files.program
    if files.params is not None:
        yield files.params
        if files.params.is_dir():
            with suppress(OSError):
                yield from files.params.iterdir()
    yield from _beside(files.program.parent)
    if files.format == "onnx":
        yield from external_data(files.program)


def external_data(program: Path) -> tuple[Path, ...]:
    """The files in which an ONNX file keeps tensors; none where it cannot be read."""
    import onnx
    from onnx import external_data_helper

    from segdiff.readers.onnx_light import ITSELF, light_bytes

    try:
        model = onnx.load_model_from_string(light_bytes(program))
        tensors = list(external_data_helper._get_all_tensors(model))
    except Exception:  # onnx and protobuf raise almost anything on a damaged file
        return ()
    places = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
    return tuple(program.parent / place for place in sorted(places - {ITSELF}))


def _beside(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        for file in sorted(folder.iterdir()):
            if file.suffix in BESIDE or _is_program(file):
                yield file


def _is_program(file: Path) -> bool:
    with suppress(OSError):
        return file.is_file() and is_pir(file)
    return False
