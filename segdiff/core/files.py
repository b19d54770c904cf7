"""Which files are one model? Found by the readers, handed to an engine, kept for a repair."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Format = str
"""``pdmodel``, ``pir``, ``onnx``, or whatever a row of the readers' registry adds."""


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model.

    ``params`` is None for ONNX and where the parameter file is missing; for old models it can be a folder
    of one file a parameter. ``deploy_yaml`` is the config that stands beside the program,
    if there is one: PaddleSeg's, or what another suite calls it.
    """

    format: Format
    program: Path
    params: Path | None
    deploy_yaml: Path | None
