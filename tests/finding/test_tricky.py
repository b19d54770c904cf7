"""Pairs that could fool one, of the sweep that has more of them: the verdict on each is true."""

from __future__ import annotations

from pathlib import Path

import pytest

import segdiff
from tests import models
from tests.sweeps.tricky import cases

CASES = {case.name: case for case in cases()}

CHOSEN = (
    "cancel: plus and minus",
    "nearly zero: faulty",
    "no effect: faulty branch",
    "ties: the same",
    "ties: the last",
    "batch 2: refused",
    "vanishes behind ReLU",
    "NaN: in the input",
    "concat: equal parts",
    "output baked in",
)


@pytest.mark.parametrize("name", CHOSEN)
def test_the_verdict_is_true(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    files = [
        models.save(model, tmp_path / f"{side}.onnx")
        for side, model in (("ours", case.reference), ("theirs", case.candidate))
    ]
    options = {"deployed": False, **case.options}
    assert case.wrong(segdiff.locate(*files, case.image, threads=1, **options)) == ""
