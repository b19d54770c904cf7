"""The demo: three faults, each found and mended; what it prints is what it runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from segdiff.commands import demo
from segdiff.commands.cli import main
from segdiff.commands.demo import CHAPTERS


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[list[str]]:
    """The commands that the demo runs, which end with the codes that the test names."""
    calls: list[list[str]] = []
    codes = iter(getattr(request, "param", [code for chapter in CHAPTERS for code in chapter.codes]))

    def run(words: Sequence[str]) -> int:
        assert Path("deploy/deploy.yaml").is_file() and Path("masks/onnx").is_dir()
        calls.append(list(words))
        return next(codes)

    monkeypatch.setattr(demo, "_run", run)
    return calls


def test_every_line_behind_a_prompt_is_run_as_it_stands(
    ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()
    assert main(["demo", "--no-progress"]) == 0
    out, err = capsys.readouterr()
    told = [shlex.split(line)[2:] for line in out.splitlines() if line.startswith("$ ")]
    assert len(told) == 6 and [[*words, "--no-progress"] for words in told] == ran
    assert out.splitlines()[-1].startswith("segdiff locate") and err == "" and Path.cwd() == here


@pytest.mark.parametrize("ran", [[1, 0, 1, 0, 1], [2], [1, 1]], indirect=True)
def test_a_fault_that_is_not_found_is_no_success(
    ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo"]) == 2
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1 and "was not found and mended" in err and "Now yours" not in out


def test_the_files_are_kept_where_one_asks_for_it(
    ran: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--keep", str(tmp_path / "play")]) == 0
    assert {"deploy", "model.onnx", "infer.py", "labels"} <= {
        file.name for file in (tmp_path / "play").iterdir()
    }
    assert not list((tmp_path / "play").glob("__*")) and "kept in" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--keep", str(tmp_path / "play")])
    assert stop.value.code == 2 and "name a new folder" in capsys.readouterr().err


def test_its_commands_are_those_of_the_command_line() -> None:
    from segdiff.commands.cli import COMMANDS

    assert all(COMMANDS[name] is command for name, command in demo.COMMANDS.items())


@pytest.mark.real
def test_the_three_faults_are_found_and_mended(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    out, err = capsys.readouterr()
    words = " ".join(out.split())
    assert err == ""
    for fact in ("[resize.coordinate_mode]: proven", "[input.channel_order, proven]", "[score]", "Repaired:"):
        assert fact in words
