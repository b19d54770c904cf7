"""Where both files hold the same operators nothing runs, and yet nothing is missed: files in, verdict out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import segdiff
from segdiff.align import Alignment, Segment
from segdiff.core.answer import Report
from segdiff.core.errors import EngineError
from segdiff.engines import Deployed, Engine
from tests.models import (
    Net,
    constants_as_nodes,
    copied,
    find_node,
    folded,
    image,
    save,
    scrambled,
    segmenter,
    with_attribute,
)


def located(ours: ModelProto, theirs: ModelProto, folder: Path, **options: Any) -> Report:
    files = save(ours, folder / "ours.onnx"), save(theirs, folder / "theirs.onnx")
    return segdiff.locate(*files, image(), threads=1, timeout=60, **options)


def not_run(report: Report) -> int:
    assert report.measured is not None
    assert report.measured.not_run == sum(pair.why.kind == "same" for pair in report.pairs)
    return report.measured.not_run


def told(report: Report) -> list[tuple[str, str, bool, str | None]]:
    return [
        (o.pair.reference, o.pair.candidate, o.confirmed, o.cause.kind if o.cause else None)
        for o in report.origins
    ]


def annotated(model: ModelProto) -> ModelProto:
    """A copy with words on its nodes and attributes, some of them empty."""
    copy = copied(model)
    for number, node in enumerate(copy.graph.node):
        node.doc_string = "made by hand"
        for attribute in node.attribute:
            attribute.doc_string = "as it was" if number % 2 else ""
    return copy


ALIKE: dict[str, Callable[[ModelProto], ModelProto]] = {
    "a copy": copied,
    "other names": scrambled,
    "constants as nodes": constants_as_nodes,
    "words of its own": annotated,
}


@pytest.mark.parametrize("name", ALIKE)
def test_nothing_of_a_copy_is_run(name: str, tmp_path: Path) -> None:
    report = located(segmenter(3), ALIKE[name](segmenter(3)), tmp_path)
    assert (report.verdict, report.coverage) == ("agrees", (1.0, 1.0))
    assert not_run(report) == len(report.pairs) > 5
    assert all(pair.isolated is not None and pair.isolated.metrics.max_abs == 0 for pair in report.pairs)
    assert all(pair.state == "clean" for pair in report.pairs)
    measured = located(segmenter(3), segmenter(3), tmp_path, full_walk=True)
    shapes = [(ours.shape, theirs.shape) for ours, theirs in zip(report.pairs, measured.pairs, strict=True)]
    assert all(said in ((), ran) for said, ran in shapes) and any(said for said, _ in shapes)
    outputs = [output.cumulative for output in report.outputs]
    assert all(error is not None and error.metrics.rel_l2 < 1e-5 for error in outputs)


@pytest.mark.parametrize(
    "options", [{"full_walk": True}, {"cosine": 0.99}, {"candidate_python": sys.executable}]
)
def test_everything_is_run_that_is_asked_for(options: dict[str, Any], tmp_path: Path) -> None:
    report = located(segmenter(3), segmenter(3), tmp_path, **options)
    assert report.verdict == "agrees" and not_run(report) == 0


def as_deployed(monkeypatch: pytest.MonkeyPatch, refused: bool = False) -> list[str]:
    """The engines that are asked to run a file as deployed, as they are asked."""
    asked: list[str] = []
    run = Engine.run_deployed

    def watched(self: Engine, feeds: Any, outputs: Any, how: Deployed) -> Any:
        if how == Deployed():
            asked.append(self.owner)
            if refused:
                raise EngineError("it does not run so")
        return run(self, feeds, outputs, how)

    monkeypatch.setattr(Engine, "run_deployed", watched)
    return asked


@pytest.mark.parametrize(("legs", "engines"), [("usual", 1), ("all", 2)])
def test_a_copy_runs_as_deployed_where_that_is_asked_for(
    legs: str, engines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = as_deployed(monkeypatch)
    located(segmenter(), segmenter(), tmp_path, deployed=legs)
    assert len(set(asked)) == engines


def test_what_does_not_run_as_deployed_is_asked_no_third_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = as_deployed(monkeypatch, refused=True)
    located(segmenter(), scrambled(segmenter()), tmp_path)
    assert 1 <= max(map(asked.count, asked)) <= 2


def test_both_sides_in_the_same_other_python_are_one_runtime(tmp_path: Path) -> None:
    pythons = {"reference_python": sys.executable, "candidate_python": sys.executable}
    assert not_run(located(segmenter(3), segmenter(3), tmp_path, **pythons)) > 0


def test_a_half_precision_file_runs(tmp_path: Path) -> None:
    from tests.models import halved

    report = located(halved(segmenter(3)), halved(segmenter(3)), tmp_path)
    assert report.verdict == "agrees" and not_run(report) == 0


def test_only_what_was_rewritten_is_run(tmp_path: Path) -> None:
    report = located(segmenter(3), folded(segmenter(3)), tmp_path)
    assert report.verdict == "agrees" and 0 < not_run(report) < len(report.pairs)
    whole = located(segmenter(3), folded(segmenter(3)), tmp_path, full_walk=True)
    measured = {pair.reference: pair.isolated for pair in whole.pairs}
    for pair in report.pairs:
        if pair.why.kind == "same":
            error = measured[pair.reference]
            assert error is not None and error.metrics.max_abs == 0.0
        else:
            assert pair.isolated == measured[pair.reference]


def weight(by: Callable[[np.ndarray], None], dims: int) -> Callable[[ModelProto], ModelProto]:
    """A change of the last constant of so many dimensions."""

    def change(model: ModelProto) -> ModelProto:
        copy = copied(model)
        tensor = [t for t in copy.graph.initializer if len(t.dims) == dims][-1]
        array = numpy_helper.to_array(tensor).copy()
        by(array.reshape(-1))
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        return copy

    return change


def zero(flat: np.ndarray) -> None:
    flat[np.abs(flat).argmax()] = 0.0


def without(op_type: str) -> Callable[[ModelProto], ModelProto]:
    """The operator left out."""

    def change(model: ModelProto) -> ModelProto:
        copy = copied(model)
        node = find_node(copy, op_type)
        for other in copy.graph.node:
            other.input[:] = [node.input[0] if name == node.output[0] else name for name in other.input]
        copy.graph.node.remove(node)
        return copy

    return change


def with_one_more(model: ModelProto) -> ModelProto:
    """A Neg that nobody asked for."""
    copy = copied(model)
    node = find_node(copy, "HardSwish")
    made, node.output[0] = node.output[0], "before"
    at = list(copy.graph.node).index(node) + 1
    copy.graph.node.insert(at, helper.make_node("Neg", ["before"], [made]))
    return copy


def exchanged(model: ModelProto) -> ModelProto:
    copy = copied(model)
    node = find_node(copy, "Concat")
    node.input[:] = list(node.input)[::-1]
    return copy


FAULTS: dict[str, Callable[[ModelProto], ModelProto]] = {
    "an attribute": lambda model: with_attribute(model, "LeakyRelu", alpha=0.3),
    "one element": weight(zero, 4),
    "a bias": weight(zero, 1),
    "a missing node": without("HardSwish"),
    "one node more": with_one_more,
    "exchanged operands": exchanged,
    "a late fault": lambda model: with_attribute(model, "Softmax", 1, axis=2),
}


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_among_the_same_is_found_as_in_the_full_walk(
    name: str, renamed: bool, tmp_path: Path
) -> None:
    theirs = FAULTS[name](segmenter(3))
    theirs = scrambled(theirs) if renamed else theirs
    report = located(segmenter(3), theirs, tmp_path)
    whole = located(segmenter(3), theirs, tmp_path, full_walk=True)
    assert (report.verdict, told(report)) == (whole.verdict, told(whole))
    assert report.verdict == "diverges" and not_run(report) == 0


def test_one_last_bit_is_run_and_is_rounding(tmp_path: Path) -> None:
    def ulp(flat: np.ndarray) -> None:
        flat[0] = np.nextafter(flat[0], np.float32(np.inf))

    report = located(segmenter(3), weight(ulp, 4)(segmenter(3)), tmp_path)
    assert report.verdict == "agrees"
    ran = [pair for pair in report.pairs if pair.why.kind != "same"]
    assert [pair.why.kind for pair in ran] == ["equal"]


def branch(factor: float) -> ModelProto:
    """A network with an If, one branch of which multiplies."""
    net = Net(seed=4)
    x = net.node("Relu", net.conv("x", (3, 8)))

    def part(name: str, value: float) -> onnx.GraphProto:
        held = helper.make_tensor(f"{name}.c", TensorProto.FLOAT, [], [value])
        nodes = [
            helper.make_node("Constant", [], [f"{name}.c"], value=held),
            helper.make_node("Mul", [x, f"{name}.c"], [f"{name}.y"]),
        ]
        return helper.make_graph(nodes, name, [], [helper.make_empty_tensor_value_info(f"{name}.y")])

    mean = net.node("ReduceMean", x, keepdims=0)
    taken = net.node("Greater", mean, net.constant(-1.0))
    y = net.node("If", taken, then_branch=part("a", factor), else_branch=part("b", 3.0))
    return net.model(net.conv(net.node("Tanh", y), (8, 4)))


def test_a_changed_branch_is_found(tmp_path: Path) -> None:
    healthy = located(branch(2.0), branch(2.0), tmp_path)
    assert healthy.verdict == "agrees" and 0 < not_run(healthy) < len(healthy.pairs)
    report = located(branch(2.0), branch(2.5), tmp_path)
    assert report.verdict == "diverges" and report.first is not None
    assert report.first.pair.candidate_op == "If"


def noisy(seed: float | None) -> ModelProto:
    net = Net(seed=6)
    x = net.node("Relu", net.conv("x", (3, 4)))
    noise = net.node("RandomNormalLike", x, scale=0.5, **({} if seed is None else {"seed": seed}))
    return net.model(net.conv(net.node("Add", x, noise), (4, 4)))


@pytest.mark.parametrize("seed", [None, 3.0])
def test_what_draws_random_numbers_is_told_as_in_the_full_walk(seed: float | None, tmp_path: Path) -> None:
    once, whole = (located(noisy(seed), noisy(seed), tmp_path, full_walk=full) for full in (False, True))
    assert once.verdict == whole.verdict
    assert any("random" in remark for remark in once.remarks) == any("random" in r for r in whole.remarks)


def test_an_optimised_copy_agrees(tmp_path: Path) -> None:
    ours = save(segmenter(3), tmp_path / "ours.onnx")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "theirs.onnx")
    ort.InferenceSession(str(ours), options, providers=["CPUExecutionProvider"])
    report = segdiff.locate(ours, tmp_path / "theirs.onnx", image(), threads=1, timeout=60)
    assert report.verdict == "agrees" and report.measured is not None


def test_a_mistake_about_what_is_the_same_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were every segment wrongly called the same, the outputs would be apart, and everything runs."""

    def wrong(alignment: Alignment) -> frozenset[Segment]:
        return frozenset(alignment.segments)

    monkeypatch.setattr("segdiff.walk.same.same_segments", wrong)
    healthy = located(segmenter(3), segmenter(3), tmp_path)
    assert not_run(healthy) == len(healthy.pairs)
    theirs = with_attribute(segmenter(3), "LeakyRelu", alpha=0.3)
    report = located(segmenter(3), theirs, tmp_path)
    assert report.verdict == "diverges" and not_run(report) == 0
    assert report.first is not None and report.first.pair.candidate_op == "LeakyRelu"
    assert report.first.confirmed and report.first.cause is not None and report.first.cause.proven


