"""Outputs in another order, lost, added, of another form: what is said, and what is only remarked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto

import segdiff
from segdiff.core.answer import Report
from segdiff.core.errors import EngineError
from segdiff.finding.relations import relation
from segdiff.finding.rows import matched
from segdiff.finding.tails import nearer
from tests import models
from tests.models import Net
from tests.sweeps.outputs import Case, cases, heads, masks, renamed, reordered

CASES = {case.name: case for case in cases()}


def told(case: Case, folder: Path) -> Report:
    files = [
        models.save(model, folder / f"{side}.onnx")
        for side, model in (("ours", case.reference), ("theirs", case.candidate))
    ]
    return segdiff.locate(*files, models.image(), threads=1, deployed=False)


@pytest.mark.parametrize("name", CASES)
def test_every_change_of_the_outputs_is_told(name: str, tmp_path: Path) -> None:
    assert CASES[name].wrong(told(CASES[name], tmp_path)) == ""


def test_outputs_are_listed_as_they_belong_together(tmp_path: Path) -> None:
    report = told(CASES["order: rotated"], tmp_path)
    assert [(o.reference, o.candidate) for o in report.outputs] == [
        (f"head{n}", f"head{n}") for n in range(3)
    ]
    assert [o.places for o in report.outputs] == [(0, 1), (1, 2), (2, 0)]
    assert all(o.cumulative and o.cumulative.metrics.max_abs == 0 for o in report.outputs)
    assert report.first is not None and report.first.cause is not None
    assert report.first.cause.proven and report.first.pair.cumulative is not None
    assert report.first.pair.cumulative.metrics.rel_l2 > 0.1


def test_an_output_that_only_one_side_has_is_listed_too(tmp_path: Path) -> None:
    report = told(CASES["missing: the middle"], tmp_path)
    rows = {(o.reference, o.candidate) for o in report.outputs}
    assert rows == {("head0", "head0"), ("head2", "head2"), ("head1", "")}
    assert "'head1'" in report.sentence


def test_what_stands_before_a_tail_is_compared_and_right(tmp_path: Path) -> None:
    report = told(CASES["op: argmax added, 2"], tmp_path)
    assert [pair.state for pair in report.pairs].count("origin") == 1
    assert report.coverage == (1.0, 1.0)
    assert report.first is not None
    assert [node.type for node in report.first.candidate_nodes] == ["ArgMax"]
    assert report.first.effect is not None and report.first.effect.final_error_removed == pytest.approx(1.0)
    assert "(1, 4, 16, 24)" in report.sentence and "(1, 16, 24)" in report.sentence


def test_another_width_of_integer_is_a_remark(tmp_path: Path) -> None:
    report = told(CASES["healthy: int32 for int64"], tmp_path)
    assert any("int32" in remark and "int64" in remark for remark in report.remarks)


def test_exchanged_names_are_a_remark(tmp_path: Path) -> None:
    report = told(CASES["healthy: names exchanged"], tmp_path)
    assert any("exchanged names" in remark for remark in report.remarks)


def test_equal_outputs_have_no_order(tmp_path: Path) -> None:
    """Who cannot tell two outputs apart does not mind which is which."""
    twice = heads(1)
    for node in list(twice.graph.node)[-1:]:
        copy = models.NodeProto.FromString(node.SerializeToString())
        copy.output[0], copy.name = "same", "same"
        twice.graph.node.append(copy)
    twice.graph.output.append(models.helper.make_tensor_value_info("same", models.TensorProto.FLOAT, None))
    report = told(Case("", twice, reordered(twice, [1, 0])), tmp_path)
    assert report.verdict == "agrees"


# --- what two tensors are to one another

IMAGE = np.random.default_rng(0).standard_normal((1, 4, 5, 6)).astype(np.float32)


@pytest.mark.parametrize(
    ("candidate", "kind", "words"),
    [
        (IMAGE.argmax(1), "output.op", "argmax over axis 1"),
        (IMAGE.argmax(1)[:, None].astype(np.float32), "output.op", "argmax over axis 1"),
        (IMAGE.transpose(0, 2, 3, 1), "output.layout", "[0, 2, 3, 1]"),
        (IMAGE.reshape(4, 30), "output.shape", "reshape"),
        (IMAGE.astype(np.int32), "output.dtype", "whole numbers"),
        (IMAGE[:, :3], "output.shape", "first 3 along axis 1"),
    ],
)
def test_relations(candidate: models.Array, kind: str, words: str) -> None:
    found = relation(IMAGE, candidate)
    assert found is not None and (found.kind, words in found.words) == (kind, True)


def test_relations_hold_the_other_way_round() -> None:
    found = relation(IMAGE.argmax(1), IMAGE)
    assert found is not None and found.kind == "output.op"


def test_a_constant_is_nobodys_argmax() -> None:
    always = IMAGE + np.array([9, 0, 0, 0], np.float32).reshape(1, 4, 1, 1)
    assert relation(always, np.zeros((1, 5, 6), np.int64)) is None
    assert relation(IMAGE, np.random.default_rng(1).integers(0, 4, (1, 5, 6))) is None


# --- rows

BOXES = np.random.default_rng(2).uniform(0, 100, (12, 6)).astype(np.float32)


def test_rows_in_another_order_are_found_again() -> None:
    order = np.random.default_rng(3).permutation(12)
    rows = matched(BOXES, BOXES[order] + np.float32(1e-4))
    assert rows is not None and rows.complete and rows.reordered
    assert rows.error.metrics.max_abs == pytest.approx(1e-4, rel=0.1)


def test_rows_that_one_side_lacks_leave_the_list_incomplete() -> None:
    rows = matched(BOXES, BOXES[:9])
    assert rows is not None and not rows.complete and not rows.reordered and len(rows.pairs) == 9


def test_other_rows_are_no_order() -> None:
    rows = matched(BOXES, BOXES + 3)
    assert rows is not None and not rows.complete
    assert matched(BOXES[:, :2], BOXES[:, :2]) is None


def test_a_repeated_row_is_used_once() -> None:
    twice = np.concatenate([BOXES[:1], BOXES])
    rows = matched(twice, twice[::-1])
    assert rows is not None and rows.complete
    missing = matched(twice, BOXES)
    assert missing is not None and not missing.complete


def test_a_constant_that_differs_is_told_with_its_numbers(tmp_path: Path) -> None:
    """As a converter leaves it that folded the number of boxes."""
    sentence = told(CASES["value: the constant"], tmp_path).sentence
    assert "the candidate's is a constant of the file" in sentence
    assert " [3" in sentence, sentence


def test_an_output_that_is_another_value_says_which(tmp_path: Path) -> None:
    def made(right: bool) -> models.ModelProto:
        net = models.Net()
        head = net.conv("x", (3, 4))
        second = net.node("Sigmoid", head) if right else net.node("Identity", head)
        return net.model(head, second)

    sentence = told(Case("", made(True), made(False)), tmp_path).sentence
    assert "which its Conv makes" in sentence, sentence


def test_an_output_that_is_an_input_says_so(tmp_path: Path) -> None:
    def made(right: bool) -> models.ModelProto:
        net = models.Net()
        head = net.conv("x", (3, 4))
        return net.model(head, net.node("Identity", "x") if right else net.node("Add", "x", "x"))

    sentence = told(Case("", made(True), made(False)), tmp_path).sentence
    assert "which its Add makes, and the reference hands its input 'x' on" in sentence, sentence


def test_names_help_where_nothing_else_does(tmp_path: Path) -> None:
    report = told(Case("", masks(heads(2)), renamed(masks(heads(2)), ["p", "q"]), "agrees"), tmp_path)
    assert report.verdict == "agrees"


def test_a_small_error_before_an_output_is_no_tail() -> None:
    """The last step of a GRU whose weight was rounded errs by 1e-4, and so does the output cut out of it."""
    truth = np.random.default_rng(2).standard_normal((2, 5)).astype(np.float32)
    wrong = truth * np.float32(1 + 9e-5)
    assert not nearer(truth, wrong, least=9e-5, unit=2.0**-24)
    assert nearer(truth, truth * np.float32(1 + 1e-7), least=9e-5, unit=2.0**-24)
    assert nearer(truth, wrong, least=np.inf, unit=2.0**-24)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("segdiff.finding.tails.look_inside", "op: argmax added, 2"),
        ("segdiff.finding.rows._cause", "rows: sorted"),
    ],
)
def test_what_could_not_be_asked_of_an_output_is_told(
    place: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise EngineError("it died")

    monkeypatch.setattr(place, dies)
    report = told(CASES[name], tmp_path)
    assert report.verdict == "diverges"
    assert [remark for remark in report.remarks if remark.endswith("is not known: it died")]


@pytest.mark.parametrize(("operand", "verdict"), [(2e-5, "diverges"), (0.0, "agrees")])
def test_an_offset_that_was_left_out_as_too_small(operand: float, verdict: str, tmp_path: Path) -> None:
    """The candidate hands the input on; the reference's own two products are only rounded."""

    def net(whole: bool) -> ModelProto:
        net = Net()
        x = net.node("Mul", net.node("Mul", "x", net.constant(3.0)), net.constant(1 / 3))
        net.node("Add", x, net.constant(operand), outputs=["back"])
        if not whole:
            net.nodes.clear()
            net.node("Identity", "x", outputs=["back"])
        return net.model("back", net.node("Relu", net.conv("x", (3, 4)), outputs=["head"]))

    report = told(Case("small", net(True), net(False)), tmp_path)
    assert report.verdict == verdict
    if verdict == "diverges":
        assert report.first is not None and report.first.cause is not None
        assert (report.first.cause.kind, report.first.cause.proven) == ("output.value", True)


