"""Half precision: a healthy file agrees, and a fault in it stands out of its rounding."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

import segdiff
from segdiff.core.answer import Report
from segdiff.core.precision import disturbed, held
from tests import models
from tests.models import Net, chain, copied, find_node, folded, halved, segmenter, with_attribute

Locate = Callable[..., Report]


@pytest.fixture(scope="module")
def locate(tmp_path_factory: pytest.TempPathFactory) -> Locate:
    """``segdiff.locate`` on two models, written to files of their own."""
    folder, number = tmp_path_factory.mktemp("half"), count()

    def run(ours: ModelProto, theirs: ModelProto, given: Any = None) -> Report:
        files = [models.save(model, folder / f"{next(number)}.onnx") for model in (ours, theirs)]
        return segdiff.locate(*files, models.image() if given is None else given, timeout=60, deployed=False)

    return run


def blamed(report: Report) -> list[list[str]]:
    """First outputs of the nodes of each origin, Casts left out."""
    nodes = [[node for node in origin.candidate_nodes if node.type != "Cast"] for origin in report.origins]
    return [[node.outputs[0] for node in each] for each in nodes]


def scaled_weight(model: ModelProto, place: int, factor: float) -> ModelProto:
    """A copy in which the weight of one convolution is multiplied."""
    copy = copied(model)
    name = find_node(copy, "Conv", place).input[1]
    tensor = next(tensor for tensor in copy.graph.initializer if tensor.name == name)
    array = numpy_helper.to_array(tensor)
    tensor.CopyFrom(numpy_helper.from_array((array * factor).astype(array.dtype), name))
    return copy


@pytest.mark.parametrize("keep_io", [True, False])
def test_a_healthy_file_agrees(locate: Locate, keep_io: bool) -> None:
    report = locate(segmenter(), halved(segmenter(), keep_io=keep_io))
    assert report.verdict == "agrees", report.sentence
    assert min(report.coverage) == 1.0
    assert all(pair.state in ("clean", "inherited") for pair in report.pairs)


def test_either_side_may_be_the_coarse_one(locate: Locate) -> None:
    assert locate(halved(segmenter(), keep_io=False), segmenter()).verdict == "agrees"


def test_a_norm_folded_before_or_behind_the_rounding(locate: Locate) -> None:
    one, other = halved(segmenter()), halved(folded(segmenter()))
    assert locate(one, other).verdict == "agrees"
    assert locate(other, one).verdict == "agrees"


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_wrong_weight_stands_out(locate: Locate, place: int) -> None:
    half = halved(segmenter())
    node = find_node(half, "Conv", place)
    report = locate(segmenter(), scaled_weight(half, place, 1.1))
    assert blamed(report) == [[node.output[0]]], report.sentence
    cause = report.origins[0].cause
    assert cause is not None and cause.kind == "parameter.scale" and cause.proven


def test_a_wrong_attribute_stands_out(locate: Locate) -> None:
    half = halved(segmenter())
    node = find_node(half, "LeakyRelu")
    report = locate(segmenter(), with_attribute(half, "LeakyRelu", alpha=0.15))
    assert blamed(report) == [[node.output[0]]]


def test_less_than_the_rounding_is_no_fault(locate: Locate) -> None:
    assert locate(segmenter(), scaled_weight(halved(segmenter()), 2, 1.0005)).verdict == "agrees"


def squares() -> ModelProto:
    """A variance written out, of numbers whose squares do not fit in float16."""

    def variance(net: Net, x: str) -> str:
        large = net.node("Mul", x, net.constant([1000.0]))
        mean = net.node("ReduceMean", large, axes=[1], keepdims=1)
        centred = net.node("Sub", large, mean)
        square = net.node("Pow", centred, net.constant([2.0]))
        spread = net.node("Sqrt", net.node("ReduceMean", square, axes=[1], keepdims=1))
        return net.node("Div", centred, spread)

    return chain(lambda net, x: net.conv(x, (3, 6)), variance, lambda net, x: net.conv(x, (6, 4)))


def test_an_overflow_is_the_fault_of_who_overflows(locate: Locate) -> None:
    """What follows is fed infinities where the reference has numbers: that is not its own fault."""
    report = locate(squares(), halved(squares()))
    assert [origin.candidate_nodes[0].type for origin in report.origins] == ["Pow"]
    assert {pair.why.kind for pair in report.pairs if pair.candidate_op == "ReduceMean"} >= {"unfed"}


def test_an_overflow_is_mended_by_float32(locate: Locate, tmp_path: Path) -> None:
    report = locate(squares(), halved(squares()))
    cause = report.origins[0].cause
    assert cause is not None and (cause.kind, cause.proven) == ("precision.overflow", True)
    assert cause.residual is not None and cause.residual.rel_l2 < 1e-2
    fixed = segdiff.locate(report.reference.path, report.repair(tmp_path / "fixed.onnx").path, models.image())
    assert fixed.verdict == "agrees", fixed.sentence


def norm(variance: float, cut_off: float | None = None) -> ModelProto:
    """A batch norm of a large variance, which a converter may have cut off."""

    def large(net: Net, x: str) -> str:
        return net.node("Mul", net.conv(x, (3, 8)), net.constant([variance**0.5]))

    model = chain(large, lambda net, x: net.batch_norm(x, 8, variance), lambda net, x: net.conv(x, (8, 4)))
    if cut_off is not None:
        name = find_node(model, "BatchNormalization").input[4]
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        array = np.minimum(numpy_helper.to_array(tensor), np.float32(cut_off))
        tensor.CopyFrom(numpy_helper.from_array(array, name))
    return model


@pytest.mark.parametrize("variance", [1e6, 2e4], ids=["beyond the type", "beyond the converter's limit"])
def test_a_constant_that_the_converter_has_cut_off(variance: float, locate: Locate, tmp_path: Path) -> None:
    report = locate(norm(variance), halved(norm(variance, cut_off=1e4)))
    assert [origin.candidate_nodes[-1].type for origin in report.origins] == ["BatchNormalization"]
    cause, effect = report.origins[0].cause, report.origins[0].effect
    assert cause is not None and (cause.kind, cause.proven) == ("precision.clipped", True)
    assert "cut off at 10000" in cause.text
    assert effect is not None and effect.final_error_removed > 0.9
    fixed = segdiff.locate(report.reference.path, report.repair(tmp_path / "fixed.onnx").path, models.image())
    assert fixed.verdict == "agrees", fixed.sentence


def guarded(epsilon: float) -> ModelProto:
    """A quotient whose divisor is all but the small number that guards it."""

    def quotient(net: Net, x: str) -> str:
        tiny = net.node("Mul", net.node("ReduceMean", x, axes=[1, 2, 3], keepdims=1), net.constant([0.0]))
        guard = net.node("Add", net.node("Abs", tiny), net.constant([epsilon]))
        small = net.node("Mul", x, net.constant([2.0**-14]))
        return net.node("Tanh", net.node("Div", small, net.node("Sqrt", guard)))

    return chain(lambda net, x: net.conv(x, (3, 4)), quotient, lambda net, x: net.conv(x, (4, 4)))


def test_a_constant_that_is_too_small(locate: Locate) -> None:
    report = locate(guarded(1e-8), halved(guarded(1e-8)))
    assert report.verdict == "diverges"
    cause = report.origins[0].cause
    assert cause is not None and (cause.kind, cause.proven) == ("precision.underflow", True), cause


def masked(hidden: slice, number: float) -> ModelProto:
    """Self-attention whose scores get ``number`` added where nobody may look: in columns, and in ``hidden``
    rows as a whole."""
    net = Net((1, 3, 16, 24), seed=3)
    flat = net.node("Reshape", net.conv("x", (3, 8)), net.constant([1, 8, 384], np.int64))
    mask = np.zeros((1, 384, 384), np.float32)
    mask[:, :, 300:] = number
    mask[:, hidden] = number
    scores = net.node("MatMul", net.node("Transpose", flat, perm=[0, 2, 1]), flat)
    looks = net.node("Softmax", net.node("Add", scores, net.constant(mask)), axis=-1)
    mixed = net.node("MatMul", flat, net.node("Transpose", looks, perm=[0, 2, 1]))
    return net.model(net.conv(net.node("Reshape", mixed, net.constant([1, 8, 16, 24], np.int64)), (8, 4)))


@pytest.mark.parametrize("most", [1e4, np.inf])
def test_a_mask_that_does_not_fit_and_that_nobody_reads(locate: Locate, most: float) -> None:
    """A converter writes -1e4 or minus infinity for -1e9; behind the softmax both are nothing."""
    theirs = halved(masked(slice(0), -most))
    report = locate(masked(slice(0), -1e9), theirs, models.image((1, 3, 16, 24)))
    assert report.verdict == "agrees", report.sentence
    assert any("err no more for it here" in remark for remark in report.remarks)
    assert "harmless" in {pair.why.kind for pair in report.pairs}


def test_a_mask_that_does_not_fit_and_that_covers_whole_rows(locate: Locate) -> None:
    """In float32 a row of -1e9 forgets its scores, and looks everywhere alike; with -1e4 it does not."""
    theirs = halved(masked(slice(5, 9), -1e4))
    report = locate(masked(slice(5, 9), -1e9), theirs, models.image((1, 3, 16, 24)))
    assert report.verdict == "diverges", report.sentence
    assert report.first is not None and report.first.cause is not None
    assert report.first.cause.kind == "precision.overflow" and report.first.candidate_nodes[0].type == "Add"


def test_what_it_costs_is_told(locate: Locate) -> None:
    report = locate(segmenter(), halved(segmenter()))
    found = report.precision
    assert found is not None and (found.reference, found.candidate) == ("float32", "float16")
    assert found.within == found.segments > 20
    assert found.final_error is not None and 0 < found.final_error < 1e-2
    assert "the candidate computes in float16" in report.sentence
    assert f"{found.segments} of {found.segments} segments err within its precision" in report.sentence
    assert report.to_dict()["precision"]["candidate"] == "float16"
    assert locate(segmenter(), segmenter()).to_dict()["precision"] is None


def test_no_guess_whose_error_stays_infinite(locate: Locate) -> None:
    causes = [origin.cause for origin in locate(squares(), halved(squares())).origins]
    assert all(
        c is None or c.kind == "unknown" or (c.residual and np.isfinite(c.residual.rel_l2)) for c in causes
    )


# --- the last bit


def moved(array: NDArray[Any]) -> NDArray[Any]:
    return np.abs(disturbed(array, 0).astype(np.float64) - array.astype(np.float64))


def test_the_smallest_numbers_move_by_their_step() -> None:
    tiny = np.full(100, 3e-7, np.float16)
    assert np.all(moved(tiny) == 2.0**-24)


def test_the_largest_numbers_stay_finite() -> None:
    assert np.isfinite(disturbed(np.full(100, 65504, np.float16), 0)).all()


def test_infinity_is_not_moved() -> None:
    array = np.array([-np.inf, np.inf, 1.0], np.float16)
    assert np.array_equal(disturbed(array, 1)[:2], array[:2])


def test_a_coarser_unit_moves_further() -> None:
    ones = np.ones(100, np.float32)
    assert np.allclose(np.abs(disturbed(ones, 0, 2.0**-11) - 1), 2.0**-10)


def test_what_does_not_fit() -> None:
    half = np.dtype(np.float16)
    assert not held(np.array([7e4], np.float32), half)
    assert not held(np.full(9, 1e-8, np.float32), half)
    assert held(np.array([65505.0, np.inf, 1e-8], np.float32), half)
    assert held(np.array([7e4], np.float32), np.dtype(np.float32))
    assert held(np.zeros(3, np.float32), half)


def test_whole_numbers_have_no_last_bit_to_lose(locate: Locate) -> None:
    """The exponent of a Pow of negative numbers: with 2.002 in its place all would be NaN."""
    model = chain(
        lambda net, x: net.conv(x, (3, 6)),
        lambda net, x: net.node("Pow", x, net.constant([2.0])),
        lambda net, x: net.node("Sub", x, net.node("ReduceMean", x, axes=[1, 2, 3], keepdims=1)),
    )
    assert locate(model, halved(model)).verdict == "agrees"


def test_a_mended_half_precision_file_agrees_within_its_rounding(locate: Locate, tmp_path: Path) -> None:
    """Whether a repair has worked is asked in the unit of the file's own arithmetic."""
    fixed = locate(squares(), halved(squares())).repair(tmp_path / "fixed.onnx")
    assert fixed.agrees and fixed.exit_code == 0
    assert fixed.unit == 2.0**-11


