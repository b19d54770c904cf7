"""Why does a runtime refuse a node, and which change of the file could make it run?

Converters write some operators in a form that the runtime does not take. Each function here knows one such
form: what to say of it, and the edits to be tried. Whether they help is for the runtime to show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from segdiff.core.edit import Edit, Node, Operand
from segdiff.core.graph import Array, Graph, Op

Form = tuple[str, tuple[int, ...]]
"""dtype (numpy's name) and shape."""

Attempt = tuple[str, tuple[Edit, ...]]
"""A change in words, after "With", and its edits."""

AXES_AS_OPERAND = 13
"""The opset from which Squeeze and Unsqueeze take their axes as an operand."""

REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")

AS_OPERANDS = {
    **dict.fromkeys(("Squeeze", "Unsqueeze", "ReduceSum"), (AXES_AS_OPERAND, ("axes",))),
    **{f"Reduce{kind}": (18, ("axes",)) for kind in REDUCTIONS},
    "Split": (13, ("split",)),
    "Clip": (11, ("min", "max")),
    "Pad": (11, ("pads", "value")),
    "Slice": (10, ("starts", "ends", "axes")),
    "TopK": (10, ("k",)),
}
"""Operator -> the opset from which these attributes are operands, the first in place 1."""


def said_of(graph: Graph, node: Op, forms: Mapping[str, Form]) -> str:
    """What is wrong with a node in words that follow its name; nothing where it is not known."""
    shapes = [forms[name][1] for name in node.inputs if name in forms]
    types = {forms[name][0] for name in node.inputs if name in forms}
    if node.type == "Concat" and shapes and all(not shape for shape in shapes):
        return f"joins {'two' if len(shapes) == 2 else len(shapes)} scalars, which have no axis"
    if node.type == "Concat" and len({len(shape) for shape in shapes}) > 1:
        return f"joins tensors of different rank, {listed(shapes)}"
    if node.type == "Conv" and len(shapes) > 1 and unfit(node, shapes):
        kernel, data = shapes[1], shapes[0]
        group = int(node.attributes.get("group", 1))
        return (
            f"wants {kernel[1] * group} channels in axis 1 of its input and is given {listed(shapes[:1])}"
            + (", where the channels stand last" if data[-1] == kernel[1] * group else "")
        )
    if dilated_same(node):
        return f"has auto_pad {auto_pad(node)} with dilations {list(node.attributes['dilations'])}"
    if miscast(graph, node):
        return f"casts to {cast_to(node)}, and the file declares {graph.value(node.outputs[0]).dtype} for it"
    if empties(node, forms):
        return "is given sizes and scales, which are empty, but not as a constant of the file that says so"
    if len(types) > 1 and node.type in SAME_TYPE:
        return f"is given {' and '.join(sorted(types))}"
    return f"is given {listed(shapes)}" if shapes else ""


def in_trouble(graph: Graph, node: Op, forms: Mapping[str, Form]) -> bool:
    """Whether the file and the forms alone show that no runtime takes a node. A length of -1 is not known."""
    if miscast(graph, node) or empties(node, forms):
        return True
    shapes = [forms[name][1] for name in node.inputs if name in forms]
    if len(shapes) < len(node.inputs):
        return False
    if node.type == "Concat":
        return all(not shape for shape in shapes) or len({len(shape) for shape in shapes}) > 1
    return node.type == "Conv" and len(shapes[0]) > 1 and shapes[0][1] > 0 and unfit(node, shapes)


def listed(shapes: list[tuple[int, ...]]) -> str:
    """Shapes in a row."""
    return " and ".join(str(tuple(shape)) for shape in shapes)


SAME_TYPE = frozenset({"Add", "Sub", "Mul", "Div", "Concat", "MatMul", "Conv", "Where", "Max", "Min", "Pow"})
"""Operators whose operands must have one type."""


def unfit(node: Op, shapes: list[tuple[int, ...]]) -> bool:
    """Whether the channels of a convolution's data and kernel do not fit."""
    data, kernel = shapes[0], shapes[1]
    group = int(node.attributes.get("group", 1))
    return len(data) > 1 and len(kernel) > 1 and data[1] != kernel[1] * group


def remedies(graph: Graph, near: list[Op], forms: Mapping[str, Form]) -> Iterator[Attempt]:
    """The changes to be tried. ``near`` are the nodes before the refused one, it being the last of them."""
    node = near[-1]
    for function in FUNCTIONS:
        yield from function(graph, node, forms)
    for op in reversed(near):
        if op.type == "Squeeze" and len(op.inputs) < 2 and "axes" not in op.attributes:
            yield from axes_named(graph, op, forms)
    if any(len(back_to_last(graph, op)) for op in near):
        yield from to_the_first(graph)


def scalars_joined(graph: Graph, node: Op, forms: Mapping[str, Form]) -> Iterator[Attempt]:
    """Scalars get an axis before they are joined."""
    lacking = [name for name in node.inputs if name in forms and not forms[name][1]]
    if node.type != "Concat" or not lacking:
        return
    nodes, operands = [], []
    for place, name in enumerate(node.inputs):
        operand = name
        if name in lacking:
            operand = f"{node.outputs[0]}.axis{place}"
            nodes.append(Node("Reshape", (name, np.array([1], np.int64)), (operand,)))
        operands.append(operand)
    joined = Node("Concat", tuple(operands), node.outputs, {"axis": 0})
    yield "each scalar as a tensor of one element", (Edit(node.outputs[0], nodes=(*nodes, joined)),)


def types_joined(graph: Graph, node: Op, forms: Mapping[str, Form]) -> Iterator[Attempt]:
    """Operands of other types are cast to the first one's, or the first to theirs."""
    from onnx import TensorProto

    types = [forms[name][0] for name in node.inputs if name in forms]
    if node.type not in SAME_TYPE or len(set(types)) < 2 or len(types) != len(node.inputs):
        return
    for target in dict.fromkeys(types):
        number = getattr(TensorProto, target.upper() if target != "float32" else "FLOAT", None)
        if number is None:
            continue
        nodes, operands = [], []
        for place, (name, dtype) in enumerate(zip(node.inputs, types, strict=True)):
            operand = name
            if dtype != target:
                operand = f"{node.outputs[0]}.cast{place}"
                nodes.append(Node("Cast", (name,), (operand,), {"to": number}))
            operands.append(operand)
        last = Node(node.type, tuple(operands), node.outputs, node.attributes)
        yield f"its operands cast to {target}", (Edit(node.outputs[0], nodes=(*nodes, last)),)


def channels_last(graph: Graph, node: Op, forms: Mapping[str, Form]) -> Iterator[Attempt]:
    """A convolution of NHWC data gets its data with the channels first, and gives its own with them last."""
    if node.type not in ("Conv", "ConvTranspose") or node.inputs[0] not in forms:
        return
    rank = len(forms[node.inputs[0]][1])
    if rank < 3:
        return
    first = (0, rank - 1, *range(1, rank - 1))
    last = (0, *range(2, rank), 1)
    inner = tuple(f"{node.outputs[0]}.{word}" for word in ("first", "conv"))
    operands: tuple[Operand, ...] = (inner[0], *node.inputs[1:])
    nodes = (
        Node("Transpose", (node.inputs[0],), (inner[0],), {"perm": list(first)}),
        Node(node.type, operands, (inner[1],), node.attributes),
        Node("Transpose", (inner[1],), node.outputs, {"perm": list(last)}),
    )
    yield "its data turned to have the channels first, and back", (Edit(node.outputs[0], nodes=nodes),)


def axes_named(graph: Graph, op: Op, forms: Mapping[str, Form]) -> Iterator[Attempt]:
    """A Squeeze without axes is told which: the last of them first, then each, then none."""
    if op.inputs[0] not in forms:
        return
    shape = forms[op.inputs[0]][1]
    units = [axis for axis, length in enumerate(shape) if length == 1]
    if len(units) < 2:
        return
    for axis in reversed(units):
        words = f"axis {axis} named in {op.type} {op.name!r}, which takes away every axis of length one,"
        if graph.opset >= AXES_AS_OPERAND:
            yield words, (Edit(op.outputs[0], inputs={1: np.array([axis], np.int64)}),)
        else:
            yield words, (Edit(op.outputs[0], attributes={"axes": [axis]}),)


def settings_moved(graph: Graph, node: Op, forms: Mapping[str, Form]) -> Iterator[Attempt]:
    """Attributes that this opset has as operands become such, or the other way round."""
    since, names = AS_OPERANDS.get(node.type, (0, ()))
    if graph.opset >= since:
        given = {name: node.attributes[name] for name in names if name in node.attributes}
        if given:
            places = {names.index(name) + 1: constant(value) for name, value in given.items()}
            words = f"its {' and '.join(given)} as an operand, as opset {graph.opset} has it,"
            yield words, (Edit(node.outputs[0], attributes=dict.fromkeys(given), inputs=places),)
        return
    slots = {name: slot for slot, name in zip(node.slots, node.inputs, strict=True) if slot.isdigit()}
    held = {int(slot): graph.parameters[name] for name, slot in slots.items() if name in graph.parameters}
    values = {names[n - 1]: held[n].load().tolist() for n in held if 0 < n <= len(names)}
    if values:
        words = f"its {' and '.join(values)} as an attribute, as opset {graph.opset} has it,"
        gone = {place: None for place in held if 0 < place <= len(names)}
        yield words, (Edit(node.outputs[0], attributes=values, inputs=gone),)


def constant(value: object) -> Array:
    """The value of an attribute as an operand."""
    array = np.asarray(value)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)


