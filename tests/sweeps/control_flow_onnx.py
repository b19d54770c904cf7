"""Which ONNX programs branch and loop in ways that Paddle's exporters do not write? Each with its rewritings.

Scan and scan outputs, sequences, branches of different shapes, loops in loops, half precision in a body.
"""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, parser

from segdiff.core.captures import subgraphs
from tests.models import Array, copied

SHAPE = (1, 3, 12, 16)

HEAD = '<ir_version: 8, opset_import: ["" : 16]>\nprogram (float[1,3,12,16] x) => (float[?,?,?,?] out) {\n'

CONV = "Conv<pads=[1,1,1,1]>"

PROGRAMS: dict[str, str] = {
    "if_conv": """
  y = CONV(x, a) big = ReduceMax<keepdims=0>(x) cond = Greater(big, zero)
  z = If(cond) <
    then_branch = yes () => (float[?,?,?,?] p) { t = CONV(y, b) p = Relu(t) },
    else_branch = no () => (float[?,?,?,?] q) { q = Sigmoid(y) }
  >
  out = Conv(z, h)""",
    "if_shapes": """
  y = CONV(x, a) big = ReduceMax<keepdims=0>(x) cond = Greater(big, zero)
  z = If(cond) <
    then_branch = yes () => (float[?,?,?,?] p) { t = CONV(y, b)
      p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(t) },
    else_branch = no () => (float[?,?,?,?] q) { q = Sigmoid(y) }
  >
  out = Conv(z, h)""",
    "if_constants": """
  y = CONV(x, a) big = ReduceMax<keepdims=0>(x) cond = Less(big, zero)
  double = Constant<value = float {2.0}>()
  z = If(cond) <
    then_branch = yes () => (float[?,?,?,?] p) { p = Mul(y, double) },
    else_branch = no () => (float[?,?,?,?] q) {
      halved = Constant<value = float {0.5}>() t = CONV(y, b) u = Mul(t, double) v = Sigmoid(u)
      q = Add(v, halved) }
  >
  out = Conv(z, h)""",
    "loop_scan": """
  y = CONV(x, a)
  last, all = Loop(three, true, y) <
    body = step (int64 i, bool c, float[1,8,12,16] v) => (bool d, float[?,?,?,?] w, float[?,?,?,?] s) {
      d = Identity(c) t = CONV(v, b) w = Tanh(t) s = Sigmoid(w) }
  >
  mean = ReduceMean<axes=[0],keepdims=0>(all) both = Add(mean, last) out = Conv(both, h)""",
    "loop_zero": """
  y = CONV(x, a)
  last = Loop(none, true, y) <
    body = step (int64 i, bool c, float[1,8,12,16] v) => (bool d, float[?,?,?,?] w) {
      d = Identity(c) t = CONV(v, b) w = Relu(t) }
  >
  r = Sigmoid(last) out = Conv(r, h)""",
    "loop_until": """
  y = CONV(x, a)
  last = Loop(ten, true, y) <
    body = step (int64 i, bool c, float[1,8,12,16] v) => (bool d, float[?,?,?,?] w) {
      t = CONV(v, b) w = Tanh(t) n = Add(i, one) d = Less(n, three) }
  >
  out = Conv(last, h)""",
    "loop_two": """
  y = CONV(x, a) s = Sigmoid(y)
  left, right = Loop(three, true, y, s) <
    body = step (int64 i, bool c, float[1,8,12,16] v, float[1,8,12,16] w)
        => (bool d, float[?,?,?,?] p, float[?,?,?,?] q) {
      d = Identity(c) t = CONV(w, b) p = Relu(t) u = Mul(v, half) q = Add(u, s) }
  >
  both = Sub(left, right) out = Conv(both, h)""",
    "loop_side": """
  y = CONV(x, a) r = Relu(y)
  last = Loop(three, true, r) <
    body = step (int64 i, bool c, float[1,8,12,16] v) => (bool d, float[?,?,?,?] w) {
      d = Identity(c) t = CONV(v, b) u = Add(t, y) w = Sigmoid(u) }
  >
  e = CONV(y, e0) g = Tanh(e) both = Add(last, g) out = Conv(both, h)""",
    "scan": """
  y = CONV(x, a) rows = Transpose<perm=[2,0,1,3]>(y) start = ReduceMean<axes=[0],keepdims=0>(rows)
  last, all = Scan<num_scan_inputs=1, body = step (float[1,8,16] state, float[1,8,16] row)
      => (float[?,?,?] next, float[?,?,?] made) {
      p = MatMul(row, m) q = Add(p, state) next = Tanh(q) made = Sigmoid(next) }>(start, rows)
  back = Transpose<perm=[1,2,0,3]>(all) wide = Unsqueeze(last, two64) both = Add(back, wide)
  out = Conv(both, h)""",
    "sequence": """
  y = CONV(x, a) empty = SequenceEmpty<dtype=1>()
  last, parts = Loop(three, true, y, empty) <
    body = step (int64 i, bool c, float[1,8,12,16] v, seq(float[1,8,12,16]) old)
        => (bool d, float[?,?,?,?] w, seq(float[?,?,?,?]) new) {
      d = Identity(c) t = CONV(v, b) w = Tanh(t) new = SequenceInsert(old, w) }
  >
  wide = ConcatFromSequence<axis=1>(parts) k = Conv(wide, big_h) r = Sigmoid(k) out = Add(r, k)""",
    "sequence_at": """
  y = CONV(x, a) r = Relu(y) parts = SplitToSequence<axis=1,keepdims=1>(r, four)
  p = SequenceAt(parts, one) q = SequenceAt(parts, none) t = Sigmoid(q) both = Concat<axis=1>(p, t)
  more = SequenceInsert(parts, both) n = SequenceLength(more) f = Cast<to=1>(n) g = SequenceAt(more, minus)
  k = Mul(g, f) out = Conv(k, h)""",
    "if_loop_if": """
  y = CONV(x, a) big = ReduceMax<keepdims=0>(x) cond = Greater(big, zero)
  z = If(cond) <
    then_branch = yes () => (float[?,?,?,?] p) {
      p = Loop(three, true, y) <
        body = step (int64 i, bool c, float[1,8,12,16] v) => (bool d, float[?,?,?,?] w) {
          d = Identity(c) t = CONV(v, b) early = Less(i, two)
          w = If(early) <
            then_branch = first () => (float[?,?,?,?] f) { f = Relu(t) },
            else_branch = later () => (float[?,?,?,?] g) { u = CONV(t, e0) g = Sigmoid(u) }
          > }
      > },
    else_branch = no () => (float[?,?,?,?] q) { q = Sigmoid(y) }
  >
  out = Conv(z, h)""",
    "loop_loop": """
  y = CONV(x, a)
  last = Loop(two, true, y) <
    body = step (int64 i, bool c, float[1,8,12,16] v) => (bool d, float[?,?,?,?] w) {
      d = Identity(c)
      n = Loop(two, true, v) <
        body = inner (int64 j, bool k, float[1,8,12,16] p) => (bool l, float[?,?,?,?] q) {
          l = Identity(k) t = CONV(p, b) u = Add(t, y) q = Tanh(u) }
      >
      w = Sigmoid(n) }
  >
  out = Conv(last, h)""",
    "loop_half": """
  y = CONV(x, a) y16 = Cast<to=10>(y)
  last = Loop(three, true, y16) <
    body = step (int64 i, bool c, float16[1,8,12,16] v) => (bool d, float16[?,?,?,?] w) {
      d = Identity(c) t = CONV(v, b16) w = Sigmoid(t) }
  >
  z = Cast<to=1>(last) out = Conv(z, h)""",
}


