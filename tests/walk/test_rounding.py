"""How many roundings an order of summation may cost."""

from __future__ import annotations

import math

import numpy as np
import pytest

from segdiff.core.graph import Graph
from segdiff.walk.rounding import roundings, terms
from tests.models import hand_made

Shape = tuple[int, ...]


def one(type: str, *parameters: Shape) -> Graph:
    named = {f"w{n}": np.zeros(shape, np.float32) for n, shape in enumerate(parameters)}
    return hand_made([(type, ["x", *named], ["y"])], outputs=["y"], parameters=named)


def allowed(graph: Graph, inputs: list[Shape], output: Shape) -> float:
    return roundings(graph, [op.index for op in graph.ops], inputs, output)


@pytest.mark.parametrize("type", ["Relu", "Add", "BatchNormalization", "Concat", "Sigmoid", "MaxPool"])
def test_pointwise_operators_are_allowed_none(type: str) -> None:
    assert allowed(one(type), [(1, 8, 64, 64)], (1, 8, 64, 64)) == 0.0


def test_a_convolution_grows_with_the_root_of_its_kernel() -> None:
    small = allowed(one("Conv", (16, 8, 3, 3)), [(1, 8, 64, 64)], (1, 16, 64, 64))
    large = allowed(one("Conv", (16, 32, 3, 3)), [(1, 32, 64, 64)], (1, 16, 64, 64))
    assert small >= math.sqrt(8 * 9)
    assert large / small == pytest.approx(2.0, rel=0.5)


def test_a_mean_over_a_page_grows_with_the_page() -> None:
    graph = one("GlobalAveragePool")
    small, large = (allowed(graph, [(1, 4, side, side)], (1, 4, 1, 1)) for side in (64, 128))
    assert small >= 0.1 * 64 * 64
    assert large / small == pytest.approx(4.0)


def test_a_resize_grows_with_the_coordinates() -> None:
    near, far = (allowed(one("Resize"), [(1, 2, 8, 8)], (1, 2, side, 8)) for side in (64, 512))
    assert far / near == 8.0


def test_a_segment_is_allowed_what_its_worst_operator_is() -> None:
    weights = {"w": np.zeros((16, 8, 3, 3), np.float32)}
    both = hand_made([("Conv", ["x", "w"], ["h"]), ("Relu", ["h"], ["y"])], outputs=["y"], parameters=weights)
    alone = one("Conv", (16, 8, 3, 3))
    assert allowed(both, [(1, 8, 9, 9)], (1, 16, 9, 9)) == allowed(alone, [(1, 8, 9, 9)], (1, 16, 9, 9)) > 0


@pytest.mark.parametrize("inputs", [[], [()], [(0, 3)]])
def test_scalars_and_empty_tensors_do_no_harm(inputs: list[Shape]) -> None:
    for type in ("Conv", "MatMul", "Softmax", "Resize", "ReduceMean"):
        assert allowed(one(type), inputs, inputs[0] if inputs else ()) >= 0.0


@pytest.mark.parametrize(
    ("type", "kernel", "count"),
    [
        ("Conv", (16, 8, 3, 3), 8 * 9),
        ("Conv", (16, 1, 5, 5), 25),
        ("MatMul", (64, 10), 64),
        ("Gemm", (10, 64), 64),
    ],
)
def test_the_terms_of_one_element_are_never_counted_too_low(type: str, kernel: Shape, count: int) -> None:
    graph = one(type, kernel)
    assert terms(graph, graph.ops[0], [(1, 1)]) >= count


def test_a_softmax_over_thousands_of_classes_is_allowed_what_its_running_sum_loses() -> None:
    few, many = (allowed(one("Softmax"), [(1, 20, n)], (1, 20, n)) for n in (19, 18385))
    assert few < 24.0, "a softmax over the classes of a mask is judged as finely as before"
    assert many >= 0.1 * 18385


@pytest.mark.parametrize(("type", "axes"), [("GlobalAveragePool", None), ("ReduceMean", [2, 3])])
def test_a_mean_behind_a_convolution_that_makes_more_channels_adds_up_every_pixel(
    type: str, axes: list[int] | None
) -> None:
    """What goes in and comes out has 12 / 96 of the values that each mean adds up."""
    attributes = {"axes": axes} if axes else {}
    graph = hand_made([(type, ["x"], ["y"], attributes)], outputs=["y"], format="onnx")
    alone = allowed(graph, [(1, 96, 160, 160)], (1, 96, 1, 1))
    assert allowed(graph, [(1, 12, 160, 160)], (1, 96, 1, 1)) == alone >= 0.1 * 160 * 160
    assert allowed(graph, [(1, 12, 160, 160)], (1, 96, 160, 160)) == alone


def test_axes_that_are_an_input_count_as_those_of_an_attribute() -> None:
    named = {"axes": np.array([2, 3])}
    graph = hand_made([("ReduceMean", ["x", "axes"], ["y"])], outputs=["y"], parameters=named)
    assert allowed(graph, [(1, 12, 160, 160)], (1, 96, 1, 1)) >= 0.1 * 160 * 160
