"""What is there to say of half precision? Facts of a report as lines, once for every form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from segdiff.core.half import Cost, HalfOp, HalfRemedy
from segdiff.core.printable import clean
from segdiff.half.answer import HalfReport
from segdiff.report.document import Line, Tone
from segdiff.report.text import number, percentage, shorten

MARKS: Mapping[str, str] = {"keeps": "✓", "loses": "✗", "inconclusive": "?"}
TONES: Mapping[str, Tone] = {"keeps": "good", "loses": "bad", "inconclusive": "warning"}

NAME = 60
"""Cells of a name in a line."""

LISTED = 3
"""Static findings, remarks and problems that a short report tells."""

FORMS = {
    "folded": "folded into the Conv in front",
    "affine": "a*x + b",
    "ascend": "(x + alpha) * beta'",
    "exported": "as the file has them",
}
"""How batch norms are computed, in words."""


def cost_in_words(cost: Cost) -> str:
    """The figures of a cost in a line."""
    words = [f"rel_l2 {number(cost.rel_l2)}", f"max_abs {number(cost.max_abs)}"]
    if cost.mask_changed is not None:
        words.append(f"{percentage(cost.mask_changed)} of the mask's pixels change")
    if cost.miou_points is not None:
        words.append(f"{cost.miou_points:+.2f} points of mIoU lost")
    return ", ".join(words)


def name_of(op: HalfOp) -> str:
    """What an op is called: its nodes, or the input that it stands for."""
    return clean(" + ".join(op.nodes), 1000) if op.nodes else f"input {clean(op.value)}"


def share_of(op: HalfOp) -> str:
    """An op's share of the loss, with its deviation over the images."""
    if op.share is None:
        return "-"
    spread = f" ± {op.spread:.1%}" if op.spread is not None else ""
    return f"{op.share:.1%}{spread}"


def simulated_lines(report: HalfReport) -> Iterator[Line]:
    """How it was simulated."""
    beyond = "infinite" if report.overflow == "inf" else "cut off at the largest number"
    form = FORMS.get(report.batch_norm, report.batch_norm)
    yield (
        "target",
        f"{report.target}: batch norms {form}, what is too large is {beyond}; simulated on the CPU; "
        "the reference's model is not run",
    )


def cost_lines(report: HalfReport) -> Iterator[Line]:
    """What it costs in the end."""
    if report.cost is not None:
        yield "costs", cost_in_words(report.cost)
    if report.scores is not None:
        plain, half = report.scores
        yield "mIoU", f"{plain:.2%} in float32, {half:.2%} in {report.precision}"


def op_lines(report: HalfReport, most: int) -> Iterator[Line]:
    """The heaviest ops with their reasons."""
    for place, op in enumerate(report.heavy[:most]):
        kept = "" if op.can_keep else f"; {report.target} cannot keep it in float32"
        yield "" if place else "where", f"{share_of(op)} {shorten(name_of(op), NAME)}{kept}"
        if op.text:
            kind = f" [{op.reason}]" if op.reason else ""
            yield "why", f"{clean(op.text, 1000)}{kind}"
    if len(report.heavy) > most:
        yield "", f"and {len(report.heavy) - most} more: --full"


def static_lines(report: HalfReport, most: int) -> Iterator[Line]:
    """What is known without a run, but for what the heaviest ops say already."""
    told = {op.text for op in report.heavy}
    rest = [each for each in report.static if each.text not in told]
    for each in rest[:most]:
        names = shorten(clean(", ".join(each.nodes), 1000), NAME)
        yield "in the file", f"{names}: {clean(each.text, 1000)} [{each.reason}]"
    if len(rest) > most:
        yield "in the file", f"and {len(rest) - most} more: --full"


def remedy_lines(report: HalfReport) -> Iterator[Line]:
    """What helps, as it was checked."""
    for place, each in enumerate(report.remedies):
        label = "" if place else "what helps"
        yield label, f"{clean(each.text, 1000)}: then {after(each)}"
    for folder, names in files_of(report).items():
        yield "files", f"in {clean(folder, 1000)}: {clean(', '.join(names), 1000)}"


def files_of(report: HalfReport) -> Mapping[str, list[str]]:
    """The files that were written for what helps, by their folder."""
    found: dict[str, list[str]] = {}
    for path in dict.fromkeys(path for each in report.remedies for path in each.files.values()):
        found.setdefault(str(path.parent), []).append(path.name)
    return found


def edit_lines(report: HalfReport, most: int) -> Iterator[Line]:
    """What the user's own edit changes: in float32, in half precision, and by node."""
    edit = report.edit
    if edit is None:
        return
    yield "the edit", f"in float32 it changes {cost_in_words(edit.float32)}"
    yield "", f"in {report.precision} against the file as it was in float32: {cost_in_words(edit.after)}"
    yield "", f"without it: {cost_in_words(edit.before)}"
    for each in edit.changes[:most]:
        names = shorten(clean(", ".join(each.nodes), 1000), NAME)
        yield "", f"{names}: {clean(each.text, 1000)}"
    if len(edit.changes) > most:
        yield "", f"and {len(edit.changes) - most} more: --full"
    if not edit.changes:
        yield "", "no parameter, setting or node differs"


def after(remedy: HalfRemedy) -> str:
    """What it costs with a remedy, in a few words."""
    cost = remedy.cost_after
    words = [f"{percentage(cost.mask_changed)} of the mask changes"] if cost.mask_changed is not None else []
    words += [f"{cost.miou_points:+.2f} points of mIoU lost"] if cost.miou_points is not None else []
    return ", ".join([*words, f"rel_l2 {number(cost.rel_l2)}"])


def sureness_lines(report: HalfReport, most: int) -> Iterator[Line]:
    """What the answer rests on, and what else there is to know."""
    images = "1 image" if len(report.images) == 1 else f"{len(report.images)} images"
    skipped = f", {report.skipped} skipped" if report.skipped else ""
    counted = "1 image" if report.shared == 1 else f"{report.shared} images"
    alone = f"{report.measured} of {len(report.ops)} ops rounded alone, on {counted}"
    yield "how sure", f"{images} used{skipped}; {alone}, {report.runs} runs"
    if report.largest_unmeasured is not None:
        bound = f"{report.largest_unmeasured:.1%}"
        yield "", f"of the others none has more than {bound} of the loss; --thorough rounds each alone"
    told = [*report.problems, *report.remarks]
    for each in told[:most]:
        yield "note", clean(each, 1000)
    if len(told) > most:
        yield "note", f"and {len(told) - most} more: --full"
