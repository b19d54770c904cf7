"""Every example in a docstring (``>>>``) prints what it says."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.test_house import MODULES

WITH_EXAMPLES = sorted(name for name, file in MODULES.items() if ">>> " in file.read_text(encoding="utf-8"))

PUBLIC = ("finding.locate", "finding.repair", "score.evaluate", "score.score", "core.metrics", "walk.judge")


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name: str) -> None:
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed


def test_who_must_have_one() -> None:
    assert {f"segdiff.{name}" for name in PUBLIC} <= set(WITH_EXAMPLES)
