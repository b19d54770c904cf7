"""Wrong pairs are healed, and a fault beside them is found: the alignment is sabotaged, the rest is real."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

import segdiff
from segdiff.align import Alignment, cut
from segdiff.core.answer import Report
from segdiff.core.graph import Graph
from segdiff.engines.revived import Reference
from segdiff.walk import Run
from segdiff.walk.verify import loop, verify
from segdiff.walk.verify.regions import Region, regions_of
from tests import models
from tests.models import Net, find_node, segmenter, with_attribute

Sabotage = Callable[[dict[str, str]], dict[str, str]]
Locate = Callable[[ModelProto, ModelProto, Sabotage], Report]


@pytest.fixture
def locate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Locate:
    """``segdiff.locate`` with its pairs replaced after they were found."""

    def run(ours: ModelProto, theirs: ModelProto, sabotage: Sabotage) -> Report:
        module = sys.modules["segdiff.finding.side_by_side"]
        honest = module.align

        def align(reference: Graph, candidate: Graph) -> Alignment:
            found = honest(reference, candidate)
            pairs = sabotage(dict(found.pairs))
            assert pairs != found.pairs, "nothing was sabotaged"
            evidence = {
                r: ("sabotage",) if pairs[r] != found.pairs.get(r) else found.evidence[r] for r in pairs
            }
            segments = cut(found.reference, found.candidate, pairs)
            return replace(found, pairs=pairs, evidence=evidence, segments=segments)

        monkeypatch.setattr(module, "align", align)
        files = [
            models.save(model, tmp_path / f"{side}.onnx") for side, model in (("r", ours), ("c", theirs))
        ]
        return segdiff.locate(*files, models.image(), timeout=60)

    segdiff.locate  # noqa: B018 - imports the module
    return run


def swapped(first: str, second: str) -> Sabotage:
    return lambda pairs: pairs | {first: pairs[second], second: pairs[first]}


def without(*names: str) -> Sabotage:
    return lambda pairs: {r: c for r, c in pairs.items() if r not in names}


def shifted(*names: str) -> Sabotage:
    """Each value gets the partner of the next one, the last one gets none."""

    def change(pairs: dict[str, str]) -> dict[str, str]:
        moved = {r: pairs[after] for r, after in pairwise(names)}
        return {r: c for r, c in pairs.items() if r not in names} | moved

    return change


def branches() -> ModelProto:
    """Two branches that look alike, with weights of their own, joined by a concat that tells them apart."""
    net = Net()
    made = [net.node("Relu", net.conv("x", (3, 4)), outputs=[f"relu_{side}"]) for side in "ab"]
    deep = [net.node("Sigmoid", net.conv(x, (4, 4)), outputs=[f"deep_{x}"]) for x in made]
    return net.model(net.node("Softmax", net.conv(net.node("Concat", *deep, axis=1), (8, 3)), axis=1))


def tower() -> ModelProto:
    """A chain whose values all have one shape."""
    net = Net()
    x = net.conv("x", (3, 4))
    for number in range(3):
        x = net.node("Relu", net.batch_norm(x, 4), outputs=[f"relu{number}"])
        x = net.node("Conv", x, net.weight(4, 4, 3, 3), pads=[1] * 4, outputs=[f"conv{number}"])
    return net.model(net.node("Softmax", x, axis=1))


def healed(report: Report) -> bool:
    """No origin is left, and every pair left is of one name."""
    assert report.verdict == "agrees", (
        report.sentence,
        [(p.reference, p.candidate, p.state) for p in report.pairs],
    )
    assert [(p.reference, p.candidate) for p in report.pairs if p.reference != p.candidate] == []
    assert all(pair.isolated is not None for pair in report.pairs)
    assert all(output.cumulative is not None for output in report.outputs)
    return True


def found_at(report: Report, *names: str) -> bool:
    """The origins are the segments that end in these values, and each is one operator."""
    ends = [origin.pair.candidate for origin in report.origins]
    assert ends == list(names), (report.sentence, ends)
    assert report.verdict == "diverges"
    for origin in report.origins:
        assert (len(origin.candidate_nodes), len(origin.reference_ops)) == (1, 1)
        assert origin.pair.reference == origin.pair.candidate
    return True


# --- a healthy model


def test_two_swapped_pairs(locate: Locate) -> None:
    net = branches()
    report = locate(net, net, swapped("relu_a", "relu_b"))
    assert healed(report)
    mended = {pair.reference: pair.evidence for pair in report.pairs}
    for name in ("relu_a", "relu_b"):
        assert mended[name][-1].startswith("values")


def test_two_swapped_pairs_in_a_row(locate: Locate) -> None:
    net = branches()
    report = locate(
        net,
        net,
        lambda pairs: swapped("deep_relu_a", "deep_relu_b")(swapped("relu_a", "relu_b")(pairs)),
    )
    assert healed(report)


def test_two_values_of_a_chain_swapped(locate: Locate) -> None:
    net = tower()
    assert healed(locate(net, net, swapped("relu0", "relu1")))


@pytest.mark.parametrize(
    "names", [("relu0", "conv0"), ("conv0", "relu1", "conv1"), ("relu0", "relu1", "relu2")]
)
def test_pairs_that_are_shifted_along_a_chain(names: tuple[str, ...], locate: Locate) -> None:
    net = tower()
    assert healed(locate(net, net, shifted(*names)))


# --- a fault


def test_a_fault_beside_swapped_pairs_is_the_only_origin(locate: Locate) -> None:
    ours = branches()
    theirs = models.copied(ours)
    find_node(theirs, "Sigmoid", 0).op_type = "Tanh"
    assert found_at(locate(ours, theirs, swapped("relu_a", "relu_b")), "deep_relu_a")


def test_a_fault_in_front_of_a_shifted_pair(locate: Locate) -> None:
    ours = tower()
    theirs = with_attribute(ours, "BatchNormalization", 0, epsilon=0.5)
    norm = find_node(ours, "BatchNormalization", 0).output[0]
    assert found_at(locate(ours, theirs, shifted("relu1", "conv1")), norm)


def test_a_fault_in_a_wide_segment_is_narrowed_to_its_operator(locate: Locate) -> None:
    ours = tower()
    theirs = with_attribute(ours, "BatchNormalization", 1, epsilon=0.5)
    norm = find_node(ours, "BatchNormalization", 1).output[0]
    report = locate(ours, theirs, without(norm, "relu0", "conv0", "relu1", "conv1"))
    assert report.verdict == "diverges"
    assert len(report.origins) == 1
    (origin,) = report.origins
    assert norm in [name for node in origin.candidate_nodes for name in node.outputs]
    assert len(origin.candidate_nodes) <= 4  # of eight


def test_a_swap_that_is_real_is_blamed_and_not_healed_away(locate: Locate) -> None:
    """The candidate joins the branches in the other order; the pairs of another place are wrong besides."""
    ours = branches()
    theirs = models.copied(ours)
    concat = find_node(theirs, "Concat")
    concat.input[0], concat.input[1] = concat.input[1], concat.input[0]
    assert found_at(locate(ours, theirs, swapped("relu_a", "relu_b")), concat.output[0])


def test_two_faults_with_a_wrong_pair_between_them(locate: Locate) -> None:
    ours = tower()
    theirs = with_attribute(ours, "BatchNormalization", 0, epsilon=0.5)
    theirs = with_attribute(theirs, "BatchNormalization", 2, epsilon=0.5)
    norms = [find_node(ours, "BatchNormalization", place).output[0] for place in (0, 2)]
    assert found_at(locate(ours, theirs, shifted("relu1", "conv1")), *norms)


def test_wrong_pairs_all_over_a_network_with_a_fault(locate: Locate) -> None:
    ours = segmenter()
    theirs = with_attribute(ours, "LeakyRelu", alpha=0.4)
    projections = [node.output[0] for node in ours.graph.node if node.op_type == "MatMul"][:3]
    leaky = find_node(ours, "LeakyRelu").output[0]
    assert found_at(locate(ours, theirs, swapped(projections[0], projections[2])), leaky)


def test_nodes_too_many_at_the_very_end(tmp_path: Path) -> None:
    """The reference's output equals a value in front of them; it must not become that value's partner."""

    def ending(factor: float) -> ModelProto:
        net = Net()
        whole = net.node("Abs", net.conv("x", (3, 4)), outputs=["whole"])
        if factor != 1:
            whole = net.node("Add", net.node("Mul", whole, net.constant(factor)), net.constant(0.25))
        return net.model(whole)

    files = [models.save(ending(f), tmp_path / f"{f}.onnx") for f in (1, 1.5)]
    report = segdiff.locate(*files, models.image(), timeout=60)
    assert report.verdict == "diverges", report.sentence
    assert [node.type for node in report.origins[0].candidate_nodes][-2:] == ["Mul", "Add"]


def test_nodes_lost_at_the_very_end(tmp_path: Path) -> None:
    """The candidate's output equals an inner value of the reference: still it is not right."""

    def ending(more: bool) -> ModelProto:
        net = Net()
        x = net.node("Abs", net.node("Sqrt", net.node("Abs", net.conv("x", (3, 4)))))
        return net.model(net.node("Sin", net.node("Cos", x)) if more else x)

    files = [models.save(ending(more), tmp_path / f"{more}.onnx") for more in (True, False)]
    report = segdiff.locate(*files, models.image(), timeout=60)
    assert report.verdict == "diverges", report.sentence


