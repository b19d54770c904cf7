"""``segdiff show``: a saved report in any form, without the models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segdiff.commands.cli import main
from segdiff.report.forms import shown
from tests.report import reports
from tests.report.test_score_report import made, repaired


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "saved.json"
    path.write_text(reports.explained().to_json())
    return path


def test_it_prints_what_the_run_printed(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(saved)]) == 1
    short = capsys.readouterr().out
    assert short.splitlines()[-1].startswith("segdiff repair ") and len(short.splitlines()) < 24
    assert main(["show", str(saved), "--all"]) == 1
    assert "All 30 pairs" in capsys.readouterr().out


def test_it_writes_the_other_forms(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = saved.parent / "page.html"
    assert main(["show", str(saved), "--html", str(page), "--markdown", "-"]) == 1
    assert capsys.readouterr().out.startswith("<!-- written by segdiff -->")
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_the_exit_code_is_the_report_s(tmp_path: Path) -> None:
    for number, (answer, code) in enumerate(
        [(reports.report(), 0), (reports.inconclusive(), 2), (made(100), 1), (repaired(), 0)]
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(answer.to_json())
        assert main(["show", str(path)]) == code


def test_a_repair_is_shown_whole_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = repaired().to_dict() | {"command": None, "located": reports.explained().to_dict()}
    path = tmp_path / "repair.json"
    path.write_text(json.dumps(data))
    assert main(["show", str(path), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == data
    assert main(["show", str(path)]) == 0
    assert capsys.readouterr().out.startswith(str(shown(repaired(), "text", "short"))[:20])


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 1, "verdict": "agrees", "pairs": 3}'])
def test_what_is_no_report_is_one_line(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    assert main(["show", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "bad.json" in err


def test_the_report_itself_is_not_written_over(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = saved.read_text()
    for option in ("--json", "--html"):
        assert main(["show", str(saved), option, str(saved), "--force"]) == 2
        assert "is an input of this run" in capsys.readouterr().err and saved.read_text() == before


def test_only_one_form_has_stdout(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["show", str(saved), "--json", "-", "--markdown", "-"])
    assert "--json and --markdown write to stdout" in capsys.readouterr().err
