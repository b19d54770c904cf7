"""Which sentences and which pairs does every form of the report show?

The terminal and the notebook differ in how they draw; what they say comes from here.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from segdiff.core.answer import OPTIMISERS, SPEAKING, Cause, Effect, Origin, PairInfo, Report
from segdiff.core.environment import Environment
from segdiff.core.metrics import Comparison
from segdiff.core.printable import clean
from segdiff.report.device_facts import confirmed_on_device, device_lines
from segdiff.report.document import Tone
from segdiff.report.text import number, rel_l2, shape_text, share
from segdiff.report.words import reason

AROUND = 5
"""Pairs shown on each side of the first origin, and the number of worst pairs of a model that agrees."""

MARKS: Mapping[str, str] = {"clean": "✓", "origin": "✗", "inherited": "↓", "unknown": "?"}
VERDICT_MARKS: Mapping[str, str] = {"agrees": "✓", "diverges": "✗", "inconclusive": "?"}
VERDICT_TONES: Mapping[str, Tone] = {"agrees": "good", "diverges": "bad", "inconclusive": "warning"}
MEANINGS: Mapping[str, str] = {
    "clean": "agrees",
    "origin": "errs on equal inputs",
    "inherited": "error comes from above",
    "unknown": "not measured",
}

Line = tuple[str, str]
"""A label and what it says."""


def place(report: Report) -> int | None:
    """The index of the first origin among the pairs; None where there is no origin, or no such pair."""
    if report.first is None:
        return None
    key = (report.first.pair.reference, report.first.pair.candidate)
    return next((i for i, pair in enumerate(report.pairs) if (pair.reference, pair.candidate) == key), None)


def shown_pairs(report: Report, *, all_pairs: bool = False) -> tuple[str, tuple[PairInfo, ...]]:
    """The heading of the table of pairs and its rows: all, those around the first origin, or the worst."""
    total = len(report.pairs)
    if all_pairs:
        return f"All {total} pairs, in walk order", report.pairs
    middle = place(report)
    if middle is not None:
        rows = report.pairs[max(0, middle - AROUND) : middle + AROUND + 1]
        return f"Around the first origin ({len(rows)} of {total} pairs)", rows
    if report.verdict == "inconclusive" and any(pair.state == "unknown" for pair in report.pairs):
        unknown = tuple(pair for pair in report.pairs if pair.state == "unknown")[: 2 * AROUND]
        return f"Pairs that could not be judged ({len(unknown)} of {total})", unknown
    rows = tuple(sorted(report.pairs, key=_isolated, reverse=True)[:AROUND])
    return f"The largest isolated errors ({len(rows)} of {total} pairs)", rows


def _isolated(pair: PairInfo) -> float:
    value = pair.isolated.metrics.rel_l2 if pair.isolated else -1.0
    return math.inf if math.isnan(value) else value


def first_heading(first: Origin) -> str:
    """What stands over the first origin."""
    if first.runtime:
        return "An optimiser changes the result: the graph as written, and as optimised"
    if first.pair.why.kind == "refused":
        return "What the runtime does not take, and what the reference has in its place"
    if first.pair.why.kind == "output":
        return "What the outputs are, on either side"
    if first.device:
        return (
            "The first operator that the device computes otherwise than the file, on the device's own inputs"
        )
    return "The first origin: the first segment that errs on equal inputs"


def columns(origin: Origin) -> tuple[str, str]:
    """What the two sides of an origin are."""
    return ("as written", "as optimised") if origin.runtime else ("reference", "candidate")


def outputs_heading(report: Report) -> str:
    """What stands over the outputs."""
    return "Outputs, run from the image" + (", both on the reference's input" if report.as_fed else "")


def error_rows(origin: Origin) -> Iterator[tuple[str, Comparison | None, str]]:
    """A label, the errors, and what they mean."""
    pair = origin.pair
    if origin.runtime:
        yield "as deployed", pair.cumulative, "the output, against the same model as written"
        return
    if pair.why.kind == "refused":
        return
    if pair.why.kind == "output":
        yield "as read", pair.cumulative, "the one output against the other"
        return
    yield "isolated", pair.isolated, "on equal inputs: this segment alone"
    yield "cumulative", pair.cumulative, "from the image: what you see"
    if pair.noise:
        yield "rounding", pair.noise, "the segment's own, to compare"


def crossing(report: Report) -> str | None:
    """What it means that the error shows elsewhere than it begins; None where it is the same place."""
    seen = report.first_crossing
    first = report.first if report.first and not report.first.runtime else None
    if first is not None and first.speaks:
        return None
    if seen is not None and first is not None:
        if seen.candidate in {name for node in first.candidate_nodes for name in node.outputs}:
            return None
        return (
            f"The error is first visible at {_named(seen)}, but it begins at {_named(first.pair)}: "
            "blame the second."
        )
    if seen is not None:
        if report.verdict == "agrees":
            return f"From {_named(seen)} on, rounding has grown until it is visible; no operator is to blame."
        return f"The error is first visible at {_named(seen)}, yet no segment was found to err by itself."
    if first is not None and any(pair.cumulative for pair in report.pairs):
        return (
            "Run from the image, no value departs far enough to be visible; the fault is real all the same."
        )
    return None


def _named(pair: PairInfo) -> str:
    """The reference's value; with its operator where the name does not tell."""
    operator, value = clean(pair.reference_op), clean(pair.reference)
    return value if operator in value else f"{operator} {value}"