def halves() -> ModelProto:
    """A split whose halves are read in two sizes, behind each a convolution of its own."""
    net = Net()
    net.node(
        "Split", net.conv("x", (3, 8)), net.constant([4, 4], np.int64), outputs=["left", "right"], axis=1
    )
    small = net.conv(net.node("AveragePool", "left", kernel_shape=[2, 2], strides=[2, 2]), (4, 3))
    return net.model(small, net.conv(net.node("Sigmoid", "right"), (4, 3)))


def test_a_split_that_exchanged_its_halves_for_readers_of_two_sizes(locate: Locate) -> None:
    """Paired by their place at the split, both readers err: the split is to blame, not they."""
    theirs = models.copied(halves())
    node = find_node(theirs, "Split")
    node.output[:] = list(reversed(node.output))
    report = locate(halves(), theirs, swapped("left", "right"))
    assert found_at(report, "right")


def heads(moved: bool) -> ModelProto:
    """Two slices of one tensor, multiplied with one another; ``moved`` has the transposes behind the slices
    and the factor behind the product, as an optimiser pushes them."""
    net = Net()
    flat = net.node("Reshape", net.conv("x", (3, 48)), net.constant([1, 48, -1], np.int64))
    tokens = net.node("Transpose", flat, perm=[0, 2, 1])
    parts = net.node("Reshape", tokens, net.constant([1, -1, 2, 4, 6], np.int64))

    def part(x: str, axis: int, place: int) -> str:
        bounds = [net.constant([value], np.int64) for value in (place, place + 1, axis)]
        return net.node("Slice", x, *bounds)

    if moved:
        query, key = (net.node("Squeeze", part(parts, 2, n), net.constant([2], np.int64)) for n in (0, 1))
        query = net.node("Transpose", query, perm=[0, 2, 1, 3])
        key = net.node("Transpose", key, perm=[0, 2, 3, 1])
        product = net.node("Mul", net.node("MatMul", query, key), net.constant(0.25))
    else:
        turned = net.node("Transpose", parts, perm=[2, 0, 3, 1, 4])
        query, key = (net.node("Squeeze", part(turned, 0, n), net.constant([0], np.int64)) for n in (0, 1))
        query = net.node("Mul", query, net.constant(0.25))
        product = net.node("MatMul", query, net.node("Transpose", key, perm=[0, 1, 3, 2]))
    return net.model(net.node("Softmax", product, axis=-1))


