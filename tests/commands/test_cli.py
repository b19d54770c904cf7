"""The command's promises: exit codes, one plain line on stderr, no result lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import segdiff
from segdiff.commands.cli import COMMANDS, main
from segdiff.commands.completion import SHELLS
from segdiff.core.answer import Report
from segdiff.core.errors import EngineError, InputError
from tests.report import reports

FILES = ["deploy/", "model.onnx", "street.jpg"]
ROOT = Path(__file__).parents[2]
Calls = list[tuple[tuple[Any, ...], dict[str, Any]]]
Answer = Callable[[Report | BaseException], Calls]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Makes ``segdiff.locate`` return a report or raise; returns the list of its calls."""

    def install(result: Report | BaseException) -> Calls:
        calls: Calls = []

        def locate(*args: Any, **options: Any) -> Report:
            calls.append((args, options))
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr(segdiff, "locate", locate, raising=False)
        return calls

    return install


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


# --- exit codes


@pytest.mark.parametrize(
    ("make", "code", "lines"),
    [(reports.report, 0, 0), (reports.diverging, 1, 0), (reports.inconclusive, 2, 1), (reports.empty, 2, 1)],
)
def test_the_exit_code_is_the_verdict(
    make: Callable[[], Report], code: int, lines: int, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(make())
    assert main(["locate", *FILES]) == code
    out, err = capsys.readouterr()
    assert make().sentence[:40] in out
    assert len(err.splitlines()) == lines


def test_inconclusive_says_why_on_stderr(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    answer(reports.inconclusive())
    main(["locate", *FILES])
    assert errors(capsys) == [
        "segdiff: could not tell: The reference stopped at 'relu_7.tmp_0': out of memory."
    ]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("The image x.jpg does not exist."), "segdiff: The image x.jpg does not exist."),
        (EngineError("died\nat\x1b[31m relu"), "segdiff: died at�[31m relu"),
        (InputError(), "segdiff: InputError"),
    ],
)
def test_an_expected_error_is_one_line(
    error: Exception, line: str, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(error)
    assert main(["locate", *FILES]) == 2
    assert errors(capsys) == [line]


@pytest.mark.parametrize(
    "error", [ValueError("odd"), MemoryError(), RecursionError("deep"), OSError(5, "EIO")]
)
def test_an_unexpected_error_is_one_line_with_a_hint(
    error: Exception, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(error)
    assert main(["locate", *FILES]) == 2
    (line,) = errors(capsys)
    assert line.startswith(f"segdiff: unexpected {type(error).__name__}: ")
    assert line.endswith("run again with --debug for the traceback")


@pytest.mark.parametrize("error", [ValueError("odd"), InputError("bad")])
def test_debug_shows_the_traceback(
    error: Exception, answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(error)
    assert main(["locate", *FILES, "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_130_and_one_line(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    answer(KeyboardInterrupt())
    assert main(["locate", *FILES]) == 130
    assert errors(capsys) == ["segdiff: interrupted"]


# --- arguments


def test_without_a_command_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    out, err = capsys.readouterr()
    assert caught.value.code == 2 and "commands:" in out and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "words, said", [(["help"], "commands:"), (["help", "locate"], "REFERENCE CANDIDATE")]
)
def test_help_is_a_word_too(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 0 and said in capsys.readouterr().out


@pytest.mark.parametrize(
    "word, said",
    [
        ("lokate", "did you mean 'locate'?"),
        ("evalute", "did you mean 'evaluate'?"),
        ("model.onnx", "did you mean 'segdiff locate model.onnx ...'?"),
        ("xyzzy", "there are locate, repair"),
    ],
)
def test_a_word_that_is_no_command_is_met_with_what_was_meant(
    word: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([word, "a", "b"])
    (line,) = errors(capsys)
    assert said in line


@pytest.mark.parametrize("command", [["locate"], ["repair", "-o", "fixed.onnx"]])
@pytest.mark.parametrize(
    "files",
    [
        ["model.onnx", "deploy", "street.png"],
        ["deploy", "street.png", "model.onnx"],
        ["street.png", "deploy", "model.onnx"],
        ["street.png", "model.onnx", "deploy"],
    ],
)
def test_files_in_another_order_are_told_the_right_one(
    command: list[str], files: list[str], answer: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = answer(reports.report())
    with pytest.raises(SystemExit) as caught:
        main([*command, *files])
    (line,) = errors(capsys)
    assert caught.value.code == 2 and not calls
    assert "the order is REFERENCE CANDIDATE IMAGE; did you mean deploy model.onnx street.png?" in line


def test_the_files_and_options_reach_the_api(answer: Answer) -> None:
    calls = answer(reports.report())
    options = "--cosine 0.99 --abs-error 1e-3 --rel-l2 0.01 --memory 1.5G --timeout 9 --threads 2"
    assert main(["locate", FILES[0], *options.split(), *FILES[1:]]) == 0
    args, given = calls[0]
    assert args == tuple(FILES)
    assert callable(given.pop("progress"))
    assert given == {
        "cosine": 0.99,
        "abs_error": 1e-3,
        "rel_l2": 0.01,
        "memory": 3 * 2**29,
        "timeout": 9.0,
        "threads": 2,
        "candidate_input": None,
        "deployed": "usual",
        "full_walk": False,
        "allow_nan": False,
        "reference_python": None,
        "candidate_python": None,
    }


def test_what_is_not_asked_for_is_none(answer: Answer) -> None:
    calls = answer(reports.report())
    main(["locate", *FILES])
    given = calls[0][1]
    assert given.pop("timeout") == 300.0
    assert given.pop("deployed") == "usual"
    assert (given.pop("allow_nan"), given.pop("full_walk")) == (False, False)
    del given["progress"]
    assert set(given.values()) == {None}


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("512M", 2**29), ("2g", 2**31), ("1KiB", 1024), ("3kb", 3072)]
)
def test_sizes(text: str, size: int, answer: Answer) -> None:
    calls = answer(reports.report())
    main(["locate", *FILES, "--memory", text])
    assert calls[0][1]["memory"] == size


@pytest.mark.parametrize(
    "words",
    [
        "nonsense",
        "--nonsense",
        "locate",
        "locate a b",
        "locate a b c d",
        "locate a b c --convert",
        "locate a --convert",
        "locate a b c --opset 12",
        "locate a b --convert --opset zero",
        "locate a b c --cosine nan",
        "locate a b c --cosine 2",
        "locate a b c --rel-l2 -1",
        "locate a b c --abs-error inf",
        "locate a b c --timeout 0",
        "locate a b c --threads 0",
        "locate a b c --threads 1.5",
        "locate a b c --memory lots",
        "locate a b c --memory -1G",
        "locate a b c --memory 1GK",
        "locate a b c --memory 1e999",
        "locate a b c --cos 0.9",
        "locate a b c --json",
        "demo extra",
    ],
)
def test_bad_usage_is_one_line_and_2(words: str, answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    calls = answer(reports.report())
    with pytest.raises(SystemExit) as stop:
        main(words.split())
    out, err = capsys.readouterr()
    assert stop.value.code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "--help" in err
    assert not calls


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("locate a b c --jsn r.json", "did you mean --json?"),
        ("score --lables a", "did you mean --labels?"),
        ("locate a.onnx b c --colour", "unrecognized arguments: --colour"),
        ("locate", "give three files, REFERENCE, CANDIDATE and IMAGE; got 0"),
        ("tests model.onnx street.png", "did you mean 'segdiff locate tests ...'?"),
    ],
)
def test_a_slip_of_the_pen_is_told_what_was_meant(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tests").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(words.split())
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_every_command_and_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in (*COMMANDS, "candidate-input", "no-deployed"))


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_and_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 0
    assert "segdiff" in capsys.readouterr().out


# --- convert and demo


@pytest.mark.parametrize("order", ["a --convert --opset 12 i.jpg", "--convert a i.jpg --opset 12"])
def test_convert_makes_the_candidate_and_cleans_up(
    order: str, answer: Answer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[Path] = []

    def convert(reference: str, onnx_path: Path, *, opset: int | None = None) -> Path:
        assert (reference, opset) == ("a", 12)
        assert onnx_path.parent.is_dir()
        onnx_path.write_bytes(b"onnx")
        made.append(onnx_path)
        return onnx_path

    monkeypatch.setattr(segdiff, "convert", convert, raising=False)
    monkeypatch.setattr("segdiff.finding.beforehand.check_beforehand", lambda *given, **options: None)
    report = reports.report()
    calls = answer(replace(report, candidate=replace(report.candidate, opset=12)))
    assert main(["locate", *order.split()]) == 0
    assert calls[0][0] == ("a", made[0], "i.jpg")
    assert not made[0].parent.exists()
    assert "converted to opset 12 for this run" in capsys.readouterr().out


# --- JSON


def test_json_is_written_beside_the_printed_report(
    answer: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(reports.diverging())
    assert main(["locate", *FILES, "--json", str(tmp_path / "r.json")]) == 1
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "diverges"
    assert capsys.readouterr().out.startswith("✗ The models diverge")
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_json_to_stdout_is_nothing_but_json(answer: Answer, capsys: pytest.CaptureFixture[str]) -> None:
    answer(replace(reports.not_finite(), outputs=()))
    assert main(["locate", *FILES, "--json", "-"]) == 1
    assert json.loads(capsys.readouterr().out)["schema"] == 1


@pytest.mark.parametrize("where", ["missing/r.json", "", "file/r.json"])
def test_an_unwritable_json_path_is_told_before_anything_runs(
    where: str, answer: Answer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = answer(reports.report())
    (tmp_path / "file").write_text("")
    assert main(["locate", *FILES, "--json", str(tmp_path / where)]) == 2
    out, err = capsys.readouterr()
    assert not calls and not out
    (line,) = err.splitlines()
    assert line.startswith(f"segdiff: --json {tmp_path / where} ")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_stays_a_link_and_a_device_a_device(answer: Answer, tmp_path: Path) -> None:
    answer(reports.report())
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "link.json").symlink_to("old.json")
    assert main(["locate", *FILES, "--force", "--json", str(tmp_path / "link.json")]) == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "old.json").read_text())["verdict"] == "agrees"
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", str(tmp_path / "pipe")], stdout=subprocess.PIPE) as cat:
        assert main(["locate", *FILES, "--json", str(tmp_path / "pipe")]) == 0
        assert json.loads(cat.communicate(timeout=30)[0])["schema"] == 1
    assert (tmp_path / "pipe").is_fifo()


# --- the process: pipes, colour, noise


SCRIPT = """
import os, sys, warnings
import segdiff
from segdiff.commands.cli import main
from tests.report import reports
def locate(*args, **options):
    os.write(2, b"Corrupt JPEG data\\n")
    warnings.warn("noise")
    return reports.diverging()
segdiff.locate = locate
sys.exit(main(sys.argv[1:]))
"""


def run(*words: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    clear = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "CLICOLOR_FORCE", "TTY_COMPATIBLE")
    variables = {key: value for key, value in os.environ.items() if key not in clear}
    variables |= {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **environment}
    tail = f'"$@" {shell}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", tail, "bash", sys.executable, "-c", SCRIPT, *words],
        capture_output=True,
        text=True,
        env=variables,
        cwd=ROOT,
        timeout=60,
    )


@pytest.mark.parametrize("json_option", [[], ["--json", "-"]])
def test_a_closed_pipe_is_no_traceback(json_option: list[str]) -> None:
    done = run("locate", *FILES, "--all", *json_option, shell="| true")
    assert (done.returncode, done.stderr) == (1, "")


def test_closed_and_full_stdout() -> None:
    done = run("locate", *FILES, shell=">&-")
    assert (done.returncode, done.stderr) == (1, "")
    done = run("locate", *FILES, shell="> /dev/full")
    assert done.returncode == 2
    assert done.stderr == "segdiff: cannot write to standard output: No space left on device\n"


def test_help_into_a_closed_pipe() -> None:
    done = run("locate", "--help", shell="| true")
    assert done.stderr == ""


def test_a_pipe_gets_80_columns_without_colour_and_stderr_without_noise() -> None:
    done = run("locate", *FILES, COLUMNS="200")
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert not re.search(r" +$", done.stdout, re.MULTILINE)


def test_debug_lets_the_noise_through() -> None:
    assert "Corrupt JPEG data" in run("locate", *FILES, "--debug").stderr


def test_a_terminal_that_knows_only_ascii() -> None:
    done = run("locate", *FILES, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("x The models diverge")


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "segdiff", "--version"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("segdiff ")


def test_the_command_itself_imports_nothing_heavy() -> None:
    source = (
        "import sys, types; package = types.ModuleType('segdiff'); package.__version__ = '0'\n"
        f"package.__path__ = [{str(ROOT / 'segdiff')!r}]; sys.modules['segdiff'] = package\n"
        "import segdiff.commands.cli\n"
        "print(sorted({'numpy', 'rich', 'onnx', 'cv2', 'networkx', 'paddle'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_every_command_has_an_example_and_its_exit_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    examples, codes = capsys.readouterr().out.split("examples:\n")[1].split("exit codes:\n")
    assert all(line.startswith(f"  segdiff {name}") for line in examples.splitlines() if line)
    assert examples.strip() and [line.split()[0] for line in codes.splitlines()][:1] == ["0"]
    assert "\n  2  it could not tell, and stderr says why" in codes