def surroundings(report: Report, origin: Origin) -> Iterator[Line]:
    """Where an origin sits: its inputs, its neighbours in walk order, whether it was confirmed."""
    if origin.runtime or origin.pair.why.kind in ("output", "refused"):
        return
    keys = [(pair.reference, pair.candidate) for pair in report.pairs]
    states = {key: pair.state for key, pair in zip(keys, report.pairs, strict=True)}
    for reference, candidate in origin.inputs[:AROUND]:
        state = states.get((reference, candidate))
        yield "reads", f"{clean(reference)} = {clean(candidate)}{f' ({MEANINGS[state]})' if state else ''}"
    if len(origin.inputs) > AROUND:
        yield "reads", f"and {len(origin.inputs) - AROUND} more"
    key = (origin.pair.reference, origin.pair.candidate)
    if key in states:
        index = keys.index(key)
        before, after = report.pairs[max(0, index - 1) : index], report.pairs[index + 1 : index + 2]
        if not before or keys[index - 1] not in origin.inputs:
            yield "before", _neighbour(before, "nothing, it is the first pair")
        yield "after", _neighbour(after, "nothing, it is the last pair")
    if origin.device:
        yield confirmed_on_device(origin)
    elif origin.confirmed:
        yield "confirmed", "what reads it agrees once the reference's tensor is put in its place"
    else:
        yield "not confirmed", "what reads it was not shown to agree on the reference's tensor"


def _neighbour(pairs: tuple[PairInfo, ...], nothing: str) -> str:
    if not pairs:
        return nothing
    pair = pairs[0]
    return f"{_named(pair)} ({MEANINGS[pair.state]})"


def value_lines(pair: PairInfo) -> Iterator[Line]:
    """Shape, reason and evidence of a pair."""
    yield "shape", shape_text(pair.shape)
    told = clean(reason(pair.why))
    yield "reason", told
    for comparison in (pair.isolated, pair.cumulative):
        if comparison and comparison.mismatch and clean(comparison.mismatch) != told:
            yield "mismatch", clean(comparison.mismatch)
            break
    if pair.evidence:
        yield "paired by", clean(", ".join(pair.evidence))


def cause_lines(origin: Origin) -> Iterator[Line]:
    """Cause, what is left of the error once it is removed, and its effect."""
    if origin.cause:
        text = "as said above" if origin.speaks else clean(origin.cause.text)
        yield "cause", f"{text} [{clean(origin.cause.kind)}]"
        if origin.cause.kind != "unknown":
            yield "", _proof(origin.cause)
    if origin.effect:
        yield "effect", effect_text(origin.effect)


def can_be_repaired(origin: Origin) -> bool:
    """Whether ``repair`` has a proven change of the file to make."""
    cause = origin.cause
    return bool(cause and cause.mends and not origin.runtime)


