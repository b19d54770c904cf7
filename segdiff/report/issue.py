"""What does one tell the maintainers of a converter? The repro of an origin, and an ISSUE.md with it.

All that they need to see the fault and to test a mend, and nothing of the model beside: no path, no picture,
no weight outside of the segment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from segdiff.core.answer import Origin, Report
from segdiff.core.edit import Edit
from segdiff.core.errors import InputError
from segdiff.core.metrics import Metrics
from segdiff.core.plain import plain
from segdiff.core.printable import clean
from segdiff.finding.repro import MENDED, repro, tolerance
from segdiff.report.annotate import program_of
from segdiff.report.document import Sides
from segdiff.report.located import sides_of
from segdiff.report.markdown import escaped, render
from segdiff.report.nodes_text import nodes_text, told
from segdiff.report.text import number, shape_text, share

ISSUE = "ISSUE.md"

NOT_STATED = "not stated in the file; please add its name and version"

_PLACE = re.compile(r"(?<![\w.…/])/(?:[^\s/'\"`|<>():,;]+/)+")
"""The folders of an absolute path, wherever it stands in a text."""


def issue(report: Report, folder: str | Path, *, origin: int = 0) -> Path:
    """Write the repro of an origin (by its place) and its ISSUE.md into a folder; returns the folder.

    Raises InputError as :func:`segdiff.finding.repro.repro` does.
    """
    target = repro(report, folder, origin=origin)
    text = issue_text(report, report.origins[origin], Shown.of(target))
    try:
        (target / ISSUE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error
    return target


@dataclass(frozen=True)
class Shown:
    """What of a repro's folder stands in the issue: the tensors at both ends, the nodes, those of the mended
    segment (empty where there is none)."""

    fed: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    nodes: str = ""
    mended: str = ""

    @classmethod
    def of(cls, folder: Path) -> Shown:
        """That of a folder which ``repro`` has filled."""
        mended = folder / MENDED
        return cls(
            _tensors(folder, "inputs"),
            _tensors(folder, "expected"),
            nodes_text(folder / "segment.onnx"),
            nodes_text(mended) if mended.is_file() else "",
        )


def issue_text(report: Report, origin: Origin, shown: Shown) -> str:
    """The text of an issue, in GitHub's Markdown."""
    blocks = (
        f"# {_title(origin)}",
        *_story(origin),
        "## Both operators",
        render((_sides(origin),)).strip(),
        *(["The ONNX nodes, with their constants:", fenced(shown.nodes)] if shown.nodes else []),
        *([_listed(_ends(shown))] if shown.fed or shown.expected else []),
        "## Numbers",
        _table(("", "rel_l2", "max_abs", "cosine"), _numbers(origin)),
        *_in_the_end(report, origin),
        *(["## What mends it", *_mend(origin, shown)] if shown.mended else []),
        "## To reproduce",
        _reproduce(origin, bool(shown.mended)),
        "## Versions",
        _table(("", ""), _versions(report)),
    )
    text = without_places("\n\n".join(blocks)) + "\n"
    return text.replace("the model", "the device") if origin.device else text


def _ends(shown: Shown) -> Iterator[str]:
    yield from (f"fed with {each}" for each in shown.fed)
    yield from (f"expected: {each}" for each in shown.expected)


def _mend(origin: Origin, shown: Shown) -> Iterator[str]:
    """The change, and the nodes as they are then."""
    yield _listed(_edits(origin))
    yield "Then the nodes are:"
    yield fenced(shown.mended)


def fenced(text: str) -> str:
    """Text as it is, in a fence that nothing in it ends."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def without_places(text: str) -> str:
    """The text with every absolute path cut down to the file's name."""
    return _PLACE.sub("…/", text)


def _title(origin: Origin) -> str:
    cause = origin.cause
    if cause is not None and cause.proven:
        return escaped(_words(cause.text))
    return escaped(f"{_types(origin, 1)} gives another result than {_types(origin, 0)}")


def _types(origin: Origin, side: int) -> str:
    ops = (origin.reference_ops, origin.candidate_nodes)[side]
    named = dict.fromkeys(clean(op.type) for op in ops[-3:])
    return " + ".join(named) or "nothing"


def _story(origin: Origin) -> Iterator[str]:
    """What is wrong, and why that is known."""
    ours, theirs = escaped(_types(origin, 0)), escaped(_types(origin, 1))
    if origin.device:
        yield (
            f"The device computes **{theirs}** otherwise than the ONNX file says. Fed with the device's own "
            "tensors, these nodes alone give another result, so nothing before them is to blame."
        )
        return
    yield (
        f"The ONNX file has **{theirs}** where the model has **{ours}**. Fed with the model's own tensors, "
        "these nodes alone give another result, so nothing before them is to blame."
    )
    if origin.cause is None or not origin.cause.proven:
        yield "Which setting is to blame was not found."


def _words(text: str) -> str:
    """A sentence in the maintainers' words: they know a model and an ONNX file."""
    told = clean(text).replace("the reference", "the model").replace("the candidate", "the ONNX file")
    return f"{told[:1].upper()}{told[1:]}".rstrip(".")


def _sides(origin: Origin) -> Sides:
    found = sides_of(origin)
    return replace(
        found, left=replace(found.left, title="the model"), right=replace(found.right, title="the ONNX file")
    )


def _listed(items: Any) -> str:
    return "\n".join(f"- {item}" for item in items)


