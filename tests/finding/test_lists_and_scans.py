"""Lists of tensors as outputs and out of branches, optional values, and the body of a Scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper, parser

import segdiff
from tests.models import save

SHAPE = (1, 3, 6, 8)
FEED = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def model(body: str, outputs: str = "float[?,?,?,?] out", **constants: object) -> ModelProto:
    """A program of this text; ``half`` is a constant that it may use."""
    head = '<ir_version: 8, opset_import: ["" : 17]>'
    made = parser.parse_model(f"{head}\nprogram (float[1,3,6,8] x) => ({outputs}) {{ {body} }}")
    held = {"half": np.float32(0.5), "lengths": np.array([1, 2], np.int64), **constants}
    held |= {"none": np.int64(0), "three": np.int64(3), "go": np.array(True)}
    text = made.SerializeToString()
    used = {name: np.asarray(value) for name, value in held.items() if name.encode() in text}
    made.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in used.items())
    return made


def located(ours: ModelProto, theirs: ModelProto, folder: Path, deployed: bool = False) -> segdiff.Report:
    files = save(ours, folder / "ours.onnx"), save(theirs, folder / "theirs.onnx")
    return segdiff.locate(*files, FEED, threads=1, deployed=deployed)


LISTED = "float[?,?,?,?] out, seq(float[?,?,?,?]) parts"


def split(offset: float) -> ModelProto:
    """A list goes out, of parts that an Add made."""
    body = "out = Relu(x) shifted = Add(out, offset) parts = SplitToSequence<axis=1>(shifted, lengths)"
    return model(body, LISTED, offset=np.float32(offset))


def test_a_list_that_goes_out_is_compared(tmp_path: Path) -> None:
    report = located(split(0.5), split(0.5), tmp_path, deployed=True)
    assert report.verdict == "agrees", report.sentence
    assert [output.cumulative is not None for output in report.outputs] == [True, True]
    wrong = located(split(0.5), split(0.75), tmp_path, deployed=True)
    assert [origin.cause.kind for origin in wrong.origins if origin.cause] == ["parameter.scale"], (
        wrong.sentence
    )
    assert wrong.repair(tmp_path / "fixed.onnx").agrees


def test_a_list_whose_parts_are_exchanged(tmp_path: Path) -> None:
    def made(order: str) -> ModelProto:
        body = f"out = Relu(x) other = Mul(out, half) parts = SequenceConstruct({order})"
        return model(body, LISTED)

    report = located(made("out, other"), made("other, out"), tmp_path)
    assert report.first is not None and report.first.candidate_nodes[-1].type == "SequenceConstruct"
    assert report.first.cause is not None and report.first.cause.proven


def branching(inner: str) -> ModelProto:
    """A branch gives a list of two."""
    return model(f"""
      big = ReduceMax<keepdims=0>(x) low = Neg(big) yes = Greater(big, low)
      both = If(yes) <
        then_branch = a () => (seq(float[?,?,?,?]) p) {{ t = {inner}(x) u = Relu(x)
          p = SequenceConstruct(t, u) }},
        else_branch = b () => (seq(float[?,?,?,?]) q) {{ q = SequenceConstruct(x, x) }}
      >
      one = SequenceAt(both, none) out = Mul(one, half)""")


def test_a_branch_that_gives_a_list(tmp_path: Path) -> None:
    assert located(branching("Tanh"), branching("Tanh"), tmp_path).verdict == "agrees"
    first = located(branching("Tanh"), branching("Sigmoid"), tmp_path).first
    assert first is not None and first.cause is not None
    assert (first.cause.kind, first.cause.proven) == ("activation.kind", True)
    assert [each.op_type for each in first.inside] == ["If"]
    assert first.candidate_nodes[-1].outputs == ("t",)


def test_what_an_iteration_puts_into_a_list(tmp_path: Path) -> None:
    def made(inner: str) -> ModelProto:
        return model(f"""
      empty = SequenceEmpty<dtype=1>()
      last, parts = Loop(three, go, x, empty) <body = step
        (int64 i, bool c, float[1,3,6,8] v, seq(float[?,?,?,?]) s) =>
        (bool d, float[1,3,6,8] w, seq(float[?,?,?,?]) more) {{
          d = Identity(c) w = Tanh(v) part = {inner}(w) more = SequenceInsert(s, part) }}>
      joined = ConcatFromSequence<axis=1>(parts) out = Relu(joined)""")

    first = located(made("Sigmoid"), made("Relu"), tmp_path).first
    assert first is not None and first.cause is not None and first.cause.proven
    assert first.candidate_nodes[-1].outputs == ("part",)


def test_an_optional_value(tmp_path: Path) -> None:
    def made(name: str) -> ModelProto:
        return model(f"y = {name}(x) held = Optional(y) z = OptionalGetElement(held) out = Mul(z, half)")

    assert located(made("Relu"), made("Relu"), tmp_path).verdict == "agrees"
    report = located(made("Relu"), made("Abs"), tmp_path)
    assert report.verdict == "diverges" and not report.remarks


def scanned(inner: str = "Tanh", way: str = "0,1") -> ModelProto:
    """A running sum over the rows of two tensors, the second backwards; each row's is given out."""
    return model(f"""
      rows = Transpose<perm=[2,0,1,3]>(x) plain = Relu(x) zeros = Sub(first, first)
      first = ReduceMean<axes=[2],keepdims=0>(x)
      last, all = Scan<num_scan_inputs=2, scan_input_axes=[0,2], scan_input_directions=[{way}], body = step
        (float[1,3,8] s, float[1,3,8] v, float[1,3,8] u) => (float[1,3,8] t, float[1,3,8] o) {{
          a = Add(s, v) b = Add(a, u) t = {inner}(b) o = Sigmoid(t) }}>(zeros, rows, plain)
      out = Transpose<perm=[1,2,0,3]>(all)""")


def in_order(made: ModelProto) -> ModelProto:
    """The text above names a value before it is made."""
    nodes = list(made.graph.node)
    place = next(n for n, node in enumerate(nodes) if node.output[0] == "first")
    nodes.insert(0, nodes.pop(place))
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    return made


def test_the_body_of_a_scan(tmp_path: Path) -> None:
    right = in_order(scanned())
    assert located(right, right, tmp_path).verdict == "agrees"
    report = located(right, in_order(scanned("Softsign")), tmp_path)
    first = report.first
    assert first is not None and first.cause is not None
    assert (first.cause.kind, first.cause.proven) == ("activation.kind", True)
    assert [(each.op_type, each.iteration) for each in first.inside] == [("Scan", 1)]
    assert first.candidate_nodes[-1].outputs == ("t",)
    assert report.repair(tmp_path / "fixed.onnx").agrees


@pytest.mark.parametrize("way", ["0,0", "1,1"])
def test_the_direction_of_a_scan_is_its_own(way: str, tmp_path: Path) -> None:
    first = located(in_order(scanned()), in_order(scanned(way=way)), tmp_path).first
    assert first is not None and first.cause is not None
    assert (first.cause.kind, first.cause.proven) == ("scan.scan_input_directions", True)
    assert first.inside == ()
