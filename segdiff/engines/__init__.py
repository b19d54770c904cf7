"""A model and inputs -> a stream of named tensors, from a worker process."""

from segdiff.engines.blocks import Tensor
from segdiff.engines.client import Engine
from segdiff.engines.protocol import Deployed
from segdiff.engines.shared import Blocks

__all__ = ["Blocks", "Deployed", "Engine", "Tensor"]