def test_transposes_that_moved_past_slices_are_no_fault(tmp_path: Path) -> None:
    """What reads a wrongly paired slice refuses its shape: it belongs to the region all the same."""
    files = [models.save(heads(moved), tmp_path / f"{moved}.onnx") for moved in (False, True)]
    for pair in (files, files[::-1]):
        report = segdiff.locate(*pair, models.image(), timeout=60, deployed=False)
        assert report.verdict == "agrees", report.sentence


def test_a_fault_among_moved_transposes_is_found(tmp_path: Path) -> None:
    theirs = with_attribute(heads(True), "Softmax", axis=1)
    files = [models.save(model, tmp_path / f"{n}.onnx") for n, model in enumerate((heads(False), theirs))]
    report = segdiff.locate(*files, models.image(), timeout=60, deployed=False)
    assert [origin.candidate_nodes[-1].type for origin in report.origins] == ["Softmax"]


def swish(folded: bool, alpha: float = 6.0) -> ModelProto:
    """A convolution, a bias and a factor in front of a hard swish; or the convolution that has both, in front
    of one written out."""
    net = Net(seed=3)
    weight, bias = net.weight(4, 3, 3, 3), net.weight(4)
    if folded:
        net.constants[weight], net.constants[bias] = net.constants[weight] * 1.5, net.constants[bias] * 1.5
        a = net.node("Conv", "x", weight, bias, pads=[1] * 4, outputs=["conv"])
        clipped = net.node("Add", a, net.constant(3.0))
        clipped = net.node("Clip", clipped, net.constant(0.0), net.constant(6.0), outputs=["clip"])
        y = net.node("Div", net.node("Mul", a, clipped), net.constant(alpha))
    else:
        net.constants[bias] = net.constants[bias].reshape(1, 4, 1, 1)
        a = net.node("Add", net.node("Conv", "x", weight, pads=[1] * 4), bias, outputs=["biased"])
        y = net.node("HardSwish", net.node("Mul", a, net.constant(1.5)))
    return net.model(net.node("Softmax", net.conv(y, (4, 3)), axis=1))


@pytest.mark.parametrize(("alpha", "verdict"), [(6.0, "agrees"), (5.0, "diverges")])
def test_a_value_that_a_fold_has_removed_has_no_partner(tmp_path: Path, alpha: float, verdict: str) -> None:
    """It is paired with another that only its own segment reads, and all that leaves the segment is right."""
    both = swish(False), swish(True, alpha)
    files = [models.save(model, tmp_path / f"{n}.onnx") for n, model in enumerate(both)]
    report = segdiff.locate(*files, models.image(), timeout=60, deployed=False)
    assert report.verdict == verdict, report.sentence
    assert [origin.candidate_nodes[-1].type for origin in report.origins][-1:] == ["Div"] * (alpha != 6.0)


