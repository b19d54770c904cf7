"""What a person reads in a terminal: facts, not layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from segdiff.core.answer import Report
from segdiff.report import forms
from tests.report import reports

ALL = (
    reports.report,
    reports.diverging,
    reports.explained,
    reports.inconclusive,
    reports.empty,
    reports.not_finite,
    reports.hostile,
)


def shown(report: Report, width: int = 80, *, all_pairs: bool = False, colour: bool = False) -> str:
    console = Console(
        file=StringIO(),
        width=width,
        no_color=not colour,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
    )
    with console.capture() as captured:
        console.print(forms.shown(report, "terminal", "all" if all_pairs else "full"), crop=False)
    return captured.get()


def words(report: Report, **options: bool) -> str:
    """Without the line breaks that wrapping puts in."""
    return " ".join(shown(report, **options).split())


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("width", [30, 60, 80, 200])
@pytest.mark.parametrize("all_pairs", [False, True])
def test_no_line_is_wider_than_the_terminal(make: Callable[[], Report], width: int, all_pairs: bool) -> None:
    lines = shown(make(), width, all_pairs=all_pairs).splitlines()
    if lines[-1].startswith("segdiff "):
        lines.pop()  # a command to paste is never broken
    assert max(map(cell_len, lines)) <= min(160, width)


def test_the_first_line_is_the_verdict() -> None:
    assert shown(reports.report()).startswith("✓ The models agree")
    assert shown(reports.diverging()).startswith("✗ The models diverge at Resize")
    assert shown(reports.inconclusive()).startswith("? The reference stopped")


def test_a_divergence_shows_both_operators_with_their_attributes() -> None:
    lines = shown(reports.diverging()).splitlines()
    assert any("bilinear_interp_v2" in line and "Cast" in line for line in lines)
    assert any("align_corners = True" in line for line in lines)
    text = words(reports.diverging())
    assert "coordinate_transformation_mode =" in text
    assert "half_pixel" in text
    assert "→ bilinear_interp_v2_8.tmp_0" in text
    assert "→ p2o.Resize.8" in text
    assert "1 x 64 x 32 x 48" in text


def test_a_divergence_shows_errors_reason_and_place() -> None:
    text = words(reports.diverging())
    assert "isolated 0.987200 6.4e-01 1.6e-01" in text
    assert "cumulative 0.985550 6.8e-01 1.7e-01" in text
    assert "1.2e+06 times the segment's own rounding" in text
    assert "reads relu_7.tmp_0 = p2o.Relu.7 (agrees)" in text
    assert "after concat_9.tmp_0 (error comes from above)" in text
    assert "confirmed what reads it agrees" in text
    assert "conv2d_20.tmp_0 → Conv rel_l2 3.0e-03" in text


def test_attributes_that_differ_under_one_name_are_marked() -> None:
    made = reports.diverging()
    first = made.origins[0]
    ours = replace(first.reference_ops[0], attributes={"axis": 1, "same": 2, "alone": 3})
    theirs = replace(first.candidate_nodes[1], attributes={"axis": -1, "same": 2})
    origin = replace(first, reference_ops=(ours,), candidate_nodes=(theirs,))
    lines = shown(replace(made, origins=(origin,))).splitlines()
    assert next(line for line in lines if "axis" in line).split() == [
        "≠",
        "axis",
        "=",
        "1",
        "≠",
        "axis",
        "=",
        "-1",
    ]
    assert "≠" not in next(line for line in lines if "same" in line)
    assert "≠" not in next(line for line in lines if "alone" in line)


def test_an_unconfirmed_origin_says_so() -> None:
    made = reports.diverging()
    assert "not confirmed" in words(replace(made, origins=(replace(made.origins[0], confirmed=False),)))


def test_cause_effect_and_repair_are_shown_once_known() -> None:
    text = words(reports.explained())
    assert "half_pixel where Paddle uses align_corners [resize.coordinate_mode]" in text
    assert "proven: with this changed the error vanishes" in text
    assert "99.8% of the final error and restores 100% of the changed mask pixels" in text
    assert "segdiff repair deploy/model.pdmodel deploy/model.onnx IMAGE" in text
    assert "segdiff repair" not in words(reports.diverging())


def test_an_unproven_cause_is_called_a_guess_and_offers_no_repair() -> None:
    made = reports.explained()
    first = made.origins[0]
    assert first.cause is not None
    guess = replace(first, cause=replace(first.cause, proven=False, residual=None))
    text = words(replace(made, origins=(guess,)))
    assert "a guess, not proven" in text
    assert "segdiff repair" not in text


def test_where_the_error_is_first_visible_is_told_only_when_it_is_elsewhere() -> None:
    made = reports.diverging()
    assert "first visible" not in words(made)
    text = words(replace(made, first_crossing=made.pairs[12]))
    assert "The error is first visible at relu_12.tmp_0, but it begins at bilinear_interp_v2_8" in text
    assert "no value departs far enough to be visible" in words(replace(made, first_crossing=None))


def test_the_table_of_pairs_is_the_neighbourhood_or_everything() -> None:
    text, everything = shown(reports.diverging()), shown(reports.diverging(), all_pairs=True)
    assert "11 of 30 pairs" in text
    assert "relu_2.tmp_0" not in text
    assert all(pair.reference in everything for pair in reports.diverging().pairs)
    assert "✗ bilinear_interp_v2_8.tmp_0" in text
    assert "↓ concat_9.tmp_0" in text


def test_an_agreeing_model_shows_its_worst_pairs_in_order() -> None:
    lines = [
        line for line in shown(reports.report()).splitlines() if line.startswith("  ✓") and "tmp" in line
    ]
    assert [line.split()[1] for line in lines] == [
        "concat_29.tmp_0",
        "bilinear_interp_v2_28.tmp_0",
        "relu_27.tmp_0",
        "batch_norm_26.tmp_0",
        "conv2d_25.tmp_0",
    ]


def test_outputs_input_coverage_remarks_time_and_memory_are_shown() -> None:
    text = words(reports.diverging())
    assert "4.8e-01 0.992800 7.23%" in text
    assert "input Read street.jpg" in text
    assert "98.4% of the reference's ops compared (1 value unmatched), 100% of the candidate's" in text
    assert "24 times the segment's own rounding" in text
    assert "note 2 values pick other elements" in text
    assert "time 10.3 s (read 0.4" in text
    assert "812 MB" in text


def test_thresholds_of_the_user_are_repeated() -> None:
    text = words(reports.report(thresholds={"cosine": 0.999, "rel_l2": 0.01, "noise_factor": 24.0}))
    assert "cosine below 0.999 or rel_l2 above 0.01, as you asked" in text


def test_infinite_and_undefined_errors_are_shown_as_such() -> None:
    text = words(reports.not_finite())
    assert "isolated 0 inf inf" in text
    assert "cumulative nan nan nan" in text
    assert "shape [1, 2] against [1, 3]" in text


def test_nothing_known_is_no_failure() -> None:
    text = words(reports.empty())
    assert "No pair of values was compared" in text
    assert "0% of the reference's ops" in text


def test_what_could_not_be_judged_is_listed() -> None:
    assert "? conv2d_5.tmp_0" in words(reports.inconclusive())


@pytest.mark.parametrize("colour", [False, True])
def test_hostile_names_reach_the_terminal_harmless(colour: bool) -> None:
    text = shown(reports.hostile(), all_pairs=True, colour=colour)
    assert "[bold red]x[/]" in " ".join(text.split())
    assert "\x1b]0" not in text
    assert "\x1b[31mevil" not in text
    assert not set("\x07\r\t\u202e\ud800") & set(text)
    assert colour or "\x1b" not in text
    text.encode()


def test_more_origins_than_fit_are_counted() -> None:
    made = reports.diverging()
    many = replace(made, origins=made.origins[:1] + made.origins[1:] * 25)
    assert "and 15 more; --all shows them" in shown(many)
    assert "more; --all" not in shown(many, all_pairs=True)