def stored_in_bfloat16(model: ModelProto, factor: float = 1.0) -> ModelProto:
    """A copy whose kernels are kept in bfloat16 and cast to float32; the first of them times a factor."""
    copy = copied(model)
    casts = []
    for tensor in copy.graph.initializer:
        if len(tensor.dims) == 4:
            array = numpy_helper.to_array(tensor) * np.float32(1.0 if casts else factor)
            bits = (array.astype("<f4").view("<u4") + np.uint32(0x8000)) >> np.uint32(16)
            name, raw = tensor.name, bits.astype("<u2").tobytes()
            tensor.Clear()
            tensor.name, tensor.data_type, tensor.raw_data = f"{name}.short", TensorProto.BFLOAT16, raw
            tensor.dims.extend(array.shape)
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *copy.graph.node]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def test_weights_in_bfloat16(locate: Locate) -> None:
    report = locate(segmenter(), stored_in_bfloat16(segmenter()))
    assert report.verdict == "agrees", report.sentence
    assert report.precision is not None and report.precision.candidate == "bfloat16"
    broken = locate(segmenter(), stored_in_bfloat16(segmenter(), factor=1.2))
    assert [origin.candidate_nodes[-1].type for origin in broken.origins] == ["Conv"]
    assert broken.origins[0].pair.noise is not None  # its last bit could be disturbed
