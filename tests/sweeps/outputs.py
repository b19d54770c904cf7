"""What does segdiff say when the outputs of a model are changed, each in every way?

``python -m tests.sweeps.outputs [PATTERN ...]``; a pattern fits names of changes.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

import segdiff
from segdiff.core.answer import Report
from segdiff.core.graph import Array
from tests import models
from tests.models import Net, copied

Change = Callable[[ModelProto], ModelProto]


def heads(count: int, seed: int = 0) -> ModelProto:
    """A trunk of two convolutions and up to three heads of one shape (1, 4, 16, 24): each its own weights."""
    net = Net(seed=seed)
    trunk = net.node("Relu", net.conv("x", (3, 8)))
    down = net.node("MaxPool", trunk, kernel_shape=[2, 2], strides=[2, 2])
    names = []
    for place in range(count):
        head = net.conv(net.node("HardSwish", net.conv(down, (8, 8))), (8, 4), kernel=1)
        names.append(net.node("Resize", head, "", net.constant([1, 1, 2, 2]), outputs=[f"head{place}"]))
    return net.model(*names)


def detector(*, iou: float = 0.5, score: float = 0.3, sort: bool = False, count: bool = False) -> ModelProto:
    """Rows of class, score and box: grouped by class as NonMaxSuppression gives them, or sorted by score."""
    net = Net()

    def numbers(*values: int) -> str:
        return net.constant(values, np.int64)

    trunk = net.node("Relu", net.conv("x", (3, 8)))
    flat = net.node("Reshape", net.conv(trunk, (8, 4), kernel=1), numbers(1, 4, -1))
    corners = net.node("Sigmoid", net.node("Transpose", flat, perm=[0, 2, 1]))
    low = net.node("Slice", corners, numbers(0), numbers(2), numbers(2))
    size = net.node("Slice", corners, numbers(2), numbers(4), numbers(2))
    boxes = net.node("Concat", low, net.node("Add", low, size), axis=2)
    flat = net.node("Reshape", net.conv(trunk, (8, 3), kernel=1), numbers(1, 3, -1))
    scores = net.node("Softmax", flat, axis=1)
    bounds = (net.constant(100, np.int64), net.constant(iou), net.constant(score))
    kept = net.node("NonMaxSuppression", boxes, scores, *bounds, outputs=["kept"])
    place = net.node("Squeeze", net.node("Slice", kept, numbers(2), numbers(3), numbers(1)), numbers(1))
    label = net.node("Slice", kept, numbers(1), numbers(2), numbers(1))
    by_place = net.node("Transpose", net.node("Squeeze", scores, numbers(0)), perm=[1, 0])
    chosen = net.node("GatherElements", net.node("Gather", by_place, place, axis=0), label, axis=1)
    found = net.node("Gather", net.node("Squeeze", boxes, numbers(0)), place, axis=0)
    rows = net.node("Concat", net.node("Cast", label, to=TensorProto.FLOAT), chosen, found, axis=1)
    if sort:
        number = net.node("Slice", net.node("Shape", kept), numbers(0), numbers(1))
        _, order = names = [net.fresh("best"), net.fresh("order")]
        net.node("TopK", net.node("Squeeze", chosen, numbers(1)), number, outputs=names, axis=0)
        rows = net.node("Gather", rows, order, axis=0)
    outputs = [net.node("Identity", rows, outputs=["rows"])]
    if count:
        shape = net.node("Shape", kept)
        outputs.append(net.node("Slice", shape, numbers(0), numbers(1), outputs=["count"]))
    return net.model(*outputs, types={"count": TensorProto.INT64})


# --- the changes


def append(
    model: ModelProto, output: int, op_type: str, dtype: int = TensorProto.FLOAT, **more: object
) -> ModelProto:
    """The output of that place goes through one more operator, under its old name."""
    copy = copied(model)
    name = copy.graph.output[output].name
    for node in copy.graph.node:
        node.output[:] = [f"{each}.before_{op_type}" if each == name else each for each in node.output]
        node.input[:] = [f"{each}.before_{op_type}" if each == name else each for each in node.input]
    operands = [f"{name}.before_{op_type}"]
    for place, value in enumerate(more.pop("operands", ())):  # type: ignore[call-overload]
        copy.graph.initializer.append(numpy_helper.from_array(np.asarray(value), f"{name}.{op_type}{place}"))
        operands.append(f"{name}.{op_type}{place}")
    copy.graph.node.append(helper.make_node(op_type, operands, [name], name=f"tail_{op_type}", **more))
    copy.graph.output[output].CopyFrom(helper.make_tensor_value_info(name, dtype, None))
    return copy


def reordered(model: ModelProto, order: list[int]) -> ModelProto:
    """The outputs in another order, or fewer, or one twice."""
    copy = copied(model)
    kept = [models.onnx.ValueInfoProto.FromString(copy.graph.output[i].SerializeToString()) for i in order]
    del copy.graph.output[:]
    copy.graph.output.extend(kept)
    return copy


def renamed(model: ModelProto, names: list[str]) -> ModelProto:
    """The outputs under other names."""
    copy = copied(model)
    new = {output.name: name for output, name in zip(copy.graph.output, names, strict=True)}
    for node in copy.graph.node:
        node.output[:] = [new.get(name, name) for name in node.output]
        node.input[:] = [new.get(name, name) for name in node.input]
    for output in copy.graph.output:
        output.name = new[output.name]
    return copy


def with_output(model: ModelProto, name: str, dtype: int = TensorProto.FLOAT) -> ModelProto:
    """One output more: a value of the model."""
    copy = copied(model)
    copy.graph.output.append(helper.make_tensor_value_info(name, dtype, None))
    return copy


def inner(model: ModelProto) -> str:
    """A value inside the model."""
    return str(next(node.output[0] for node in model.graph.node if node.op_type == "Relu"))


def counted(model: ModelProto, by: int) -> ModelProto:
    """One output more that hangs on a shape: the input's size, and ``by`` more."""
    copy = copied(model)
    copy.graph.initializer.append(numpy_helper.from_array(np.array([by], np.int64), "more"))
    copy.graph.node.append(helper.make_node("Shape", ["x"], ["size"], name="Shape:size"))
    copy.graph.node.append(helper.make_node("Add", ["size", "more"], ["count"], name="Add:count"))
    copy.graph.output.append(helper.make_tensor_value_info("count", TensorProto.INT64, None))
    return copy


