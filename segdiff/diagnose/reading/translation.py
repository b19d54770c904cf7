"""What does a Paddle op do, written out in ONNX nodes?"""

from __future__ import annotations

from segdiff.core.edit import Node
from segdiff.core.graph import Op
from segdiff.diagnose.reading.case import Case


def translated(case: Case, op: Op) -> tuple[Node, ...] | None:
    """The op in ONNX nodes; None where no spelling is known."""
    return None
