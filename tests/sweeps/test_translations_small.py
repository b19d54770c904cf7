"""What Paddle ops mean in ONNX, of the sweep that writes every small program out: one of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps.operators.programs import programs
from tests.sweeps.translations import judged

PROGRAMS = programs()

KINDS = (
    *("split", "unbind", "unstack", "take_along_axis", "gather_nd", "index_sample", "where"),
    *("argsort", "cumsum", "flip", "expand", "tile", "one_hot", "triu", "strided_slice", "conv2d_transpose"),
    *("conv2d", "max_pool2d", "avg_pool2d", "interpolate", "layer_norm", "instance_norm", "prelu"),
    *("pixel_shuffle", "grid_sample", "logsumexp", "remainder", "full_like", "index_stepped"),
)

ALL_OF = [
    name
    for name in PROGRAMS
    if ("max_pool2d" in name and "return_mask=True" in name) or name.startswith("temporal_shift")
]
"""Pools that say where the maxima stand; frames shifted, in both layouts."""


@pytest.mark.parametrize("name", ALL_OF)
def test_every_program_of_an_op_gives_what_paddle_gives(name: str, tmp_path: Path) -> None:
    word, said = judged(PROGRAMS[name], tmp_path)
    assert word == "right", said


@pytest.mark.parametrize("kind", KINDS)
def test_an_op_written_out_gives_what_paddle_gives(kind: str, tmp_path: Path) -> None:
    name = next(name for name, program in PROGRAMS.items() if program.word == kind)
    word, said = judged(PROGRAMS[name], tmp_path)
    assert word == "right", said
