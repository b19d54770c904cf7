"""Do the commands in the docs run? Those of the READMEs, of start and of the recipes, each once."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import cv2
import pytest

from segdiff.commands.cli import COMMANDS
from tests.docs.cases import CASES, folded, save, segmenter
from tests.docs.reports import MARKED, ROOT, pages, run
from tests.report import reports

SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)

READ_FIRST = tuple(
    f"{name}{language}.md" for name in ("README", "docs/start", "docs/recipes") for language in ("", ".zh")
)


def lines(page: Path) -> list[str]:
    """The segdiff commands of a page's shell blocks, and of the marks of its reports."""
    text = page.read_text(encoding="utf-8")
    blocks = [block.replace("\\\n", " ") for block in SHELL.findall(text)]
    typed = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    marked = [
        line for _, _, commands, _, _ in MARKED.findall(text) for line in (commands or "").split(" && ")
    ]
    return [" ".join(line.split()) for line in (*typed, *marked) if line.startswith("segdiff ")]


EVERYWHERE = sorted({line for page in pages() for line in lines(page)})
RUN = sorted({line for name in READ_FIRST for line in lines(ROOT / name)})


def test_there_are_commands() -> None:
    assert len(RUN) >= 10 and set(RUN) <= set(EVERYWHERE)


@pytest.mark.parametrize("line", EVERYWHERE)
def test_every_command_of_the_docs_has_words_that_the_parsers_take(line: str) -> None:
    name, *words = shlex.split(line, comments=True)[1:]
    if name != "help":
        COMMANDS[name].parser(name).parse_intermixed_args(words)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with all that the commands name."""
    CASES["dataset"](tmp_path)
    for name in ("labels", "paddle", "onnx"):
        (tmp_path / name).mkdir()
        for file in tmp_path.glob("*_label.png"):
            cv2.imwrite(str(tmp_path / name / file.name), cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
    (tmp_path / "images").mkdir()
    for file in (tmp_path / "labels").iterdir():
        picture = cv2.imread(str(tmp_path / file.name.replace("_label.png", ".png")))
        cv2.imwrite(str(tmp_path / "images" / file.name), picture)
    shutil.copytree(tmp_path / "deploy", tmp_path / "zoo/net/deploy")
    for name in ("model.onnx", "street.png"):
        shutil.copy(tmp_path / name, tmp_path / "zoo/net")
    (tmp_path / "device").mkdir()
    CASES["right_device"](tmp_path / "device")
    shutil.copytree(tmp_path / "device/dump", tmp_path / "dump")
    save(segmenter(shape=(1, 3, 96, 128)), tmp_path / "before.onnx")
    save(folded(segmenter(shape=(1, 3, 96, 128))), tmp_path / "after.onnx")
    CASES["batches"](tmp_path)
    (tmp_path / "report.json").write_text(reports.explained().to_json())
    lines = (tmp_path / "val.txt").read_text().splitlines(keepends=True)
    (tmp_path / "val.txt").write_text("".join(lines[:2]))
    return tmp_path


@pytest.mark.real
@pytest.mark.parametrize("line", RUN)
def test_it_runs(line: str, desk: Path) -> None:
    if "--convert" in line and sys.version_info >= (3, 13):
        pytest.skip("paddle2onnx has no wheel for this Python")
    done = run(shlex.split(line), desk)
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout and "Traceback" not in done.stderr
    words = shlex.split(line)
    for option in ("--json", "--html", "--keep", "-o", "--repro"):
        if option in words:
            assert (desk / words[words.index(option) + 1]).exists()


@pytest.mark.real
def test_the_first_report_is_what_is_printed(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    shown = next(
        body for _, name, commands, body, _ in MARKED.findall(text) if name == "resize" and not commands
    )
    line = shown.splitlines()[0].removeprefix("$ ")
    CASES["resize"](tmp_path)
    done = run(shlex.split(line), tmp_path)
    assert figures_aside(f"$ {line}\n{done.stdout}") == figures_aside(shown)


def figures_aside(text: str) -> str:
    """A report without its numbers and curves, which other versions round otherwise."""
    return " ".join(re.sub(r"[▁-█·]+|\d[\d.e+-]*", "N", text).split())
