"""Answers as files for others: an HTML page, Markdown, JSON; whatever the model's names say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.answer import Report
from segdiff.core.errors import InputError
from segdiff.report.markdown import escaped
from segdiff.report.save import html_page, markdown_page
from tests.report import reports
from tests.report.test_short import mended
from tests.report.test_terminal import ALL

FILES = ["deploy/", "model.onnx", "street.jpg"]


def test_markdown_is_a_dozen_lines_and_the_rest_folded_up() -> None:
    text = markdown_page(mended())
    head, rest = text.split("<details>")
    assert len(head.strip().splitlines()) <= 19
    assert "### ✗ The models diverge at Resize" in head
    assert "```sh\nsegdiff repair deploy/model.pdmodel deploy/model.onnx IMAGE -o fixed.onnx\n```" in head
    assert "| ≠ **align\\_corners = True** |" in rest
    assert rest.rstrip().endswith("</details>")


@pytest.mark.parametrize("make", ALL)
def test_markdown_of_hostile_names_is_only_text(make: Callable[[], Report]) -> None:
    text = markdown_page(make())
    text = re.sub(
        r"(?s)\n(````*)sh\n[^\n]*\n\1\n", "", text
    )  # a command is shown as it is, and run by nobody
    assert set(re.findall(r"</?([a-z]+)", text)) <= {"details", "summary", "br"}
    tables = re.findall(r"(?m)(?:^\|.*\n)+", text)
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


@pytest.mark.parametrize(
    "text, markup",
    [
        ("@everyone", "@"),
        ("![x](y)", "!["),
        ("a|b", "a|b"),
        ("<img onerror=alert(1)>", "<img"),
        ("# heading", "\n#"),
        ("- item", "\n- "),
        ("1. item", "\n1."),
        ("see https://x.y", "https://x"),
        ("www.x.y", "www.x"),
        ("`code`", "\n`"),
    ],
)
def test_nothing_is_markup(text: str, markup: str) -> None:
    assert markup not in f"\n{escaped(text)}"


def test_the_suffix_says_the_form(tmp_path: Path) -> None:
    made = reports.report()
    assert made.save(tmp_path / "r.html").read_text() == html_page(made)
    assert made.save(tmp_path / "r.md").read_text() == markdown_page(made)
    assert json.loads(made.save(tmp_path / "r.json").read_text())["verdict"] == "agrees"
    with pytest.raises(InputError, match=r"\.csv, \.html, \.json, \.md, \.sarif, \.xml"):
        made.save(tmp_path / "r.pdf")
    with pytest.raises(InputError, match="cannot be written"):
        made.save(tmp_path / "nowhere" / "r.md")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """``locate`` finds a fault at once."""
    monkeypatch.setattr(segdiff, "locate", lambda *_, **__: mended(), raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def test_the_command_writes_both_and_replaces_its_own(found: None, tmp_path: Path) -> None:
    page, text = tmp_path / "r.html", tmp_path / "r.md"
    words = ["locate", *FILES, "--html", str(page), "--markdown", str(text)]
    for _ in range(2):
        assert main(words) == 1
        told = mended(command=("segdiff", *words))
        assert page.read_text() == html_page(told) and text.read_text() == markdown_page(told)


def test_a_foreign_page_is_not_written_over(
    found: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "index.html"
    page.write_text("mine")
    assert main(["locate", *FILES, "--html", str(page)]) == 2
    assert page.read_text() == "mine" and "--force" in capsys.readouterr().err


def test_no_older_page_survives_a_failed_run(
    found: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> Report:
        raise InputError("no")

    page = tmp_path / "r.html"
    assert main(["locate", *FILES, "--html", str(page)]) == 1
    monkeypatch.setattr(segdiff, "locate", fails)
    assert main(["locate", *FILES, "--html", str(page)]) == 2
    assert not page.exists()


def test_the_summary_of_a_step_is_appended_to(
    found: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert main(["locate", *FILES, "--markdown", str(summary)]) == 1
    assert summary.read_text() == "before\n" + markdown_page(mended())


def test_a_page_on_stdout_is_alone(found: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["locate", *FILES, "--markdown", "-"]) == 1
    assert capsys.readouterr().out == markdown_page(mended())