def constants() -> dict[str, Array]:
    """The parameters that the programs read."""
    random = np.random.default_rng(9)
    draw = lambda *shape: (random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)  # noqa: E731
    found: dict[str, Array] = {
        "a": draw(8, 3, 3, 3) * 2, "b": draw(8, 8, 3, 3) * 2, "e0": draw(8, 8, 3, 3), "h": draw(4, 8, 1, 1),
        "m": draw(16, 16), "big_h": draw(4, 24, 1, 1), "zero": np.float32(0), "half": np.float32(0.5),
    }  # fmt: skip
    found["b16"] = found["b"].astype(np.float16)
    whole = {"none": 0, "one": 1, "two": 2, "three": 3, "ten": 10, "four": 4, "minus": -1}
    found |= {name: np.array(number, np.int64) for name, number in whole.items()}
    found["two64"] = np.array([2], np.int64)
    found["true"] = np.array(True)
    return found


def program(name: str) -> ModelProto:
    """One of them."""
    model = parser.parse_model(f"{HEAD}{PROGRAMS[name].replace('CONV', CONV)}\n}}")
    text = PROGRAMS[name]
    for key, array in constants().items():
        if any(word == key for word in _words(text)):
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), key))
    return model


def _words(text: str) -> list[str]:
    kept = "".join(c if c.isalnum() or c == "_" else " " for c in text)
    return kept.split()


