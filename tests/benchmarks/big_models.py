"""How are pairs made that are larger than protobuf, or whose tensors are larger than the budget?

Nothing here holds more than one weight: both files are written tensor by tensor. The program is Paddle's own,
its weights are a ``.pdiparams`` as ``save_combine`` writes it; the ONNX file keeps its weights beside it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

Array = NDArray[np.float32]

ALIGNED = 4096
"""Where a tensor begins in the file of external data: at a page, as ONNX advises."""


@dataclass(frozen=True)
class Layer:
    """A convolution (without bias) and a ReLU: channels in and out, the kernel, the stride."""

    takes: int
    gives: int
    kernel: int = 3
    stride: int = 1


@dataclass(frozen=True)
class Shape:
    """A chain of layers on a picture of ``size`` pixels a side."""

    layers: tuple[Layer, ...]
    size: int


def heavy(gigabytes: float, size: int = 16) -> Shape:
    """Weights of so many GB (10^9 bytes), on a small picture."""
    wide = 4096
    one = 4 * wide * wide
    number = max(1, round(gigabytes * 1e9 / one))
    return Shape(
        (Layer(3, wide, 1), *(Layer(wide, wide, 1) for _ in range(number)), Layer(wide, 19, 1)), size
    )


def wide(size: int = 4096, depth: int = 6) -> Shape:
    """Few weights, and activations of sixteen channels at half the size: 268 MB at 4096."""
    return Shape((Layer(3, 16, 3, 2), *(Layer(16, 16) for _ in range(depth)), Layer(16, 4, 1)), size)


def names(shape: Shape) -> list[str]:
    """What the weights are called: their order is that of the ``.pdiparams``."""
    return [f"weight_{number:04d}" for number in range(len(shape.layers))]


def weight(shape: Shape, number: int) -> Array:
    """One layer's weight, the same in both files; ReLU halves the variance, so the gain is 2 ** 0.5."""
    layer = shape.layers[number]
    fan = layer.takes * layer.kernel**2
    random = np.random.default_rng(number)
    dims = (layer.gives, layer.takes, layer.kernel, layer.kernel)
    return random.standard_normal(dims, dtype=np.float32) * np.float32(np.sqrt(2 / fan))


def weights(shape: Shape) -> Iterator[Array]:
    """All of them, one at a time."""
    return (weight(shape, number) for number in range(len(shape.layers)))


def picture(shape: Shape) -> Array:
    """A ready tensor."""
    side = shape.size
    return np.random.default_rng(1).standard_normal((1, 3, side, side), dtype=np.float32)


def write_paddle(shape: Shape, folder: Path) -> Path:
    """``model.pdmodel`` and ``model.pdiparams``; the program, without running anything."""
    os.environ["FLAGS_enable_pir_api"] = "0"  # noqa: SIM112 - so Paddle spells it
    import paddle

    paddle.enable_static()
    program = paddle.static.Program()
    with paddle.static.program_guard(program, paddle.static.Program()):
        x = paddle.static.data("x", [1, 3, shape.size, shape.size], "float32")
        value = x
        for name, layer in zip(names(shape), shape.layers, strict=True):
            value = paddle.static.nn.conv2d(
                value,
                layer.gives,
                layer.kernel,
                stride=layer.stride,
                padding=layer.kernel // 2,
                param_attr=paddle.ParamAttr(name=name),
                bias_attr=False,
            )
            if name != names(shape)[-1]:
                value = paddle.nn.functional.relu(value)
        made = paddle.static.normalize_program(program, [x], [value])
    target = folder / "model.pdmodel"
    target.write_bytes(made.desc.serialize_to_string())
    with (folder / "model.pdiparams").open("wb") as file:
        for array in weights(shape):
            write_tensor(file, array)
    return target


def write_tensor(file: BinaryIO, array: Array) -> None:
    """One tensor as ``save_combine`` writes it (``segdiff/readers/pdiparams.py`` has the format)."""
    desc = b"\x08\x05" + b"".join(b"\x10" + varint(each) for each in array.shape)  # FP32, dims
    file.write(struct.pack("<IQIi", 0, 0, 0, len(desc)) + desc)
    file.write(array.data)


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def write_onnx(shape: Shape, folder: Path, spoilt: Sequence[int] = ()) -> Path:
    """``model.onnx`` with its weights in ``model.onnx.data``; the layers ``spoilt`` have another weight."""
    nodes, tensors, at = [], [], 0
    value = "x"
    with (folder / "model.onnx.data").open("wb") as file:
        for number, (name, layer) in enumerate(zip(names(shape), shape.layers, strict=True)):
            array = weight(shape, number) * np.float32(1.01 if number in spoilt else 1.0)
            file.seek(at)
            file.write(array.data)
            tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=array.shape)
            tensor.data_location = TensorProto.EXTERNAL
            places = {"location": "model.onnx.data", "offset": str(at), "length": str(array.nbytes)}
            for key, entry in places.items():
                tensor.external_data.add(key=key, value=entry)
            tensors.append(tensor)
            at = -(-(at + array.nbytes) // ALIGNED) * ALIGNED
            last = number == len(shape.layers) - 1
            made = "y" if last else f"conv_{number}"
            options = {"pads": [layer.kernel // 2] * 4, "strides": [layer.stride] * 2}
            nodes.append(helper.make_node("Conv", [value, name], [made], name=f"Conv_{number}", **options))
            if not last:
                nodes.append(helper.make_node("Relu", [made], [f"relu_{number}"], name=f"Relu_{number}"))
                made = f"relu_{number}"
            value = made
    side = shape.size // int(np.prod([layer.stride for layer in shape.layers]))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, shape.size, shape.size])
    made_of = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, shape.layers[-1].gives, side, side])
    graph = helper.make_graph(nodes, "big", [given], [made_of], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    target = folder / "model.onnx"
    onnx.save(model, str(target))
    return target
