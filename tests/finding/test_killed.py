"""A worker that dies, hangs or gets no memory in a phase: what was measured is reported, with the reason."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import EngineError
from segdiff.engines import Engine
from tests.killing import nothing_left, struck, struck_as_it_starts
from tests.models import Net, image, save

TIMEOUT = 8.0
"""Seconds an engine may be silent: a busy machine takes some to start one."""

SLACK = 30.0
"""Seconds for all the rest."""


SHAPE = (1, 3, 48, 64)
"""Its tensors travel through shared memory."""


def network(alpha: float, axis: int) -> ModelProto:
    """Two places for a fault, and a pair of operators at the end that are one segment."""
    net = Net(SHAPE, seed=1)
    hidden = net.node("LeakyRelu", net.conv("x", (3, 6)), alpha=alpha)
    deep = net.node("Relu", net.conv(hidden, (6, 6)))
    return net.model(net.node("Softmax", net.conv(deep, (6, 4)), axis=axis))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("killed")
    return save(network(0.1, 1), folder / "ours.onnx"), save(network(0.2, 3), folder / "theirs.onnx")


def words_of(report: segdiff.Report) -> str:
    """Everything that a report says in words."""
    causes = [origin.cause.text for origin in report.origins if origin.cause]
    return " ".join((report.sentence, *report.remarks, *causes, *(pair.reason for pair in report.pairs)))


def located(
    files: tuple[Path, Path], phase: str, side: str, how: str, folder: Path, timeout: float = TIMEOUT
) -> segdiff.Report:
    began = time.monotonic()
    try:
        with nothing_left(folder), struck(phase, side, how) as progress:
            # With little memory the reference is never far ahead of the walk.
            memory = 1 << 10 if phase == "walk" else None
            return segdiff.locate(*files, image(SHAPE), timeout=timeout, progress=progress, memory=memory)
    finally:
        assert time.monotonic() - began < timeout + SLACK


@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_killed_while_it_starts(side: str, files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"onnxruntime was killed by SIGKILL \(out of memory\?\)"):
        located(files, "start", side, "kill", tmp_path)


def test_stopped_while_it_starts(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="gave no answer for 2 s"):
        located(files, "start", "candidate", "stop", tmp_path, 2.0)


AFTER_THE_WALK = ["settle", "explain", "weigh", "keep", "deployed"]


@pytest.mark.parametrize(
    ("phase", "side", "how", "said"),
    [
        ("walk", "candidate", "kill", "SIGKILL"),
        ("walk", "reference", "stop", "no answer for 8 s"),
        ("explain", "candidate", "kill", "SIGKILL"),
        ("weigh", "candidate", "kill", "SIGKILL"),
        ("weigh", "candidate", "starve", ""),
        ("deployed", "candidate", "kill", "SIGKILL"),
        ("deployed", "reference", "stop", "no answer for 8 s"),
    ],
)
def test_what_was_measured_is_reported_with_the_reason(
    phase: str, side: str, how: str, said: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    report = located(files, phase, side, how, tmp_path)
    check(report, phase)
    assert said in words_of(report)


@pytest.mark.parametrize("phase", ["walk", *AFTER_THE_WALK])
def test_a_reference_that_is_killed_costs_nothing(
    phase: str, files: tuple[Path, Path], report: segdiff.Report, tmp_path: Path
) -> None:
    found = located(files, phase, "reference", "kill", tmp_path)
    check(found, "deployed")
    assert found.verdict == "diverges" and found.first and report.first
    assert [o.cause for o in found.origins] == [o.cause for o in report.origins]
    assert found.first.effect == report.first.effect and found.together == report.together
    told = [remark for remark in found.remarks if "SIGKILL" in remark]
    assert len(told) == 1 and told[0].endswith("another one has gone on.")


def check(report: segdiff.Report, phase: str) -> None:
    """All that was measured before the phase is there."""
    assert report.verdict in ("diverges", "inconclusive")
    assert any(pair.isolated is not None for pair in report.pairs)
    if phase == "walk":
        return
    assert len(report.origins) == 2 and all(pair.isolated and pair.cumulative for pair in report.pairs)
    if phase in ("weigh", "keep", "deployed"):
        assert [o.cause.kind for o in report.origins if o.cause] == ["leaky_relu.slope", "softmax.axis"]
    if phase in ("keep", "deployed"):
        assert all(origin.effect for origin in report.origins) and report.together is not None
    if phase == "deployed":
        assert report.verdict == "diverges"
        assert report.evidence is not None and len(report.evidence.segments) == 2


@pytest.fixture(scope="module")
def report(files: tuple[Path, Path]) -> segdiff.Report:
    return segdiff.locate(*files, image(SHAPE), timeout=60)


@pytest.mark.parametrize(("how", "said"), [("kill", "SIGKILL"), ("stop", "gave no answer for 2 s")])
def test_a_repair_whose_worker_dies_writes_nothing(
    how: str, said: str, report: segdiff.Report, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "tmp").mkdir()
    began = time.monotonic()
    with (
        nothing_left(tmp_path / "tmp"),
        struck_as_it_starts(how),
        pytest.raises(EngineError, match=said),
    ):
        report.repair(tmp_path / "out" / "fixed.onnx", timeout=2.0)
    assert time.monotonic() - began < SLACK
    assert not list((tmp_path / "out").iterdir())


def test_repair_takes_the_threads_and_the_time_of_the_command_line(
    report: segdiff.Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, object]] = []

    class Watched(Engine):
        def __init__(self, files: object, blocks: object, **options: object) -> None:
            super().__init__(files, blocks, **options)  # type: ignore[arg-type]
            seen.append((options["timeout"], options["threads"]))

    monkeypatch.setattr("segdiff.finding.repair.Engine", Watched)
    monkeypatch.setattr(segdiff, "locate", lambda *words, **options: report)
    names = ("ours.onnx", "theirs.onnx")
    paths = [str(save(network(0.1, 1), tmp_path / name)) for name in names]
    np.save(tmp_path / "x.npy", image(SHAPE))
    words = ["repair", *paths, str(tmp_path / "x.npy"), "-o", str(tmp_path / "fixed.onnx")]
    assert main([*words, "--timeout", "37", "--threads", "1", "--no-progress"]) == 0
    assert seen and set(seen) == {(37.0, 1)}
