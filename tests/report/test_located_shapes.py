"""Does several batches and sizes say the same in every form, and come back from its JSON?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.answer import Repaired
from segdiff.core.shapes_report import Entry, NotRun, ShapesReport
from segdiff.report.exports import exports_of
from segdiff.report.findings import findings_of
from segdiff.report.forms import shown
from tests.report import reports
from tests.schema import check

HOSTILE = "<img src=x onerror=alert(1)>.onnx"


def made(*verdicts: str) -> ShapesReport:
    """A sweep over batches of 1, 2, 4 ... with these verdicts; ``fixed`` and ``failed`` were not run."""
    entries = []
    for place, verdict in enumerate(verdicts):
        batch = 2**place
        shape, options = (batch, 3, 64, 96), ("--batch", str(batch))
        if verdict == "fixed":
            why = NotRun("fixed", Path(HOSTILE), (1, 3, None, None))
            entries.append(Entry(shape, options, None, why))
        elif verdict == "failed":
            entries.append(Entry(shape, options, None, NotRun("failed", detail="killed")))
        else:
            report = {"agrees": reports.report, "diverges": reports.explained}[verdict]()
            entries.append(Entry(shape, options, replace(report, at=options)))
    paths = Path("deploy/model.pdmodel"), Path("model.onnx"), "street.png"
    return ShapesReport(
        "What was found.", tuple(entries), paths, ("Made a batch.",), (), {"walk": 1.5}, 120.0
    )


EVERY = (
    made("agrees", "agrees"),
    made("agrees", "diverges", "diverges"),
    made("agrees", "fixed", "failed"),
    made("fixed"),
)


@pytest.mark.parametrize("swept", EVERY)
def test_it_comes_back_as_it_was(swept: ShapesReport, tmp_path: Path) -> None:
    check(swept.to_dict())
    path = swept.save(tmp_path / "r.json")
    again = segdiff.load(path)
    assert isinstance(again, ShapesReport) and again.to_dict() == swept.to_dict()
    for form in ("text", "html", "markdown"):
        for detail in ("short", "full", "all"):
            assert shown(again, form, detail) == shown(swept, form, detail)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("swept", "verdict", "told"),
    list(zip(EVERY, ("agrees", "diverges", "inconclusive", "inconclusive"), (0, 1, 0, None), strict=True)),
)
def test_the_worst_counts_and_the_smallest_of_it_is_told(
    swept: ShapesReport, verdict: str, told: int | None
) -> None:
    assert (
        swept.verdict == verdict
        and swept.exit_code == {"agrees": 0, "diverges": 1, "inconclusive": 2}[verdict]
    )
    assert swept.told is (None if told is None else swept.entries[told])


@pytest.mark.parametrize("swept", EVERY)
def test_every_form_is_written_and_no_name_becomes_markup(swept: ShapesReport, tmp_path: Path) -> None:
    for export in exports_of("ShapesReport"):
        text = export.text(swept)
        assert text.strip() and "<img src=x" not in text
    page = (swept.save(tmp_path / "r.html")).read_text()
    assert page.startswith("<!") and "64x96" in page
    for word in ("2x3x64x96",) if len(swept.entries) > 1 else ("1x3x64x96",):
        assert word in page and word in str(swept)


def test_a_test_page_has_a_case_for_every_shape() -> None:
    from segdiff.report.junit import render

    suite = ElementTree.fromstring(render(EVERY[1])).find("testsuite")
    assert suite is not None and suite.get("tests") == "3" and suite.get("failures") == "2"
    waiting = ElementTree.fromstring(render(EVERY[2])).find("testsuite")
    assert waiting is not None and waiting.get("errors") == "2" and waiting.get("failures") == "0"


def test_a_finding_of_several_shapes_is_told_once_by_the_smallest() -> None:
    (first, *rest) = findings_of(EVERY[1])
    assert first.text[0] == "at 2x3x64x96" and len({each.value for each in (first, *rest)}) == len(rest) + 1


def test_the_commands_to_paste_name_the_shape() -> None:
    for form in ("text", "html", "markdown"):
        assert "-o fixed.onnx --batch 2" in shown(EVERY[1], form, "short").replace("\n", " ")


def test_a_saved_one_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = EVERY[1].save(tmp_path / "r.json")
    assert main(["show", str(path), "--html", str(tmp_path / "r.html")]) == 1
    assert "2x3x64x96" in capsys.readouterr().out and (tmp_path / "r.html").exists()


@pytest.mark.parametrize("hurt", ["shape", "report", "options", "verdict"])
def test_a_damaged_one_is_a_clear_line(hurt: str, tmp_path: Path) -> None:
    data = EVERY[1].to_dict()
    data["entries"][0][hurt] = 7
    (tmp_path / "r.json").write_text(json.dumps(data))
    with pytest.raises(segdiff.InputError, match="is damaged"):
        segdiff.load(tmp_path / "r.json")


def test_a_repair_goes_by_the_told_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def repair(report: object, path: object, **options: object) -> Repaired:
        asked.append(report)
        return Repaired(Path("fixed.onnx"), (), (), ())

    monkeypatch.setattr("segdiff.finding.repair.repair", repair)
    assert EVERY[1].repair("fixed.onnx").path == Path("fixed.onnx")
    assert asked == [EVERY[1].entries[1].report]