def test_rows_in_another_order_are_told_beside_the_operator_to_blame(tmp_path: Path) -> None:
    def made(largest: int) -> models.ModelProto:
        net = models.Net()
        mean = net.node("ReduceMean", "x", keepdims=0)
        table = net.node("Mul", net.constant(BOXES), net.node("Sigmoid", mean))
        column = net.node("Gather", table, net.constant(1, np.int64), axis=1)
        names = [net.fresh("top"), net.fresh("place")]
        count = net.constant([len(BOXES)], np.int64)
        net.node("TopK", column, count, outputs=names, axis=0, largest=largest)
        return net.model(net.node("Gather", table, names[1], axis=0))

    report = told(Case("", made(1), made(0)), tmp_path)
    assert report.first is not None and report.first.cause is not None
    assert report.first.cause.kind == "topk.largest"
    assert any("rows in another order" in remark for remark in report.remarks)


@pytest.mark.parametrize("more", [True, False])
def test_a_softmax_more_or_less_than_paddle_has_at_the_end(more: bool, tmp_path: Path) -> None:
    """The example's file ends in Transpose, Softmax, Transpose; it gets another Softmax, or loses these."""
    from segdiff.example import example_files

    with example_files() as files:
        model = onnx.load(Path(segdiff.__file__).parent / "example" / "healthy.onnx")
        last = model.graph.output[0]
        if more:
            model.graph.node.append(onnx.helper.make_node("Softmax", [last.name], ["twice"], axis=1))
            last.name = "twice"
        else:
            last.name = model.graph.node[-3].input[0]
            del model.graph.node[-3:]
        candidate = models.save(model, tmp_path / "model.onnx")
        report = segdiff.locate(files[0], candidate, files[2], threads=1, deployed=False)
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("output.op", True), report.sentence
    assert report.repair(tmp_path / "fixed.onnx").agrees


@pytest.mark.parametrize("tail", ["Softmax", "ArgMax"])
def test_a_tail_behind_an_operator_that_changes_nothing_here(tail: str, tmp_path: Path) -> None:
    """A bias of zeros, as a network has that was not trained: the value before it is the output, too."""

    def made(right: bool) -> models.ModelProto:
        net = models.Net()
        plain = net.conv("x", (3, 4), bias=False)
        if right:
            return net.model(net.node("Add", plain, net.constant(np.zeros((1, 4, 1, 1)))))
        end = net.node(tail, plain, axis=1)
        return net.model(end, types={end: onnx.TensorProto.INT64 if tail == "ArgMax" else 1})

    report = told(Case("", made(True), made(False)), tmp_path)
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) in {
        ("output.op", True),
        ("softmax.surplus", True),
    }, report.sentence
    assert tail in report.first.cause.text
