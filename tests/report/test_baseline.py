"""What is known passes, what is new fails, what is gone is told; and the answer as a test of one's own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.answer import Report
from segdiff.core.errors import InputError
from segdiff.report.baseline import against
from tests.models import image, save, segmenter, with_attribute
from tests.report import reports

FIRST, SECOND = "resize.coordinate_mode-0123456789ab", "unknown-ba9876543210"


def found() -> Report:
    """Two origins, with fingerprints."""
    made = reports.explained()
    pairs = zip(made.origins, (FIRST, SECOND), strict=True)
    return replace(made, origins=tuple(replace(origin, fingerprint=each) for origin, each in pairs))


def test_what_is_known_passes() -> None:
    report = found().against([FIRST, SECOND])
    assert report.baseline is not None and report.baseline.new == report.baseline.gone == ()
    assert (report.verdict, report.exit_code) == ("diverges", 0)
    assert "2 of 2 findings are known, none is new" in str(report)


def test_a_new_one_fails_and_one_that_is_gone_is_told() -> None:
    report = found().against([FIRST, "softmax.axis-000000000000"])
    assert report.baseline is not None and report.baseline.new == (SECOND,)
    assert report.exit_code == 1
    words = " ".join(str(report).split())
    assert f"1 of 2 findings are known, new: {SECOND}" in words
    assert "known and gone: softmax.axis-000000000000" in words


def test_a_cause_that_was_unknown_is_the_same_finding_and_another_cause_is_not() -> None:
    for known, code in ((f"unknown-{FIRST[-12:]}", 0), (f"resize.scale-{FIRST[-12:]}", 1)):
        assert found().against([known, "norm.order-ba9876543210"]).exit_code == code


def test_one_that_stands_twice_is_known_once() -> None:
    report = found()
    twice = replace(report, origins=(report.origins[0], report.origins[0]))
    assert twice.against([FIRST]).exit_code == 1 and twice.against([FIRST, FIRST]).exit_code == 0


def test_what_is_not_known_is_no_pass() -> None:
    assert reports.inconclusive().against([]).exit_code == 2
    assert reports.report().against([FIRST]).exit_code == 0


def test_a_baseline_is_a_report_or_a_list(tmp_path: Path) -> None:
    saved = found().save(tmp_path / "known.json")
    assert found().against(saved).exit_code == 0
    listed = tmp_path / "list.json"
    listed.write_text(json.dumps([FIRST]))
    assert found().against(str(listed)).exit_code == 1
    for text, words in (("[1]", "holds text alone"), ("{}", "is no report")):
        listed.write_text(text)
        with pytest.raises(InputError, match=words):
            against(found(), listed)
    reports.explained().save(listed)
    with pytest.raises(InputError, match="before origins had fingerprints"):
        against(found(), listed)


def test_it_comes_back_with_the_report(tmp_path: Path) -> None:
    report = found().against([FIRST])
    again = segdiff.load(report.save(tmp_path / "r.json"))
    assert isinstance(again, Report) and again.baseline == report.baseline and again.exit_code == 1


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(segdiff, "locate", lambda *_, **__: found(), raising=False)
    words = ["locate", "deploy/", "model.onnx", "street.jpg"]
    known, out = tmp_path / "known.json", tmp_path / "out.json"
    assert main([*words, "--json", str(known)]) == 1
    assert main([*words, "--baseline", str(known), "--json", str(out), "--github"]) == 0
    printed = capsys.readouterr().out
    assert "none is new" in printed and "::notice file=deploy/model.onnx" in printed
    told = json.loads(out.read_text())
    assert told["exit_code"] == 0 and told["baseline"]["known"] == [FIRST, SECOND]
    before = known.read_text()
    assert main([*words, "--baseline", str(known), "--json", str(known)]) == 2
    assert known.read_text() == before
    assert main([*words, "--baseline", str(tmp_path / "none.json")]) == 2
    assert main(["show", str(out), "--baseline", str(known)]) == 0


def test_check_is_for_a_test_and_fails_with_the_report_in_short() -> None:
    assert reports.report().check().verdict == "agrees"
    with pytest.raises(AssertionError) as caught:
        reports.explained().check()
    assert str(caught.value).strip() == str(reports.explained()).strip()
    assert found().check([FIRST, SECOND]).exit_code == 0
    with pytest.raises(AssertionError, match="out of memory"):
        reports.inconclusive().check()


def test_assert_agrees(tmp_path: Path) -> None:
    ours = save(segmenter(), tmp_path / "ours.onnx")
    theirs = save(with_attribute(segmenter(), "LeakyRelu", alpha=0.3), tmp_path / "theirs.onnx")
    assert segdiff.assert_agrees(ours, ours, image(), deployed=False).verdict == "agrees"
    with pytest.raises(AssertionError, match=r"leaky_relu\.slope"):
        segdiff.assert_agrees(ours, theirs, image(), deployed=False)
