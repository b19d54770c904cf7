"""No command costs its user a file: every path it may write is tried on every file that it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.answer import Report
from segdiff.core.errors import InputError
from segdiff.finding.repro import repro
from tests.models import image, save, segmenter
from tests.report import reports

Tree = dict[str, bytes]


def contents(root: Path) -> Tree:
    return {str(f.relative_to(root)): f.read_bytes() for f in sorted(root.rglob("*")) if f.is_file()}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder as users have it, in which anything that runs says so."""
    (tmp_path / "deploy").mkdir()
    for name in ("model.pdmodel", "model.pdiparams", "deploy.yaml", "inference.yml"):
        (tmp_path / "deploy" / name).write_bytes(b"x" * 10)
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    (tmp_path / "street.png").write_bytes(b"png")
    (tmp_path / "infer.py").write_text("def preprocess(path): pass\n")
    monkeypatch.chdir(tmp_path)

    def ran(*args: Any, **options: Any) -> Report:
        raise AssertionError("an engine was started")

    for name in ("locate", "convert", "evaluate", "score"):
        monkeypatch.setattr(segdiff, name, ran, raising=False)
    yield tmp_path


LOCATE = "locate deploy model.onnx street.png --candidate-input infer.py:preprocess"
REPAIR = "repair deploy model.onnx street.png"
CONVERT = "locate --convert deploy street.png"
READ = (
    "deploy/model.pdmodel",
    "deploy/model.pdiparams",
    "deploy/deploy.yaml",
    "deploy/inference.yml",
    "model.onnx",
    "street.png",
)


