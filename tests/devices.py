"""A device that is not here: an ONNX file run node by node, stored in half precision, with planted faults.

What it leaves behind is what a device would: the tensors that it stored, fused groups as one. The sums of a
node are in float32, as on the hardware that the docs speak of; its weights are rounded once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

Array = NDArray[Any]

WEIGHTED = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm", "Add", "Mul"})
"""Operators whose parameters a device in half precision rounds; batch norms are folded before."""


@dataclass(frozen=True)
class Fault:
    """What the device does wrong at the node that writes ``at``: to the node, one of its weights (``which``),
    or its output."""

    at: str
    node: Callable[[NodeProto], None] | None = None
    weights: Callable[[Array], Array] | None = None
    output: Callable[[Array], Array] | None = None
    which: int = 0


@dataclass
class Device:
    """A model on a device. ``half`` is whether it stores float16; ``inner`` are the values inside of what it
    computes in one, which it never stores; ``multiplies_in_half`` is what TF32 does."""

    model: ModelProto
    half: bool = True
    inner: frozenset[str] = frozenset()
    faults: tuple[Fault, ...] = ()
    multiplies_in_half: bool = False

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Every tensor that the device stores, inputs included, as it stores it."""
        held = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}
        constants = set(held)
        values = {name: self._kept(array) for name, array in feeds.items()}
        seen = {name: self._stored(array) for name, array in values.items()}
        for node in self.model.graph.node:
            given = {name: (held | values)[name] for name in dict.fromkeys(node.input) if name}
            for name, array in self._ran(node, given, constants).items():
                if node.op_type == "Constant":
                    constants.add(name)
                stored = name not in self.inner and node.op_type != "Constant"
                values[name] = self._kept(array) if stored else array
                if stored:
                    seen[name] = self._stored(array)
        return seen

    def _ran(self, node: NodeProto, given: dict[str, Array], constants: set[str]) -> dict[str, Array]:
        fault = next((fault for fault in self.faults if fault.at in node.output), None)
        copy = NodeProto()
        copy.CopyFrom(node)
        if fault and fault.node:
            fault.node(copy)
        if self.half and node.op_type in WEIGHTED:
            given = {name: self._kept(a) if name in constants else a for name, a in given.items()}
        if self.multiplies_in_half and node.op_type in ("Conv", "MatMul", "Gemm"):
            given = {name: a.astype(np.float16).astype(np.float32) for name, a in given.items()}
        if fault and fault.weights:
            name = [name for name in given if name in constants][fault.which]
            given[name] = fault.weights(given[name])
        names = [name for name in copy.output if name]
        flowing = {name: array for name, array in given.items() if name not in constants}
        graph = helper.make_graph(
            [copy],
            "node",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in flowing.items()
            ],
            [helper.make_empty_tensor_value_info(name) for name in names],
            [numpy_helper.from_array(given[name], name) for name in given.keys() - flowing.keys()],
        )
        model = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=8)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        got = dict(zip(names, session.run(names, flowing), strict=True))
        if fault and fault.output:
            got[fault.at] = fault.output(got[fault.at])
        return got

    def _kept(self, array: Array) -> Array:
        if not self.half or array.dtype != np.float32:
            return array
        with np.errstate(over="ignore"):
            return array.astype(np.float16).astype(np.float32)

    def _stored(self, array: Array) -> Array:
        if not self.half or array.dtype != np.float32:
            return array
        with np.errstate(over="ignore"):
            return array.astype(np.float16)


def saved(tensors: Mapping[str, Array], folder: Path) -> Path:
    """The tensors as ``.npy`` files, by their names as far as a file can bear them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in tensors.items():
        np.save(folder / f"{name.replace('/', '_').replace(':', '_')}.npy", array)
    return folder


def with_attribute(name: str, value: Any) -> Callable[[NodeProto], None]:
    """A change of a node: another attribute."""

    def change(node: NodeProto) -> None:
        kept = [attribute for attribute in node.attribute if attribute.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return change
