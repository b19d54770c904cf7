"""Conversion in a child process: what comes out, and what is said where nothing does."""

import importlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from segdiff.core.errors import EngineError, InputError, ModelError
from segdiff.engines.convert import convert
from segdiff.example import example_files

conversion = importlib.import_module("segdiff.engines.convert")
"""The module: the package may show the function under this name."""

PIR_NET = """
import sys, paddle
net = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3, padding=1), paddle.nn.ReLU(), paddle.nn.Conv2D(4, 2, 1))
net.eval()
paddle.jit.save(net, sys.argv[1], input_spec=[paddle.static.InputSpec([1, 3, 8, 12], "float32", name="x")])
"""


@pytest.fixture
def deploy(tmp_path: Path) -> Path:
    """A copy of the example's reference."""
    with example_files() as files:
        return Path(shutil.copytree(files.reference, tmp_path / "deploy"))


def played(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a script play the converter."""
    real = conversion.run

    def run(command: list[str], folder: Path, timeout: float) -> tuple[int | None, str]:
        return real([sys.executable, "-c", script, *command[3:]], folder, timeout)

    monkeypatch.setattr(conversion, "run", run)


def leftovers(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("."))


@pytest.mark.real
@pytest.mark.parametrize(("opset", "expected"), [(None, 11), (13, 13)])
def test_a_pdmodel(deploy: Path, tmp_path: Path, opset: int | None, expected: int) -> None:
    target = tmp_path / "model.onnx"
    target.write_text("an older file")
    assert convert(deploy, target, opset=opset) == target
    model = onnx.load(target)
    onnx.checker.check_model(model)
    assert model.opset_import[0].version == expected
    assert stat.S_IMODE(target.stat().st_mode) & 0o400
    assert leftovers(tmp_path) == []


NO_PARAMETERS = """
import sys, paddle
net = paddle.nn.ReLU()
paddle.jit.save(net, sys.argv[1], input_spec=[paddle.static.InputSpec([1, 3, 8, 12], "float32", name="x")])
"""


@pytest.mark.real
def test_a_program_without_parameters_has_no_file_of_them(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", NO_PARAMETERS, tmp_path / "net"], check=True, capture_output=True)
    assert not (tmp_path / "net.pdiparams").exists()
    made = convert(tmp_path / "net.json", tmp_path / "net.onnx", opset=13)
    assert [node.op_type for node in onnx.load(made).graph.node] == ["Relu"]


@pytest.mark.real
def test_a_pir_model_with_parameters_of_another_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    subprocess.run([sys.executable, "-c", PIR_NET, tmp_path / "net"], check=True, capture_output=True)
    (tmp_path / "net.pdiparams").rename(tmp_path / "weights.pdiparams")
    convert(tmp_path / "net.json", tmp_path / "net.onnx")
    assert [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node].count("Conv") == 2
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


@pytest.mark.parametrize("opset", [0, 6, 99])
def test_an_opset_that_does_not_exist_is_told_before_anything_runs(opset: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"no opset {opset} to convert to: paddle2onnx writes 7 and up"):
        convert(tmp_path / "nothing", tmp_path / "model.onnx", opset=opset)


@pytest.mark.real
def test_an_abort_inside_the_converter(deploy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segdiff.engines.convert.check_opset", lambda opset: None)
    with pytest.raises(EngineError, match="killed by SIGABRT: The Opset Version must be between") as caught:
        convert(deploy, tmp_path / "model.onnx", opset=99)
    assert "\n" not in str(caught.value)
    assert leftovers(tmp_path) == []
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.real
def test_a_damaged_program(deploy: Path, tmp_path: Path) -> None:
    program = deploy / "model.pdmodel"
    program.write_bytes(program.read_bytes()[:5000])
    with pytest.raises(EngineError, match=r"model.pdmodel: paddle2onnx ended .*: .*parse program_desc"):
        convert(deploy, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGFPE)", "was killed by SIGFPE"),
        ("raise ValueError('no such kernel')", "ended with exit code 1: ValueError: no such kernel"),
        ("print('[ERROR][Paddle2ONNX] [OP: pool] Cannot.'); exit(3)", "exit code 3: .OP: pool. Cannot"),
        ("print('[Paddle2ONNX] Start parsing.'); exit(3)", "exit code 3 after: Start parsing"),
        ("pass", "paddle2onnx wrote no file"),
    ],
)
def test_every_failure_is_one_line(
    deploy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    (tmp_path / "model.onnx").write_text("an older file")
    played(monkeypatch, script)
    with pytest.raises(EngineError, match=words) as caught:
        convert(deploy, tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "model.onnx").read_text() == "an older file"
    assert leftovers(tmp_path) == []


def test_a_converter_that_hangs(deploy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(EngineError, match=r"did not end within 0.5 s"):
        convert(deploy, tmp_path / "model.onnx", timeout=0.5)


def test_what_is_no_paddle_model(deploy: Path, tmp_path: Path) -> None:
    with example_files() as files, pytest.raises(ModelError, match="an ONNX file already"):
        convert(files.candidate, tmp_path / "model.onnx")
    (deploy / "model.pdiparams").unlink()
    with pytest.raises(ModelError, match=r"the parameters are missing"):
        convert(deploy, tmp_path / "model.onnx")


def test_a_target_that_cannot_be_written(
    deploy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="cannot be written: No such file or directory"):
        convert(deploy, tmp_path / "missing" / "model.onnx")
    played(monkeypatch, "import sys; open(sys.argv[sys.argv.index('--save_file') + 1], 'w').write('onnx')")
    with pytest.raises(ModelError, match="cannot be written: Is a directory"):
        convert(deploy, deploy)


def test_a_target_named_without_a_folder(
    deploy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, "import sys; open(sys.argv[sys.argv.index('--save_file') + 1], 'w').write('onnx')")
    monkeypatch.chdir(tmp_path)
    assert convert(os.path.relpath(deploy), "model.onnx") == Path("model.onnx")
    assert (tmp_path / "model.onnx").read_text() == "onnx"