def constant_output(model: ModelProto, value: float) -> ModelProto:
    """One output more that is a constant."""
    copy = copied(model)
    tensor = numpy_helper.from_array(np.array([value, 2.0], np.float32))
    copy.graph.node.append(helper.make_node("Constant", [], ["fixed"], value=tensor))
    copy.graph.output.append(helper.make_tensor_value_info("fixed", TensorProto.FLOAT, None))
    return copy


def handed_on(model: ModelProto, value: float) -> ModelProto:
    """The same output, handed on by two nodes."""
    copy = constant_output(model, value)
    copy.graph.node[-1].output[0] = "held"
    copy.graph.node.append(helper.make_node("Identity", ["held"], ["still.held"]))
    copy.graph.node.append(helper.make_node("Identity", ["still.held"], ["fixed"]))
    return copy


def repeated(model: ModelProto) -> ModelProto:
    """One output more that repeats the first."""
    copy = copied(model)
    copy.graph.node.append(helper.make_node("Identity", [copy.graph.output[0].name], ["again"]))
    copy.graph.output.append(helper.make_tensor_value_info("again", TensorProto.FLOAT, None))
    return copy


def passed_through(model: ModelProto) -> ModelProto:
    """One output more that is the input."""
    copy = copied(model)
    copy.graph.node.append(helper.make_node("Identity", ["x"], ["seen"]))
    copy.graph.output.append(helper.make_tensor_value_info("seen", TensorProto.FLOAT, None))
    return copy


