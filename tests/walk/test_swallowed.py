"""One segment that holds both models and agrees is looked into: its operators are compared by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import ModelProto

from segdiff import locate
from segdiff.core.answer import Report
from tests.models import Net, image, save

STEPS = (2.0, 0.5, -1.25, 4.0)


def chain(*, spelt: bool, wrong: int | None = None) -> ModelProto:
    """Factors and offsets in turn; ``spelt`` as divisions and differences, so that no operator has a
    partner of its kind. One offset may be wrong."""
    net, x = Net(), "x"
    for place, number in enumerate(STEPS):
        offset = number + (0.1 if place == wrong else 0.0)
        if spelt:
            x = net.node("Div", x, net.constant(1 / number))
            x = net.node("Sub", x, net.constant(-offset))
        else:
            x = net.node("Add", net.node("Mul", x, net.constant(number)), net.constant(offset))
    return net.model(x)


def told(theirs: ModelProto, folder: Path) -> Report:
    files = save(chain(spelt=False), folder / "a.onnx"), save(theirs, folder / "b.onnx")
    return locate(*files, image(), threads=1, deployed=False)


def test_operators_without_partners_of_their_kind_are_compared(tmp_path: Path) -> None:
    report = told(chain(spelt=True), tmp_path)
    assert report.verdict == "agrees"
    assert report.coverage == (1.0, 1.0)
    assert len(report.pairs) == 2 * len(STEPS)


@pytest.mark.parametrize("wrong", range(len(STEPS)))
def test_the_wrong_one_among_them_is_named(wrong: int, tmp_path: Path) -> None:
    model = chain(spelt=True, wrong=wrong)
    report = told(model, tmp_path)
    assert report.verdict == "diverges" and len(report.origins) == 1
    assert report.first is not None
    assert model.graph.node[2 * wrong + 1].output[0] in report.first.candidate_nodes[0].outputs
    assert len(report.first.candidate_nodes) < 2 * len(STEPS)
