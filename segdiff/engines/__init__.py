"""A model and inputs -> a stream of named tensors, from a worker process."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segdiff.engines.blocks import Tensor
    from segdiff.engines.client import Engine
    from segdiff.engines.protocol import Deployed
    from segdiff.engines.shared import Blocks

__all__ = ["Blocks", "Deployed", "Engine", "Tensor"]

_HOMES = {"Blocks": "shared", "Deployed": "protocol", "Engine": "client", "Tensor": "blocks"}
"""Imported when they are first used: a worker is to start before all that they import is there."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
