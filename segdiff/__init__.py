"""Find the operator at which an ONNX model departs from the Paddle model it came from."""

from segdiff.errors import AlignmentError, EngineError, InputError, ModelError, RepairError, SegdiffError
from segdiff.locate import locate
from segdiff.result import Report

__version__ = "0.1.0"

__all__ = [
    "AlignmentError",
    "EngineError",
    "InputError",
    "ModelError",
    "RepairError",
    "Report",
    "SegdiffError",
    "locate",
]