def cast_to(op: Op) -> str | None:
    """numpy's name of the type that a Cast makes; None for another op, or a type that numpy has not."""
    from onnx import helper

    try:
        return helper.tensor_dtype_to_np_dtype(int(op.attributes["to"])).name if op.type == "Cast" else None
    except KeyError:
        return None


def miscast(graph: Graph, op: Op) -> bool:
    """Whether a Cast makes another type than the file declares for its result.

    A tool that turned the graph to half precision has changed the one and left the other.
    """
    made, declared = cast_to(op), graph.value(op.outputs[0]).dtype
    return made is not None and declared is not None and made != declared


def cast_as_declared(graph: Graph, node: Op, forms: Mapping[str, Form]) -> Iterator[Attempt]:
    """A Cast makes the type that the file declares for its result."""
    from onnx import helper

    if not miscast(graph, node):
        return
    declared = str(graph.value(node.outputs[0]).dtype)
    number = int(helper.np_dtype_to_tensor_dtype(np.dtype(declared)))
    yield f"its result cast to {declared} as declared", (Edit(node.outputs[0], attributes={"to": number}),)


def empties(op: Op, forms: Mapping[str, Form]) -> list[int]:
    """The places of a Resize's operands that have no element, where it has sizes, too."""
    places = [int(slot) for slot in op.slots if slot.isdigit()]
    if op.type != "Resize" or SIZES not in places:
        return []
    shapes = {place: forms[name][1] for place, name in zip(places, op.inputs, strict=False) if name in forms}
    return [place for place in (1, SCALES) if shapes.get(place) == (0,)] if shapes.get(SCALES) == (0,) else []


