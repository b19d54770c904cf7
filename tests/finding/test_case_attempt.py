"""A change of one's own: what it does to its segments, to the outputs and the mask, and as a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import segdiff
from segdiff.core.edit import Edit
from segdiff.core.errors import InputError
from segdiff.finding.case import OpenCase
from tests.finding.cases import SHAPE, files
from tests.models import Net, branch, image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attempt")


@pytest.fixture(scope="module")
def case(folder: Path) -> Iterator[OpenCase]:
    with segdiff.open(*files(folder, alpha=0.4, bias=0.5), image(SHAPE)) as opened:
        yield opened


def test_the_right_changes_mend_everything(case: OpenCase) -> None:
    found = case.attempt({"LeakyRelu:leaky": {"alpha": 0.1}, "shift": [0.0]})
    assert found.agrees
    assert [tried.pair.candidate for tried in found.pairs] == ["leaky", "shifted"]
    for tried in found.pairs:
        assert tried.before is not None
        assert tried.after is not None
        assert tried.before.metrics.rel_l2 > 1e-2 > 1e-5 > tried.after.metrics.rel_l2
    (output,) = found.outputs
    assert output.pixels == 64 * 96
    assert output.pixels_before
    assert output.pixels_after == 0
    assert output.after is not None
    assert output.after.metrics.rel_l2 < 1e-5


def test_half_of_them_mends_its_own_segment_alone(case: OpenCase) -> None:
    found = case.attempt({"leaky": {"alpha": 0.1}})
    assert found.agrees
    (output,) = found.outputs
    assert output.after is not None
    assert output.after.metrics.rel_l2 > 1e-2


def test_a_wrong_one_still_errs(case: OpenCase) -> None:
    assert not case.attempt({"leaky": {"alpha": 0.3}}).agrees


def test_another_operator(case: OpenCase) -> None:
    found = case.attempt({"leaky": "Relu"})
    assert not found.agrees
    assert not found.problems
    assert found.changes == (("LeakyRelu:leaky", "LeakyRelu becomes Relu"),)


def test_the_edits_of_a_cause_are_changes(case: OpenCase) -> None:
    assert case.attempt(case.explain("leaky").edits).agrees


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"leeky": {"alpha": 0.1}}, "did you mean 'leaky'"),
        ({"leaky": {"alfa": 0.1}}, "LeakyRelu has no attribute 'alfa'; did you mean 'alpha'"),
        ({"leaky": 0.1}, "is a node"),
        ({"leaky": "Reluu"}, "ONNX has no operator 'Reluu'; did you mean 'Relu'"),
        ({}, "nothing is to be changed"),
        ([1], "changes are"),
        ([Edit("leeky", op_type="Relu")], "no node writes 'leeky'; did you mean 'leaky'"),
    ],
)
def test_what_cannot_be_meant(case: OpenCase, changes: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        case.attempt(changes)


def test_the_file_that_has_the_change(case: OpenCase, folder: Path) -> None:
    found = case.attempt({"leaky": {"alpha": 0.1}, "shift": np.zeros(1)})
    mine = found.save(folder / "mine.onnx")
    assert segdiff.locate(folder / "ours.onnx", mine, image(SHAPE)).verdict == "agrees"
    with pytest.raises(InputError, match="is an input of this run"):
        found.save(folder / "theirs.onnx")
    with pytest.raises(InputError, match=r"\.onnx"):
        found.save(folder / "mine.bin")
    assert not list(folder.glob(".segdiff-*"))


def in_a_branch(alpha: float) -> onnx.ModelProto:
    """A LeakyRelu in the branch of an If, with a convolution before and behind it."""
    net = Net()
    hidden = net.conv("x", (3, 4))
    above = net.node("Greater", net.node("ReduceMax", hidden, keepdims=0), net.constant(-1e9))
    inner = helper.make_node("LeakyRelu", [hidden], ["then_out"], name="gate", alpha=alpha)
    other = helper.make_node("Relu", [hidden], ["else_out"], name="closed")
    net.node(
        "If",
        above,
        outputs=["chosen"],
        then_branch=branch("then", [inner]),
        else_branch=branch("else", [other]),
    )
    return net.model(net.conv("chosen", (4, 3)))


@pytest.mark.parametrize("name", ["gate", "then_out"])
def test_a_node_in_a_block_is_changed_by_its_name(name: str, tmp_path: Path) -> None:
    with segdiff.open(in_a_branch(0.1), in_a_branch(0.4), image()) as case:
        found = case.attempt({name: {"alpha": 0.1}})
        assert found.agrees and [tried.pair.candidate for tried in found.pairs] == ["chosen"]
        assert dict(found.changes) == {"gate": "alpha 0.4 → 0.1"}
        assert not case.attempt({name: {"alpha": 0.3}}).agrees
        assert not case.attempt({"gate": "Relu"}).agrees
        mended = found.save(tmp_path / "mine.onnx")
        with pytest.raises(InputError, match="no attribute 'alpah'; did you mean"):
            case.attempt({name: {"alpah": 0.1}})
        with pytest.raises(InputError, match="no node or constant is called 'gaat'"):
            case.attempt({"gaat": {"alpha": 0.1}})
    assert segdiff.locate(in_a_branch(0.1), mended, image()).verdict == "agrees"
