"""The walk over a dump: what is fed, in which unit it is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from segdiff.align import cut
from segdiff.align.view import view_of
from segdiff.core.thresholds import Thresholds
from segdiff.engines import Blocks, Tensor
from segdiff.walk.device import DeviceProbe
from segdiff.walk.dump_check import told_by
from tests.models import graph_of, segmenter

NOBODY: Any = None


def probe_of(folder: Path, stored: dict[str, str], fused: tuple[frozenset[int], ...] = ()) -> DeviceProbe:
    """A probe of the segmenter that runs nothing; its file tells no types."""
    graph = replace(graph_of(segmenter(), folder), values={})
    return DeviceProbe(NOBODY, graph, graph, Blocks(), Thresholds(), stored=stored, fused=fused)


def test_a_value_whose_type_the_file_does_not_tell_is_fed_in_the_files(tmp_path: Path) -> None:
    probe = probe_of(tmp_path, {})
    fed = probe.fitting("anything", Tensor(np.ones((2, 3), np.float16)))
    assert fed.array.dtype == np.float32 and fed.array.shape == (2, 3)
    assert probe.fitting("indices", Tensor(np.ones(3, np.int64))).array.dtype == np.int64


def test_the_unit_is_that_of_what_is_stored_as_often_as_it_is_stored(tmp_path: Path) -> None:
    view = view_of(graph_of(segmenter(), tmp_path))
    (whole,) = cut(view, view, {name: name for name in ("x", *view.outputs)})
    final = view.outputs[0]
    count = len(whole.ops)
    assert probe_of(tmp_path, {}).unit(whole) == 2.0**-24
    assert probe_of(tmp_path, {final: "float16"}).unit(whole) == 2.0**-11 * count**0.5
    fused = (frozenset(whole.ops[:4]),)
    assert probe_of(tmp_path, {final: "float16"}, fused).unit(whole) == 2.0**-11 * (count - 3) ** 0.5


def test_the_type_of_numbers_is_told_by_them() -> None:
    numbers = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    assert told_by(numbers) == "float32"
    assert told_by(numbers.astype(np.float16).astype(np.float32)) == "float16"
    short = (numbers.view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert told_by(short) == "bfloat16"
    assert told_by(np.arange(500, dtype=np.float32)) == "float32"  # whole numbers tell nothing
    assert told_by(np.full(500, 0.5, np.float32)) == "float32"
    assert told_by(np.arange(4)) == "int64"
