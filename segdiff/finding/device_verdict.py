"""Does the device agree, depart, or can it not be told? The verdict on a dump, and its sentence."""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.align.segments import swallows
from segdiff.core.answer import Origin, PairInfo, Report, Verdict
from segdiff.core.metrics import compare_arrays
from segdiff.core.precision import unit_of
from segdiff.core.thresholds import crosses
from segdiff.finding.device_rows import OnDevice, outputs_of
from segdiff.walk.judge import size_of


def decided(
    report: Report, device: OnDevice, origins: tuple[Origin, ...], pairs: tuple[PairInfo, ...]
) -> tuple[Verdict, str]:
    """Verdict and sentence: the device's first, for that is what was asked."""
    if origins:
        return "diverges", f"{blame(origins, device)} {of_the_file(report)}"
    if device.run.walk.problem:
        return "inconclusive", device.run.walk.problem
    told = unless_unseen(device, pairs)
    if told is not None:
        return (
            "diverges" if report.verdict == "diverges" else "inconclusive"
        ), f"{told} {of_the_file(report)}"
    if report.verdict != "agrees":
        return report.verdict, f"{report.sentence} The device computes what the file says{cost(device)}."
    return "agrees", f"The device agrees with the file, and the file with the reference{cost(device)}."


def of_the_file(report: Report) -> str:
    """What the file itself does, against the reference."""
    if report.verdict == "agrees":
        return "The file itself agrees with the reference."
    return f"The file itself: {report.sentence}"


def blame(origins: tuple[Origin, ...], device: OnDevice) -> str:
    """The sentence for a device that departs from the file."""
    first = origins[0]
    size = len(device.run.alignment.candidate.ops)
    if swallows((len(first.candidate_nodes), len(first.candidate_nodes)), (size, size)):
        return (
            f"What the device gives as {first.pair.candidate!r} is not what the file makes of the device's "
            f"input, and the dump holds too little of the {len(first.candidate_nodes)} operators in between: "
            "dump every operator to find the one."
        )
    more = f"; {len(origins) - 1} more further down" if len(origins) > 1 else ""
    return (
        f"The device departs from the file at {first.pair.candidate_op} {first.pair.candidate!r}, "
        f"on its own inputs{more}."
    )


def unless_unseen(device: OnDevice, pairs: tuple[PairInfo, ...]) -> str | None:
    """Why nothing can be said for a device of which nothing errs; None where all of it was seen."""
    unknown = [pair for pair in pairs if pair.state == "unknown" or pair.why.kind == "unfed"]
    info = device.info
    total = info.isolated + info.seen + info.missing
    if unknown:
        count = f"{len(unknown)} of {len(pairs)} values of the dump"
        return f"{count} could not be judged, first {unknown[0].candidate!r}: {unknown[0].why.detail}."
    if not info.isolated and total:
        return (
            f"The device's outputs err by {final_error(device)}, which its arithmetic may at most cost in "
            f"{total} operators, and the dump holds nothing in between: no operator was run on the device's "
            "own tensors."
        )
    if info.seen > info.isolated and errs_visibly(device):
        return (
            f"The device's outputs err by {final_error(device)}, which its arithmetic may at most cost, but "
            f"{info.seen} of {total} operators were only seen together: dump more of them."
        )
    if info.missing:
        return f"No operator errs that the dump shows, but {info.missing} of {total} are not in it."
    if any(output.cumulative is None for output in outputs_of(device)):
        name = next(o.candidate for o in outputs_of(device) if o.cumulative is None)
        return f"No operator errs that the dump shows, but output {name!r} is not known."
    return None


def errs_visibly(device: OnDevice) -> bool:
    """Whether an output of the device is farther from the reference's than a user would let pass."""
    thresholds = device.run.probe.thresholds
    return any(crosses(thresholds, output.cumulative) for output in outputs_of(device))


def final_error(device: OnDevice) -> str:
    """How far the outputs are off, in words."""
    found = [output.cumulative for output in outputs_of(device) if output.cumulative is not None]
    errors = [each.metrics.rel_l2 for each in found if not each.mismatch]
    return f"rel_l2 {max(errors):.2g}" if errors else "an unknown amount"


def cost(device: OnDevice) -> str:
    """What its arithmetic costs, as the end of a sentence."""
    found = device.precision
    if found is None:
        return ""
    count = f"{found.within} of {found.segments} segments err within that precision"
    told = f": it stores {found.candidate}; {count}"
    if found.mask_changed is not None:
        return f"{told}; {found.mask_changed:.2%} of the mask changes"
    return told if found.final_error is None else f"{told}; the outputs err by {found.final_error:.2g}"


def fed_otherwise(device: OnDevice) -> Iterator[str]:
    """A word on a device that was fed another size than the image has; of several inputs on each that was
    another tensor (an only one is told as the candidate's own input)."""
    feeds = device.network.probe.feeds
    for name, ours in feeds.items():
        theirs = device.dump.dump.tensors.get(name)
        if theirs is not None and tuple(theirs.shape) != ours.array.shape:
            yield (
                f"The device was fed {name!r} as {list(theirs.shape)}, and the image gives "
                f"{list(ours.array.shape)}: give the picture in the size that the device was built for."
            )
        elif theirs is not None and len(feeds) > 1:
            found = compare_arrays(ours.array, theirs.load())
            if size_of(found) > 2 * unit_of(device.dump.stored[name]):
                error = found.metrics.rel_l2
                yield f"The device was fed another {name!r} than the reference: rel_l2 {error:.2g}."
