"""Engines that are wrong as deployed, for the tests of whatever must find that."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from segdiff.engines import registry
from segdiff.engines.workers import Home
from tests.schema import check_every_answer
from tests.zoo.environments import python_of

check_every_answer()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what opens a browser, unless ``-m`` asks for it: it takes a minute and needs node."""
    if "browser" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("browser")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in set(left_out)]


def put_in_place(patch: pytest.MonkeyPatch, **changes: str) -> None:
    """Let another engine run ONNX models."""
    rows = [replace(row, **changes) if "onnx" in row.formats else row for row in registry.ENGINES]
    patch.setattr(registry, "ENGINES", tuple(rows))


@pytest.fixture
def onnxruntime_131(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime 1.31.1, whose optimiser has faults that are known, in an environment of its own."""
    try:
        python = python_of("o131")
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"the environment with onnxruntime 1.31.1 cannot be made: {error}")
    put_in_place(monkeypatch, interpreter=str(python))


@pytest.fixture(params=["brought", pytest.param("onnxruntime 1.31.1", marks=pytest.mark.real)])
def pad_fusion(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An optimiser that makes a pad of zeros the max pool's own: brought by the tests, and the real one."""
    if request.param == "brought":
        home = Home("onnxruntime", "tests.deployed.overeager:Overeager")
        put_in_place(monkeypatch, home=home)
    else:
        request.getfixturevalue("onnxruntime_131")
