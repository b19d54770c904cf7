"""Every example in a docstring (``>>>``) prints what it says."""

from __future__ import annotations

import doctest
from importlib import import_module
from importlib.util import find_spec

import pytest

from tests.test_house import MODULES

WITH_EXAMPLES = sorted(name for name, file in MODULES.items() if ">>> " in file.read_text(encoding="utf-8"))

PUBLIC = ("finding.locate", "finding.repair", "score.evaluate", "score.score", "engines.convert")
ALGORITHMS = (
    *("align.parameters", "align.view", "align.cones", "align.match", "align.segments"),
    *("walk.waiting", "walk.judge", "core.metrics"),
)
NEEDS = {"segdiff.engines.convert": "paddle2onnx"}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name: str) -> None:
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} has no wheel for this Python")
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed


def test_who_must_have_one() -> None:
    assert {f"segdiff.{name}" for name in (*PUBLIC, *ALGORITHMS)} <= set(WITH_EXAMPLES)