@pytest.mark.parametrize("force", ["", " --force"])
@pytest.mark.parametrize("target", READ)
@pytest.mark.parametrize(
    "command", [f"{LOCATE} --json", f"{REPAIR} -o", f"{REPAIR} -o new.onnx --json", f"{CONVERT} --keep"]
)
def test_no_output_is_an_input(
    command: str, target: str, force: str, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == f"{CONVERT} --keep" and target == "model.onnx":
        pytest.skip("not read by this command")
    before = contents(models)
    assert main([*command.split(), target, *force.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert target in line and "is an input of this run" in line
    assert contents(models) == before


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_to_an_input_is_the_input(link: Callable[[str, str], None], models: Path) -> None:
    link(str(models / "deploy/model.pdiparams"), str(models / "out.onnx"))
    before = contents(models)
    assert main([*REPAIR.split(), "-o", "out.onnx", "--force"]) == 2
    assert contents(models) == before


def test_the_script_and_its_tensor_are_inputs(models: Path) -> None:
    assert main([*LOCATE.split(), "--json", "infer.py", "--force"]) == 2
    assert (models / "infer.py").read_text().startswith("def")


def test_external_data_is_an_input(models: Path) -> None:
    import onnx

    onnx.save_model(
        segmenter(),
        str(models / "model.onnx"),
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
    )
    before = contents(models)
    assert main([*LOCATE.split(), "--json", "w.bin", "--force"]) == 2
    assert contents(models) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (f"{REPAIR} -o fixed.pdmodel", "does not end in .onnx"),
        (f"{REPAIR} -o deploy", "is an input"),
        (f"{CONVERT} --keep kept", "does not end in .onnx"),
        (f"{REPAIR} -o nowhere/fixed.onnx", "no such folder"),
        (f"{LOCATE} --json nowhere/r.json", "no such folder"),
        (f"{LOCATE} --json deploy", "is a folder"),
        (f"{LOCATE} --repro model.onnx", "is a file"),
        (f"{LOCATE} --repro deploy", "is an input"),
        (f"{LOCATE} --repro taken", "is not empty"),
        (f"{LOCATE} --repro deploy --force", "is an input"),
        (f"{REPAIR} -o old.onnx", "--force replaces it"),
        (f"{LOCATE} --json notes.json", "is no report of segdiff"),
        (f"{REPAIR} -o new.onnx --repro new.onnx", "both go to"),
        ("evaluate deploy model.onnx pictures --out model.onnx --force", "is an input"),
        ("evaluate deploy model.onnx pictures --pictures pictures/worst", "which this run reads"),
        ("evaluate deploy model.onnx pictures --json pictures/a.png --force", "is an input"),
        ("evaluate deploy model.onnx val.txt --json pictures/a.png --force", "is an input"),
        ("evaluate deploy model.onnx val.txt --json val.txt --force", "is an input"),
        ("score --labels m --reference-masks m --candidate-masks m --json m/a.png --force", "is an input"),
        ("score --labels m --reference-masks m --candidate-masks m --pictures m", "which this run reads"),
        ("score --labels m --reference-masks m --candidate-masks m --pictures taken", "--force allows it"),
    ],
)
def test_what_is_refused(words: str, told: str, models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "old.onnx").write_bytes(b"old")
    (models / "notes.json").write_text('{"schema": 2}')
    for folder in ("pictures", "m", "taken"):
        (models / folder).mkdir()
    (models / "pictures/a.png").write_bytes(b"png")
    (models / "m/a.png").write_bytes(b"png")
    (models / "taken/01_a.png").write_bytes(b"png")
    (models / "val.txt").write_text("pictures/a.png\n")
    before = contents(models)
    assert main(words.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
    assert contents(models) == before


# --- what a nightly script needs


def answering(monkeypatch: pytest.MonkeyPatch, result: Report | BaseException) -> None:
    def locate(*args: Any, **options: Any) -> Report:
        if isinstance(result, BaseException):
            raise result
        return result

    monkeypatch.setattr(segdiff, "locate", locate, raising=False)


def test_a_report_of_ours_is_written_over_unasked(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (models / "empty.json").touch()
    for report in (reports.diverging(), reports.report()):
        answering(monkeypatch, report)
        for name in ("nightly.json", "empty.json"):
            main([*LOCATE.split(), "--json", name])
            assert json.loads((models / name).read_text())["verdict"] == report.verdict


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (InputError("The image is gone."), "InputError", "The image is gone."),
        (ValueError("odd"), "ValueError", "unexpected: odd"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "KeyboardInterrupt"),
    ],
)
def test_a_failed_run_leaves_no_older_report(
    error: BaseException, kind: str, told: str, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, reports.report())
    assert main([*LOCATE.split(), "--json", "r.json"]) == 0
    answering(monkeypatch, error)
    assert main([*LOCATE.split(), "--json", "r.json"]) in (2, 130)
    found = json.loads((models / "r.json").read_text())
    assert found == {"schema": 1, "verdict": "error", "error": {"type": kind, "message": told}}


def test_a_report_of_a_run_that_was_killed_is_not_the_last_ones(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, reports.report())
    main([*LOCATE.split(), "--json", "r.json"])
    seen: list[Any] = []

    def locate(*args: Any, **options: Any) -> Report:
        seen.append(json.loads((models / "r.json").read_text()))
        return reports.diverging()

    monkeypatch.setattr(segdiff, "locate", locate, raising=False)
    main([*LOCATE.split(), "--json", "r.json"])
    assert seen[0]["verdict"] == "error" and seen[0]["error"]["type"] == "Unfinished"


def test_words_that_make_no_sense_leave_no_older_report(models: Path) -> None:
    (models / "r.json").write_text(reports.report().to_json())
    with pytest.raises(SystemExit):
        main(["locate", "deploy", "--json", "r.json"])
    found = json.loads((models / "r.json").read_text())
    assert found["error"]["type"] == "UsageError"
    (models / "r.json").write_text("mine")
    with pytest.raises(SystemExit):
        main(["locate", "deploy", "--json", "r.json"])
    assert (models / "r.json").read_text() == "mine"


def test_a_failure_is_json_on_stdout_where_json_was_asked_for(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(monkeypatch, InputError("no"))
    assert main([*LOCATE.split(), "--json", "-"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["message"] == "no"


# --- the Python API


def test_python_never_writes_over_what_was_read(tmp_path: Path) -> None:
    from tests.finding.test_repair import resized

    save(segmenter(), tmp_path / "other.onnx")
    ours = save(resized(), tmp_path / "ours.onnx")
    theirs = save(resized(coordinate_transformation_mode="align_corners"), tmp_path / "theirs.onnx")
    report = segdiff.locate(ours, theirs, image(), timeout=60)
    before = contents(tmp_path)
    for target in (ours, theirs):
        with pytest.raises(InputError, match="is an input of this run"):
            report.repair(target)
    with pytest.raises(InputError, match=r"does not end in \.onnx"):
        report.repair(tmp_path / "fixed.pdmodel")
    with pytest.raises(InputError, match="is not empty"):
        repro(report, tmp_path)
    assert contents(tmp_path) == before
    for _ in range(2):  # a cell of a notebook runs again
        report.repair(tmp_path / "fixed.onnx")
        repro(report, tmp_path / "repro")
    with pytest.raises(InputError, match="is an input of this run"):
        segdiff.evaluate(ours, theirs, _picture(tmp_path), out=ours)
    with pytest.raises(InputError, match="which this run reads"):
        segdiff.evaluate(ours, theirs, tmp_path / "images", pictures=tmp_path / "images" / "worst")


def _picture(folder: Path) -> Path:
    import cv2
    import numpy as np

    (folder / "images").mkdir()
    cv2.imwrite(str(folder / "images" / "a.png"), np.zeros((16, 24, 3), np.uint8))
    return folder / "images" / "a.png"