def _proof(cause: Cause) -> str:
    words = "proven: with this changed the error vanishes" if cause.proven else "a guess, not proven"
    if cause.kind in OPTIMISERS:
        words = "proven: without it the error vanishes" if cause.proven else "which one, was not found"
    if cause.kind.startswith(SPEAKING):
        words = "proven: the tensors show it" if cause.proven else "a guess, not proven"
    if cause.kind == "runtime.refused":
        words = "proven: with the change it runs" if cause.proven else "no change was found that makes it run"
    if cause.residual is None:
        return words
    before = f"{number(cause.before.rel_l2)} before, " if cause.before else ""
    return f"{words} (rel_l2 {before}{number(cause.residual.rel_l2)} after the change)"


def proof_in_short(cause: Cause) -> str:
    """Whether a cause is more than a guess, in a word or two."""
    if cause.kind == "unknown":
        return ""
    if cause.kind == "runtime.refused" and not cause.proven:
        return ": the runtime says so"
    return ": proven" if cause.proven else ": a guess, not proven"


def effect_text(effect: Effect) -> str:
    """What an origin costs, in words."""
    words = f"repairing it alone takes away {_part(effect.final_error_removed)} of the final error"
    if effect.mask_pixels_restored is None:
        return words
    return f"{words} and restores {_part(effect.mask_pixels_restored)} of the changed mask pixels"


def effect_in_short(effect: Effect) -> str:
    """What an origin costs, in fewer words."""
    words = f"repairing it: {_part(effect.final_error_removed)} of the error goes"
    if effect.mask_pixels_restored is None:
        return words
    return f"{words}, {_part(effect.mask_pixels_restored)} of the mask is back"


def _part(fraction: float) -> str:
    return share(fraction) if fraction >= 0 else f"nothing (it grows by {share(-fraction)})"


def repair_command(report: Report) -> str:
    """The command that repairs the candidate; of a device's dump the file that the device ran."""
    files = _typed(report.reference.path, report.candidate.path, report.image)
    return f"segdiff repair {files} -o fixed.onnx{_shape(report)}"


def locate_command(report: Report) -> str:
    """The command that asks again."""
    return f"segdiff locate {_files(report)}{_shape(report)}"


def _shape(report: Report) -> str:
    """The options that name the shape of the input, where it is not the image's own."""
    return "".join(f" {word}" for word in report.at)


def _files(report: Report) -> str:
    if report.device is None:
        return _typed(report.reference.path, report.candidate.path, report.image)
    dump = _typed(report.reference.path, report.device.path, report.image)
    return f"{dump} --candidate-model {_typed(report.candidate.path)}"


def _typed(*paths: str | Path | None) -> str:
    return " ".join(shlex.quote(from_here(path)) for path in paths)


def from_here(path: str | Path | None) -> str:
    """A path as one would type it: from the working folder where it lies below that."""
    if path is None:
        return "IMAGE"
    here = Path.cwd()
    return clean(Path(path).relative_to(here) if Path(path).is_relative_to(here) else path)


def by_weight(origins: tuple[Origin, ...]) -> tuple[Origin, ...]:
    """Origins by what repairing each gives back, the most first; those not weighed last, in walk order."""
    return tuple(sorted(origins, key=lambda o: -o.effect.final_error_removed if o.effect else float("inf")))


def assumed_lines(report: Report) -> Iterator[Line]:
    """What was taken for granted of the picture's preparation."""
    if report.assumed is not None:
        yield "assumed", clean(report.assumed)


def baseline_lines(report: Report) -> Iterator[Line]:
    """What a baseline knows of the findings, and what is gone of it."""
    found = report.baseline
    if found is None:
        return
    whole = len(found.known) + len(found.new)
    words = f"{len(found.known)} of {whole} findings are known" if whole else "nothing was found"
    if found.new:
        words += f", new: {', '.join(map(clean, found.new[:AROUND]))}"
        words += f" and {len(found.new) - AROUND} more" if len(found.new) > AROUND else ""
    elif whole:
        words += ", none is new"
    yield "baseline", words
    if found.gone:
        more = f" and {len(found.gone) - AROUND} more" if len(found.gone) > AROUND else ""
        yield "", f"known and gone: {', '.join(map(clean, found.gone[:AROUND]))}{more}"


