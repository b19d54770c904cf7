"""From two files and an image to a verdict, with onnxruntime on both sides."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import onnxslim
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

import segdiff
from segdiff.core.answer import Report
from tests import models
from tests.faults import plant
from tests.models import Net, copied, find_node, folded, scrambled, segmenter, with_attribute
from tests.sweeps.outcome import Truth

Array = NDArray[Any]
Locate = Callable[..., Report]


@pytest.fixture(scope="module")
def locate(tmp_path_factory: pytest.TempPathFactory) -> Locate:
    """``segdiff.locate`` on two models, written to files of their own."""
    folder, number = tmp_path_factory.mktemp("locate"), count()

    def run(ours: ModelProto, theirs: ModelProto, given: Any = None, **options: Any) -> Report:
        files = [models.save(model, folder / f"{next(number)}.onnx") for model in (ours, theirs)]
        return segdiff.locate(*files, models.image() if given is None else given, timeout=60, **options)

    return run


def agrees(report: Report) -> bool:
    """No origin, nothing unknown, every operator compared."""
    assert report.verdict == "agrees", report.sentence
    assert (report.exit_code, report.origins, report.first) == (0, (), None)
    assert {pair.state for pair in report.pairs} <= {"clean", "inherited"}
    assert min(report.coverage) >= 0.95
    assert all(output.cumulative is not None for output in report.outputs)
    return True


def blamed(report: Report) -> list[list[str]]:
    """First outputs of the nodes of each origin."""
    return [[node.outputs[0] for node in origin.candidate_nodes] for origin in report.origins]


# --- healthy


@pytest.fixture(scope="module")
def healthy(locate: Locate) -> Report:
    """Renamed and folded, at once."""
    return locate(segmenter(), scrambled(folded(segmenter())))


def test_renamed_and_folded_is_the_same_model(healthy: Report) -> None:
    assert agrees(healthy)
    assert healthy.first_crossing is None
    (output,) = healthy.outputs
    assert output.mask_changed == 0.0
    assert output.cumulative is not None
    assert 0 < output.cumulative.metrics.rel_l2 < 1e-5  # folded in float32, so not bit for bit
    assert len(healthy.unmatched[0]) == 2  # what the convolutions gave before the norm
    assert "agree" in healthy.sentence


def test_onnxslim_changes_nothing(locate: Locate) -> None:
    ours = segmenter()
    assert agrees(locate(ours, scrambled(onnxslim.slim(copied(ours)))))


def test_onnxruntimes_own_fusions_change_nothing(locate: Locate, tmp_path: Path) -> None:
    ours = segmenter()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(ours.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert agrees(locate(ours, onnx.load(tmp_path / "optimized.onnx")))


def test_open_lengths_and_weights_in_nodes_and_beside_the_file(tmp_path: Path) -> None:
    ours = models.save(segmenter(shape=(1, 3, "h", "w")), tmp_path / "ours.onnx", external=True)
    theirs = models.save(models.constants_as_nodes(scrambled(segmenter())), tmp_path / "theirs.onnx")
    assert agrees(segdiff.locate(ours, theirs, models.image(), timeout=60))
    assert agrees(segdiff.locate(theirs, ours, models.image(), timeout=60))


def test_an_if_that_captures_values(locate: Locate) -> None:
    net = models.if_network()
    assert agrees(locate(net, net))


def test_scalars_between_operators(locate: Locate) -> None:
    def network(bias: bool) -> ModelProto:
        net = Net()
        hidden = net.conv("x", (3, 4), bias=False)
        mean = net.node("Exp", net.node("ReduceMean", hidden, keepdims=0))
        vector = net.node("Unsqueeze", mean, net.constant([0], np.int64))
        vector = net.node("Concat", vector, net.constant([1, 2, 3]), axis=0)
        gate = net.node("Reshape", vector, net.constant([1, 4, 1, 1], np.int64))
        return net.model(net.node("Mul", hidden, gate))

    assert agrees(locate(network(False), scrambled(network(False))))


def test_rounding_that_looks_like_a_fault(locate: Locate) -> None:
    """Where a fixed threshold is wrong: saturated softmax, the mean over a page."""

    def network(plain: bool) -> ModelProto:
        net = Net()
        logits = net.node("Mul", net.conv("x", (3, 4)), net.constant(400.0))
        page = net.node("Add", net.node("Mul", "x", net.constant(1e-3)), net.constant(7.0))
        if plain:
            soft = net.node("Softmax", logits, axis=1)
            mean = net.node("GlobalAveragePool", page)
        else:
            top = net.node("ReduceMax", logits, axes=[1])
            powers = net.node("Exp", net.node("Sub", logits, top))
            soft = net.node("Div", powers, net.node("ReduceSum", powers, net.constant([1], np.int64)))
            rows = net.node("ReduceMean", page, axes=[3])
            mean = net.node("ReduceMean", rows, axes=[2])
        return net.model(soft, mean)

    report = locate(network(True), scrambled(network(False)))
    assert agrees(report)
    assert len(report.outputs) == 2


def test_a_tiny_sigmoid_against_its_parts(locate: Locate) -> None:
    def network(plain: bool) -> ModelProto:
        net = Net()
        low = net.node("Sub", net.node("Relu", net.conv("x", (3, 4))), net.constant(16.0))
        if plain:
            return net.model(net.node("Sigmoid", low))
        turned = net.node("Exp", net.node("Neg", low))
        return net.model(net.node("Div", net.constant(1.0), net.node("Add", net.constant(1.0), turned)))

    assert agrees(locate(network(False), scrambled(network(True))))
    assert agrees(locate(network(True), scrambled(network(False))))


# --- faults

KINDS = (
    "resize.coordinate_mode",
    "softmax.axis",
    "hard_sigmoid.slope",
    "leaky_relu.slope",
    "pool.count_include_pad",
    "pool.operator",
    "activation.kind",
    "concat.order",
    "matmul.transpose",
    "conv.kernel_flip",
    "parameter.scale",
    "parameter.element",
    "elementwise.operator",
)


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_a_planted_fault_is_found_at_its_node_and_nowhere_else(
    number: int, locate: Locate, tmp_path: Path
) -> None:
    ours = segmenter(number)
    if number % 2:
        ours = scrambled(ours, number)
    faulty, fault = plant(ours, number, KINDS[number])
    name = ours.graph.input[0].name
    before, after = (models.tensors_of(model, {name: models.image()}) for model in (ours, faulty))
    assert any(np.abs(before[n] - after[n]).max() > 1e-3 for n in fault.outputs), "the fault does not show"
    reference = segmenter(number)
    report = locate(reference, faulty)
    assert report.verdict == "diverges", report.sentence
    assert report.exit_code == 1
    assert report.first is not None
    file = models.save(faulty, tmp_path / "faulty.onnx")
    assert Truth(file).held_by(fault, report.first) == "node", (str(fault), report.sentence)
    assert len(report.origins) == 1, blamed(report)
    assert len(report.first.candidate_nodes) == len(report.first.reference_ops) == 1
    assert report.first.candidate_nodes[0].type in report.sentence
    assert fault.outputs[0] in report.sentence


def test_a_batch_norms_epsilon_is_found_though_it_changes_five_parts_in_a_million(locate: Locate) -> None:
    def network(epsilon: float) -> ModelProto:
        net = Net()
        hidden = net.batch_norm(net.conv("x", (3, 8)), 8, variance=100.0, epsilon=epsilon)
        return net.model(net.conv(net.node("Relu", hidden), (8, 4)))

    report = locate(network(1e-5), scrambled(network(1e-3)))
    assert report.verdict == "diverges"
    assert report.first is not None
    assert [node.type for node in report.first.candidate_nodes] == ["BatchNormalization"]
    assert len(report.origins) == 1
    isolated = report.first.pair.isolated
    assert isolated is not None
    assert 1e-6 < isolated.metrics.rel_l2 < 1e-5
    assert report.first_crossing is None  # nobody sees it in the mask


def two_faults() -> tuple[ModelProto, ModelProto, str, str]:
    """A wrong slope deep in the network and a wrong slope in front of it."""
    ours = segmenter()
    theirs = with_attribute(ours, "HardSigmoid", alpha=0.3)
    theirs = with_attribute(theirs, "Resize", 0, coordinate_transformation_mode="asymmetric")
    return ours, theirs, find_node(ours, "HardSigmoid").output[0], find_node(ours, "Resize").output[0]


@pytest.fixture(scope="module")
def twice(locate: Locate) -> Report:
    return locate(*two_faults()[:2])


def test_two_faults_are_two_origins_in_walk_order(twice: Report) -> None:
    _, _, first, second = two_faults()
    assert blamed(twice) == [[first], [second]]
    assert all(origin.confirmed for origin in twice.origins)
    assert "1 more further down" in twice.sentence


def test_behind_a_fault_the_error_is_inherited_and_before_it_there_is_none(twice: Report) -> None:
    _, _, first, second = two_faults()
    states = {pair.candidate: pair.state for pair in twice.pairs}
    names = list(states)
    assert {states[name] for name in names[: names.index(first)]} == {"clean"}
    assert (states[first], states[second]) == ("origin", "origin")
    assert "inherited" in states.values()
    assert twice.measured is not None and twice.measured.inner == "from_first_origin"
    for place, pair in enumerate(twice.pairs):
        assert pair.isolated is not None
        if pair.cumulative is None:
            assert place < names.index(first) and pair.state == "clean"
            continue
        if pair.state == "inherited":
            assert pair.cumulative.metrics.rel_l2 > 1e-3
            assert pair.isolated.metrics.rel_l2 < 1e-5
            assert "from above" in pair.reason
        if pair.state == "clean" and names.index(pair.candidate) < names.index(first):
            assert pair.cumulative.metrics.max_abs == 0.0


def test_the_cumulative_error_is_what_the_user_sees(twice: Report) -> None:
    ours, theirs = two_faults()[:2]
    final = ours.graph.output[0].name
    truth, wrong = (models.tensors_of(model, {"x": models.image()})[final] for model in (ours, theirs))
    (output,) = twice.outputs
    assert output.cumulative is not None
    assert output.cumulative.metrics.max_abs == pytest.approx(np.abs(truth - wrong).max(), rel=1e-3)
    assert output.mask_changed == pytest.approx(np.mean(truth.argmax(1) != wrong.argmax(1)))
    crossing = twice.first_crossing
    assert crossing is not None and crossing.cumulative is not None
    assert crossing == next(
        p
        for p in twice.pairs
        if p.cumulative and (p.cumulative.metrics.cosine < 0.999 or p.cumulative.metrics.rel_l2 > 1e-2)
    )


def test_a_candidate_that_turns_nan_inside(locate: Locate) -> None:
    ours = segmenter()
    theirs = copied(ours)
    norm = find_node(theirs, "BatchNormalization", 1)
    for tensor in theirs.graph.initializer:
        if tensor.name == norm.input[4]:
            tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))
    report = locate(ours, theirs)
    assert report.verdict == "diverges"
    assert blamed(report)[0] == [norm.output[0]]
    assert report.first is not None
    assert "NaN" in report.first.pair.reason
    parsed = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert parsed["first"]["isolated"]["rel_l2"] is None
    assert parsed["outputs"][0]["cumulative"]["max_abs"] is None


def test_nan_on_both_sides_is_no_difference(locate: Locate) -> None:
    def network() -> ModelProto:
        net = Net()
        return net.model(net.node("Relu", net.conv(net.node("Sqrt", "x"), (3, 4))))

    assert agrees(locate(network(), scrambled(network())))


def test_a_shape_that_differs_is_an_origin(locate: Locate) -> None:
    net, other = Net(), Net()
    ours = net.model(net.resize(net.conv("x", (3, 4)), 2.0))
    theirs = other.model(other.resize(other.conv("x", (3, 4)), 3.0))
    report = locate(ours, theirs)
    assert report.verdict == "diverges"
    assert blamed(report) == [[find_node(theirs, "Resize").output[0]]]
    assert report.first is not None
    assert "shape [1, 4, 32, 48] against [1, 4, 48, 72]" in report.first.pair.reason


# --- thresholds of the user


def test_the_users_thresholds_decide(locate: Locate) -> None:
    ours = segmenter()
    theirs = with_attribute(ours, "LeakyRelu", alpha=0.11)
    lax = locate(ours, theirs, rel_l2=0.5, cosine=0.5, abs_error=10.0)
    assert agrees(lax)
    assert dict(lax.thresholds)["rel_l2"] == 0.5
    strict = locate(ours, scrambled(folded(ours)), abs_error=0.0)
    assert strict.verdict == "diverges"
    assert all(origin.pair.reason == "crosses your threshold" for origin in strict.origins)


# --- could not tell


def odd(model: ModelProto) -> tuple[ModelProto, str]:
    """The model with its LeakyRelu replaced by an operator that no runtime knows."""
    theirs = copied(model)
    node = find_node(theirs, "LeakyRelu")
    node.op_type, node.domain = "NoSuchOperator", "made.up"
    theirs.opset_import.append(helper.make_opsetid("made.up", 1))
    return theirs, node.output[0]


def test_an_unsupported_operator_in_the_candidate_leaves_the_rest_judged(locate: Locate) -> None:
    theirs, name = odd(segmenter())
    report = locate(segmenter(), theirs)
    assert (report.verdict, report.exit_code) == ("diverges", 1), "nobody can use this file"
    assert [o.cause.kind for o in report.origins if o.cause] == ["runtime.refused"]
    assert blamed(report) == [[name]]
    states = {pair.candidate: pair.state for pair in report.pairs}
    assert states.pop(name) == "unknown"
    assert set(states.values()) == {"clean"}
    assert len(states) > 30
    assert "NoSuchOperator" in next(pair.reason for pair in report.pairs if pair.state == "unknown")
    assert "NoSuchOperator" in report.sentence
    assert "\n" not in report.sentence


def test_a_fault_beside_an_unsupported_operator_is_still_found(locate: Locate) -> None:
    theirs, name = odd(with_attribute(segmenter(), "HardSigmoid", alpha=0.3))
    report = locate(segmenter(), theirs)
    assert report.verdict == "diverges"
    assert blamed(report) == [[name], [find_node(theirs, "HardSigmoid").output[0]]]
    assert {pair.state for pair in report.pairs if pair.candidate == name} == {"unknown"}


def test_a_reference_that_stops_half_way_is_inconclusive_with_what_was_measured(locate: Locate) -> None:
    theirs, _ = odd(segmenter())
    report = locate(theirs, with_attribute(segmenter(), "BatchNormalization", epsilon=0.5))
    assert (report.verdict, report.exit_code) == ("inconclusive", 2)
    assert "NoSuchOperator" in report.sentence
    assert any(pair.state == "unknown" for pair in report.pairs)
    if report.origins:
        assert any("errs on equal inputs all the same" in remark for remark in report.remarks)


def test_random_numbers_are_no_fault_and_no_agreement(locate: Locate) -> None:
    def network() -> ModelProto:
        net = Net()
        hidden = net.conv("x", (3, 4))
        drawn = net.node("RandomUniformLike", hidden)
        return net.model(net.conv(net.node("Mul", hidden, drawn), (4, 2)))

    report = locate(network(), scrambled(network()))
    assert (report.verdict, report.exit_code, report.origins) == ("inconclusive", 2, ())
    assert any("random at inference" in remark for remark in report.remarks)
    drawn = [pair for pair in report.pairs if pair.state == "unknown"]
    assert [pair.reason for pair in drawn] == ["random numbers"]


def test_an_output_more_than_the_reference_has(locate: Locate) -> None:
    ours, theirs = segmenter(), segmenter()
    theirs.graph.node.append(helper.make_node("ArgMax", [theirs.graph.output[0].name], ["mask"], axis=1))
    theirs.graph.output.append(helper.make_tensor_value_info("mask", onnx.TensorProto.INT64, None))
    report = locate(ours, theirs)
    assert report.verdict == "diverges"
    assert [origin.cause.kind for origin in report.origins if origin.cause] == ["output.extra"]
    assert "mask" in report.sentence


def test_two_models_that_have_nothing_in_common_are_not_blamed_on_one_operator(locate: Locate) -> None:
    net = Net()
    other = net.model(net.node("Softmax", net.conv(net.node("Tanh", net.conv("x", (3, 9))), (9, 4)), axis=1))
    report = locate(segmenter(), other)
    assert report.verdict == "inconclusive"
    assert report.exit_code == 2


# --- ties


def test_ties_are_no_fault_and_a_wrong_argmax_is(locate: Locate) -> None:
    def network(select: int, form: str) -> ModelProto:
        net = Net()
        hidden = net.conv("x", (3, 4))
        if form == "folded":
            hidden = net.node("Mul", net.node("Mul", hidden, net.constant(3.0)), net.constant(1 / 3))
        net.node("ArgMax", hidden, outputs=["mask"], axis=1, select_last_index=select)
        return net.model("mask", types={"mask": onnx.TensorProto.INT64})

    assert agrees(locate(network(0, "plain"), scrambled(network(0, "folded"))))
    page = np.ones(models.IMAGE, np.float32)
    net = Net()
    net.node("ArgMax", net.node("Relu", "x"), outputs=["mask"], axis=1)
    ours = net.model("mask", types={"mask": onnx.TensorProto.INT64})
    theirs = with_attribute(ours, "ArgMax", select_last_index=1)
    report = locate(ours, theirs, page)
    assert report.outputs[0].mask_changed == 1.0


# --- the report as data


def test_progress_is_told_and_time_and_memory_are_measured(locate: Locate) -> None:
    told: list[tuple[str, int, int]] = []
    net = Net()
    small = net.model(net.node("Relu", net.conv("x", (3, 4))))
    report = locate(small, small, progress=lambda *words: told.append(words))
    assert ("walk", 2, 2) in told and told[-1][0] == "stop"
    assert all(0 <= done <= total for _, done, total in told)
    phases = "read input start align walk settle explain weigh keep deployed conclude stop"
    assert set(phases.split()) <= set(report.timing_s)
    assert all(seconds >= 0 for seconds in report.timing_s.values())
    assert report.peak_memory_mb > 10


METRICS = {"cosine", "max_abs", "mean_abs", "rel_l2", "max_rel"}
"""Section 7 of the design, word for word, and below."""

TOP = {
    "schema", "verdict", "coverage", "reference", "candidate", "thresholds", "outputs", "first", "origins",
    "first_crossing", "pairs", "unmatched", "input", "timing_s", "peak_memory_mb",
}  # fmt: skip
ADDED = {
    "sentence", "remarks", "together", "precision", "environment", "exit_code", "homes", "command", "image",
    "baseline", "device", "device_remarks", "pictures", "measured",
}  # fmt: skip
OUTPUT_ADDED = {"place", "shape", "dtype", "mismatch"}
PAIR_ADDED = {"state", "shape", "reason", "why", "rounding", "mismatch", "changed"}


def test_the_json_keeps_its_contract(twice: Report) -> None:
    found = json.loads(twice.to_json(), parse_constant=pytest.fail)
    assert set(found) == TOP | ADDED
    assert found["schema"] == 1
    assert found["verdict"] == "diverges"
    assert set(found["coverage"]) == {"reference", "candidate"}
    for side in ("reference", "candidate"):
        assert set(found[side]) == {"path", "format", "ops", "opset", "files"}
        assert found[side]["format"] == "onnx"
        assert found[side]["ops"] == len(found["pairs"]) - 1  # every op ends in one pair, Split in two
    for output in found["outputs"]:
        assert set(output) == {"reference", "candidate", "cumulative", "mask_changed"} | OUTPUT_ADDED
        assert set(output["cumulative"]) == METRICS
    assert found["first"] == found["origins"][0]
    for origin in found["origins"]:
        assert {"reference", "candidate", "isolated", "cumulative", "cause", "effect"} <= set(origin)
        assert set(origin["reference"]) == {"ops", "value"}
        assert set(origin["candidate"]) == {"nodes", "value"}
        assert set(origin["reference"]["ops"][0]) == {"type", "name", "outputs", "attributes"}
        assert set(origin["candidate"]["nodes"][0]) == {"op_type", "name", "outputs", "attributes"}
        assert set(origin["isolated"]) == set(origin["cumulative"]) == METRICS
    assert found["first"]["candidate"]["nodes"][0]["attributes"]["alpha"] == pytest.approx(0.3)
    assert found["first"]["reference"]["ops"][0]["attributes"]["alpha"] == pytest.approx(1 / 6)
    assert set(found["first_crossing"]) == {"reference", "candidate", "cumulative"}
    for pair in found["pairs"]:
        keys = {
            "reference",
            "candidate",
            "reference_op",
            "candidate_op",
            "evidence",
            "cumulative",
            "isolated",
        }
        assert set(pair) == keys | PAIR_ADDED
        assert pair["evidence"]
    assert set(found["unmatched"]) == {"reference", "candidate"}
    assert set(found["input"]) == {"same", "assumed", "assumption", "how", "findings"}


def test_the_json_of_an_agreement(healthy: Report) -> None:
    found = json.loads(healthy.to_json(), parse_constant=pytest.fail)
    assert set(found) == TOP | ADDED
    assert (found["first"], found["origins"], found["first_crossing"]) == (None, [], None)
    assert all(math.isfinite(value) for pair in found["pairs"] for value in pair["isolated"].values())


# --- the candidate's own input


def test_the_same_input_is_said_to_be_the_same(locate: Locate) -> None:
    report = locate(segmenter(), segmenter(), candidate_input=models.image().astype(np.float64))
    assert report.as_fed is not None and report.as_fed.comparison.same
    assert (report.verdict, report.homes) == ("agrees", ())


def test_another_input_is_a_divergence_of_its_own(locate: Locate) -> None:
    report = locate(segmenter(), segmenter(), candidate_input=models.image()[:, ::-1].copy())
    assert (report.verdict, report.homes) == ("diverges", ("input",))
    assert report.as_fed is not None
    assert [finding.kind for finding in report.as_fed.comparison.findings] == ["input.channel_order"]
    assert report.as_fed.comparison.proven
    assert report.as_fed.outputs[0].cumulative is not None
    assert report.as_fed.outputs[0].cumulative.metrics.rel_l2 > 1e-3
    found = report.to_dict()["input"]
    assert found["same"] is False
    assert found["causes"][0]["kind"] == "input.channel_order"


def test_a_fault_of_the_input_and_one_of_the_network(locate: Locate) -> None:
    faulty = with_attribute(segmenter(), "LeakyRelu", alpha=0.3)
    report = locate(segmenter(), faulty, candidate_input=models.image() / 255)
    assert report.homes == ("input", "network")
    assert [origin.cause.kind for origin in report.origins if origin.cause] == ["leaky_relu.slope"]
    assert "input.scale" in report.sentence and "LeakyRelu" in report.sentence


def test_an_input_that_the_candidate_does_not_take(locate: Locate) -> None:
    report = locate(segmenter(), segmenter(), candidate_input=models.image()[0])
    assert report.homes == ("input",)
    assert report.as_fed is not None and report.as_fed.problem


# --- outputs of one operator


@pytest.mark.parametrize("reader", ["Relu", "GlobalAveragePool"])
def test_a_split_whose_outputs_are_exchanged_is_to_blame(locate: Locate, reader: str) -> None:
    """Its readers are right; pairing the halves by what they hold would acquit it."""
    net = Net(seed=5)
    net.node("Split", net.conv("x", (3, 8)), net.constant([4, 4], np.int64), outputs=["a", "b"], axis=1)
    ours = net.model(net.node(reader, "a"), net.node("Sigmoid", net.conv("b", (4, 4))))
    theirs = copied(ours)
    node = find_node(theirs, "Split")
    node.output[:] = reversed(node.output)
    report = locate(ours, scrambled(theirs))
    assert report.verdict == "diverges"
    assert [[n.type for n in origin.candidate_nodes] for origin in report.origins] == [["Split"]]
    cause = report.origins[0].cause
    assert cause is not None and (cause.kind, cause.proven) == ("split.order", True)
