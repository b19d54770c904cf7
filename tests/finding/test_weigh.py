"""Origins are weighed from where the walk has seen the first of them, as from the image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

import segdiff
from segdiff.core.edit import Edit
from segdiff.core.graph import Graph
from segdiff.engines.revived import Candidate
from segdiff.finding import weigh
from segdiff.readers import find, read
from tests.models import Net, image, save

VARYING = ("timing_s", "peak_memory_mb")


def network(late: float = 1.0, later: float = 1.0) -> ModelProto:
    """A trunk with an output of its own, and behind it two operators that may be wrong."""
    net = Net(seed=3)
    x = net.node("Relu", net.conv("x", (3, 8)))
    beside = net.node("Tanh", net.conv(x, (8, 2)))
    x = net.node("Relu", net.conv(x, (8, 8)))
    x = net.node("Elu", net.conv(x, (8, 8)), alpha=late, outputs=["late"])
    x = net.node("Elu", net.conv(x, (8, 8)), alpha=later)
    return net.model(beside, net.conv(x, (8, 4)))


@pytest.fixture
def report(tmp_path: Path) -> Callable[[ModelProto], dict[str, Any]]:
    """The report of this model against the right one, without what varies."""

    def located(wrong: ModelProto) -> dict[str, Any]:
        files = save(network(), tmp_path / "right.onnx"), save(wrong, tmp_path / "wrong.onnx")
        found = segdiff.locate(*files, image()).to_dict()
        return {name: value for name, value in found.items() if name not in VARYING}

    return located


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many nodes each run of the candidate had."""
    counts: list[int] = []
    run = Candidate.run

    def counted(self: Candidate, feeds: Any, wanted: Any, ops: Any = None, *rest: Any) -> Any:
        counts.append(len(ops or ()))
        return run(self, feeds, wanted, ops, *rest)

    monkeypatch.setattr(Candidate, "run", counted)
    return counts


@pytest.mark.parametrize("wrong", [network(late=0.5), network(late=0.5, later=0.7)], ids=["one", "two"])
def test_what_lies_before_the_first_origin_is_not_run_again(
    wrong: ModelProto,
    report: Callable[[ModelProto], dict[str, Any]],
    nodes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = report(wrong)
    few = sum(nodes)
    nodes.clear()
    monkeypatch.setattr(weigh, "_passed", lambda *_: {})
    assert report(wrong) == found
    assert few < sum(nodes)
    assert found["verdict"] == "diverges"
    removed = [origin["effect"]["final_error_removed"] for origin in found["origins"]]
    assert removed and all(0 < share <= 1 for share in removed)


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return read(find(save(network(), tmp_path / "model.onnx")))


def passed(graph: Graph, patches: Mapping[str, Any], *edits: Edit) -> Mapping[str, Any]:
    """What is known at ``late`` where these are changed."""
    run: Any = SimpleNamespace(walk=SimpleNamespace(frontier={"late": 0}), probe=SimpleNamespace(graph=graph))
    return weigh._passed(run, patches, edits)


def test_a_change_before_the_first_origin_is_run_from_the_image(graph: Graph) -> None:
    before, after = graph.producer["late"].inputs[0], graph.outputs[1]
    assert passed(graph, {}) and passed(graph, {after: 0}) and passed(graph, {}, Edit(after, "Relu"))
    assert not passed(graph, {before: 0}) and not passed(graph, {}, Edit(before, "Relu"))
    assert not passed(graph, {"late": 0})


def test_an_op_of_which_one_output_is_known_makes_the_other_from_the_image(tmp_path: Path) -> None:
    def build(alpha: float) -> ModelProto:
        net = Net(seed=5)
        left, right = net.fresh("left"), net.fresh("right")
        net.node("Split", net.conv("x", (3, 8)), outputs=[left, right], axis=1)
        early = net.node("Relu", right)
        return net.model(early, net.node("Elu", net.node("Neg", left), alpha=alpha))

    files = save(build(1.0), tmp_path / "right.onnx"), save(build(0.5), tmp_path / "wrong.onnx")
    with segdiff.open(*files, image()) as case:
        run = case._seen.run
        graph = run.probe.graph
        left, right = next(op for op in graph.ops if op.type == "Split").outputs
        own = weigh.own_values(run, [left, right])
        known = replace(run, walk=replace(run.walk, frontier={left: own[left]}))
        found = weigh.own_values(known, [right])[right].array
        assert np.array_equal(found, own[right].array)
        assert weigh.own_values(known, [left])[left] is own[left]