def masks(model: ModelProto, dtype: int = TensorProto.INT64, keepdims: int = 0) -> ModelProto:
    """The first output becomes a mask."""
    found = append(model, 0, "ArgMax", TensorProto.INT64, axis=1, keepdims=keepdims)
    return found if dtype == TensorProto.INT64 else append(found, 0, "Cast", dtype, to=dtype)


def probable(model: ModelProto, axis: int = 1) -> ModelProto:
    """The first output becomes probabilities."""
    return append(model, 0, "Softmax", axis=axis)


@dataclass(frozen=True)
class Case:
    """Two models and the right answer: the verdict, the kinds of cause of which one must be there, and a
    type of node that the first origin must have."""

    name: str
    reference: ModelProto
    candidate: ModelProto
    verdict: str = "diverges"
    kinds: tuple[str, ...] = ()
    node: str = ""
    image: Array = field(default_factory=models.image)
    options: dict[str, Any] = field(default_factory=dict)
    """Of ``locate``."""

    def wrong(self, report: Report) -> str:
        """What is wrong with a report, or nothing."""
        kinds = {origin.cause.kind for origin in report.origins if origin.cause}
        if report.verdict != self.verdict:
            return f"verdict {report.verdict}"
        if self.verdict == "agrees" and report.origins:
            return "origins in a healthy pair"
        if self.kinds and not kinds & set(self.kinds):
            return f"kinds {sorted(kinds)}, none of {self.kinds}"
        types = {node.type for node in report.first.candidate_nodes} if report.first else set()
        if self.node and self.node not in types:
            return f"first origin has {sorted(types)}, not {self.node}"
        if any(
            output.cumulative is None for output in report.outputs if output.reference and output.candidate
        ):
            return "an output was not measured"
        return ""