def test_another_optimiser_than_the_same_operators_is_still_asked_about(tmp_path: Path) -> None:
    """The candidate's file runs as deployed, though nothing of it ran in the walk."""
    report = located(segmenter(3), segmenter(3), tmp_path)
    assert report.measured is not None and report.measured.outputs == "as_deployed"
    assert "deployed" in report.timing_s
    written = located(segmenter(3), segmenter(3), tmp_path, deployed=False)
    assert written.verdict == "agrees" and written.measured is not None
    assert written.measured.outputs == "as_written"


def asked_of_engines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The runs, each with the file's name: whole at a level of optimisation, shown, or of segments."""
    asked: list[tuple[str, str]] = []

    def watch(name: str, how: Callable[..., str]) -> None:
        run = getattr(Engine, name)

        def watched(self: Engine, *args: Any) -> Any:
            asked.append((self.files.program.stem, how(*args)))
            return run(self, *args)

        monkeypatch.setattr(Engine, name, watched)

    watch("run_deployed", lambda feeds, outputs, how: how.level)
    watch("stream", lambda feeds, wanted, ops=None, edits=(): "shown" if ops is None else "segments")
    watch("compared", lambda parts: "segments")
    return asked


def test_a_copy_is_cut_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asked_of_engines(monkeypatch)
    assert located(segmenter(3), scrambled(segmenter(3)), tmp_path).verdict == "agrees"
    assert sorted(asked) == [("ours", "none"), ("theirs", "all")]


def test_the_optimiser_of_one_network_is_asked_about_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segdiff.deployed.whole.accounted", lambda *_: False)
    asked = asked_of_engines(monkeypatch)
    assert located(segmenter(3), scrambled(segmenter(3)), tmp_path).verdict == "agrees"
    assert ("theirs", "none") in asked and ("ours", "all") not in asked


def test_a_reference_that_does_not_run_whole_is_shown_in_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Engine.run_deployed

    def refused(self: Engine, feeds: Any, outputs: Any, how: Deployed) -> Any:
        if how.level == "none":
            raise EngineError("it does not run so")
        return run(self, feeds, outputs, how)

    monkeypatch.setattr(Engine, "run_deployed", refused)
    asked = asked_of_engines(monkeypatch)
    report = located(segmenter(3), scrambled(segmenter(3)), tmp_path)
    assert report.verdict == "agrees" and not_run(report) == len(report.pairs)
    assert ("ours", "shown") in asked
