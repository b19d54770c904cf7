"""Drawings and tables of a report; both packages are an extra."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import segdiff
from segdiff.core.answer import Report
from segdiff.core.errors import InputError
from segdiff.core.metrics import Metrics
from segdiff.example import example_files
from tests.report import reports

FOUR = ("walk", "origin", "masks", "heatmap")


@pytest.fixture(scope="module")
def report() -> Report:
    with example_files() as files:
        return segdiff.locate(*files, deployed=False)


@pytest.mark.parametrize("what", FOUR)
def test_each_is_a_figure_that_shows_itself(report: Report, what: str) -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure
    drawn = getattr(report, f"plot_{what}")()
    assert isinstance(drawn, figure)
    assert drawn._repr_png_().startswith(b"\x89PNG")
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_the_walk_draws_what_cannot_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    for made in (reports.diverging(), reports.not_finite(), reports.inconclusive(), reports.hostile()):
        assert made.plot_walk()._repr_png_()
    with pytest.raises(InputError, match="no pair of values"):
        reports.empty().plot_walk()


def test_what_there_is_nothing_of_is_said() -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="no origin 0"):
        reports.report().plot_origin()
    with pytest.raises(InputError, match="were not kept"):
        reports.diverging().plot_origin()
    for what in ("masks", "heatmap"):
        with pytest.raises(InputError, match="no pictures"):
            getattr(reports.report(), f"plot_{what}")()


def test_without_the_extra_the_error_says_what_to_install(
    report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"segdiff\[notebook\]"):
        report.plot_walk()
    with pytest.raises(InputError, match=r"segdiff\[notebook\]"):
        report.to_dataframe()


def test_a_row_a_pair() -> None:
    pytest.importorskip("pandas")
    made = reports.diverging()
    frame: Any = made.to_dataframe()
    assert len(frame) == len(made.pairs)
    worst = frame.sort_values("isolated_rel_l2").iloc[-1]
    assert (worst.reference, worst.state) == (made.pairs[8].reference, "origin")
    assert list(reports.empty().to_dataframe().columns) == list(frame.columns)
    assert np.isnan(reports.inconclusive().to_dataframe().iloc[2].isolated_cosine)
    assert {f"isolated_{name}" for name in Metrics.__dataclass_fields__} <= set(frame.columns)
