"""What must come out of a program, by Paddle's documentation? In float64 and numpy, nothing else.

``expected(program)`` gives the outputs, or None where nothing is written for that operator. Every function
takes what Paddle's function of that name takes, and says in its docstring which sentence of the documentation
it follows where that is not plain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.sweeps.operators.programs import Array, Program
from tests.sweeps.semantics import elementwise, images, structure, windows

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **elementwise.FUNCTIONS,
    **images.FUNCTIONS,
    **structure.FUNCTIONS,
    **windows.FUNCTIONS,
}


def expected(program: Program) -> list[Array] | None:
    """The outputs of a program on its own inputs; None where it is not written."""
    function = FUNCTIONS.get(program.word)
    if function is None:
        return None
    operands = [exact(value) for value in program.tensors().values()]
    weights = {name: exact(value) for name, value in program.parameters().items()}
    try:
        with np.errstate(all="ignore"):
            found = function(*operands, **weights, **program.arguments)
    except TypeError:  # an argument, the layout of the axes for one, that nobody has written down
        return None
    return list(found) if isinstance(found, (list, tuple)) else [np.asarray(found)]


def exact(value: Array) -> Array:
    """Floats in float64; others as they are."""
    return value.astype(np.float64) if value.dtype.kind == "f" else value