SCALES, SIZES = 2, 3
"""Operands of Resize."""


def emptied(graph: Graph, node: Op, forms: Mapping[str, Form]) -> Iterator[Attempt]:
    """Empty operands are left out: those that are no constants of the file look like given ones."""
    places = empties(node, forms)
    if places:
        yield "its empty operands left out", (Edit(node.outputs[0], inputs=dict.fromkeys(places)),)


def auto_pad(op: Op) -> str:
    """How an operator's padding follows from its sizes; empty where it does not say."""
    word = op.attributes.get("auto_pad", "")
    return word.decode() if isinstance(word, bytes) else str(word)


def dilated_same(op: Op) -> bool:
    """Whether an operator asks for "SAME" padding of a dilated window, which onnxruntime does not do."""
    return auto_pad(op).startswith("SAME") and any(step != 1 for step in op.attributes.get("dilations", ()))


def same_padding(graph: Graph, node: Op, forms: Mapping[str, Form]) -> Iterator[Attempt]:
    """Every dilated window with "SAME" padding: not dilated, as Paddle takes it, or padded in numbers."""
    if not dilated_same(node):
        return
    windows = [op for op in graph.ops if dilated_same(op)]
    where = f" in {len(windows)} nodes" if len(windows) > 1 else ""
    ones = [1] * len(node.attributes["dilations"])
    plain = tuple(Edit(op.outputs[0], attributes={"dilations": ones}) for op in windows)
    yield f"dilations {ones}, as Paddle has them where the padding is SAME{where},", plain
    pads = {op.outputs[0]: numbers_of_same(graph, op, forms) for op in windows}
    if all(pads.values()):
        edits = (Edit(name, attributes={"auto_pad": None, "pads": pad}) for name, pad in pads.items())
        yield f"its padding in numbers{where}", tuple(edits)


