"""An onnxruntime whose Pad_Fusion is wrong, whichever version is installed.

Up to 1.31 it made a pad with zeros in front of a max pool the pool's own padding, which is -infinity; 1.32
has mended that. The engine here does the same to the file before onnxruntime gets it, unless it is told to
leave that optimiser out: a fault that the tests bring, in the process and by the messages of a real engine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
from onnx import numpy_helper

from segdiff.core.graph import Array
from segdiff.engines.framework import Deliver
from segdiff.engines.onnxruntime import OnnxRuntime
from segdiff.engines.protocol import Deployed

OPTIMISER = "Pad_Fusion"


class Overeager(OnnxRuntime):
    """As onnxruntime; deployed, it fuses what it must not."""

    def prepare(self, how: Deployed | None) -> None:
        """Nothing: the session must be of what is made of the file."""

    def run_deployed(
        self, feeds: dict[str, Array], wanted: tuple[str, ...], how: Deployed, deliver: Deliver
    ) -> None:
        """Run the file, or what the optimiser makes of it."""
        if how.level == "none" or OPTIMISER in how.without:
            super().run_deployed(feeds, wanted, how, deliver)
            return
        written = self.program
        with tempfile.TemporaryDirectory() as folder:
            self.whole.program = Path(folder) / written.name
            onnx.save(fused(onnx.load(written)), self.whole.program)
            try:
                super().run_deployed(feeds, wanted, how, deliver)
            finally:
                self.whole.program = written


def fused(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every pad of height and width in front of a max pool moved into it; one that a caller
    may replace stays."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for item in model.graph.input:
        constants.pop(item.name, None)
    pads = {node.output[0]: node for node in model.graph.node if node.op_type == "Pad"}
    for pool in [node for node in model.graph.node if node.op_type == "MaxPool"]:
        pad = pads.get(pool.input[0])
        if pad is None or pad.input[1] not in constants:
            continue
        _, _, top, left, _, _, bottom, right = (int(n) for n in constants[pad.input[1]])
        pool.input[0] = pad.input[0]
        pool.attribute.append(onnx.helper.make_attribute("pads", [top, left, bottom, right]))
        model.graph.node.remove(pad)
    return model