def input_lines(report: Report) -> Iterator[Line]:
    """What the candidate's own input does otherwise, and what that costs."""
    if report.as_fed is None:
        return
    found = report.as_fed.comparison
    if found.same:
        yield "its input", "the candidate is fed the same as the reference, within rounding"
        return
    theirs = "one that was assumed" if found.assumed else "reference's"
    size = f": rel_l2 {number(found.metrics.rel_l2)}" if math.isfinite(found.metrics.rel_l2) else ""
    yield "its input", f"differs from the {theirs}{size}"
    if found.assumed:
        yield "", "nothing beside the models says which is right, so this is no finding"
    for finding in found.findings:
        mark = "proven" if finding.proven else "perhaps"
        yield "", f"{clean(finding.text)} [{clean(finding.kind)}, {mark}]"
    if report.as_fed.problem:
        yield "", f"the candidate does not run on it: {clean(report.as_fed.problem)}"
    for output in report.as_fed.outputs:
        if output.mask_changed is not None:
            yield "", f"{share(output.mask_changed)} of the mask's pixels change when it is fed that"
        elif output.cumulative:
            yield "", f"{clean(output.candidate)} then errs by rel_l2 {rel_l2(output.cumulative)}"


def closing_lines(report: Report) -> Iterator[Line]:
    """Input, coverage, thresholds, remarks, time and memory, a line each."""
    for index, finding in enumerate(report.input_findings):
        yield "" if index else "input", clean(finding)
    yield "coverage", _coverage(report)
    yield "thresholds", _thresholds(report.thresholds)
    yield from device_lines(report)
    for remark in report.remarks:
        yield "note", clean(remark)
    if report.environment:
        yield "computed by", clean(_environment(report.environment))
    if report.timing_s:
        yield "time", _timing(report.timing_s)
    if report.peak_memory_mb > 0:
        yield "memory", f"{report.peak_memory_mb:,.0f} MB at the peak"


def _environment(found: Environment) -> str:
    """The packages of both sides; one that both have in the same version is named once."""
    sides = (found.reference, found.candidate)
    packages = dict.fromkeys(f"{name} {version}" for side in sides for name, version in side.versions.items())
    pythons = dict.fromkeys(f"Python {side.python}" for side in sides if side.python)
    return ", ".join((*packages, *pythons, f"segdiff {found.segdiff}"))


def _coverage(report: Report) -> str:
    sides = zip(("reference", "candidate"), report.coverage, report.unmatched, strict=True)
    return ", ".join(
        f"{share(fraction)} of the {side}'s ops compared"
        + (f" ({len(names)} {'value' if len(names) == 1 else 'values'} unmatched)" if names else "")
        for side, fraction, names in sides
    )


_BOUNDS: Mapping[str, str] = {
    "cosine": "cosine below",
    "abs_error": "max_abs above",
    "rel_l2": "rel_l2 above",
}


def _thresholds(thresholds: Mapping[str, float | None]) -> str:
    bounds = {name: thresholds.get(name) for name in _BOUNDS}
    given = [f"{_BOUNDS[name]} {bound:g}" for name, bound in bounds.items() if bound is not None]
    if given:
        return f"{' or '.join(given)}, as you asked"
    factor = thresholds.get("noise_factor")
    return f"{factor:g} times the segment's own rounding" if factor else "the segment's own rounding"


def _timing(timing: Mapping[str, float]) -> str:
    total = timing.get("total", sum(timing.values()))
    parts = ", ".join(f"{clean(name)} {seconds:.1f}" for name, seconds in timing.items() if name != "total")
    return f"{total:.1f} s ({parts})" if parts else f"{total:.1f} s"


def other_origin(origin: Origin) -> tuple[str, str]:
    """One of the further origins: its value and operator, and its error with its cause."""
    pair = origin.pair
    left = f"{_named(pair)} → {clean(pair.candidate_op)}"
    right = f"rel_l2 {rel_l2(pair.isolated)}"
    if origin.cause:
        right += f"; {clean(origin.cause.kind)}{'' if origin.cause.proven else ' (not proven)'}"
    if origin.effect:
        right += f"; {_part(origin.effect.final_error_removed)} of the final error"
    return left, right
