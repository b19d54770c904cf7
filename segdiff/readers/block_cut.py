"""Which block does an op run, whatever the format? One row a format, as for the readers."""

from __future__ import annotations

from segdiff.core.errors import ModelError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Graph, Op
from segdiff.readers import onnx_blocks, pdmodel_blocks, pir_blocks
from segdiff.readers.blocks import Block

MAKERS = {"onnx": onnx_blocks.block, "pir": pir_blocks.block, "pdmodel": pdmodel_blocks.block}


def block_of(files: ModelFiles, graph: Graph, op: Op, taken: bool) -> Block:
    """The block that an op runs: the body of a loop, or the branch of a condition that is ``taken`` or not.

    Raises ModelError where the file cannot be read, or the op has no such block.
    """
    if graph.format not in MAKERS:
        raise ModelError(f"{files.program}: blocks of the format {graph.format!r} cannot be cut out")
    return MAKERS[graph.format](files, graph, op, taken)
