"""A converter that refuses a program: which operators it lacks, and what could be tried."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import segdiff
from segdiff.commands.cli import main
from segdiff.core.errors import EngineError
from segdiff.core.files import ModelFiles
from segdiff.engines.lacking import advice, lacking, lacking_operators, names_of
from segdiff.example import example_files
from segdiff.readers import find

NOWHERE = ModelFiles("onnx", Path("nowhere.onnx"), None, None)

OLD = """[Paddle2ONNX] Start to parse PaddlePaddle model...
[Paddle2ONNX] Oops, there are some operators not supported yet, including conditional_block,while,
[ERROR] Due to the unsupported operators, the conversion is aborted.
"""
OLDEST = """Oops, there are some operators not supported by Paddle2ONNX yet, list as below
=====: roi_perspective
=====: svd
[ERROR] Due to the unsupported operators, the conversion is aborted.
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (OLD, "it has no converter for conditional_block, while"),
        (OLDEST, "it has no converter for roi_perspective, svd"),
        ("[ERROR] [OP: pool] Cannot.", None),
        ("", None),
    ],
)
def test_the_operators_stand_in_the_log_without_a_label(log: str, words: str | None) -> None:
    assert lacking_operators(NOWHERE, log) == words


@pytest.mark.parametrize(
    ("log", "opset", "words"),
    [
        (OLD, None, "Try another version of paddle2onnx"),
        (
            "[a] Requires the minimal opset version of 11.\n[b] Requires the minimal opset version of 12.",
            9,
            "Try --opset 12.",
        ),
        ("please set the opset_version to 13 or higher", None, "Try --opset 13."),
        ("[ERROR] The Opset Version must be between 7 and 21.", 30, "Give an --opset from 7 to 21."),
        ("Floating point exception", 13, "Try another --opset than 13, or another version of paddle2onnx"),
        ("Floating point exception", None, "Try another --opset, 11 or 16 for instance, or another"),
        ("No module named 'paddle2onnx'", None, "pip install paddle2onnx"),
        ("the 0th elementwise MUST be ir::FloatAttribute", None, "try it beside an older Paddle"),
    ],
)
def test_what_to_try(log: str, opset: int | None, words: str) -> None:
    assert words in advice(log, opset)


def test_names_of_pir_and_of_older_programs() -> None:
    assert "elementwise_add" in names_of("add")
    assert "arg_max" in names_of("argmax")
    assert "batch_norm" in names_of("batch_norm_")
    assert "top_k_v2" in names_of("topk")
    assert "erf" not in names_of("erfinv")


NET = """
import sys, paddle
class Net(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.lacks = paddle.nn.Conv2D(3, 4, 3), sys.argv[2] == "lacks"
    def forward(self, x):
        x = paddle.nn.functional.hardswish(self.conv(x)) * 2 - x[:, :1, 1:-1, 1:-1]
        y = paddle.argmax(x.sum(axis=1), axis=-1).astype("float32") + paddle.topk(x, 2)[0].mean()
        return paddle.erfinv(y.unsqueeze(0)) if self.lacks else y
net = Net(); net.eval()
paddle.jit.save(net, sys.argv[1], input_spec=[paddle.static.InputSpec([1, 3, 16, 16], "float32", name="x")])
"""


@pytest.mark.real
@pytest.mark.parametrize("how", ["lacks", "is fine"])
def test_what_a_program_of_paddle_3_lacks(how: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)  # Paddle reads the source of what it exports
    words = [sys.executable, str(tmp_path / "net.py"), str(tmp_path / "net"), how]
    subprocess.run(words, check=True, capture_output=True)
    assert lacking(find(tmp_path / "net.json")) == ({"erfinv"} if how == "lacks" else set())
    if how == "lacks":
        with pytest.raises(EngineError, match=r"no converter for erfinv\. Try another version") as caught:
            segdiff.convert(tmp_path / "net.json", tmp_path / "net.onnx")
        assert "\n" not in str(caught.value)


def test_the_input_is_looked_at_before_anything_is_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def convert(*args: object, **options: object) -> Path:
        raise AssertionError("the conversion began")

    monkeypatch.setattr(segdiff, "convert", convert, raising=False)
    with example_files() as files:
        (tmp_path / "broken.png").write_bytes(b"no picture")
        (tmp_path / "two.npz").write_bytes(b"no archive")
        for words in (
            [str(files.reference), str(tmp_path / "broken.png")],
            [str(files.reference), str(tmp_path / "two.npz")],
            [str(files.reference), str(tmp_path / "missing.png")],
            [str(files.reference), str(files.image), "--candidate-input", "nowhere.py:preprocess"],
            [str(tmp_path), str(files.image)],
            [str(files.candidate), str(files.image)],
        ):
            assert main(["locate", "--convert", *words]) == 2
            assert "the conversion began" not in capsys.readouterr().err
