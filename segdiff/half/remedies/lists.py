"""Which words tell a compiler to keep operators in float32? A file for each tool, in its own form.

Read in the vendors' documents, and seen to work only where the tool runs here: onnxconverter-common does,
ATC and TensorRT do not.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdiff.core.half import Half
from segdiff.half.read import File

MIXLIST_TYPES = {"BatchNormalization": "BatchNorm", "Conv": "Conv2D", "Softmax": "SoftmaxV2"}
"""What Ascend calls an ONNX operator, where its documents or dumps were seen to say so."""

SPECIAL = frozenset(":,*")
"""What means something in TensorRT's list of layers; one wildcard a name is allowed, and stands for them."""


@dataclass(frozen=True)
class KeptNode:
    """A node to be kept in float32: its name in the file, its type, numpy's names of the element types that
    it reads and writes (None where not known)."""

    name: str
    type: str
    inputs: tuple[str | None, ...]
    outputs: tuple[str | None, ...]


def kept_nodes(file: File, names: Iterable[str]) -> tuple[KeptNode, ...]:
    """The nodes of these names, in the file's order; a node without a name is told by what it writes."""
    wanted = frozenset(names)
    found = []
    for node in file.nodes:
        name = node.name or next(iter(node.output), "")
        if name in wanted:
            inputs, outputs = (
                tuple(_dtype(file, each) for each in operands if each)
                for operands in (node.input, node.output)
            )
            found.append(KeptNode(name, node.op_type, inputs, outputs))
    return tuple(found)


def _dtype(file: File, name: str) -> str | None:
    if name in file.floats:
        return file.floats[name]
    constant = file.constant(name)
    if constant is not None:
        return str(constant.dtype.name)
    return file.values[name].dtype if name in file.values else None


def keep_dtype(nodes: Iterable[KeptNode]) -> str:
    """ATC's ``--keep_dtype``: the name of an operator of the original file on every line."""
    return "".join(f"{node.name}\n" for node in nodes)


def customize_dtypes(nodes: Iterable[KeptNode]) -> str:
    """ATC's ``--customize_dtypes``: for every operator a type for each input and each output."""
    lines = []
    for node in nodes:
        ins, outs = (",".join(each or "float32" for each in part) for part in (node.inputs, node.outputs))
        lines.append(f"{node.name}::InputDtype:{ins},OutputDtype:{outs}\n")
    return "".join(lines)


def modify_mixlist(nodes: Iterable[KeptNode]) -> str:
    """ATC's ``--modify_mixlist`` for ``allow_mix_precision``: it knows types alone, all ops of which stay."""
    types = sorted({MIXLIST_TYPES.get(node.type, node.type) for node in nodes})
    return json.dumps({"black-list": {"to-add": types}}, indent=2) + "\n"


def node_block_list(nodes: Iterable[KeptNode]) -> str:
    """The names as a JSON list, for onnxconverter-common's ``node_block_list``."""
    return json.dumps([node.name for node in nodes], indent=2, ensure_ascii=False) + "\n"


def conversion(nodes: Iterable[KeptNode], model: str) -> str:
    """A Python script that makes the float16 file of ``model`` with onnxconverter-common."""
    names = [node.name for node in nodes]
    return (
        "import onnx\n"
        "from onnxconverter_common import float16\n\n"
        f"model = onnx.load({model!r})\n"
        f"half = float16.convert_float_to_float16(model, keep_io_types=True, node_block_list={names!r})\n"
        f"onnx.save(half, {str(Path(model).with_suffix('.fp16.onnx'))!r})\n"
    )


def trtexec(nodes: Iterable[KeptNode], model: str, precision: Half = "fp16") -> str:
    """The command of TensorRT 10 (in 11, precision is what the file says)."""
    layers = ",".join(f"{wild(node.name)}:fp32" for node in nodes)
    options = (
        f"--onnx={model}",
        f"--{precision}",
        "--precisionConstraints=obey",
        f"--layerPrecisions={layers}",
    )
    return shlex.join(("trtexec", *options)) + "\n"


def wild(name: str) -> str:
    """A name as TensorRT's list takes it: what means something there becomes the one wildcard it allows.

    >>> wild("conv"), wild("Conv:a,b")
    ('conv', 'Conv*b')
    """
    places = [place for place, letter in enumerate(name) if letter in SPECIAL]
    return f"{name[: places[0]]}*{name[places[-1] + 1 :]}" if places else name


def lists(
    target: str, nodes: Iterable[KeptNode], model: str, precision: Half = "fp16"
) -> Mapping[str, tuple[str, str]]:
    """What a target wants to be told, by the name of its option: a file's name, and what is in it."""
    kept = tuple(nodes)
    everyone = {
        "node_block_list": ("node_block_list.json", node_block_list(kept)),
        "onnxconverter_common": ("to_float16.py", conversion(kept, model)),
    }
    if precision == "bf16":  # which that converter does not make
        everyone = {}
    ascend = {
        "keep_dtype": ("keep_dtype.cfg", keep_dtype(kept)),
        "customize_dtypes": ("customize_dtypes.cfg", customize_dtypes(kept)),
        "modify_mixlist": ("modify_mixlist.json", modify_mixlist(kept)),
    }
    tensorrt = {"tensorrt10": ("trtexec.sh", trtexec(kept, model, precision))}
    if target.startswith("ascend"):
        return {**ascend, **everyone}
    return {**tensorrt, **everyone}
