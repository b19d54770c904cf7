"""Parts of a PIR tensor list are cut from the tensor that was split, where program constants say how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

import segdiff
from segdiff.core.graph import Graph, Op, Value
from segdiff.engines.lists import Laid, Split, splits, undelivered
from tests.models import Net, save


def program(kind: str, sizes: list[int] | None, axis: float | None = 1.0) -> Graph:
    """``x`` of shape (1, 6, 2) split into two parts along axis 1."""
    ops = [
        Op(0, "full", "", (), (), ("axis",), {"value": axis}),
        Op(1, "full_int_array", "", (), (), ("sections",), {"value": sizes}),
    ]
    operands = {"split": ("x", "sections", "axis"), "split_with_num": ("x", "axis")}[kind]
    ops.append(Op(2, kind, "", operands, operands, ("list",), {}))
    ops.append(Op(3, "builtin.split", "", ("list",), ("0",), ("a", "b"), {}))
    return Graph("pir", Path("model.json"), tuple(ops), {"x": Value("x", (1, 6, 2))}, {}, ("x",), ("end",))


def test_sections_and_the_rest() -> None:
    (split,) = splits(program("split", [2, -1]))
    assert split == Split("x", ("a", "b"), 1, (2, -1))
    assert isinstance(split, Split)
    x = np.arange(12.0).reshape(1, 6, 2)
    first, rest = split.cut(x)
    assert (first == x[:, :2]).all() and (rest == x[:, 2:]).all() and rest.flags.c_contiguous


def test_equal_parts() -> None:
    (split,) = splits(program("split_with_num", None))
    assert split.sizes == (3, 3)


def test_only_what_cannot_be_cut_is_hidden() -> None:
    assert undelivered(program("split", [2, 4])) == {"list"}
    assert undelivered(program("split", None)) == {"list", "a", "b"}
    assert undelivered(program("split", [2, 4], axis=None)) == {"list", "a", "b"}


def listed(
    kind: str, attributes: dict[str, int], inputs: tuple[str, ...], shapes: dict[str, tuple[int, ...]]
) -> Graph:
    """``kind`` makes the list (``a``, ``b``), which are the outputs."""
    ops = (
        Op(0, "builtin.combine", "", inputs, tuple(map(str, range(len(inputs)))), ("all",), {}),
        Op(1, kind, "", ("all",) if len(inputs) > 1 else inputs, ("x",), ("list",), attributes),
        Op(2, "builtin.split", "", ("list",), ("0",), ("a", "b"), {}),
        Op(3, "relu", "", ("a",), ("x",), ("c",), {}),
    )
    values = {name: Value(name, shape) for name, shape in shapes.items()}
    return Graph("pir", Path("model.json"), ops, values, {}, inputs, ("b", "c"))


def test_slices_lose_their_axis() -> None:
    for kind in ("unbind", "unstack"):
        (split,) = splits(listed(kind, {"axis": -1}, ("x",), {}))
        x = np.arange(12.0).reshape(2, 3, 2)
        first, second = split.cut(x)
        assert (first == x[..., 0]).all() and (second == x[..., 1]).all() and second.flags.c_contiguous


def test_a_grid_is_laid_out() -> None:
    shapes = {"a": (3, 2), "b": (3, 2)}
    down, across = splits(listed("meshgrid", {}, ("x", "y"), shapes))
    assert isinstance(down, Laid) and isinstance(across, Laid)
    assert (down.whole, down.parts, across.whole, across.parts) == ("x", ("a",), "y", ("b",))
    rows, columns = np.meshgrid(np.arange(3), np.arange(2), indexing="ij")
    assert (down.cut(np.arange(3))[0] == rows).all() and (across.cut(np.arange(2))[0] == columns).all()


def test_an_output_is_handed_out_however_its_list_is_made() -> None:
    assert undelivered(listed("meshgrid", {}, ("x", "y"), {})) == {"all", "list", "a"}


LISTS = """
import sys, paddle
class Lists(paddle.nn.Layer):
    def forward(self, x):
        return [*paddle.unbind(x, 1), paddle.broadcast_tensors([x[:, :1], x])[0], x[:, 2:2]]
paddle.jit.save(Lists(), sys.argv[1], input_spec=[paddle.static.InputSpec([1, 3, 4], "float32", name="x")])
"""


@pytest.mark.real
def test_outputs_that_are_parts_of_a_list_are_compared(tmp_path: Path) -> None:
    script = tmp_path / "lists.py"
    script.write_text(LISTS)
    subprocess.run([sys.executable, script, str(tmp_path / "net")], check=True, capture_output=True)
    model = Net((1, 3, 4), opset=13)

    def ints(*numbers: int) -> str:
        return model.constant(numbers, np.int64)

    parts = [model.node("Gather", "x", model.constant(n, np.int64), axis=1) for n in range(3)]
    first = model.node("Slice", "x", ints(0), ints(1), ints(1))
    whole = model.node("Expand", first, ints(1, 3, 4))
    nothing = model.node("Slice", "x", ints(2), ints(2), ints(1))
    image = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    for wrong in (False, True):
        last = model.node("Neg", whole) if wrong else whole
        candidate = save(model.model(*parts, last, nothing), tmp_path / "net.onnx")
        report = segdiff.locate(tmp_path / "net.json", candidate, image, threads=1, deployed=False)
        assert all(each.cumulative for each in report.outputs)
        assert report.verdict == ("diverges" if wrong else "agrees")


UNREAD = """
import sys, paddle
class Best(paddle.nn.Layer):
    def forward(self, x):
        return paddle.topk(x, 2, axis=2)[0], paddle.topk(x, 3, axis=2)[1]
net = paddle.jit.to_static(
    Best(), input_spec=[paddle.static.InputSpec([1, 3, 8], "float32", name="x")], full_graph=True
)
paddle.jit.save(net, sys.argv[1])
"""


@pytest.mark.real
@pytest.mark.parametrize("largest", [1, 0])
def test_an_op_of_two_results_is_judged_by_the_one_that_is_read(tmp_path: Path, largest: int) -> None:
    script = tmp_path / "best.py"
    script.write_text(UNREAD)
    subprocess.run([sys.executable, script, str(tmp_path / "net")], check=True, capture_output=True)
    model = Net((1, 3, 8), opset=13)
    two, three = (model.constant([n], np.int64) for n in (2, 3))
    best = model.node("TopK", "x", two, outputs=("best", "unread"), axis=2, largest=largest)
    model.node("TopK", "x", three, outputs=("unread too", "where"), axis=2)
    image = np.random.default_rng(0).standard_normal((1, 3, 8)).astype(np.float32)
    made = model.model(best, "where", types={"where": TensorProto.INT64})
    candidate = save(made, tmp_path / "n.onnx")
    report = segdiff.locate(tmp_path / "net.json", candidate, image, deployed=False)
    assert report.verdict == ("agrees" if largest else "diverges"), report.sentence
    assert min(report.coverage) == 1.0
    if not largest:
        assert report.first is not None and [node.type for node in report.first.candidate_nodes] == ["TopK"]
