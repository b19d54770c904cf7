"""Small models in every format, written without the framework that usually writes them."""

import json
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from segdiff.readers.framework_proto import framework

_NUMBERS = {"float32": 5, "int64": 3, "bfloat16": 22, "float16": 4}

WEIGHTS = {
    "conv.w_0": np.arange(54, dtype=np.float32).reshape(2, 3, 3, 3),
    "bn.b_0": np.array([5, 6], np.float32),
    "bn.w_0": np.array([7, 8], np.float32),
    "bn.w_1": np.array([1, 2], np.float32),
    "bn.w_2": np.array([3, 4], np.float32),
}


# --- .pdiparams


def tensor_bytes(array, dtype=None, lod=()):
    desc = framework().VarType.TensorDesc(data_type=_NUMBERS[dtype or str(array.dtype)], dims=array.shape)
    data = desc.SerializeToString()
    levels = b"".join(struct.pack("<Q", len(level)) + level for level in lod)
    head = struct.pack("<IQ", 0, len(lod)) + levels + struct.pack("<Ii", 0, len(data))
    return head + data + array.tobytes()


def write_params(path, weights):
    path.write_bytes(b"".join(tensor_bytes(weights[name]) for name in sorted(weights)))


# --- .pdmodel


class Program:
    """A ProgramDesc under construction."""

    def __init__(self):
        self.desc = framework().ProgramDesc()
        self.block = self.desc.blocks.add(idx=0, parent_idx=-1)
        self.var("feed", kind=9, persistable=True)
        self.var("fetch", kind=10, persistable=True)

    def var(self, name, shape=(), dtype="float32", persistable=False, kind=7):
        var = self.block.vars.add(name=name, persistable=persistable)
        var.type.type = kind
        if kind == 7:
            field = "dense_tensor" if "dense_tensor" in var.type.DESCRIPTOR.fields_by_name else "lod_tensor"
            tensor = getattr(var.type, field).tensor
            tensor.data_type = _NUMBERS[dtype]
            tensor.dims.extend(shape)

    def op(self, type, inputs, outputs, **attributes):
        op = self.block.ops.add(type=type)
        for slots, target in ((inputs, op.inputs), (outputs, op.outputs)):
            for slot, names in slots.items():
                target.add(parameter=slot, arguments=[names] if isinstance(names, str) else names)
        for name, (number, field, data) in attributes.items():
            attr = op.attrs.add(name=name, type=number)
            if isinstance(data, list):
                getattr(attr, field).extend(data)
            else:
                setattr(attr, field, data)
        return op

    def feed(self, name, column=0):
        self.op("feed", {"X": "feed"}, {"Out": name}, col=(0, "i", column))

    def fetch(self, name, column=0):
        self.op("fetch", {"X": name}, {"Out": "fetch"}, col=(0, "i", column))

    def write(self, path):
        path.write_bytes(self.desc.SerializeToString())


def conv_program():
    """x -> conv2d -> batch_norm (statistics written back) -> relu in place -> fetch."""
    program = Program()
    program.var("x", (-1, 3, 8, 8))
    for name, array in WEIGHTS.items():
        program.var(name, array.shape, persistable=True)
    for name in ("conv.out", "bn.out"):
        program.var(name, (-1, 2, 6, 6))
    program.var("bn.saved", (2,))
    program.feed("x")
    program.op(
        "conv2d",
        {"Filter": "conv.w_0", "Input": "x", "Bias": []},
        {"Output": "conv.out"},
        strides=(3, "ints", [1, 1]),
        padding_algorithm=(2, "s", "EXPLICIT"),
        op_callstack=(5, "strings", ["here"]),
        op_role=(0, "i", 0),
    )
    program.op(
        "batch_norm",
        {"Bias": "bn.b_0", "Mean": "bn.w_1", "Scale": "bn.w_0", "Variance": "bn.w_2", "X": "conv.out"},
        {"MeanOut": "bn.w_1", "SavedMean": "bn.saved", "VarianceOut": "bn.w_2", "Y": "bn.out"},
        epsilon=(1, "f", 0.5),
        is_test=(6, "b", True),
    )
    program.op("relu", {"X": "bn.out"}, {"Out": "bn.out"})
    program.fetch("bn.out")
    return program


