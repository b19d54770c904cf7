"""Where do remedies come into a report? Behind the measurement: what helps, and what an edit changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from segdiff.core.graph import Graph
from segdiff.core.progress import Progress
from segdiff.half.answer import HalfReport
from segdiff.half.bench import Look
from segdiff.half.examples import Examples
from segdiff.half.groups import Group
from segdiff.half.remedies.choose import Question, remedies
from segdiff.half.remedies.edited import edited
from segdiff.half.remedies.trial import IMAGES, Trials
from segdiff.half.targets import How


@dataclass(frozen=True)
class Wish:
    """What a user wants beside the measurement: files of what helps in a ``folder``, an ``edit`` of the file
    to be checked; both may be None."""

    folder: Path | None = None
    edit: Path | None = None


@dataclass(frozen=True)
class Setting:
    """How the measurement was made, so that a trial is made in the same way."""

    source: Path
    graph: Graph
    how: How
    examples: Examples
    threshold: float
    ignore_index: int | None
    timeout: float
    threads: int | None


def reach_of(groups: Sequence[Group], looks: Sequence[Look]) -> Mapping[str, float]:
    """How far the values of each group reach in a plain run, by the name of what it writes."""
    return {each.value: look.reach for each, look in zip(groups, looks, strict=False)}


def with_remedies(
    report: HalfReport, setting: Setting, reach: Mapping[str, float], wish: Wish, progress: Progress
) -> HalfReport:
    """The report with what helps and what the user's edit changes, each tried in the same simulation.

    What helps is looked for where something is lost, or where files are wanted. Raises EngineError where the
    edited file does not run.
    """
    wanted = report.verdict == "loses" or wish.folder is not None
    cost = report.cost
    if cost is None or not (wanted or wish.edit is not None):
        return report
    done = 0

    def tell(_: str) -> None:
        nonlocal done
        done += 1
        progress("remedies", done, 0)

    with TemporaryDirectory(prefix="segdiff-") as folder:
        trials = Trials(
            setting.source,
            setting.graph,
            setting.how,
            setting.examples,
            setting.threshold,
            setting.ignore_index,
            setting.timeout,
            setting.threads,
            Path(folder),
        )
        if wanted:
            question = Question(trials, report.ops, report.static, cost, reach, report.allowed, wish.folder)
            found = remedies(question, tell)
            report = replace(
                report, remedies=found.remedies, remarks=(*report.remarks, *found.remarks, *_few(setting))
            )
        if wish.edit is not None:
            tell("edit")
            report = replace(report, edit=edited(trials, wish.edit, cost))
        return replace(report, runs=report.runs + trials.runs)


def _few(setting: Setting) -> tuple[str, ...]:
    """A remark where remedies were not tried on every image."""
    if len(setting.examples) <= IMAGES:
        return ()
    return (f"What helps was tried on the first {IMAGES} of {len(setting.examples)} images.",)
