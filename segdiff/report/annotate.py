"""How does Netron show what was found? A copy of the ONNX file, with findings as doc strings and metadata.

Nothing that computes is changed, and external data stays what it is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segdiff.core.answer import Origin, Report
from segdiff.core.captures import all_graphs
from segdiff.core.errors import InputError
from segdiff.core.files import hashed
from segdiff.core.outputs import refuse_input, refuse_other_suffix, refuse_unwritable_file
from segdiff.core.printable import clean
from segdiff.core.version import VERSION
from segdiff.finding.draft import link_external_data, move_external_data
from segdiff.readers.companions import companions
from segdiff.report.findings import findings_of

MARK = "[segdiff]"
"""What every doc string of ours begins with, so that an older one is replaced."""

KEY = "segdiff."
"""What the keys of our metadata begin with."""

WHAT = "The annotated model"


def annotate(report: Report, path: str | Path) -> Path:
    """Write a copy of the candidate with the report's findings in it, seen in Netron; returns its path.

    The nodes of each origin say in their doc string what is wrong; the file's metadata hold the verdict and a
    line of JSON for each origin. Raises InputError where the candidate cannot be read, or is no longer the
    file that the report is about, and where ``path`` cannot be written or is that file itself.
    """
    source, target = program_of(report), Path(path)
    refuse_other_suffix(target, WHAT)
    refuse_unwritable_file(target, WHAT)
    if target.exists():
        refuse_input(target, companions(source), WHAT)
    model = _read(report, source)
    _write_into(model, report)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".segdiff-") as folder:
        draft = Path(folder) / "model.onnx"
        try:
            link_external_data(model, source, draft)
            draft.write_bytes(model.SerializeToString())
            move_external_data(source, draft, target)
            draft.replace(target)
        except (OSError, ValueError) as error:
            raise InputError(f"{target}: cannot be written: {error}") from error
    return target


def program_of(report: Report) -> Path:
    """The candidate's file: where it was fetched from elsewhere, the one here."""
    named, kept = report.candidate.path, report.evidence
    return kept.files[1].program if kept is not None and not named.exists() else named


def _read(report: Report, source: Path) -> Any:
    import onnx

    if report.candidate.format != "onnx":
        raise InputError(f"{source}: is no ONNX file, so it cannot be annotated")
    try:
        known = next((file.sha256 for file in report.candidate.files if file.name == source.name), None)
        if known is not None and hashed(source, source.name).sha256 != known:
            raise InputError(f"{source}: is another file than the one that the report is about; locate again")
        return onnx.load(str(source), load_external_data=False)
    except OSError as error:
        raise InputError(f"{source}: cannot be read, so it cannot be annotated: {error.strerror}") from error
    except InputError:
        raise
    except Exception as error:  # onnx and protobuf raise almost anything on a damaged file
        raise InputError(f"{source}: is damaged, so it cannot be annotated") from error


def _write_into(model: Any, report: Report) -> None:
    told: dict[str, list[str]] = {}
    for number, (origin, words) in enumerate(_words(report), start=1):
        for node in origin.candidate_nodes:
            for name in node.outputs:
                told.setdefault(name, []).append(f"{MARK} origin {number} of {len(report.origins)}: {words}")
    for graph in all_graphs(model.graph):
        for node in graph.node:
            own = node.doc_string.partition(MARK)[0].rstrip()
            found = dict.fromkeys(line for name in node.output for line in told.get(name, ()))
            if own != node.doc_string or found:
                node.doc_string = "\n\n".join((*([own] if own else []), *found))
    kept = [entry for entry in model.metadata_props if not entry.key.startswith(KEY)]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    for key, value in _metadata(report):
        model.metadata_props.add(key=f"{KEY}{key}", value=value)


def _words(report: Report) -> Iterator[tuple[Origin, str]]:
    findings = [each for each in findings_of(report) if each.kind != "inconclusive"]
    for origin, finding in zip(report.origins, findings[len(findings) - len(report.origins) :], strict=True):
        yield origin, "; ".join((finding.title, *finding.text))


def _metadata(report: Report) -> Iterator[tuple[str, str]]:
    yield "version", VERSION
    yield "verdict", report.verdict
    yield "sentence", clean(report.sentence, 1000)
    for number, (origin, words) in enumerate(_words(report), start=1):
        told = {
            "value": clean(origin.pair.candidate),
            "fingerprint": origin.fingerprint,
            "cause": clean(origin.cause.kind) if origin.cause else None,
            "text": words,
        }
        yield f"origin.{number}", json.dumps(told)