def write_pdmodel(folder, stem="model"):
    conv_program().write(folder / f"{stem}.pdmodel")
    write_params(folder / f"{stem}.pdiparams", WEIGHTS)
    return folder / f"{stem}.pdmodel"


# --- PIR


def attr(name, kind, data):
    return {"N": name, "AT": {"#": kind, "D": data}}


def dense(shape, kind="0.t_f32"):
    return {"#": "0.t_dtensor", "D": [{"#": kind}, list(shape), "NCHW", [], 0]}


def pir_op(name, inputs, outputs, attributes=(), **more):
    """``outputs`` maps value numbers to types."""
    results = [{"%": number, "TT": kind} for number, kind in outputs.items()]
    operands = [{"%": number} for number in inputs]
    return {"#": name, "A": list(attributes), "I": operands, "O": results, "OA": [], **more}


def pir_parameter(number, name, shape):
    result = {"%": number, "TT": dense(shape)}
    return {"#": "p", "A": [0, 1, 1, name], "DA": [], "O": result, "OA": [1, 0, 1], "QA": []}


def pir_program(ops):
    block = {"#": "block_0", "args": [], "ops": ops}
    return {
        "base_code": {"magic": "pir", "trainable": True, "version": 4},
        "program": {"regions": [{"#": "region_0", "blocks": [block]}]},
    }


def conv_pir():
    """The same network as :func:`conv_program`."""
    parameters = [pir_parameter(n, name, a.shape) for n, (name, a) in enumerate(WEIGHTS.items(), 1)]
    image, hidden, small = dense((-1, 3, 8, 8)), dense((-1, 2, 6, 6)), dense((2,))
    ints = [{"#": "0.a_i32", "D": 1}, {"#": "0.a_i32", "D": 1}]
    return pir_program(
        [
            *parameters,
            pir_op("1.data", [], {6: image}, [attr("name", "0.a_str", "x")]),
            pir_op(
                "1.conv2d",
                [6, 1],
                {7: hidden},
                [attr("strides", "0.a_array", ints), attr("struct_name", "0.a_str", "/Conv2D/")],
            ),
            pir_op(
                "1.batch_norm_",
                [7, 4, 5, 3, 2],
                {8: hidden, 9: small, 10: small},
                [attr("epsilon", "0.a_f32", 0.5), attr("is_test", "0.a_bool", True)],
            ),
            pir_op("1.relu", [8], {11: hidden}),
            pir_op(
                "1.fetch", [11], {12: hidden}, [attr("name", "0.a_str", "out"), attr("col", "0.a_i32", 0)]
            ),
        ]
    )


def write_pir(folder, content=None, stem="model", weights=WEIGHTS):
    path = folder / f"{stem}.json"
    path.write_text(json.dumps(content or conv_pir(), separators=(",", ":")))
    if weights:
        write_params(folder / f"{stem}.pdiparams", weights)
    return path


# --- ONNX


def onnx_model(nodes, inputs=("x",), outputs=("y",), initializers=(), **more):
    """Every input and output is a float tensor of 1 x 3 x 8 x W."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 8, "W"]) for name in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in dict(initializers).items()],
    )
    more.setdefault("opset_imports", [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)])
    return helper.make_model(graph, ir_version=8, **more)


def conv_onnx():
    return onnx_model(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="first", kernel_shape=[3, 3]),
            helper.make_node("Constant", [], ["k"], value_float=2.0),
            helper.make_node("Mul", ["c", "k"], ["m"]),
            helper.make_node("Resize", ["m", "", "scales"], ["y"], mode="linear"),
        ],
        initializers={"w": WEIGHTS["conv.w_0"], "scales": np.array([1, 1, 2, 2], np.float32)},
    )


def write_onnx(folder, model=None, name="model.onnx"):
    path = Path(folder) / name
    path.write_bytes((model or conv_onnx()).SerializeToString())
    return path


def save_external(folder, model=None):
    path = Path(folder) / "model.onnx"
    onnx.save_model(
        model or conv_onnx(), path, save_as_external_data=True, location="w.bin", size_threshold=64
    )
    return path