def cases() -> Iterator[Case]:
    """Every change of the outputs."""
    one, two, three = (heads(count) for count in (1, 2, 3))
    yield Case("healthy: one head", one, one, "agrees")
    yield Case("healthy: three heads", three, three, "agrees")
    yield Case("healthy: renamed", three, renamed(three, ["a", "b", "c"]), "agrees")
    yield Case("healthy: scrambled", two, models.scrambled(two, 3), "agrees")
    yield Case("healthy: one output twice", repeated(two), repeated(two), "agrees")
    yield Case("healthy: a dead node", two, dead(two), "agrees")
    yield Case("healthy: identity behind an output", two, append(two, 0, "Identity"), "agrees")
    yield Case("healthy: a shape", counted(two, 1), counted(two, 1), "agrees")
    yield Case("healthy: a constant", constant_output(two, 1), constant_output(two, 1), "agrees")
    yield Case("healthy: a constant handed on", constant_output(two, 1), handed_on(two, 1), "agrees")
    yield Case("healthy: a constant folded", handed_on(two, 1), constant_output(two, 1), "agrees")
    yield Case("healthy: the input passed through", passed_through(two), passed_through(two), "agrees")
    yield Case("healthy: int32 for int64", masks(one), masks(one, TensorProto.INT32), "agrees")
    yield Case("healthy: names exchanged", two, renamed(two, ["head1", "head0"]), "agrees")

    order = ("output.order",)
    yield Case("order: exchanged", two, reordered(two, [1, 0]), kinds=order)
    yield Case("order: rotated", three, reordered(three, [2, 0, 1]), kinds=order)
    yield Case("order: exchanged, renamed", two, renamed(reordered(two, [1, 0]), ["a", "b"]), kinds=order)
    sideways = reordered(two, [1, 0])
    yield Case("order: exchanged, names kept", two, renamed(sideways, ["head0", "head1"]), kinds=order)
    yield Case("order: mask and logits", masks(two), reordered(masks(two), [1, 0]), kinds=order)
    yield Case("order: no weights in the heads", plain(), reordered(plain(), [1, 0]), kinds=order)

    yield Case("missing: the last", three, reordered(three, [0, 1]), kinds=("output.missing",))
    yield Case("missing: the middle", three, reordered(three, [0, 2]), kinds=("output.missing",))
    yield Case(
        "missing: the first, renamed", two, renamed(reordered(two, [1]), ["a"]), kinds=("output.missing",)
    )
    yield Case("missing: pruned", two, pruned(reordered(two, [0])), kinds=("output.missing",))
    yield Case("missing: the shape", counted(one, 1), one, kinds=("output.missing",))
    yield Case("extra: a value", two, with_output(two, inner(two)), kinds=("output.extra",))
    yield Case(
        "extra: in front", two, reordered(with_output(two, inner(two)), [2, 0, 1]), kinds=("output.extra",)
    )
    yield Case("extra: repeated", two, repeated(two), kinds=("output.extra",))
    yield Case("extra: another head", two, three, kinds=("output.extra",))

    tail = ("output.op",)
    for count, base in ((1, one), (2, two)):
        yield Case(f"op: argmax added, {count}", base, masks(base), kinds=tail, node="ArgMax")
        yield Case(f"op: argmax lost, {count}", masks(base), base, kinds=tail)
        yield Case(f"op: argmax kept dims, {count}", base, masks(base, keepdims=1), kinds=tail, node="ArgMax")
        soft = probable(base)
        yield Case(f"op: softmax for argmax, {count}", masks(base), soft, kinds=tail)
        yield Case(f"op: argmax for softmax, {count}", soft, masks(soft), kinds=tail, node="ArgMax")
        several = (*tail, "softmax.lost")
        yield Case(f"op: softmax added, {count}", base, soft, node="Softmax")
        yield Case(f"op: softmax lost, {count}", soft, base, kinds=several)
        nhwc = append(base, 0, "Transpose", perm=[0, 2, 3, 1])
        yield Case(f"layout: added, {count}", base, nhwc, kinds=("output.layout",), node="Transpose")
        yield Case(f"layout: lost, {count}", nhwc, base, kinds=("output.layout",))
        turned = append(base, 0, "Transpose", perm=[0, 1, 3, 2])
        yield Case(f"layout: height and width, {count}", base, turned, kinds=("output.layout",))
        whole = append(base, 0, "Cast", TensorProto.INT32, to=TensorProto.INT32)
        yield Case(f"dtype: truncated, {count}", base, whole, kinds=("output.dtype",), node="Cast")
        yield Case(f"dtype: untruncated, {count}", whole, base, kinds=("output.dtype",))
        named = masks(base, TensorProto.FLOAT)
        yield Case(f"dtype: mask of floats, {count}", masks(base), named, kinds=("output.dtype",))
        extra = append(base, 0, "Unsqueeze", operands=[np.array([0], np.int64)])
        yield Case(f"shape: one axis more, {count}", base, extra, kinds=("output.shape",))
        flat = append(base, 0, "Reshape", operands=[np.array([1, 4, -1], np.int64)])
        yield Case(f"shape: flattened, {count}", base, flat, kinds=("output.shape",))
    yield Case("healthy: boxes", detector(count=True), detector(count=True), "agrees")
    yield Case("rows: sorted", detector(), detector(sort=True), kinds=("rows.order",))
    yield Case("rows: grouped", detector(sort=True), detector(), kinds=("rows.order",))
    for word, other in (("iou", detector(iou=0.8, count=True)), ("score", detector(score=0.5, count=True))):
        kinds = (f"non_max_suppression.{word}_threshold",)
        yield Case(
            f"rows: another number, {word}",
            detector(count=True),
            other,
            kinds=kinds,
            node="NonMaxSuppression",
        )
    half = models.halved(one)
    yield Case("half: argmax added", one, models.halved(masks(one)), kinds=tail, node="ArgMax")
    yield Case("half: argmax lost", masks(one), half, kinds=tail)
    yield Case("half: exchanged", two, reordered(models.halved(two), [1, 0]), kinds=order)
    yield Case("half: healthy", two, models.halved(two, keep_io=False), "agrees")
    yield Case("value: the shape", counted(two, 1), counted(two, 8), node="Add")
    yield Case("value: the shape, large", counted(two, 1), counted(two, 51), node="Add")
    yield Case(
        "value: the constant", constant_output(two, 1), constant_output(two, 3), kinds=("output.value",)
    )
    yield Case(
        "value: the constant handed on", constant_output(two, 1), handed_on(two, 3), kinds=("output.value",)
    )
    shown = with_output(append(passed_through(two), 2, "Relu"), inner(two))
    yield Case("value: the input for its Relu", shown, idle(shown, 2), kinds=("output.value",))
    seen = repeated(two)
    seen = append(seen, 2, "Relu")
    yield Case("value: another output for its Relu", seen, idle(seen, 2), kinds=("output.value",))
    faulty = models.with_attribute(two, "MaxPool", strides=[2, 2], pads=[1, 1, 0, 0])
    yield Case("order and a fault", two, reordered(faulty, [1, 0]), kinds=order)
    yield Case("argmax and a fault", one, masks(leaky(one)), kinds=tail)


