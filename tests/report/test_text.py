from __future__ import annotations

import math

import numpy as np
import pytest
from rich.cells import cell_len

from segdiff.core.printable import LONGEST, clean
from segdiff.report.text import attribute, bar, cosine, filled, number, shape_text, share, shorten


@pytest.mark.parametrize(
    ("raw", "harmless"),
    [
        ("conv2d_0.tmp_0", "conv2d_0.tmp_0"),
        ("a\x1b[31mb", "a�[31mb"),
        ("a\nb\tc\u2028d", "a b c d"),
        ("a\u202eb\ud800", "a�b�"),
        ("  \u00a0 ", ""),
        ("图像 e\u0301", "图像 e\u0301"),
    ],
)
def test_clean(raw: str, harmless: str) -> None:
    assert clean(raw) == harmless


def test_a_text_of_any_length_is_cut() -> None:
    assert len(clean("x" * 10**6)) == LONGEST + 1


@pytest.mark.parametrize("width", range(12))
@pytest.mark.parametrize("text", ["", "abc", "a" * 50, "图像分割模型输出张量"])
def test_shorten_fits_and_keeps_the_end(text: str, width: int) -> None:
    short = shorten(text, width)
    assert cell_len(short) <= width
    assert short == text or width < cell_len(text)
    if 6 < width < cell_len(text):
        assert short[0] == text[0]
        assert short[-1] == text[-1]
        assert "…" in short


def test_numbers() -> None:
    assert [number(value) for value in (0.0, 1.24e-7, 3.0, math.inf, math.nan)] == [
        "0",
        "1.2e-07",
        "3.0e+00",
        "inf",
        "nan",
    ]
    assert [cosine(value) for value in (1.0, 1 - 3e-9, 0.5, 0.0, -1.0, math.nan)] == [
        "1",
        "1 - 3e-09",
        "0.500000",
        "0",
        "-1",
        "nan",
    ]


def test_a_share_is_0_or_100_percent_only_when_it_is() -> None:
    values = (0.0, 1e-9, 0.0723, 0.5, 0.99999999, 1.0, math.nan, -0.03)
    assert [share(value) for value in values] == [
        "0%",
        "<0.01%",
        "7.23%",
        "50%",
        ">99.99%",
        "100%",
        "nan",
        "-3%",
    ]


def test_a_bar_has_a_cell_for_each_decade() -> None:
    assert [len(bar(10.0**-power)) for power in range(9)] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert bar(math.inf) == "█" * 8
    assert bar(math.nan) == bar(0.0) == bar(-1.0) == ""
    assert filled(1e-4) == pytest.approx(0.5)


def test_attributes_are_short_and_plain() -> None:
    assert attribute(9.999999747378752e-06) == "1e-05"
    assert attribute([1, 2.5, b"ab", True, None]) == "[1, 2.5, ab, True, None]"
    assert attribute(list(range(100))).endswith("… 100 in all]")
    assert attribute(np.zeros((3, 4), np.float32)) == "float32 array 3 x 4"
    assert attribute(np.float32(0.5)) == "0.5"
    assert attribute("") == "''"
    assert attribute({"a": 1}) == "{1 entries}"
    assert attribute(b"\xff\x1b") == "��"
    assert shape_text(()) == "scalar"
