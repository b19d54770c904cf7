"""One pass says what the whole walk says: the same verdict, the same origins, however a fault hides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

import segdiff
from segdiff.core.answer import Report
from segdiff.core.errors import InputError
from tests.models import IMAGE, Net, copied, find_node, image, save, segmenter, with_attribute

Pair = tuple[ModelProto, ModelProto]


def both(build: Callable[[bool], ModelProto]) -> Pair:
    """A model, and the same with its fault."""
    return build(False), build(True)


def healthy() -> Pair:
    return segmenter(3), segmenter(3)


def one_fault() -> Pair:
    return segmenter(3), with_attribute(segmenter(3), "LeakyRelu", alpha=0.3)


def late_fault() -> Pair:
    """At the very end: nothing reads it."""
    return segmenter(3), with_attribute(segmenter(3), "Softmax", 1, axis=2)


def first_fault() -> Pair:
    """In the first segment: nothing was walked before."""
    return segmenter(3), with_attribute(segmenter(3), "BatchNormalization", epsilon=0.1)


def cancelling() -> Pair:
    """A scale that a later one takes back: in the end nobody sees it."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=1)
        factor = 1.25 if faulty else 1.0
        x = net.node("Mul", net.node("Relu", net.conv("x", (3, 8))), net.constant(2.0 * factor))
        x = net.node("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        return net.model(net.conv(net.node("Mul", x, net.constant(0.5 / factor)), (8, 4)))

    return both(build)


def side_branch() -> Pair:
    """A branch that a product with zero keeps from the output."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=2)
        stem = net.node("Relu", net.conv("x", (3, 8)))
        side = net.node("LeakyRelu", net.conv(stem, (8, 8)), alpha=0.4 if faulty else 0.1)
        side = net.node("Mul", net.node("Sigmoid", side), net.constant(0.0))
        return net.model(net.conv(net.node("Add", stem, side), (8, 4)))

    return both(build)


def two_branches() -> Pair:
    """One with a fault in its middle, one healthy, each with an output; the healthy one comes first."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=4)
        stem = net.node("Relu", net.conv("x", (3, 8)))
        right = net.node("Sigmoid", net.conv(net.node("Tanh", net.conv(stem, (8, 8))), (8, 4)))
        wrong = net.node("Elu", net.conv(stem, (8, 8)), alpha=0.5 if faulty else 1.0)
        return net.model(right, net.conv(net.node("Tanh", wrong), (8, 4)))

    return both(build)


def exchanged() -> Pair:
    """Nothing errs, but the outputs stand in another order."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=5)
        stem = net.node("Relu", net.conv("x", (3, 8)))
        ends = net.node("Sigmoid", net.conv(stem, (8, 4))), net.node("Tanh", net.conv(stem, (8, 4)))
        return net.model(*(ends[::-1] if faulty else ends))

    return both(build)


def hidden(function: str, end: Callable[[Net, str], str]) -> Callable[[], Pair]:
    """A guard of 1e-8 is lost, which no norm shows before the function, and ``end`` behind it."""

    def build(faulty: bool) -> ModelProto:
        net = Net((1, 4, 5, 6), opset=13)
        x = net.node("Softmax", "x", axis=1)
        if not faulty:
            x = net.node("Add", x, net.constant(1e-8))
        x = net.node("Transpose", x, perm=[0, 2, 3, 1])
        return net.model(end(net, net.node("Neg", net.node(function, x))))

    return lambda: both(build)


def seen(net: Net, x: str) -> str:
    return net.node("Relu", x)


def cut_off(net: Net, x: str) -> str:
    """What the output does not show: the error lies where the values are large, and those are cut off."""
    return net.node("Clip", x, net.constant(0.0), net.constant(1.0))


def threshold() -> Pair:
    """A constant that moves no value by much moves many over a threshold."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=6)
        x = net.node("Round", net.node("Mul", net.conv("x", (3, 4)), net.constant(4.0)))
        x = net.node("Add", x, net.constant(2e-6 if faulty else 0.0))
        x = net.node("Tanh", net.node("Abs", x))
        over = net.node("Cast", net.node("Greater", x, net.constant(0.0)), to=TensorProto.FLOAT)
        return net.model(net.conv(net.node("Concat", x, over, axis=1), (8, 4)))

    return both(build)


def picks() -> Pair:
    """A TopK in the middle of a network, behind a fault."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=7)
        x = net.node("Elu", net.conv("x", (3, 8)), alpha=0.9 if faulty else 1.0)
        values, places = net.fresh("values"), net.fresh("places")
        net.node("TopK", x, net.constant([3], np.int64), outputs=[values, places], axis=1)
        floats = net.node("Cast", places, to=TensorProto.FLOAT)
        return net.model(net.conv(net.node("Concat", values, floats, axis=1), (6, 4)))

    return both(build)


def mask() -> Pair:
    """A mask at the end; the fault is too small to flip one pixel."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=8)
        x = net.node("LeakyRelu", net.conv("x", (3, 8)), alpha=0.1001 if faulty else 0.1)
        found = net.node("ArgMax", net.conv(x, (8, 4)), axis=1, keepdims=0)
        return net.model(found, types={found: TensorProto.INT64})

    return both(build)


def overflow() -> Pair:
    """A fault that becomes infinite on the candidate's own tensors alone."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=9)
        x = net.node("Mul", net.node("Abs", net.conv("x", (3, 4))), net.constant(20.0 if faulty else 10.0))
        x = net.node("Exp", net.node("Sqrt", net.node("Mul", x, net.constant(70.0))))
        return net.model(net.node("Log", net.node("Add", x, net.constant(1.0))))

    return both(build)


def division() -> Pair:
    """A lost guard of a division: not a number on the candidate's own tensors, and nowhere else."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=10)
        x = net.node("Relu", net.node("Sub", "x", net.constant(5.0)))
        norm = net.node("Sqrt", net.node("Mul", x, x))
        guarded = norm if faulty else net.node("Add", norm, net.constant(1e-6))
        x = net.node("Div", x, guarded)
        return net.model(net.conv(net.node("Max", x, net.constant(0.0)), (3, 4)))

    return both(build)


def random() -> Pair:
    """The reference draws random numbers; behind them it errs."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=11)
        x = net.node("Relu", net.conv("x", (3, 4)))
        noise = net.node("RandomNormalLike", x, scale=0.1, seed=3.0)
        x = net.node("LeakyRelu", net.node("Add", x, noise), alpha=0.3 if faulty else 0.1)
        return net.model(net.conv(x, (4, 4)))

    return both(build)


def loop(trips: Callable[[Net], str]) -> Callable[[], Pair]:
    """A loop whose body adds a constant, which is another in the candidate."""

    def build(faulty: bool) -> ModelProto:
        net = Net(seed=12)
        x = net.node("Relu", net.conv("x", (3, 4)))
        step = helper.make_tensor("step", TensorProto.FLOAT, [], [0.2 if faulty else 0.1])
        body = helper.make_graph(
            [
                helper.make_node("Constant", [], ["step"], value=step),
                helper.make_node("Add", ["before", "step"], ["after"]),
                helper.make_node("Identity", ["on"], ["still"]),
            ],
            "body",
            [
                helper.make_tensor_value_info("turn", TensorProto.INT64, []),
                helper.make_tensor_value_info("on", TensorProto.BOOL, []),
                helper.make_tensor_value_info("before", TensorProto.FLOAT, None),
            ],
            [
                helper.make_tensor_value_info("still", TensorProto.BOOL, []),
                helper.make_tensor_value_info("after", TensorProto.FLOAT, None),
            ],
        )
        return net.model(
            net.conv(net.node("Loop", trips(net), net.constant(True, bool), x, body=body), (4, 4))
        )

    return lambda: both(build)


def counted(net: Net) -> str:
    """How often depends on the values."""
    count = net.node("Mul", net.node("ReduceSum", net.node("Relu", "x"), keepdims=0), net.constant(0.01))
    return net.node("Cast", count, to=TensorProto.INT64)


def rewritten() -> Pair:
    """A product with one more, which changes nothing."""
    ours = segmenter(5)
    theirs = copied(ours)
    node = find_node(theirs, "HardSwish")
    made, node.output[0] = node.output[0], "before_scaling"
    at = list(theirs.graph.node).index(node) + 1
    one = helper.make_node("Constant", [], ["one"], value_float=1.0)
    theirs.graph.node.insert(at, helper.make_node("Mul", ["before_scaling", "one"], [made]))
    theirs.graph.node.insert(at, one)
    return ours, theirs


PAIRS: dict[str, Callable[[], Pair]] = {
    "healthy": healthy,
    "one fault": one_fault,
    "a late fault": late_fault,
    "a fault at once": first_fault,
    "cancelling faults": cancelling,
    "a side branch": side_branch,
    "two branches": two_branches,
    "exchanged outputs": exchanged,
    "hidden, seen at the end": hidden("Log", seen),
    "hidden, cut off": hidden("Log", cut_off),
    "hidden, a reciprocal, cut off": hidden("Reciprocal", cut_off),
    "a threshold": threshold,
    "picks": picks,
    "a mask": mask,
    "overflow": overflow,
    "a division": division,
    "random": random,
    "a loop": loop(lambda net: net.constant(3, np.int64)),
    "a loop that counts": loop(counted),
    "a rewrite": rewritten,
}


def located(name: str, folder: Path, **options: bool | str) -> Report:
    ours, theirs = PAIRS[name]()
    files = save(ours, folder / "ours.onnx"), save(theirs, folder / "theirs.onnx")
    shape = tuple(d.dim_value for d in ours.graph.input[0].type.tensor_type.shape.dim)
    fed = image(shape) if shape == IMAGE else (np.random.default_rng(3).standard_normal(shape) * 12)
    return segdiff.locate(*files, fed.astype(np.float32), threads=1, timeout=60, **options)


def told(report: Report) -> list[tuple[str, str, bool, str | None]]:
    """Where and why, of every origin."""
    return [
        (o.pair.reference, o.pair.candidate, o.confirmed, o.cause.kind if o.cause else None)
        for o in report.origins
    ]


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_what_the_whole_walk_says(name: str, tmp_path: Path) -> None:
    once, whole = (located(name, tmp_path, full_walk=full) for full in (False, True))
    assert (once.verdict, told(once)) == (whole.verdict, told(whole)), (once.sentence, whole.sentence)
    assert whole.measured is not None and whole.measured.inner == "all"
    states = [[(p.reference, p.state == "origin") for p in report.pairs] for report in (once, whole)]
    assert states[0] == states[1]
    for ours, theirs in zip(once.outputs, whole.outputs, strict=True):
        assert (ours.cumulative is None) == (theirs.cumulative is None)
        assert ours.forms == theirs.forms and ours.places == theirs.places


def test_a_healthy_pair_runs_once(tmp_path: Path) -> None:
    report = located("healthy", tmp_path)
    assert report.verdict == "agrees" and report.measured is not None
    assert (report.measured.inner, report.measured.outputs) == ("none", "as_deployed")
    ends = {output.candidate for output in report.outputs}
    assert all((pair.cumulative is not None) == (pair.candidate in ends) for pair in report.pairs)
    assert all(output.cumulative is not None for output in report.outputs)


def test_from_the_first_origin_on_the_candidate_runs_from_the_image(tmp_path: Path) -> None:
    report, whole = (located("one fault", tmp_path, full_walk=full) for full in (False, True))
    assert report.measured is not None and report.measured.inner == "from_first_origin"
    first = next(place for place, pair in enumerate(report.pairs) if pair.state == "origin")
    behind = report.pairs[first:]
    assert all(pair.cumulative is not None for pair in behind)
    read = {r for r, _ in report.origins[0].inputs}
    assert all(pair.cumulative is not None for pair in report.pairs if pair.reference in read)
    assert any(pair.cumulative is None for pair in report.pairs[:first])
    errors = {pair.reference: pair.cumulative for pair in whole.pairs}
    assert all(pair.cumulative == errors[pair.reference] for pair in behind)


@pytest.mark.parametrize("name", ["hidden, cut off", "hidden, a reciprocal, cut off"])
def test_an_error_that_hides_before_and_behind_is_found(name: str, tmp_path: Path) -> None:
    report = located(name, tmp_path)
    assert report.verdict == "diverges" and report.outputs[0].cumulative is not None
    assert report.outputs[0].cumulative.metrics.rel_l2 < 1e-6


def test_the_outputs_of_a_whole_walk_are_told_to_be_as_written(tmp_path: Path) -> None:
    report = located("hidden, cut off", tmp_path)
    assert report.measured is not None
    assert (report.measured.inner, report.measured.outputs) == ("all", "as_written")


def test_true_and_false_still_mean_both_and_neither(tmp_path: Path) -> None:
    for deployed, runs in ((True, True), (False, False), ("all", True), ("none", False)):
        report = located("healthy", tmp_path, deployed=deployed)
        assert report.verdict == "agrees" and ("deployed" in report.timing_s) == runs
    with pytest.raises(InputError, match="usual"):
        located("healthy", tmp_path, deployed="some")
