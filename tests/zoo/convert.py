"""How is a Paddle model of the zoo converted to ONNX by a given paddle2onnx?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .environments import python_of
from .layout import Model
from .processes import StepError, run_logged

CONVERTER_ENVIRONMENT = {"1.1.0": "c110", "1.3.1": "c131", "2.1.0": "p32"}
DEFAULT_OPSET = {"1.1.0": 12, "1.3.1": 12, "2.1.0": 14}
CONVERTERS_OF_KIND = {"pdmodel": ("1.1.0", "1.3.1"), "pir": ("2.1.0",)}


@dataclass(frozen=True)
class Conversion:
    """A model and the converter that is to read it; `opset` is what is asked of the converter."""

    model: Model
    converter: str
    opset: int

    @property
    def onnx(self) -> Path:
        """The file of the converted model."""
        return self.model.folder / f"p2o-{self.converter}-opset{self.opset}.onnx"

    @property
    def log(self) -> Path:
        """All that the converter printed."""
        return self.onnx.with_suffix(".log")

    @property
    def record(self) -> Path:
        """How close the conversion came, or why it failed."""
        return self.onnx.with_suffix(".json")


def convert(conversion: Conversion) -> None:
    """Write ``conversion.onnx``; raise StepError if the converter fails, as some do in silence."""
    executable = python_of(CONVERTER_ENVIRONMENT[conversion.converter]).with_name("paddle2onnx")
    model = conversion.model
    conversion.onnx.unlink(missing_ok=True)
    run_logged(
        [
            executable,
            *("--model_dir", model.folder),
            *("--model_filename", model.program.name),
            *("--params_filename", "model.pdiparams"),
            *("--save_file", conversion.onnx),
            *("--opset_version", str(conversion.opset)),
            *("--enable_onnx_checker", "True"),
        ],
        conversion.log,
    )
    if not conversion.onnx.exists():
        raise StepError("the converter reports success but wrote no file")
