"""Neutral words for operators, and ops that hand their input on."""

from __future__ import annotations

from typing import Any

import pytest

from segdiff.align.kinds import BOUNDED, COMMUTATIVE, is_identity, kind_of
from segdiff.core.graph import Op


def op(type: str, slots: tuple[str, ...] = ("X",), **attributes: Any) -> Op:
    return Op(0, type, type, tuple(f"i{n}" for n in range(len(slots))), slots, ("o",), attributes)


@pytest.mark.parametrize(
    ("paddle", "other"),
    [
        ("conv2d", "Conv"),
        ("depthwise_conv2d", "com.microsoft.FusedConv"),
        ("elementwise_add", "Add"),
        ("elementwise_add", "Sum"),
        ("matmul_v2", "Gemm"),
        ("bilinear_interp_v2", "Resize"),
        ("nearest_interp_v2", "Upsample"),
        ("hard_swish", "HardSwish"),
        ("reshape2", "Flatten"),
        ("unsqueeze2", "Reshape"),
        ("flatten_contiguous_range", "Reshape"),
        ("arg_max", "ArgMax"),
    ],
)
def test_the_two_frameworks_words_for_one_thing(paddle: str, other: str) -> None:
    assert kind_of(op(paddle)) == kind_of(op(other))


@pytest.mark.parametrize(("word", "onnx"), [("max", "MaxPool"), ("avg", "GlobalAveragePool")])
def test_paddles_pool_is_told_by_its_attribute(word: str, onnx: str) -> None:
    assert kind_of(op("pool2d", pooling_type=word)) == kind_of(op(onnx))
    assert kind_of(op("pool2d", pooling_type="max")) != kind_of(op("pool2d", pooling_type="avg"))


def test_an_operator_that_no_table_knows_is_its_own_kind() -> None:
    assert kind_of(op("made.up.Thing")) == "made.up.Thing"


def test_words_that_must_not_be_mixed_up() -> None:
    kinds = ["Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "Add", "Sub", "Mul", "Div", "MaxPool", "Softmax"]
    assert len({kind_of(op(word)) for word in kinds}) == len(kinds)
    assert {"sub", "div", "matmul", "concat"}.isdisjoint(COMMUTATIVE)
    assert {"relu", "exp", "matmul", "conv"}.isdisjoint(BOUNDED)


@pytest.mark.parametrize(
    ("given", "identity"),
    [
        (op("Identity"), True),
        (op("assign"), True),
        (op("dropout", dropout_implementation="upscale_in_train"), True),
        (op("dropout", mode="upscale_in_train"), True),
        (op("dropout", dropout_implementation="downgrade_in_infer"), False),
        (op("scale", scale=1.0, bias=0.0), True),
        (op("scale", scale=2.0, bias=0.0), False),
        (op("scale", scale=1.0, bias=0.5), False),
        (op("scale", ("X", "ScaleTensor"), scale=1.0, bias=0.0), False),
        (op("Relu"), False),
    ],
)
def test_what_hands_its_input_on(given: Op, identity: bool) -> None:
    assert is_identity(given) is identity
