"""Find the operator at which an ONNX model departs from the Paddle model it came from.

report = segdiff.locate("deploy/", "deploy/model.onnx", "street.jpg")
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from segdiff.core.errors import AlignmentError, EngineError, InputError, ModelError, RepairError, SegdiffError
from segdiff.core.version import VERSION

if TYPE_CHECKING:
    from segdiff.core.answer import Repaired, Report
    from segdiff.core.images_report import ImagesReport
    from segdiff.core.shapes_report import ShapesReport
    from segdiff.core.sweep_report import SweepReport
    from segdiff.engines.convert import convert
    from segdiff.finding.case import OpenCase, open_case
    from segdiff.finding.dump import dump
    from segdiff.finding.locate import locate
    from segdiff.finding.locate_shapes import locate_shapes
    from segdiff.finding.repair import repair
    from segdiff.half.answer import HalfReport
    from segdiff.half.precision import precision
    from segdiff.report.baseline import assert_agrees
    from segdiff.report.load import load
    from segdiff.score.evaluate import evaluate
    from segdiff.score.fleet.sweep import sweep
    from segdiff.score.locate_images import locate_images
    from segdiff.score.report import ScoreReport
    from segdiff.score.score import score

    open = open_case

__version__ = VERSION

__all__ = [
    "AlignmentError",
    "EngineError",
    "HalfReport",
    "ImagesReport",
    "InputError",
    "ModelError",
    "OpenCase",
    "RepairError",
    "Repaired",
    "Report",
    "ScoreReport",
    "SegdiffError",
    "ShapesReport",
    "SweepReport",
    "assert_agrees",
    "convert",
    "dump",
    "evaluate",
    "load",
    "locate",
    "locate_images",
    "locate_shapes",
    "precision",
    "repair",
    "score",
    "sweep",
]

_HOMES = {
    "HalfReport": "segdiff.half.answer",
    "ImagesReport": "segdiff.core.images_report",
    "OpenCase": "segdiff.finding.case",
    "Repaired": "segdiff.core.answer",
    "Report": "segdiff.core.answer",
    "ScoreReport": "segdiff.score.report",
    "ShapesReport": "segdiff.core.shapes_report",
    "SweepReport": "segdiff.core.sweep_report",
    "assert_agrees": "segdiff.report.baseline",
    "convert": "segdiff.engines.convert",
    "dump": "segdiff.finding.dump",
    "evaluate": "segdiff.score.evaluate",
    "load": "segdiff.report.load",
    "locate": "segdiff.finding.locate",
    "open": "segdiff.finding.case:open_case",
    "precision": "segdiff.half.precision",
    "repair": "segdiff.finding.repair",
    "score": "segdiff.score.score",
    "locate_images": "segdiff.score.locate_images",
    "locate_shapes": "segdiff.finding.locate_shapes",
    "sweep": "segdiff.score.fleet.sweep",
}
"""Names that are imported when they are first used, so that ``segdiff --help`` comes at once.

``open`` is not among ``__all__``: a star would hide Python's own.
"""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, called = _HOMES[name].partition(":")
    value = getattr(import_module(module), called or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


class _Package(ModuleType):
    """Where a function and its room share a name (``score``), importing the room leaves the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
