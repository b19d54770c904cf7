"""What does a person need of a report? Where, why, how much, how sure, what to do: a dozen lines."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.answer import Origin, OutputInfo, PairInfo, Report
from segdiff.core.equal_masks import masks_alone_equal
from segdiff.core.printable import clean
from segdiff.core.worst import worst_of
from segdiff.report.device_facts import device_in_short, no_file_to_edit
from segdiff.report.document import Action, Document, Headline, Hint, Lines, Part, Profile, lines
from segdiff.report.elsewhere import remarks_on
from segdiff.report.facts import (
    VERDICT_MARKS,
    VERDICT_TONES,
    assumed_lines,
    baseline_lines,
    by_weight,
    can_be_repaired,
    effect_in_short,
    input_lines,
    locate_command,
    place,
    proof_in_short,
    repair_command,
)
from segdiff.report.text import number, rel_l2, share, shorten

NAME = 48
"""Cells of a name in a line that holds other things, too."""

SENTENCE = 320
"""Cells of a text that is told in short: four lines."""

NODES = 3
"""Nodes of a segment that are named, its last ones."""

OTHERS, REMARKS = 2, 3
"""Further origins that are told by name, and remarks."""


def short(report: Report) -> Document:
    """The document of a report in short; the full one has the rest."""
    return tuple(_blocks(report))


def _blocks(report: Report) -> Iterator[Part]:
    tone = VERDICT_TONES[report.verdict]
    yield Headline(VERDICT_MARKS[report.verdict], shorten(clean(report.sentence, 1000), SENTENCE), tone)
    yield from lines(baseline_lines(report))
    yield from lines(assumed_lines(report))
    yield from lines(input_lines(report))
    if report.first:
        yield from lines(_faulty(report, report.first))
    else:
        yield from lines(_outputs(report))
    yield from lines(_sureness(report))
    yield from lines(device_in_short(report))
    if any(pair.cumulative for pair in report.pairs):
        yield _profile(report)
    yield from lines(_remarks(report))
    yield Hint("more", "--full shows all that was measured, --html FILE keeps it")
    yield from action(report)


def _faulty(report: Report, first: Origin) -> Iterator[tuple[str, str]]:
    """Where, why and how much."""
    yield from _where(report, first)
    if first.cause and not first.speaks:
        text = shorten(clean(first.cause.text), SENTENCE)
        kind = f" [{clean(first.cause.kind)}]" if first.cause.kind != "unknown" else ""
        yield "why", f"{text.rstrip('.') if kind else text}{kind}{proof_in_short(first.cause)}"
    elif first.cause:
        yield "why", f"[{clean(first.cause.kind)}]{proof_in_short(first.cause)}"
    yield from remarks_on(report, first)
    yield from _size(first)
    yield from _outputs(report)
    if first.effect:
        yield "", effect_in_short(first.effect)


def _where(report: Report, first: Origin) -> Iterator[tuple[str, str]]:
    """The nodes, which the sentence tells by their value, and how far down the walk they lie."""
    if first.speaks and first.pair.why.kind == "output":
        return
    names = dict.fromkeys(clean(node.name) for node in first.candidate_nodes if node.name)
    words = [f"node {', '.join(shorten(name, NAME) for name in list(names)[-NODES:])}"] if names else []
    at = place(report)
    if at is not None:
        words.append(f"pair {at + 1} of {len(report.pairs)}")
    if words:
        yield "where", "; ".join(words)


def _value(name: str) -> str:
    return shorten(clean(name), NAME) or "nothing"


def _size(first: Origin) -> Iterator[tuple[str, str]]:
    """The error on equal inputs, and what it has to be measured by."""
    pair = first.pair
    if first.runtime or pair.isolated is None or pair.why.kind in ("refused", "output"):
        return
    words = f"rel_l2 {rel_l2(pair.isolated)} on equal inputs"
    if pair.why.times is not None:
        words += f", {pair.why.times:.2g} times its own rounding"
    elif pair.isolated.mismatch:
        words += f" ({shorten(clean(pair.isolated.mismatch), NAME)})"
    yield "how much", words


def _outputs(report: Report) -> Iterator[tuple[str, str]]:
    """What changes in the end: of the output that changes most."""
    worst = worst_output(report)
    if worst is None:
        return
    label = "how much" if not report.first or report.first.pair.isolated is None else ""
    words = f"in the end {_end(worst)}"
    if masks_alone_equal(report):
        words = f"in the end the masks are equal, the values are not (max_abs {_max_abs(worst)})"
    if len(report.outputs) > 1:
        words += f" ({_value(worst.reference)}, the worst of {len(report.outputs)} outputs)"
    yield label, words


def worst_output(report: Report) -> OutputInfo | None:
    """The output that changes most; None where none was measured."""
    return worst_of(report.outputs)


def _max_abs(output: OutputInfo) -> str:
    return number(output.cumulative.metrics.max_abs) if output.cumulative else "not known"


def _end(output: OutputInfo) -> str:
    found = output.cumulative
    if found is None:
        return "not known"
    if found.mismatch:
        return shorten(clean(found.mismatch), 2 * NAME)
    words = f"max_abs {number(found.metrics.max_abs)}"
    if output.mask_changed is None:
        return f"{words}, rel_l2 {number(found.metrics.rel_l2)}"
    return f"{share(output.mask_changed)} of the mask changes ({words})"


def _sureness(report: Report) -> Iterator[tuple[str, str]]:
    """What was compared, what else errs."""
    judged = sum(pair.state != "unknown" for pair in report.pairs)
    words = f"{judged} of {len(report.pairs)} pairs judged ({share(min(report.coverage))} of the ops)"
    network = [origin for origin in report.origins if not origin.runtime and not origin.speaks]
    if not report.origins:
        largest = max((p for p in report.pairs if p.isolated), key=_alone, default=None)
        if largest and report.verdict == "agrees":
            words += f", the largest error is {rel_l2(largest.isolated)}"
    elif len(report.origins) == 1:
        words += ", nothing else errs" if judged == len(report.pairs) else ", none of the others errs"
        if network and not network[0].confirmed:
            words += "; that it is this one was not confirmed"
    yield "how sure", words
    others = by_weight(report.origins[1:])
    for origin in others[:OTHERS]:
        cause = f" [{clean(origin.cause.kind)}]" if origin.cause else ""
        yield "also", f"{clean(origin.pair.candidate_op)} {_value(origin.pair.candidate)}{cause}"
    rest = others[OTHERS:]
    if rest:
        kinds = ", ".join(dict.fromkeys(clean(origin.cause.kind) for origin in rest if origin.cause))
        yield "also", f"and {len(rest)} more{f' [{kinds}]' if kinds else ''}"


def _alone(pair: PairInfo) -> float:
    return pair.isolated.metrics.rel_l2 if pair.isolated else 0.0


def _profile(report: Report) -> Profile:
    """The error of every value in walk order, and where it leaps; where it was not measured from the image,
    that of the segment alone."""
    inner = report.measured.inner if report.measured is not None else "everywhere"
    known = [pair.cumulative or (pair.isolated if inner != "everywhere" else None) for pair in report.pairs]
    values = tuple(found.metrics.rel_l2 if found else None for found in known)
    cliff = None if inner == "none" else place(report)
    what = {"none": "error of each alone", "everywhere": "error so far"}.get(
        inner, "error of each alone, then so far"
    )
    where = "from 1e-8 to 1" if cliff is None else f"the cliff is pair {cliff + 1}"
    return Profile("walk", values, cliff, f"{what}{', ' if cliff is None else '; '}{where}")


def _remarks(report: Report) -> Iterator[tuple[str, str]]:
    for remark in report.remarks[:REMARKS]:
        yield "note", shorten(clean(remark), SENTENCE)
    if len(report.remarks) > REMARKS:
        yield "note", f"and {len(report.remarks) - REMARKS} more: --full"


def action(report: Report) -> Iterator[Part]:
    """What to do, on a line of its own, last, as it can be pasted."""
    first = report.first
    if first is None:
        return
    if any(map(can_be_repaired, report.origins)):
        yield Lines((("repair", "this writes fixed.onnx and runs it:"),))
        yield Action(repair_command(report))
    elif first.device:
        yield Lines((("next", no_file_to_edit(report)),))
        yield Action(f"{locate_command(report)} --repro repro")
    elif "network" in report.homes and not first.speaks:
        yield Lines((("next", "nothing that repair could write; this writes the files of a bug report:"),))
        yield Action(f"{locate_command(report)} --repro repro")
