"""Where does the zoo keep its environments, models and records?

Everything is below one folder, ``$SEGDIFF_ZOO`` or ``~/.cache/segdiff-zoo``::

    env/<p26|p32|c110|c131>/            virtual environments; a link to an existing one will do
    models/<arch>-<H>x<W>-<kind>/       model.pdmodel or model.json, model.pdiparams, deploy.yaml
        io.npz                          x, and y as the saved model computes it in its own Paddle
        p2o-<version>-opset<N>.onnx     a conversion, with .log and .json (the record) beside it
        export.log
    progress.log                        one line per pair that was finished or failed
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["pdmodel", "pir"]

MODELS = "models"
PROGRAM_FILE: dict[str, str] = {"pdmodel": "model.pdmodel", "pir": "model.json"}


def root() -> Path:
    """The folder of the whole zoo."""
    return Path(os.environ.get("SEGDIFF_ZOO", "~/.cache/segdiff-zoo")).expanduser()


@dataclass(frozen=True)
class Model:
    """A Paddle model of the zoo, built or not."""

    name: str
    size: tuple[int, int]
    kind: Kind
    dynamic: bool = False
    output_op: str = "none"

    @property
    def folder(self) -> Path:
        """The folder of the model, which tells all that distinguishes it from the others."""
        height, width = self.size
        marks = ["-dynamic"] if self.dynamic else []
        marks += [f"-{self.output_op}"] if self.output_op != "none" else []
        return root() / MODELS / f"{self.name}-{height}x{width}-{self.kind}{''.join(marks)}"

    @property
    def program(self) -> Path:
        """The file that holds the program."""
        return self.folder / PROGRAM_FILE[self.kind]

    @property
    def io(self) -> Path:
        """The input and output of the model in Paddle; written last, so its presence means success."""
        return self.folder / "io.npz"
