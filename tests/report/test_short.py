"""The report in short: on one screen, in the order of thought, the command last and whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from segdiff.core.answer import Cause, Report
from segdiff.report import forms
from segdiff.report.document import Cell, Column, Table, without_empty
from segdiff.report.text import sparkline
from tests.report import reports
from tests.report.test_terminal import ALL


def mended(**changes: object) -> Report:
    """A divergence whose cause is proven, with the change that mends it."""
    return replace(reports.explained(), **changes)  # type: ignore[arg-type]


def lines(report: Report, width: int = 80) -> list[str]:
    console = Console(file=StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(forms.shown(report, "terminal", "short"), crop=False)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("make", [reports.report, reports.explained, mended, reports.inconclusive])
def test_it_fits_a_screen_of_24_lines(make: Callable[[], Report]) -> None:
    assert len(lines(make())) <= 18


def test_one_fault_takes_no_more_than_14_lines() -> None:
    made = mended(remarks=())
    assert len(lines(replace(made, origins=made.origins[:1]))) <= 14


def test_it_goes_where_why_how_much_how_sure_what_to_do() -> None:
    text = "\n".join(lines(mended()))
    words = (
        "diverge at Resize",
        "where ",
        "why ",
        "how much",
        "how sure",
        "walk ",
        "repair ",
        "-o fixed.onnx",
    )
    assert [text.index(word) for word in words] == sorted(text.index(word) for word in words)
    assert "half_pixel where Paddle uses align_corners [resize.coordinate_mode]: proven" in " ".join(
        text.split()
    )
    assert "7.23% of the mask changes" in text and "1.2e+06 times its own rounding" in text


def test_the_last_line_is_the_command_however_narrow_the_terminal() -> None:
    for width in (40, 80, 200):
        last = lines(mended(image="a street.jpg"), width)[-1]
        assert last == "segdiff repair deploy/model.pdmodel deploy/model.onnx 'a street.jpg' -o fixed.onnx"


def test_without_a_change_to_make_it_offers_a_bug_report() -> None:
    made = reports.diverging()
    assert lines(made)[-1].endswith("--repro repro")
    unknown = replace(
        made.origins[0], cause=Cause("unknown", "No cause was found; 12 changes were tried.", False)
    )
    text = " ".join(lines(replace(made, origins=(unknown,))))
    assert "No cause was found; 12 changes were tried." in text and "proven" not in text


def test_an_agreement_says_what_was_compared_and_offers_nothing() -> None:
    text = " ".join(" ".join(lines(reports.report())).split())
    assert "30 of 30 pairs judged" in text and "the largest error is 3.0e-07" in text
    assert "segdiff " not in text


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_but_the_command_is_wider_than_the_terminal(make: Callable[[], Report], width: int) -> None:
    shown = [line for line in lines(make(), width) if not line.startswith("segdiff ")]
    assert max(map(cell_len, shown)) <= width


@pytest.mark.parametrize("width", [40, 80, 200])
def test_marks_and_numbers_are_whole_at_every_width(width: int) -> None:
    console = Console(file=StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(forms.shown(reports.explained(), "terminal", "full"), crop=False)
    text = captured.get()
    marked = [line for line in text.splitlines() if line.lstrip()[:1] in tuple("✓✗↓") and "e-" in line]
    assert sum(line.lstrip().startswith("✓") for line in marked) == 5
    assert all("1.6e-01" in line and "1.7e-01" in line for line in marked if "v2_8" in line)
    for number in ("0.987200", "6.4e-01", "1.4e-07", "7.23%"):
        assert number in text


def test_the_report_as_text_is_the_short_form() -> None:
    assert str(mended()).splitlines() == lines(mended())


def test_a_console_of_the_users_own_wraps_the_command() -> None:
    console = Console(file=StringIO(), width=40, color_system=None)
    with console.capture() as captured:
        console.print(mended())
    assert "-o fixed.onnx" in " ".join(captured.get().split())


def test_a_proven_cause_marks_the_settings_it_speaks_of_on_both_sides() -> None:
    console = Console(file=StringIO(), width=120, color_system=None)
    with console.capture() as captured:
        console.print(forms.shown(mended(), "terminal", "full"))
    text = captured.get()
    assert "≠ align_corners" in text and "≠ coordinate_transformation_mode" in text
    assert "≠ out_h" not in text and "≠ mode" not in text


def test_a_curve_keeps_its_cliff_when_it_is_squeezed() -> None:
    values = [1e-7] * 500 + [0.3] * 1000
    line, at = sparkline(values, 30, 500)
    assert len(line) == 30 and at is not None
    assert set(line[:at]) == {"▁"} or set(line[:at]) == {"▂"}
    assert set(line[at:]) == {line[at]} and line[at] > line[0]
    assert sparkline([], 30, None) == ("", None)
    assert sparkline([None, float("nan")], 30, None) == ("·█", None)


@pytest.mark.parametrize("count, marked", [(1, 0), (2, 1), (31, 0), (31, 30), (100, 1), (1500, 1499)])
def test_the_marked_value_has_a_cell_of_its_own(count: int, marked: int) -> None:
    values = [1e-8] * count
    values[marked] = 1.0
    line, at = sparkline(values, 30, marked)
    assert len(line) == min(30, count) and at == line.index("█")


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_columns_of_numbers_are_whole_where_sentences_wrap(width: int) -> None:
    words = "compared at the mask's size, label resized nearest, which takes more than a line"
    columns = (Column("", 46), Column("points", 7, True), Column("mIoU", 7, True))
    table = Table(columns, (tuple(map(Cell, (words, "-1.12", "93.92"))),), airy=True)
    console = Console(file=StringIO(), width=width, color_system=None)
    with console.capture() as captured:
        console.print(forms.found(forms.FORMS["terminal"])((table,)))
    text = captured.get()
    assert "-1.12" in text and "93.92" in text
    assert all(word in text for word in words.split())


def test_a_column_that_says_nothing_is_left_out() -> None:
    columns = tuple(map(Column, ("name", "pixels", "max_abs")))
    table = without_empty(Table(columns, (tuple(map(Cell, ("a", "2.00%", "-"))),)))
    assert [column.title for column in table.columns] == ["name", "pixels"]


def test_what_was_not_judged_is_not_said_to_be_right() -> None:
    made = mended()
    unknown = replace(made.pairs[-1], state="unknown", isolated=None)
    text = " ".join(lines(replace(made, origins=made.origins[:1], pairs=(*made.pairs[:-1], unknown))))
    assert "29 of 30 pairs judged" in text and "nothing else errs" not in text
