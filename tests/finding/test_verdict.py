"""From measured steps to verdict, states and sentences, on a walk made by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from segdiff.align import Alignment, cut
from segdiff.align.view import view_of
from segdiff.core.answer import Cause, Report
from segdiff.core.graph import Graph
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.thresholds import Thresholds
from segdiff.finding.verdict import Findings, besides, conclude
from segdiff.walk import PairResult, Probe, Run, Step, Walk
from segdiff.walk.judge import Judgement
from tests.models import hand_made

NAMES = ("a", "b", "c", "y")
SMALL, LARGE = 1e-7, 0.3


def chain(*types: str, prefix: str = "") -> Graph:
    """x -> a -> b -> c -> y"""
    words = types or ("Conv", "Relu", "Resize", "Softmax")
    values = ["x", *(prefix + name for name in NAMES[: len(words)])]
    return hand_made(
        [(word, [values[n]], [values[n + 1]]) for n, word in enumerate(words)],
        outputs=[values[len(words)]],
        parameters={},
    )


def error(size: float) -> Comparison:
    reference = np.linspace(1, 2, 100)
    return compare_arrays(reference, reference * (1 + size * np.resize([1, -1], 100)))


CLEAN = Judgement("equal")
FAULT = Judgement("fault", None, 99.0)
TIE = Judgement("tie")


def findings(
    *measured: tuple[float, float, Judgement | None],
    graph: Graph | None = None,
    problem: str | None = None,
    thresholds: Thresholds | None = None,
    random: tuple[str, ...] = (),
) -> Findings:
    """One (cumulative, isolated, judgement) for each value; a judgement of None is an unknown pair."""
    ours, theirs = graph or chain(), chain(prefix="p2o.")
    pairs = {"x": "x"} | {name: f"p2o.{name}" for name in NAMES}
    segments = cut(view_of(ours), view_of(theirs), pairs)
    steps = []
    for segment, (cumulative, isolated, judgement) in zip(segments, measured, strict=True):
        (end,) = segment.outputs
        pair = PairResult(*end, (100,), error(cumulative), error(isolated), judgement)
        if judgement is None:
            pair = PairResult(*end, (), None, None, None)
        steps.append(Step(segment, (pair,), None if judgement else "the segment failed"))
    alignment = Alignment(
        view_of(ours), view_of(theirs), pairs, dict.fromkeys(pairs, ("topology",)), segments
    )
    walk = Walk(tuple(steps), problem)
    probe = Probe(None, ours, theirs, None, thresholds or Thresholds())  # type: ignore[arg-type]
    run = Run(probe, None, alignment, walk)  # type: ignore[arg-type]
    return Findings(run, random, ("fed as is",))


def changed(given: Findings, **parts: Any) -> Findings:
    return replace(given, run=replace(given.run, **parts))


def states(report: Report) -> list[str]:
    return [pair.state for pair in report.pairs]


HEALTHY = [(SMALL, SMALL, CLEAN)] * 4
ONE_FAULT = [(SMALL, SMALL, CLEAN), (LARGE, LARGE, FAULT), (LARGE, SMALL, CLEAN), (LARGE, SMALL, CLEAN)]


def test_all_clean_agrees() -> None:
    report = conclude(findings(*HEALTHY))
    assert (report.verdict, report.exit_code, report.first) == ("agrees", 0, None)
    assert states(report) == ["clean"] * 4
    assert "4 compared" in report.sentence
    assert report.coverage == (1.0, 1.0)
    assert report.unmatched == ((), ())
    assert report.remarks == ()
    assert report.input_findings == ("fed as is",)
    assert (report.reference.ops, report.candidate.format) == (4, "pdmodel")


def test_one_fault_diverges_and_what_follows_inherits() -> None:
    report = conclude(findings(*ONE_FAULT))
    assert (report.verdict, report.exit_code) == ("diverges", 1)
    assert states(report) == ["clean", "origin", "inherited", "inherited"]
    assert report.first is report.origins[0]
    assert (report.first.pair.reference, report.first.pair.candidate) == ("b", "p2o.b")
    assert [op.type for op in report.first.reference_ops] == ["Relu"]
    assert report.first.inputs == (("a", "p2o.a"),)
    assert report.first.confirmed
    assert "Relu 'p2o.b'" in report.sentence
    assert report.first_crossing is not None
    assert report.first_crossing.reference == "b"


def test_the_first_crossing_may_lie_behind_the_origin() -> None:
    """A fault too small to be seen where it is made, and amplified further down."""
    report = conclude(
        findings((SMALL, SMALL, CLEAN), (1e-3, 1e-3, FAULT), (LARGE, SMALL, CLEAN), (LARGE, SMALL, CLEAN))
    )
    assert report.first is not None and report.first_crossing is not None
    assert (report.first.pair.reference, report.first_crossing.reference) == ("b", "c")
    assert states(report) == ["clean", "origin", "inherited", "inherited"]


def test_two_faults_in_a_row_leave_the_first_unconfirmed() -> None:
    rows = [(SMALL, SMALL, CLEAN), (LARGE, LARGE, FAULT), (LARGE, LARGE, FAULT), (LARGE, SMALL, CLEAN)]
    report = conclude(findings(*rows))
    assert [origin.confirmed for origin in report.origins] == [False, True]
    assert "1 more further down" in report.sentence


def test_a_fault_whose_reader_could_not_be_judged_is_unconfirmed() -> None:
    report = conclude(findings(ONE_FAULT[0], ONE_FAULT[1], (0, 0, None), ONE_FAULT[3]))
    assert report.verdict == "diverges"
    assert [origin.confirmed for origin in report.origins] == [False]
    assert states(report) == ["clean", "origin", "unknown", "inherited"]


def test_a_probe_that_failed_is_unknown_and_never_bad() -> None:
    report = conclude(findings(*HEALTHY[:2], (0, 0, None), HEALTHY[3]))
    assert (report.verdict, report.exit_code, report.origins) == ("inconclusive", 2, ())
    assert states(report) == ["clean", "clean", "unknown", "clean"]
    assert "1 of 4 values could not be judged, first 'p2o.c': the segment failed" in report.sentence


def test_a_reference_that_stopped_is_inconclusive_and_says_what_it_found() -> None:
    report = conclude(findings(*ONE_FAULT[:2], (0, 0, None), (0, 0, None), problem="paddle was killed"))
    assert (report.verdict, report.sentence) == ("inconclusive", "paddle was killed")
    assert len(report.origins) == 1
    assert any("p2o.b" in remark for remark in report.remarks)


def test_growing_rounding_is_a_remark_and_no_fault() -> None:
    rows = [(SMALL, SMALL, CLEAN), (1e-3, SMALL, CLEAN), (LARGE, SMALL, CLEAN), (LARGE, SMALL, CLEAN)]
    report = conclude(findings(*rows))
    assert report.verdict == "agrees"
    assert states(report) == ["clean", "clean", "inherited", "inherited"]
    assert any("Rounding grows" in remark and "p2o.c" in remark for remark in report.remarks)


def test_ties_are_a_remark() -> None:
    report = conclude(findings(*HEALTHY[:3], (SMALL, SMALL, TIE)))
    assert report.verdict == "agrees"
    assert any("ties" in remark for remark in report.remarks)


def test_what_rounding_could_hide_is_a_remark() -> None:
    """A logarithm of a saturated sigmoid: nobody can tell an error from rounding there."""
    coarse = Judgement("rounding", error(7e-3))
    report = conclude(findings(*HEALTHY[:3], (5e-3, 5e-3, coarse)))
    assert report.verdict == "agrees"
    assert any("p2o.y" in remark and "0.007" in remark for remark in report.remarks)
    fine = Judgement("rounding", error(1e-5))
    assert not conclude(findings(*HEALTHY[:3], (SMALL, SMALL, fine))).remarks


def test_a_segment_that_draws_random_numbers_is_unknown_and_never_an_origin() -> None:
    graph = chain("Conv", "uniform_random", "Resize", "Softmax")
    report = conclude(findings(*ONE_FAULT, graph=graph))
    assert (report.verdict, report.origins) == ("inconclusive", ())
    assert states(report)[1] == "unknown"
    assert any("random at inference" in remark and "uniform_random" in remark for remark in report.remarks)


def test_a_reference_that_does_not_repeat_itself_is_a_remark() -> None:
    report = conclude(findings(*ONE_FAULT, random=("b",)))
    assert any("disagrees with itself" in remark and "'b'" in remark for remark in report.remarks)


def test_the_users_thresholds_say_what_crosses() -> None:
    rows = [(SMALL, SMALL, CLEAN), (0.05, SMALL, CLEAN), (LARGE, SMALL, CLEAN), (SMALL, SMALL, CLEAN)]
    assert states(conclude(findings(*rows))) == ["clean", "inherited", "inherited", "clean"]
    lax = conclude(findings(*rows, thresholds=Thresholds(rel_l2=0.1)))
    assert states(lax) == ["clean", "clean", "inherited", "clean"]
    assert lax.thresholds["rel_l2"] == 0.1
    assert lax.thresholds["cosine"] is None


def test_a_mismatch_crosses_whatever_the_thresholds() -> None:
    given = findings(*ONE_FAULT, thresholds=Thresholds(cosine=-1.0))
    step = given.walk.steps[1]
    broken = compare_arrays(np.zeros(3), np.full(3, math.nan))
    pair = replace(step.pairs[0], cumulative=broken, isolated=broken)
    steps = (given.walk.steps[0], replace(step, pairs=(pair,)), *given.walk.steps[2:])
    report = conclude(changed(given, walk=replace(given.walk, steps=steps)))
    assert report.first_crossing is not None
    assert report.first_crossing.reference == "b"


def test_outputs_carry_what_the_user_sees() -> None:
    report = conclude(findings(*ONE_FAULT))
    (output,) = report.outputs
    assert (output.reference, output.candidate, output.mask_changed) == ("y", "p2o.y", None)
    assert output.cumulative is not None
    assert output.cumulative.metrics.rel_l2 == pytest.approx(LARGE, rel=0.1)


def test_an_output_that_nobody_measured_is_inconclusive() -> None:
    given = findings(*HEALTHY)
    pairs = {r: c for r, c in given.alignment.pairs.items() if r != "y"}
    report = conclude(
        changed(
            given,
            alignment=replace(given.alignment, pairs=pairs),
            walk=replace(given.walk, steps=given.walk.steps[:3]),
        )
    )
    assert report.verdict == "inconclusive"
    assert "p2o.y" in report.sentence
    assert report.unmatched == ((), ())
    assert (report.outputs[0].candidate, report.outputs[0].cumulative) == ("p2o.y", None)


def test_a_confirmed_origin_stands_where_little_was_compared() -> None:
    given = findings(*ONE_FAULT)
    segments = tuple(
        replace(segment, same_ends=number == 1) for number, segment in enumerate(given.alignment.segments)
    )
    steps = tuple(replace(s, segment=g) for s, g in zip(given.walk.steps, segments, strict=True))
    poor = changed(
        given,
        alignment=replace(given.alignment, segments=segments),
        walk=replace(given.walk, steps=steps),
    )
    report = conclude(poor)
    assert report.coverage == (0.25, 0.25)
    assert report.verdict == "diverges"
    assert any("25%" in remark for remark in report.remarks)


def test_what_was_not_measured_is_not_covered() -> None:
    report = conclude(findings(*HEALTHY[:2], (0, 0, None), HEALTHY[3]))
    assert report.coverage == (0.75, 0.75)


def test_agreement_of_which_nothing_was_compared_is_none() -> None:
    given = findings(*HEALTHY)
    segments = tuple(replace(segment, same_ends=False) for segment in given.alignment.segments)
    steps = tuple(replace(s, segment=g) for s, g in zip(given.walk.steps, segments, strict=True))
    report = conclude(changed(given, walk=replace(given.walk, steps=steps)))
    assert report.coverage == (0.0, 0.0)
    assert (report.verdict, report.exit_code) == ("inconclusive", 2)


@pytest.mark.parametrize("rows", [HEALTHY, ONE_FAULT])
def test_every_text_is_one_printable_line(rows: list[Any]) -> None:
    report = conclude(findings(*rows))
    for text in (report.sentence, *report.remarks, *(pair.reason for pair in report.pairs)):
        assert text.isprintable()


def test_beside_a_file_that_runs_right_once_changed_only_the_proven_stands() -> None:
    """Where a refused file cannot be run, wrong pairs stay unmended: they accuse nobody."""
    origin = conclude(findings(*ONE_FAULT)).origins[0]
    found = origin, replace(origin, confirmed=False)
    before, right = error(LARGE).metrics, error(SMALL).metrics
    mended = Cause("runtime.refused", "", True, residual=right, before=before)
    assert besides(replace(origin, cause=mended), found) == (origin,)
    assert besides(replace(origin, cause=replace(mended, residual=before)), found) == found
