"""``segdiff repair``: what it writes as JSON, whatever comes of it, and which options reach the repair."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import RepairError
from tests.models import image, save, segmenter, with_attribute
from tests.report import reports


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The words of a repair of the third softmax's axis."""
    save(segmenter(), tmp_path / "ours.onnx")
    save(with_attribute(segmenter(), "Softmax", 1, axis=3), tmp_path / "theirs.onnx")
    np.save(tmp_path / "x.npy", image())
    names = ("ours.onnx", "theirs.onnx", "x.npy")
    options = ["-o", str(tmp_path / "fixed.onnx"), "--no-progress", "--no-deployed"]
    return ["repair", *(str(tmp_path / name) for name in names), *options]


def test_the_changes_and_both_errors_are_written(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "repair.json"
    assert main([*words, "--json", str(target)]) == 0
    assert "agrees with the reference" in capsys.readouterr().out
    told = json.loads(target.read_text())
    assert (told["schema"], told["verdict"], told["path"]) == (1, "agrees", str(tmp_path / "fixed.onnx"))
    (change,) = told["changes"]
    assert (change["kind"], change["proven"]) == ("softmax.axis", True)
    (edit,) = change["edits"]
    assert edit["attributes"] == {"axis": 1} and edit["value"] and edit["nodes"] == []
    (output,) = told["outputs"]
    assert output["before"]["rel_l2"] > 1e-3 > 1e-5 > output["after"]["rel_l2"]
    assert output["mask_changed"]["before"] > 0 == output["mask_changed"]["after"]
    assert told["left"] == [] and told["located"]["verdict"] == "diverges"
    assert told["located"]["first"]["cause"]["edits"] == change["edits"]
    assert told["command"][:2] == ["segdiff", "repair"] and told["exit_code"] == 0


def test_stdout_holds_the_json_and_nothing_else(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--json", "-"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["verdict"] == "agrees" and not told.err


@pytest.mark.parametrize(("make", "code"), [(reports.report, 0), (reports.inconclusive, 2)])
def test_where_nothing_is_written_the_json_says_so(
    make: Any, code: int, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segdiff, "locate", lambda *files, **options: make(), raising=False)
    assert main([*words, "--json", str(tmp_path / "repair.json")]) == code
    told = json.loads((tmp_path / "repair.json").read_text())
    assert told["verdict"] == told["located"]["verdict"] == make().verdict
    assert told["path"] is None and told["changes"] == [] and not (tmp_path / "fixed.onnx").exists()
    assert all(output["before"] == output["after"] for output in told["outputs"])


def test_a_failed_one_leaves_an_error_and_no_older_report(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: Any, **options: Any) -> None:
        raise RepairError("no cause is proven")

    monkeypatch.setattr("segdiff.finding.repair.repair", refused)
    target = tmp_path / "repair.json"
    target.write_text('{"schema": 1, "verdict": "agrees"}\n')
    assert main([*words, "--json", str(target)]) == 2
    assert capsys.readouterr().err == "segdiff: no cause is proven\n"
    error = {"type": "RepairError", "message": "no cause is proven"}
    assert json.loads(target.read_text()) == {"schema": 1, "verdict": "error", "error": error}


def test_the_repaired_file_runs_with_the_candidates_python(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []

    def watched(report: Any, path: Any, **options: Any) -> None:
        seen.append(options)
        raise RepairError("seen")

    monkeypatch.setattr(segdiff, "locate", lambda *files, **options: reports.diverging(), raising=False)
    monkeypatch.setattr("segdiff.finding.repair.repair", watched)
    assert main([*words, "--candidate-python", "/its/python", "--threads", "1", "--timeout", "9"]) == 2
    assert seen == [{"timeout": 9.0, "threads": 1, "candidate_python": "/its/python"}]
