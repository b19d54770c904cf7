"""What is said of a device whose dump was compared?"""

from __future__ import annotations

from collections.abc import Iterator

from segdiff.core.answer import Origin, Report
from segdiff.core.printable import clean

Line = tuple[str, str]
"""A label and what it says."""


def device_in_short(report: Report) -> Iterator[Line]:
    """What a dump shows, in a line; what of it could not be used, in another."""
    found = report.device
    if found is None:
        return
    seen = f", {found.seen} only seen" if found.seen else ""
    lacking = f", {found.missing} not in the dump" if found.missing else ""
    yield (
        "device",
        f"{found.form} dump of {found.values} values, {found.precision}; {found.isolated} ops run here on "
        f"its own tensors{seen}{lacking}",
    )
    if found.problems:
        more = f" (and {len(found.problems) - 1} more: --full)" if len(found.problems) > 1 else ""
        yield "", f"not used: {clean(found.problems[0], 200)}{more}"


def device_lines(report: Report) -> Iterator[Line]:
    """All that is known of a dump."""
    yield from list(device_in_short(report))[:1]
    found = report.device
    for word in found.remarks if found else ():
        yield "", clean(word)
    for problem in found.problems if found else ():
        yield "", f"not used: {clean(problem)}"


def no_file_to_edit(report: Report) -> str:
    """What to do where a device errs: nothing in the file would mend it."""
    kinds = {origin.cause.kind for origin in report.origins if origin.cause and origin.device}
    if kinds & {"device.overflow", "device.saturated"}:
        return (
            "keep that op in float32 on the device (segdiff precision says how); "
            "this writes the files of a report to its vendor:"
        )
    if kinds <= {"device.layout"}:
        return "read what the device hands on in its own layout; this writes the op and its tensors:"
    return "there is no file to edit; this writes the op and the device's tensors for a report to its vendor:"


def confirmed_on_device(origin: Origin) -> Line:
    """Whether what reads the device's tensor is right on it."""
    if origin.confirmed:
        return "confirmed", "what reads it is right on the tensor as the device has it"
    return "not confirmed", "what reads it was not shown to be right on the tensor as the device has it"