def numbers_of_same(graph: Graph, op: Op, forms: Mapping[str, Form]) -> list[int]:
    """The pads that "SAME" stands for, begins first; empty where the size of the input is not known."""
    shape = forms[op.inputs[0]][1] if op.inputs[0] in forms else graph.value(op.inputs[0]).shape
    kernel = op.attributes.get("kernel_shape")
    if kernel is None and len(op.inputs) > 1 and op.inputs[1] in graph.parameters:
        kernel = graph.parameters[op.inputs[1]].shape[2:]
    if shape is None or kernel is None:
        return []
    begins, ends = [], []
    strides = op.attributes.get("strides", [1] * len(kernel))
    for size, width, stride, step in zip(shape[2:], kernel, strides, op.attributes["dilations"], strict=True):
        if size is None:
            return []
        total = max((-(-size // stride) - 1) * stride + (width - 1) * step + 1 - size, 0)
        less, more = total // 2, total - total // 2
        begins.append(more if auto_pad(op) == "SAME_LOWER" else less)
        ends.append(less if auto_pad(op) == "SAME_LOWER" else more)
    return [*begins, *ends]


def back_to_last(graph: Graph, op: Op) -> Array:
    """Which axes a Slice walks backwards and ends at -1, where ONNX has its last element: nothing is left."""
    places = {slot: name for slot, name in zip(op.slots, op.inputs, strict=True) if name in graph.parameters}
    if op.type != "Slice" or not {"2", "4"} <= set(places):
        return np.array([], np.int64)
    ends, steps = (graph.parameters[places[slot]].load() for slot in ("2", "4"))
    return np.flatnonzero((ends == -1) & (steps < 0))


def to_the_first(graph: Graph) -> Iterator[Attempt]:
    """Every such Slice goes on to the first element, as ``x[::-1]`` does."""
    edits = []
    for op in graph.ops:
        axes = back_to_last(graph, op)
        if len(axes):
            ends = graph.parameters[op.inputs[op.slots.index("2")]].load().astype(np.int64)
            ends[axes] = np.iinfo(np.int32).min
            edits.append(Edit(op.outputs[0], inputs={2: ends}))
    where = f"{len(edits)} Slices, which end" if len(edits) > 1 else "the Slice, which ends"
    yield f"{where} at -1 with a step back, going on to the first element", tuple(edits)


FUNCTIONS = (
    *(scalars_joined, types_joined, channels_last, same_padding),
    *(cast_as_declared, emptied, settings_moved),
)