def _tensors(folder: Path, end: str) -> tuple[str, ...]:
    """The tensors at one end of the segment: the reference's."""
    files = json.loads((folder / "tensors.json").read_text(encoding="utf-8"))[end]
    arrays = ((name, np.load(folder / file, mmap_mode="r")) for name, file in files.items())
    return tuple(f"{escaped(clean(name))}: {array.dtype} {shape_text(array.shape)}" for name, array in arrays)


def _numbers(origin: Origin) -> Iterator[tuple[str, ...]]:
    pair, cause = origin.pair, origin.cause
    left = cause.residual if cause and cause.proven else None
    rows: tuple[tuple[str, Metrics | None], ...] = (
        ("these nodes alone, on the model's tensors", pair.isolated.metrics if pair.isolated else None),
        ("their own rounding, to compare", pair.noise.metrics if pair.noise else None),
        ("with the change below", left),
    )
    if pair.isolated and pair.isolated.mismatch:
        yield rows[0][0], escaped(clean(pair.isolated.mismatch)), "", ""
        rows = rows[1:]
    for label, metrics in rows:
        if metrics is not None:
            yield label, number(metrics.rel_l2), number(metrics.max_abs), f"{metrics.cosine:.6f}"


def _in_the_end(report: Report, origin: Origin) -> Iterator[str]:
    """What the user sees, where this is the only fault."""
    seen = [output for output in report.outputs if output.cumulative is not None]
    if len(report.origins) != 1 or not seen:
        return
    worst = max(seen, key=lambda output: output.cumulative.metrics.max_abs if output.cumulative else 0.0)
    if worst.cumulative is None:
        return
    error = worst.cumulative
    words = "In the end the model's output "
    words += (
        f"has {clean(error.mismatch)}"
        if error.mismatch
        else f"differs by max_abs {number(error.metrics.max_abs)}"
    )
    if worst.mask_changed is not None:
        words += f", and {share(worst.mask_changed)} of the segmentation mask changes"
    if origin.effect is not None:
        words += (
            f"; mending this takes away {share(max(0.0, origin.effect.final_error_removed))} of that error"
        )
    yield f"{words}."


def _edits(origin: Origin) -> Iterator[str]:
    for edit in origin.cause.edits if origin.cause else ():
        yield from _edit(edit)


def _edit(edit: Edit) -> Iterator[str]:
    """What becomes of a node."""
    node = f"the node that writes {escaped(clean(edit.output))}"
    if edit.op_type:
        yield f"{node} becomes {escaped(clean(edit.op_type))}"
    for name, value in edit.attributes.items():
        words = "removed" if value is None else f"= {escaped(told(value))}"
        yield f"{node}: attribute {escaped(clean(name))} {words}"
    for place, operand in edit.inputs.items():
        yield f"{node}: input {place} = {escaped(told(plain(operand)))}"
    if edit.before:
        yield f"in front of {node}: {escaped(', '.join(clean(new.op_type) for new in edit.before))}"
    if edit.nodes:
        yield f"in place of {node}: {escaped(', '.join(clean(new.op_type) for new in edit.nodes))}"


def _reproduce(origin: Origin, mended: bool) -> str:
    """The commands, with what they print where it is known."""
    isolated = origin.pair.isolated
    seen = f"rel_l2 {number(isolated.metrics.rel_l2)}, " if isolated and not isolated.mismatch else ""
    lines = ["pip install numpy onnxruntime", f"python repro.py  # {seen}exit code 1"]
    if mended:
        lines.append(f"python repro.py {MENDED}  # exit code 0")
    told = (
        "`segment.onnx` holds the nodes above and nothing else, the `.npy` files the model's tensors at both "
        f"ends. The exit code is 0 where rel_l2 is at most {number(tolerance(origin))}."
    )
    return "\n".join(("```sh", *lines, "```", "", told))


def _versions(report: Report) -> Iterator[tuple[str, str]]:
    yield "converter", escaped(_converter(report))
    if report.candidate.opset:
        yield "opset", str(report.candidate.opset)
    yield "the model's format", escaped(clean(report.reference.format))
    found = report.environment
    if found is None:
        return
    for side, computed in (("model", found.reference), ("ONNX file", found.candidate)):
        packages = ", ".join(f"{clean(name)} {clean(version)}" for name, version in computed.versions.items())
        yield f"the {side} was run by", escaped(f"{packages}; Python {clean(computed.python)}")
    yield "machine", escaped(_machine(found.platform))
    yield "found by", escaped(f"segdiff {clean(found.segdiff)}")


def _converter(report: Report) -> str:
    """Which program wrote the ONNX file: the one that was called for it, or what the file says."""
    if report.command and "--convert" in report.command:
        with suppress(PackageNotFoundError):
            return f"paddle2onnx {version('paddle2onnx')}"
    import onnx

    try:
        model = onnx.load(str(program_of(report)), load_external_data=False)
    except Exception:  # onnx and protobuf raise almost anything; the file may be gone, too
        return NOT_STATED
    return clean(f"{model.producer_name} {model.producer_version}") or NOT_STATED


def _machine(platform: str) -> str:
    """System and processor, without the name that somebody gave a kernel."""
    words = clean(platform).split("-")
    known = ("x86_64", "aarch64", "arm64", "armv7l", "ppc64le", "s390x", "riscv64")
    return " ".join((words[0], *(word for word in words[1:] if word in known)))


def _table(titles: tuple[str, ...], rows: Any) -> str:
    made = chain([titles, tuple("---" for _ in titles)], rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in made)
