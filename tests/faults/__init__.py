"""Plants exactly one conversion fault in a healthy ONNX model, to see whether segdiff finds it.

``plant`` is the way in, ``Injector`` the same for many faults in one model; ``visible`` says whether the
planted node's own output changes by more than float32 rounding, so that a fault that no tool could see
is not counted as a miss.
"""

from .graph import Shapes, View
from .plant import Fault, Injector, NoEligibleNode, plant
from .registry import KINDS, Kind
from .visibility import Level, Visibility, visible

__all__ = [
    "KINDS",
    "Fault",
    "Injector",
    "Kind",
    "Level",
    "NoEligibleNode",
    "Shapes",
    "View",
    "Visibility",
    "plant",
    "visible",
]
