"""What the maintainers of a converter get: all they need, nothing else; the exit code flips with the mend."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from segdiff.commands.cli import main
from segdiff.core.answer import Report
from segdiff.core.edit import Edit
from segdiff.report.issue import Shown, issue, issue_text, without_places
from segdiff.report.markdown import escaped
from tests import models
from tests.models import Net, image, segmenter, with_attribute
from tests.report import reports


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The issue of a slope that was moved, as the command writes it."""
    import numpy as np

    folder = tmp_path_factory.mktemp("private") / "name"
    folder.mkdir()
    faulty = with_attribute(segmenter(), "LeakyRelu", alpha=0.3)
    for node in faulty.graph.node:
        node.doc_string = f"{folder}/train.py line 7"
    faulty.producer_name, faulty.producer_version = "converter", "1.2"
    files = [models.save(m, folder / f"{n}.onnx") for n, m in (("ours", segmenter()), ("theirs", faulty))]
    np.save(folder / "image.npy", image())
    words = ["locate", *map(str, files), str(folder / "image.npy"), "--no-deployed", "--no-progress"]
    assert main([*words, "--issue", str(folder / "issue")]) == 1
    return folder / "issue"


def run(folder: Path, *words: str) -> int:
    return subprocess.run([sys.executable, "repro.py", *words], cwd=folder, check=False).returncode


def test_the_exit_code_flips_with_the_mended_segment(written: Path) -> None:
    assert run(written) == 1
    assert run(written, "mended.onnx") == 0


def test_what_does_not_run_at_all_is_wrong(written: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    assert run(written, str(tmp_path / "broken.onnx")) == 1
    net = Net(shape=(1, 4, 8, 12))
    models.save(net.model(net.node("Relu", "x")), tmp_path / "other.onnx")
    assert run(written, str(tmp_path / "other.onnx")) == 1


def test_it_has_what_a_maintainer_needs(written: Path) -> None:
    text = (written / "ISSUE.md").read_text()
    title = text.splitlines()[0]
    assert title.startswith("# ") and "alpha" in title and "reference" not in title
    for heading in ("Both operators", "Numbers", "What mends it", "To reproduce", "Versions"):
        assert f"\n## {heading}\n" in text
    assert "| ≠ **alpha = 0.1" in text and "≠ **alpha = 0.3" in text and "attribute alpha = 0.1\n" in text
    assert "| converter | converter 1.2 |" in text and "| opset | 17 |" in text
    assert "- fed with conv\\_" in text and ": float32 1 x 8 x 8 x 12\n- expected: " in text
    assert "= LeakyRelu(conv_" in text and "{alpha=0.3}" in text
    assert "python repro.py mended.onnx  # exit code 0" in text


def test_it_has_nothing_private(written: Path) -> None:
    for file in written.iterdir():
        assert b"private" not in file.read_bytes() and str(Path.home()).encode() not in file.read_bytes()
    model = onnx.load(str(written / "segment.onnx"))
    assert [node.op_type for node in model.graph.node] == ["LeakyRelu"] and not model.graph.initializer
    assert {file.name for file in written.iterdir()} == {
        *("ISSUE.md", "segment.onnx", "mended.onnx", "tensors.json", "reference.json", "repro.py"),
        *("input-0.npy", "expected-0.npy"),
    }


@pytest.mark.parametrize(
    "text, told",
    [
        ("in /home/me/secret/m.onnx: no", "in …/m.onnx: no"),
        ("'/a/b.py'", "'…/b.py'"),
        ("1/2 and a/b/c and https://x.y/z/w", "1/2 and a/b/c and https://x.y/z/w"),
    ],
)
def test_paths_are_cut_down_to_names(text: str, told: str) -> None:
    assert without_places(text) == told


def test_hostile_names_are_text() -> None:
    report = reports.hostile()
    text = issue_text(report, report.origins[0], Shown(nodes="a ``` b", mended="c"))
    plain = re.sub(r"(?s)\n(````*)\w+\n.*?\n\1\n", "", text)
    assert set(re.findall(r"</?([a-z]+)", plain)) <= {"br"}
    assert not re.search(r"(?m)^# .*\n# ", text)


def test_a_cause_that_was_not_found_is_told_as_such(tmp_path: Path) -> None:
    report = reports.diverging()
    text = issue_text(report, report.origins[0], Shown())
    assert "was not found" in text and "mended.onnx" not in text and "What mends it" not in text


def test_an_edit_outside_of_the_segment_makes_no_mended_file(tmp_path: Path) -> None:
    import segdiff

    files = [
        models.save(model, tmp_path / f"{number}.onnx")
        for number, model in enumerate((segmenter(), with_attribute(segmenter(), "LeakyRelu", alpha=0.3)))
    ]
    found = segdiff.locate(*files, image(), timeout=60, deployed=False)
    (origin,) = found.origins
    assert origin.cause is not None
    elsewhere = replace(origin.cause, edits=(Edit("not_here", "Relu"),))
    report: Report = replace(found, origins=(replace(origin, cause=elsewhere),))
    folder = issue(report, tmp_path / "issue")
    assert not (folder / "mended.onnx").exists() and run(folder) == 1
    assert escaped("mended.onnx") not in (folder / "ISSUE.md").read_text()
