"""Pairs of files made coarser in two ways, which once were told to diverge."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps.quantised import NETS, asked, made


@pytest.mark.parametrize(
    ("net", "ours", "theirs"),
    [
        ("pieces", "qdq-all", "qdq-int16"),  # the floats of one side and the bytes of the other hold the same
        (
            "recurrent",
            "float16",
            "float32",
        ),  # no shape inference behind an LSTM: its types follow all the same
    ],
)
def test_right_files_agree(net: str, ours: str, theirs: str, tmp_path: Path) -> None:
    files = []
    for name in (ours, theirs):
        found = made(tmp_path, net, name) if name != "float32" else tmp_path / f"{net}.onnx"
        assert isinstance(found, Path), found
        files.append(found)
    verdict, said = asked(files[0], files[1], NETS[net][1](0))
    assert verdict == "agrees", said
