"""Form 2: the raw dump of an Ascend NPU, an operator a file, and the JSON of the compiled model (OM)."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.graph import Graph, Op
from segdiff.readers.dumps.ascend_proto import _messages
from tests.dumps.layouts import packed
from tests.dumps.names import TIME, safe

Array = NDArray[Any]

DTYPES = {
    "float32": 1,
    "float16": 2,
    "int8": 3,
    "uint8": 4,
    "int16": 5,
    "uint16": 6,
    "int32": 7,
    "int64": 8,
    "uint32": 9,
    "uint64": 10,
    "bool": 11,
    "float64": 12,
}
FORMATS = {"NCHW": 0, "NHWC": 1, "ND": 2, "NC1HWC0": 3, "FRACTAL_NZ": 29}

FUSED = frozenset({"BatchNormalization", "Relu", "LeakyRelu", "Clip", "HardSwish", "Sigmoid"})
"""What is fused into the convolution before it."""


@dataclass(frozen=True)
class DeviceOp:
    """One operator of the compiled model: the nodes that it stands for (none: inserted by the compiler), the
    values and weights that it reads, the values that it writes, by their ONNX names."""

    name: str
    type: str
    nodes: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def compiled(graph: Graph, fuse: bool = True) -> tuple[DeviceOp, ...]:
    """The operators of the device, in order: a convolution takes the batch norm and activation behind it."""
    done: set[int] = set()
    ops = []
    for first in graph.ops:
        if first.index in done:
            continue
        chain = [first]
        while fuse and first.type == "Conv":
            output = chain[-1].outputs[0]
            readers = graph.consumers.get(output, ())
            if len(readers) != 1 or output in graph.outputs or readers[0].type not in FUSED:
                break
            if readers[0].inputs[0] != output:
                break
            chain.append(readers[0])
        done |= {op.index for op in chain}
        inner = {name for op in chain for name in op.outputs}
        inputs = tuple(name for op in chain for name in op.inputs if name and name not in inner)
        name = "".join(safe(op.name) for op in chain)
        ops.append(DeviceOp(name, f"{first.type}D", tuple(chain), inputs, chain[-1].outputs))
    return tuple(ops)


def inner_values(ops: Iterable[DeviceOp]) -> set[str]:
    """The values inside of fused operators, which a device never writes."""
    return {name for op in ops for node in op.nodes for name in node.outputs} - {
        name for op in ops for name in op.outputs
    }


# --- files


def write_raw(
    folder: Path,
    graph: Graph,
    ops: Sequence[DeviceOp],
    values: Mapping[str, Array],
    *,
    version: int = 2,
    layout: str = "NCHW",
    origins: bool = True,
    mode: str = "all",
    padding: float = 0.0,
    long_names: bool = False,
) -> dict[str, Path]:
    """A file an operator, as ``dump_mode`` (``all``, ``output``, ``input``) has it; operator -> file.

    ``values`` has the values by ONNX name; weights come from the graph, halved where the values are.
    ``origins``: headers name the ONNX node of every result. ``long_names``: digits, and a mapping.csv.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files, table = {}, ["hash,original"]
    for number, op in enumerate(ops):
        name = f"{op.type}.{safe(op.name)}.{number + 2}.5.{TIME}"
        if long_names:
            table.append(f"{10**18 + number},{name}")
        files[op.name] = folder / (str(10**18 + number) if long_names else name)
        inputs = [] if mode == "output" else [_operand(graph, values, name) for name in op.inputs]
        outputs = [] if mode == "input" else [(name, values[name]) for name in op.outputs if name in values]
        files[op.name].write_bytes(_file(graph, op, inputs, outputs, version, layout, origins, padding))
    if long_names:
        (folder / "mapping.csv").write_text("\n".join(table) + "\n")
    return files


def _operand(graph: Graph, values: Mapping[str, Array], name: str) -> tuple[str, Array]:
    if name in values:
        return name, values[name]
    array = graph.parameters[name].load()
    half = any(value.dtype == np.float16 for value in values.values())
    return name, array.astype(np.float16) if half and array.dtype == np.float32 else array


def _file(
    graph: Graph,
    op: DeviceOp,
    inputs: Sequence[tuple[str, Array]],
    outputs: Sequence[tuple[str, Array]],
    version: int,
    layout: str,
    origins: bool,
    padding: float,
) -> bytes:
    data = _messages()["DumpData"](version=b"2.0" if version == 2 else b"1.0", dump_time=int(TIME))
    data.op_name = op.name.encode()
    rest = b""
    for tensors, role in ((inputs, "input"), (outputs, "output")):
        for name, array in tensors:
            stored, stands = packed(array, layout if name not in graph.parameters else "ND", padding)
            one = getattr(data, role).add(data_type=DTYPES[str(array.dtype)], format=FORMATS[stands])
            one.shape.dim.extend(stored.shape)
            one.original_shape.dim.extend(array.shape)
            if role == "output" and origins and name in graph.producer:
                producer = graph.producer[name]
                one.original_op.name = producer.name
                one.original_op.output_index = producer.outputs.index(name)
            raw = stored.tobytes()
            one.size = len(raw)
            if version == 1:
                one.data = raw
            else:
                rest += raw
    head = data.SerializeToString()
    return head if version == 1 else struct.pack("<Q", len(head)) + head + rest


# --- the compiled model


def write_om(file: Path, graph: Graph, ops: Sequence[DeviceOp]) -> None:
    """The JSON of ``atc --mode=1``; before the first reader of every input stands an inserted TransData."""
    made = {name: (op.name, place) for op in ops for place, name in enumerate(op.outputs)}
    made |= {name: (f"trans_{safe(name)}", 0) for name in graph.inputs}
    listed = [{"name": safe(name), "type": "Data"} for name in graph.inputs]
    listed += [
        {"name": f"trans_{safe(name)}", "type": "TransData", "input": [f"{safe(name)}:0"]}
        for name in graph.inputs
    ]
    for op in ops:
        listed.append(
            {
                "name": op.name,
                "type": op.type,
                "input": [":".join(map(str, made.get(name, (f"weight_{name}", 0)))) for name in op.inputs],
                "attr": [
                    {
                        "key": "_datadump_original_op_names",
                        "value": {"list": {"s": [node.name for node in op.nodes], "val_type": 1}},
                    }
                ],
                "output_desc": [_described(graph, name) for name in op.outputs],
            }
        )
    listed += [
        {"name": f"weight_{name}", "type": "Const"} for op in ops for name in op.inputs if name not in made
    ]
    file.write_text(
        json.dumps({"name": "m", "attr": [], "version": 1, "graph": [{"name": "g", "op": listed}]})
    )


def _described(graph: Graph, value: str) -> dict[str, Any]:
    producer = graph.producer[value]
    return {
        "attr": [
            {"key": "_datadump_origin_name", "value": {"s": producer.name}},
            {"key": "_datadump_origin_output_index", "value": {"i": producer.outputs.index(value)}},
        ]
    }


def write_om2(file: Path, ops: Sequence[DeviceOp]) -> None:
    """The newer form: a zip whose JSON has the nodes of every operator."""
    content = {
        op.name: {
            "_datadump_original_op_names": {"type": "LIST_STRING", "value": [node.name for node in op.nodes]}
        }
        for op in ops
    }
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data/model_0/op_attr.json", json.dumps(content))
