"""What does a change of one's own do? To every segment that it touches, to the outputs, to the mask."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segdiff.core.answer import Cause, PairInfo
from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.core.files import ModelFiles
from segdiff.core.late import door
from segdiff.core.metrics import Comparison, compare_arrays
from segdiff.core.outputs import refuse_input, refuse_other_suffix, refuse_unwritable_file
from segdiff.diagnose.explain import bench_of
from segdiff.engines import Tensor
from segdiff.finding.case_changes import described
from segdiff.finding.case_pairs import Pairs
from segdiff.finding.draft import move_external_data, write
from segdiff.finding.weigh import Scale
from segdiff.readers.companions import companions
from segdiff.walk import Run
from segdiff.walk.masks import mask_changed, pixels_of


@dataclass(frozen=True)
class TriedPair:
    """A pair behind the change, on the reference's tensors: the isolated error before and after, None where
    the segment does not run; ``agrees`` is the walk's own judgement of what is left."""

    pair: PairInfo
    before: Comparison | None
    after: Comparison | None
    agrees: bool


@dataclass(frozen=True)
class TriedOutput:
    """An output, both models run from the image: its error before and after, and of a map of classes the
    pixels that differ, of how many (None where it is no such map)."""

    reference: str
    candidate: str
    before: Comparison
    after: Comparison | None
    pixels_before: int | None
    pixels_after: int | None
    pixels: int | None


@dataclass(frozen=True, eq=False)
class Attempted:
    """What a change does.

    ``changes`` say what was changed, (node, words); ``pairs`` are those whose segment was changed, each alone
    on the reference's tensors; ``outputs`` the candidate's, run whole from the image. ``problems`` say what
    could not be run with it.
    """

    edits: tuple[Edit, ...] = field(repr=False)
    changes: tuple[tuple[str, str], ...]
    pairs: tuple[TriedPair, ...]
    outputs: tuple[TriedOutput, ...]
    problems: tuple[str, ...]
    files: tuple[ModelFiles, ModelFiles] = field(repr=False)

    @property
    def agrees(self) -> bool:
        """Whether every changed segment agrees on the reference's tensors, and everything ran."""
        return not self.problems and all(tried.agrees for tried in self.pairs)

    def save(self, path: str | Path) -> Path:
        """Write a copy of the candidate with this change to an ``.onnx`` file, and return its path.

        An older file there is replaced, but never one of the two models. Raises InputError where the path
        cannot be used, RepairError where the changed model does not pass ONNX's checker, ModelError where a
        node cannot be changed so.
        """
        target, what = Path(path), "The changed model"
        source = self.files[1].program
        refuse_input(target, [file for each in self.files for file in companions(each.program)], what)
        refuse_other_suffix(target, what)
        refuse_unwritable_file(target, what)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".segdiff-") as folder:
            draft = Path(folder) / "model.onnx"
            write(source, draft, [Cause("own", "a change of one's own", False, edits=self.edits)])
            move_external_data(source, draft, target)
            draft.replace(target)
        return target

    def __repr__(self) -> str:
        return str(door("text")(self)).rstrip()

    def _repr_html_(self) -> str:
        return str(door("html")(self))


def attempted(
    run: Run, pairs: Pairs, edits: tuple[Edit, ...], files: tuple[ModelFiles, ModelFiles]
) -> Attempted:
    """Try a change of the candidate, and measure what it does. Raises EngineError where the reference, or the
    candidate without the change, cannot be run."""
    problems: list[str] = []
    tried = tuple(_tried_pairs(run, pairs, edits, problems))
    outputs = _tried_outputs(run, edits, problems)
    return Attempted(
        edits=edits,
        changes=tuple(described(run.probe.graph, edits)),
        pairs=tried,
        outputs=outputs,
        problems=tuple(dict.fromkeys(problems)),
        files=files,
    )


def _tried_pairs(run: Run, pairs: Pairs, edits: Sequence[Edit], problems: list[str]) -> Iterator[TriedPair]:
    """Every pair whose segment one of the edits changes."""
    places = {run.probe.graph.producer[edit.place].index for edit in edits}
    steps = {row.step.segment: row.step for row in pairs.rows if places.intersection(row.step.segment.nodes)}
    infos = {row.pair.candidate: row.pair for row in pairs.rows}
    for segment, step in steps.items():
        bench = bench_of(run, step)
        before, after = bench.attempt(), bench.attempt(tuple(edits))
        problems += [each.problem for each in (before, after) if each.problem]
        for _, c in segment.outputs:
            if c in infos:
                comparisons = before.comparisons.get(c), after.comparisons.get(c)
                yield TriedPair(infos[c], *comparisons, after.agrees)


def _tried_outputs(run: Run, edits: tuple[Edit, ...], problems: list[str]) -> tuple[TriedOutput, ...]:
    scale = Scale(run, dict(run.reference([r for r, _ in run.outputs])), problems)
    before = scale.as_walked() or scale.finals()
    try:
        after = scale.finals(edits=edits)
    except EngineError as error:
        problems.append(str(error))
        after = {}
    return tuple(
        _tried_output(run, (r, c), scale.truth[r], before[c], after.get(c))
        for r, c in run.outputs
        if r in scale.truth and c in before
    )


def _tried_output(
    run: Run, names: tuple[str, str], truth: Tensor, before: Tensor, after: Tensor | None
) -> TriedOutput:
    ours = truth.array
    then = mask_changed(ours, before.array)
    now = mask_changed(ours, after.array) if after is not None else None
    count = pixels_of(ours) if then is not None or now is not None else None
    return TriedOutput(
        reference=names[0],
        candidate=run.alignment.output_name(names[1]),
        before=compare_arrays(ours, before.array),
        after=compare_arrays(ours, after.array) if after is not None else None,
        pixels_before=None if then is None or count is None else round(then * count),
        pixels_after=None if now is None or count is None else round(now * count),
        pixels=count,
    )
