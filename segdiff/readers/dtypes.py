"""Which numpy dtype does an element type's name mean?

numpy knows the ordinary names; bfloat16, the float8 family and the 4-bit integers live in ``ml_dtypes``,
which is looked for only when a model needs it.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np

from segdiff.core.errors import ModelError


@cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype of that name; ModelError where neither numpy nor ``ml_dtypes`` has it."""
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        found: np.dtype[Any] = np.dtype(getattr(importlib.import_module("ml_dtypes"), name))
    except ImportError as error:
        raise ModelError(
            f"tensors of type {name} need the package ml_dtypes: pip install ml_dtypes"
        ) from error
    except AttributeError as error:
        raise ModelError(f"tensors of type {name} are not supported by the installed ml_dtypes") from error
    return found