def unrolled(model: ModelProto, feed: Array) -> ModelProto:
    """The file with its outermost loops written out, and of its outermost branches the one that is taken."""
    import onnxruntime as ort

    copy = copied(model)
    wanted = [node.input[0] for node in copy.graph.node if node.op_type == "If"]
    probe = copied(model)
    probe.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.BOOL, None) for name in wanted)
    session = ort.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    taken = dict(zip(wanted, session.run(wanted, {"x": feed}), strict=True)) if wanted else {}
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in copy.graph.initializer}
    nodes: list[NodeProto] = []
    for node in copy.graph.node:
        if node.op_type == "If":
            word = "then_branch" if taken[node.input[0]] else "else_branch"
            part = next(attribute.g for attribute in node.attribute if attribute.name == word)
            nodes += inlined(part, {}, "branch")
            nodes += [
                helper.make_node("Identity", [f"branch.{e.name}"], [name])
                for e, name in zip(part.output, node.output, strict=True)
            ]
        elif node.op_type == "Loop" and counted(node):
            nodes += turns(node, int(held[node.input[0]]))
        else:
            nodes.append(node)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def counted(loop: NodeProto) -> bool:
    """Whether a loop's condition never changes."""
    body = loop.attribute[0].g
    maker = next(node for node in body.node if body.output[0].name in node.output)
    return maker.op_type == "Identity"


def turns(loop: NodeProto, count: int) -> list[NodeProto]:
    """A loop's body so many times, one after the other."""
    body, state = loop.attribute[0].g, list(loop.input[2:])
    nodes: list[NodeProto] = []
    made: list[list[str]] = [[] for _ in body.output[1 + len(state) :]]
    for turn in range(count):
        number = f"turn{turn}.number"
        tensor = numpy_helper.from_array(np.array(turn, np.int64), number)
        nodes.append(helper.make_node("Constant", [], [number], value=tensor))
        names = dict(zip((item.name for item in body.input), [number, loop.input[1], *state], strict=True))
        nodes += inlined(body, names, f"turn{turn}")
        ends = [names.get(item.name, f"turn{turn}.{item.name}") for item in body.output]
        state = ends[1 : 1 + len(state)]
        for parts, end in zip(made, ends[1 + len(state) :], strict=True):
            nodes.append(helper.make_node("Unsqueeze", [end, "first.axis"], [f"{end}.row"]))
            parts.append(f"{end}.row")
    if made and count:
        axis = numpy_helper.from_array(np.array([0], np.int64), "first.axis")
        nodes.insert(0, helper.make_node("Constant", [], ["first.axis"], value=axis))
    for name, end in zip(loop.output, [*state, *made], strict=True):
        whole = isinstance(end, str)
        kind, more = ("Identity", {}) if whole else ("Concat", {"axis": 0})
        nodes.append(helper.make_node(kind, [end] if isinstance(end, str) else end, [name], **more))
    return nodes


def inlined(part: GraphProto, names: dict[str, str], stem: str) -> list[NodeProto]:
    """The nodes of a block, what they write renamed, what is fed to them as ``names`` has it."""
    own = names | {name: f"{stem}.{name}" for node in part.node for name in node.output}
    found = []
    for node in part.node:
        copy = NodeProto()
        copy.CopyFrom(node)
        _rename(copy, own)
        copy.output[:] = [own[name] for name in node.output]
        copy.name = f"{stem}.{node.name or node.output[0]}"
        found.append(copy)
    return found


def _rename(node: NodeProto, names: dict[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    for graph in subgraphs(node):
        for inner in graph.node:
            _rename(inner, names)
        for output in graph.output:
            output.name = names.get(output.name, output.name)
