"""The neutral graph: who writes, who reads, what flows."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from segdiff.core.graph import Graph, Parameter, Value
from tests.models import graph_of, hand_made, if_network, segmenter


def small() -> Graph:
    return hand_made(
        [
            ("Conv", ["x", "w"], ["h"]),
            ("Split", ["h"], ["a", "b"]),
            ("Mul", ["a", "a"], ["s"]),
            ("Add", ["s", "b"], ["y"]),
        ],
        outputs=["y"],
        parameters={"w": np.zeros((2, 3), np.float32)},
    )


def test_every_value_has_one_producer_and_inputs_have_none() -> None:
    producer = small().producer
    assert {name: op.type for name, op in producer.items()} == {
        "h": "Conv", "a": "Split", "b": "Split", "s": "Mul", "y": "Add",
    }  # fmt: skip


def test_consumers_stand_in_program_order_and_count_once() -> None:
    consumers = small().consumers
    assert [op.type for op in consumers["a"]] == ["Mul"]
    assert [op.type for op in consumers["w"]] == ["Conv"]
    assert "y" not in consumers


def test_the_flow_leaves_parameters_out_and_runs_in_program_order() -> None:
    flow = small().flow
    assert set(flow) == {0, 1, 2, 3, "x", "h", "a", "b", "s", "y"}
    assert nx.is_directed_acyclic_graph(flow)
    assert nx.has_path(flow, "x", "y")
    assert set(flow.predecessors(3)) == {"s", "b"}


def test_ops_are_found_by_their_index_even_where_numbers_are_skipped() -> None:
    graph = small()
    gaps = replace(graph, ops=tuple(replace(op, index=op.index * 10 + 3) for op in graph.ops))
    assert gaps.op(23).type == "Mul"
    with pytest.raises(KeyError):
        gaps.op(0)


def test_a_value_that_no_reader_described_is_known_by_name_only() -> None:
    assert small().value("nobody") == Value("nobody", None, None)


@pytest.mark.parametrize(("shape", "size"), [((), 1), ((3,), 3), ((2, 3, 4), 24), ((0, 5), 0)])
def test_the_size_of_a_parameter(shape: tuple[int, ...], size: int) -> None:
    assert Parameter("w", shape, "float32", lambda: np.zeros(shape)).size == size


def test_parameters_are_equal_by_what_they_say_and_print_without_their_data() -> None:
    one, other = (Parameter("w", (2,), "float32", lambda n=n: np.full(2, n)) for n in (1, 2))
    assert one == other
    assert "load" not in repr(one)


def test_graphs_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        small().ops = ()  # type: ignore[misc]


@pytest.mark.parametrize("model", [segmenter(), if_network()], ids=["segmenter", "if"])
def test_a_graph_from_a_file_is_whole(model: object, tmp_path: Path) -> None:
    graph = graph_of(model, tmp_path)  # type: ignore[arg-type]
    assert nx.is_directed_acyclic_graph(graph.flow)
    known = {*graph.inputs, *graph.parameters}
    for op in graph.ops:
        assert set(op.inputs) <= known
        assert len(op.slots) == len(op.inputs)
        known.update(op.outputs)
    assert set(graph.outputs) <= known
    assert all(nx.has_path(graph.flow, graph.inputs[0], name) for name in graph.outputs)
