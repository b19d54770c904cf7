"""ONNX programs that branch and loop: lists of tensors, what a loop joins, how often it turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

import segdiff
from segdiff.core.captures import all_graphs
from segdiff.core.sequences import sequences
from segdiff.readers import find, read
from tests.models import copied, save
from tests.sweeps.control_flow_onnx import SHAPE, program, unrolled

FEED = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def located(reference: ModelProto, candidate: ModelProto, folder: Path) -> segdiff.Report:
    files = save(reference, folder / "ours.onnx"), save(candidate, folder / "theirs.onnx")
    return segdiff.locate(*files, FEED, threads=1, deployed=False)


def with_node(model: ModelProto, output: str, op_type: str) -> ModelProto:
    """The node that writes ``output``, in whatever block, computes another function."""
    copy = copied(model)
    for graph in all_graphs(copy.graph):
        for node in graph.node:
            if output in node.output:
                node.op_type = op_type
    return copy


@pytest.mark.parametrize("name", ["sequence", "sequence_at"])
def test_lists_of_tensors_are_no_obstacle(name: str, tmp_path: Path) -> None:
    report = located(program(name), program(name), tmp_path)
    assert report.verdict == "agrees", report.sentence
    assert min(report.coverage) > 0


def test_a_loop_that_was_unrolled_agrees(tmp_path: Path) -> None:
    model = program("sequence")
    assert located(model, unrolled(model, FEED), tmp_path).verdict == "agrees"


@pytest.mark.parametrize(
    ("name", "output", "op_type"), [("loop_scan", "s", "Tanh"), ("sequence", "w", "Sigmoid")]
)
def test_what_an_iteration_makes_for_a_joined_whole(
    name: str, output: str, op_type: str, tmp_path: Path
) -> None:
    model = program(name)
    first = located(model, with_node(model, output, op_type), tmp_path).first
    assert first is not None and first.cause is not None
    assert (first.cause.kind, first.cause.proven) == ("activation.kind", True)
    assert [each.iteration for each in first.inside] == [1]
    assert first.candidate_nodes[-1].outputs == (output,)


@pytest.mark.parametrize(("name", "count"), [("loop_scan", 2), ("loop_zero", 1)])
def test_the_number_of_iterations(name: str, count: int, tmp_path: Path) -> None:
    wrong = program(name)
    trips = next(node for node in wrong.graph.node if node.op_type == "Loop").input
    wrong.graph.initializer.append(numpy_helper.from_array(np.array(count, np.int64), "count"))
    trips[0] = "count"
    report = located(program(name), wrong, tmp_path)
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("loop.trip_count", True)
    assert report.first.inside == ()
    assert located(program(name), repaired(report, tmp_path), tmp_path).verdict == "agrees"


def test_a_loop_that_never_begins(tmp_path: Path) -> None:
    wrong = program("loop_two")
    wrong.graph.initializer.append(numpy_helper.from_array(np.array(False), "never"))
    next(node for node in wrong.graph.node if node.op_type == "Loop").input[1] = "never"
    cause = located(program("loop_two"), wrong, tmp_path).first.cause  # type: ignore[union-attr]
    assert cause is not None and (cause.kind, cause.proven) == ("loop.condition", True)


def test_branches_exchanged(tmp_path: Path) -> None:
    wrong = program("if_conv")
    words = {"then_branch": "else_branch", "else_branch": "then_branch"}
    for attribute in next(node for node in wrong.graph.node if node.op_type == "If").attribute:
        attribute.name = words[attribute.name]
    report = located(program("if_conv"), wrong, tmp_path)
    assert report.first is not None and report.first.cause is not None
    assert (report.first.cause.kind, report.first.cause.proven) == ("if.branches", True)
    assert "If 'z'" in report.sentence


def test_branches_exchanged_within_other_blocks(tmp_path: Path) -> None:
    """What decides is to blame, and not the first operator of the branch that is taken instead."""
    model = program("if_loop_if")
    theirs = copied(model)
    inner = next(
        node
        for graph in all_graphs(theirs.graph)
        for node in graph.node
        if node.op_type == "If" and "w" in node.output
    )
    for attribute in inner.attribute:
        attribute.name = {"then_branch": "else_branch", "else_branch": "then_branch"}[attribute.name]
    first = located(model, theirs, tmp_path).first
    assert first is not None and first.cause is not None
    assert (first.cause.kind, first.cause.proven) == ("if.branches", True)
    assert [each.op_type for each in first.inside] == ["If", "Loop"]
    assert first.candidate_nodes[-1].outputs == ("w",)


def test_which_values_are_lists(tmp_path: Path) -> None:
    graph = read(find(save(program("sequence"), tmp_path / "model.onnx")))
    assert sequences(graph) == {"empty", "parts"}


def repaired(report: segdiff.Report, folder: Path) -> ModelProto:
    """The candidate with its proven causes mended."""
    import onnx

    report.repair(folder / "fixed.onnx")
    return onnx.load(folder / "fixed.onnx")