# --- many origins, and little time


def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no time for any proof."""
    monkeypatch.setattr("segdiff.walk.steps.PATIENCE", 0.0)
    monkeypatch.setattr(sys.modules["segdiff.finding.side_by_side"], "verify", partial(verify, seconds=-1e-9))


def test_a_busy_machine_gets_more_time(locate: Locate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["segdiff.finding.side_by_side"], "verify", partial(verify, seconds=-1e-9))
    net = branches()
    assert locate(net, net, swapped("relu_a", "relu_b")).verdict == "agrees"


def test_regions_share_the_runs_of_the_reference(locate: Locate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight wrong pairs far from one another: the reference runs once for the walk, and not for each."""
    runs = []
    honest = Reference.stream

    def counted(self: Reference, *arguments: Any) -> Any:
        runs.append(arguments)
        return honest(self, *arguments)

    monkeypatch.setattr(Reference, "stream", counted)
    net = Net()
    x = net.conv("x", (3, 4))
    for number in range(8):
        made = [net.node("Relu", net.conv(x, (4, 4)), outputs=[f"{side}{number}"]) for side in "ab"]
        x = net.conv(net.node("Concat", *made, axis=1), (8, 4))
    model = net.model(net.node("Softmax", x, axis=1))
    wrong = {f"{s}{n}": f"{o}{n}" for n in range(8) for s, o in ("ab", "ba")}
    report = locate(model, model, lambda pairs: pairs | wrong)
    assert report.verdict == "agrees", report.sentence
    assert len(runs) <= 4


def test_what_no_time_was_left_for_stands_unconfirmed_with_the_reason(
    locate: Locate, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_hurry(monkeypatch)
    report = locate(branches(), with_attribute(branches(), "Softmax", axis=2), swapped("relu_a", "relu_b"))
    assert report.verdict == "diverges"
    assert [origin.confirmed for origin in report.origins] == [False] * 4 + [True]


def test_no_alarm_where_nothing_was_put_to_the_proof_and_the_outputs_agree(
    locate: Locate, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_hurry(monkeypatch)
    net = branches()
    report = locate(net, net, swapped("relu_a", "relu_b"))
    assert report.verdict == "inconclusive"
    assert report.sentence.startswith("The outputs agree, but 4 origins could not be put to the proof")
    assert any("4 origins were not put to the proof, first 'relu_a'" in told for told in report.remarks)


def test_origins_of_one_size_are_looked_at_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight wrong biases: none of the tensors could be another's."""

    def network(wrong: float) -> ModelProto:
        net, x = Net(), "x"
        for place in range(8):
            x = net.conv(x, (3 if place == 0 else 4, 4))
            net.constants[net.nodes[-1].input[2]] += np.float32(wrong * (1 + place))
            x = net.node("Sigmoid", net.node("Relu", x))
        return net.model(x)

    seen: list[int] = []

    def watched(run: Run) -> list[Region]:
        found = regions_of(run)
        seen.append(max(len(region.steps) for region in found))
        return found

    monkeypatch.setattr(loop, "regions_of", watched)
    files = [models.save(network(wrong), tmp_path / f"{wrong}.onnx") for wrong in (0.0, 0.5)]
    report = segdiff.locate(*files, models.image(), deployed=False)
    assert len(report.origins) == 8 and all(origin.confirmed for origin in report.origins)
    assert seen == [1]


def scores(folded: bool) -> ModelProto:
    """A column that is turned into a row before it is multiplied; ``folded`` reshapes to the row at once, as
    a simplifier does with transposes of axes of length one."""
    net = Net()
    column = net.node("ReduceMean", net.conv("x", (3, 4)), axes=[3], keepdims=1)
    rows = models.IMAGE[2]
    if folded:
        row = net.node("Reshape", column, net.constant([1, 4, 1, rows], np.int64))
    else:
        plain = net.node("Reshape", column, net.constant([1, 4, rows, 1], np.int64))
        row = net.node("Transpose", plain, perm=[0, 1, 3, 2])
    weight = net.weight(rows, 6)
    return net.model(net.node("Softmax", net.node("MatMul", row, weight), axis=-1))


def test_a_transpose_of_unit_axes_that_became_a_reshape_is_no_fault(tmp_path: Path) -> None:
    files = [models.save(scores(folded), tmp_path / f"{folded}.onnx") for folded in (False, True)]
    for pair in (files, files[::-1]):
        report = segdiff.locate(*pair, models.image(), timeout=60, deployed=False)
        assert report.verdict == "agrees", report.sentence
