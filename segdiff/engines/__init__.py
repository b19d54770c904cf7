"""A model and inputs -> a stream of named tensors, from a worker process."""

from segdiff.engines.blocks import Tensor
from segdiff.engines.client import Blocks, Engine
from segdiff.engines.protocol import Deployed

__all__ = ["Blocks", "Deployed", "Engine", "Tensor"]