def idle(model: ModelProto, place: int) -> ModelProto:
    """The operator that makes the output of that place hands its input on."""
    copy = copied(model)
    name = copy.graph.output[place].name
    node = next(node for node in copy.graph.node if name in node.output)
    node.op_type, node.input[:] = "Identity", list(node.input)[:1]
    del node.attribute[:]
    return copy


def dead(model: ModelProto) -> ModelProto:
    """A node that nothing reads."""
    copy = copied(model)
    copy.graph.node.append(helper.make_node("Exp", ["x"], ["nobody"], name="dead"))
    return copy


def plain() -> ModelProto:
    """Two heads without weights."""
    net = Net()
    trunk = net.conv("x", (3, 4))
    return net.model(net.node("Sigmoid", trunk, outputs=["s"]), net.node("Tanh", trunk, outputs=["t"]))


def pruned(model: ModelProto) -> ModelProto:
    """Without what no output needs."""
    copy = copied(model)
    needed = {output.name for output in copy.graph.output}
    kept = []
    for node in reversed(copy.graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    kept = [models.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
    del copy.graph.node[:]
    copy.graph.node.extend(kept)
    return copy


def leaky(model: ModelProto) -> ModelProto:
    """The first Relu leaks."""
    copy = copied(model)
    node = models.find_node(copy, "Relu")
    node.op_type = "LeakyRelu"
    node.attribute.append(helper.make_attribute("alpha", 0.3))
    return copy


def run(title: str, cases: Iterable[Case]) -> int:
    """Run those cases that the command line asks for; the exit code is 1 where an answer is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("patterns", nargs="*", default=["*"])
    options = parser.parse_args()
    wrong = total = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(cases):
            if not any(fnmatch.fnmatch(case.name, f"*{pattern}*") for pattern in options.patterns):
                continue
            files = [Path(folder) / f"{number}{side}.onnx" for side in "rc"]
            for model, file in zip((case.reference, case.candidate), files, strict=True):
                models.save(model, file)
            began = time.monotonic()
            report = segdiff.locate(*files, case.image, threads=1, **case.options)
            said = case.wrong(report)
            wrong, total = wrong + bool(said), total + 1
            causes = [f"{o.cause.kind}{'' if o.cause.proven else '?'}" for o in report.origins if o.cause]
            seconds = time.monotonic() - began
            print(f"{'BAD' if said else 'ok '} {seconds:5.1f}s  {case.name}: {said} {causes}")
            print(f"          {report.sentence}", flush=True)
    print(f"{title}: {total - wrong} of {total} right")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(run("outputs", cases()))
