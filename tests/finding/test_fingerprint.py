"""An origin is known again by what it is and where it stands, not by names, numbers or files."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from onnx import ModelProto

import segdiff
from segdiff.core.answer import Cause, Report
from segdiff.finding.fingerprint import kind_in
from tests import models
from tests.models import Net, image, scrambled, segmenter, with_attribute

Fingerprints = Callable[..., list[str]]


def repeated(faulty: tuple[int, ...] = (), seed: int = 0) -> ModelProto:
    """Eight equal blocks in a row; the slope of those in ``faulty`` is another one."""
    net = Net(seed=seed)
    last = net.conv("x", (3, 4))
    for number in range(8):
        last = net.node("LeakyRelu", net.conv(last, (4, 4)), alpha=0.3 if number in faulty else 0.1)
    return net.model(last)


@pytest.fixture(scope="module")
def locate(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Report]:
    folder, number = tmp_path_factory.mktemp("fingerprints"), count()

    def run(ours: ModelProto, theirs: ModelProto, seed: int = 0) -> Report:
        files = [models.save(model, folder / f"{next(number)}.onnx") for model in (ours, theirs)]
        return segdiff.locate(*files, image(seed=seed), timeout=60, deployed=False)

    return run


def fingerprints(report: Report) -> list[str]:
    return [origin.fingerprint for origin in report.origins]


def test_names_weights_and_the_picture_do_not_count(locate: Callable[..., Report]) -> None:
    faulty = with_attribute(segmenter(), "LeakyRelu", alpha=0.3)
    (first,) = fingerprints(locate(segmenter(), faulty))
    assert first.startswith("leaky_relu.slope-") and len(first.rpartition("-")[2]) == 12
    assert fingerprints(locate(segmenter(), scrambled(faulty))) == [first]
    assert fingerprints(locate(scrambled(segmenter()), scrambled(faulty))) == [first]
    other = with_attribute(segmenter(seed=5), "LeakyRelu", alpha=0.3)
    assert fingerprints(locate(segmenter(seed=5), other, seed=3)) == [first]


def test_equal_blocks_are_told_apart(locate: Callable[..., Report]) -> None:
    third, sixth = fingerprints(locate(repeated(), repeated(faulty=(2, 5))))
    assert third != sixth
    assert fingerprints(locate(repeated(), repeated(faulty=(5,)))) == [sixth]
    assert fingerprints(locate(repeated(seed=1), repeated(faulty=(2,), seed=1))) == [third]


def test_another_cause_is_another_fingerprint(locate: Callable[..., Report]) -> None:
    (slope,) = fingerprints(locate(segmenter(), with_attribute(segmenter(), "LeakyRelu", alpha=0.3)))
    (other,) = fingerprints(locate(segmenter(), with_attribute(segmenter(), "HardSigmoid", alpha=0.3)))
    assert other.startswith("hard_sigmoid.slope-") and slope.rpartition("-")[2] != other.rpartition("-")[2]


def test_a_guess_is_no_part_of_it() -> None:
    assert kind_in(None) == kind_in(Cause("resize.mode", "perhaps", proven=False)) == "unknown"
    assert kind_in(Cause("resize.mode", "it is", proven=True)) == "resize.mode"
    assert kind_in(Cause("runtime.optimisation", "not found which", proven=False)) == "runtime.optimisation"
    assert kind_in(Cause("a<b>\n.lost", "it is", proven=True)) == "a_b__.lost"


def test_outputs_that_were_exchanged_have_one(locate: Callable[..., Report]) -> None:
    net = Net()
    ends = net.conv("x", (3, 4)), net.conv("x", (3, 4))
    (found,) = fingerprints(locate(net.model(*ends), net.model(*reversed(ends))))
    assert found.startswith("output.order-")


def test_the_files_are_told_by_their_hashes(tmp_path: Path) -> None:
    ours = models.save(segmenter(), tmp_path / "a.onnx")
    theirs = models.save(segmenter(), tmp_path / "b.onnx")
    found = segdiff.locate(ours, theirs, image(), timeout=60, deployed=False).to_dict()
    raw = theirs.read_bytes()
    (told,) = found["candidate"]["files"]
    assert told == {"name": "b.onnx", "bytes": len(raw), "sha256": sha256(raw).hexdigest()}
    assert found["candidate"]["opset"] == 17
    assert (found["image"], found["command"], found["homes"], found["exit_code"]) == (None, None, [], 0)
