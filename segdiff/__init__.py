"""Find the operator at which an ONNX model departs from the Paddle model it came from.

report = segdiff.locate("deploy/", "deploy/model.onnx", "street.jpg")
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from segdiff.errors import AlignmentError, EngineError, InputError, ModelError, RepairError, SegdiffError

if TYPE_CHECKING:
    from segdiff.convert import convert
    from segdiff.evaluate import evaluate
    from segdiff.locate import locate
    from segdiff.masks.report import ScoreReport
    from segdiff.repair import Repaired, repair
    from segdiff.result import Report
    from segdiff.score import score

__version__ = "0.1.0"

__all__ = [
    "AlignmentError",
    "EngineError",
    "InputError",
    "ModelError",
    "RepairError",
    "Repaired",
    "Report",
    "ScoreReport",
    "SegdiffError",
    "convert",
    "evaluate",
    "locate",
    "repair",
    "score",
]

_HOMES = {
    "Repaired": "segdiff.repair",
    "Report": "segdiff.result",
    "ScoreReport": "segdiff.masks.report",
    "convert": "segdiff.convert",
    "evaluate": "segdiff.evaluate",
    "locate": "segdiff.locate",
    "repair": "segdiff.repair",
    "score": "segdiff.score",
}
"""Names that are imported when they are first used, so that ``segdiff --help`` comes at once."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


class _Package(ModuleType):
    """Where a function and its module share a name (``locate``), importing the module leaves the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOMES and isinstance(value, ModuleType):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
