"""A model and inputs -> a stream of named tensors, from a worker process."""

from segdiff.engines.blocks import Tensor
from segdiff.engines.client import Blocks, Engine

__all__ = ["Blocks", "Engine", "Tensor"]
