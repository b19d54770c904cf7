"""Another checkpoint is called one, and nothing is explained; the same weights written otherwise are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper

import segdiff
from segdiff.align.parameters import likeness
from segdiff.core.graph import Graph, Parameter
from tests import models
from tests.models import Net, copied, folded, graph_of, save, scrambled, with_attribute

Array = NDArray[np.generic]


def network(seed: int = 0, layers: int = 8) -> ModelProto:
    """Convolutions, batch norms and a resize in the middle."""
    net = Net(seed=seed)
    x, channels = "x", 3
    for place in range(layers):
        x = net.node("Relu", net.batch_norm(net.conv(x, (channels, 6), bias=False), 6))
        channels = 6
        if place == layers // 2:
            x = net.resize(x)
    return net.model(net.conv(x, (6, 4), kernel=1))


def reweighted(model: ModelProto, change: Callable[[Array], Array], every: int = 1) -> ModelProto:
    """A copy in which every so many a parameter is another."""
    copy = copied(model)
    scales = {name for node in copy.graph.node if node.op_type == "Resize" for name in node.input}
    for tensor in [t for t in copy.graph.initializer if t.name not in scales][::every]:
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))
    return copy


def another(array: Array) -> Array:
    """Other numbers of the same size."""
    random = np.random.default_rng(array.size)
    return np.abs(random.permuted(array) + random.normal(0.0, 0.3, array.shape)).astype(array.dtype)


def located(ours: ModelProto, theirs: ModelProto, folder: Path) -> segdiff.Report:
    return segdiff.locate(
        save(ours, folder / "ours.onnx"), save(theirs, folder / "theirs.onnx"), models.image(), deployed=False
    )


def kinds(report: segdiff.Report) -> list[str]:
    return [origin.cause.kind for origin in report.origins if origin.cause]


def test_another_checkpoint_is_called_one(tmp_path: Path) -> None:
    report = located(network(), scrambled(reweighted(network(), another)), tmp_path)
    assert report.verdict == "diverges" and report.exit_code == 1
    assert report.sentence.startswith("Every parameter differs: another checkpoint? 0 of the reference's ")
    assert len(report.origins) > 10 and set(kinds(report)) == {"parameter.checkpoint"}
    assert not any(origin.cause.proven for origin in report.origins if origin.cause)
    assert report.timing_s["explain"] < 1.0


def test_a_fault_without_parameters_is_explained_beside_another_checkpoint(tmp_path: Path) -> None:
    theirs = with_attribute(
        reweighted(network(), another), "Resize", coordinate_transformation_mode="asymmetric"
    )
    report = located(network(), scrambled(theirs), tmp_path)
    assert set(kinds(report)) == {"parameter.checkpoint", "resize.coordinate_mode"}


def test_a_few_wrong_weights_are_faults_of_their_own(tmp_path: Path) -> None:
    report = located(network(), reweighted(network(), another, every=7), tmp_path)
    assert report.origins and "parameter.checkpoint" not in kinds(report)
    assert "checkpoint" not in report.sentence


# --- the same weights, written otherwise


def parameters(graph: Graph) -> list[Parameter]:
    return list(graph.parameters.values())


def kernels_unlike(ours: ModelProto, theirs: ModelProto, folder: Path) -> list[str]:
    mine, other = graph_of(ours, folder, "ours"), graph_of(theirs, folder, "theirs")
    found = likeness(parameters(mine), parameters(other))
    return [name for name in found.unlike if len(mine.parameters[name].shape) >= 2]


REWRITTEN: dict[str, Callable[[Array], Array]] = {
    "half precision": lambda a: a.astype(np.float16).astype(np.float32),
    "half precision in the file": lambda a: a.astype(np.float16),
    "scaled": lambda a: a * np.float32(1.7),
    "int8": lambda a: np.round(a / np.abs(a).max() * 127).astype(np.int8),
    "the channels exchanged and rounded": lambda a: (
        np.swapaxes(a, 0, 1).astype(np.float16).astype(np.float32).copy() if a.ndim > 1 else a
    ),
    "another order": lambda a: a.reshape(-1)[::-1].reshape(a.shape).copy(),
}


@pytest.mark.parametrize("how", REWRITTEN)
def test_weights_that_are_written_otherwise_are_known_again(how: str, tmp_path: Path) -> None:
    assert kernels_unlike(network(), reweighted(network(), REWRITTEN[how]), tmp_path) == []


def test_folded_batch_norms_are_no_other_checkpoint(tmp_path: Path) -> None:
    assert kernels_unlike(network(), scrambled(folded(network())), tmp_path) == []
    assert kernels_unlike(scrambled(folded(network())), network(), tmp_path) == []


def test_of_other_weights_none_is_known_again_and_constants_tell_nothing(tmp_path: Path) -> None:
    mine = graph_of(network(), tmp_path, "ours")
    ones = Parameter("ones", (6,), "float32", lambda: np.ones(6, np.float32))
    found = likeness(
        [*parameters(mine), ones], [*parameters(graph_of(network(seed=1), tmp_path, "theirs")), ones]
    )
    assert found.equal == 1 and "ones" not in found.unlike, "only the scales of the resize are equal"
    assert found.compared == len(found.unlike) + 1
