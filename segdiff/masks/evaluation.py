"""What do two models make of one image, as scores? Outputs -> masks -> areas and agreement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from segdiff.engines import Tensor
from segdiff.errors import EngineError, InputError, SegdiffError
from segdiff.inputs.image import one_line
from segdiff.masks.areas import Areas, areas
from segdiff.masks.check import check_classes
from segdiff.masks.compare import (
    CANDIDATE,
    REFERENCE,
    SAME_INPUT,
    Agreement,
    ImageResult,
    OutputError,
    Summary,
    agreement,
)
from segdiff.masks.dataset import Entry
from segdiff.masks.files import Values
from segdiff.masks.journal import Journal
from segdiff.masks.output import Output, output_of
from segdiff.masks.pictures import Shown
from segdiff.masks.protocol import Frame, framed
from segdiff.masks.run import Loader, Pair, Ready, loaded
from segdiff.metrics import compare_arrays

Progress = Callable[[str, int, int], None]


@dataclass
class Evaluation:
    """Two models, a way to read images, and the frames in which masks are scored.

    ``classes`` is None until the first output shows it; ``count_classes`` tells it from the labels where the
    outputs are masks.
    """

    pair: Pair
    loader: Loader
    frames: tuple[Frame, ...]
    ignore_index: int | None
    classes: int | None
    count_classes: Callable[[], int]
    remarks: list[str] = field(default_factory=list)

    def all(
        self, entries: Sequence[Entry], keep: int, journal: Journal | None, progress: Progress
    ) -> Summary:
        """Every image: what the journal has, then the rest. Raises EngineError where a model is broken."""
        summary = Summary(keep)
        done: set[int] = set()
        for number, result in journal.done() if journal else ():
            summary.add(result)
            done.add(number)
        if done:
            self.remarks.append(
                f"{len(done)} images were already done and taken from {journal and journal.path}."
            )
        todo = [(number, entry) for number, entry in enumerate(entries) if number not in done]
        for count, (number, entry, ready) in enumerate(loaded(self.loader, todo), start=len(done)):
            progress("evaluate", count, len(entries))
            try:
                if isinstance(ready, SegdiffError):
                    raise ready
                result = self.one(ready)
            except SegdiffError as error:
                self._give_up(error)
                summary.skip(f"{entry.name}: {one_line(error)}")
                continue
            summary.add(result)
            if journal:
                journal.add(number, result)
        progress("evaluate", len(entries), len(entries))
        return summary

    def _give_up(self, error: SegdiffError) -> None:
        broken = (self.pair.reference.is_broken, self.pair.candidate.is_broken)
        if isinstance(error, EngineError) and any(broken):
            raise error

    def one(self, ready: Ready) -> ImageResult:
        """What one image says. Raises InputError or EngineError where it says nothing."""
        ours, theirs, own = self.pair.run(ready)
        outputs = {REFERENCE: self.output(ours[0], REFERENCE)}
        if own is None:
            outputs[CANDIDATE] = self.output(theirs[0], CANDIDATE)
        else:
            outputs[SAME_INPUT] = self.output(theirs[0], CANDIDATE)
            outputs[CANDIDATE] = self.output(own[0], CANDIDATE)
        final = theirs if own is None else own
        masks = {side: output.without_padding(ready.undo).mask() for side, output in outputs.items()}
        first = outputs[REFERENCE].without_padding(ready.undo)
        scored = self.areas(ready, outputs, masks) if ready.label is not None else {}
        agreed = clear_agreement(first, masks[REFERENCE], masks[CANDIDATE])
        return ImageResult(ready.entry.name, scored, agreed, output_error(ours, final))

    def output(self, tensor: Tensor, side: str) -> Output:
        """An output as planes; the first one also tells the number of classes."""
        output = output_of(tensor.array, f"The {side}'s output")
        if self.classes is None:
            self.classes = output.classes or self.count_classes()
        return output

    def areas(
        self, ready: Ready, outputs: Mapping[str, Output], masks: Mapping[str, Values]
    ) -> dict[str, dict[Frame, Areas]]:
        """The areas of each side in each frame."""
        label, classes = ready.label, self.classes
        assert label is not None and classes is not None
        check_classes(label, classes, self.ignore_index, f"The label {ready.entry.label}")
        found: dict[str, dict[Frame, Areas]] = {}
        for side, output in outputs.items():
            found[side] = {}
            for frame in self.frames:
                sized = (
                    (output.mask_at(ready.undo), label)
                    if frame.size == "label"
                    else framed(masks[side], label, frame)
                )
                found[side][frame] = areas(*sized, classes, self.ignore_index)
        return found

    def pictures(self, entries: Sequence[Entry]) -> Iterator[Shown]:
        """What there is to see of some images, run once more."""
        for entry in entries:
            try:
                ready = self.loader.load(entry)
                ours, theirs, own = self.pair.run(ready)
            except SegdiffError as error:
                self.remarks.append(f"{entry.name}: no picture: {one_line(error)}")
                continue
            first = output_of(ours[0].array, "The reference's output").without_padding(ready.undo)
            second = output_of((own or theirs)[0].array, "The candidate's output")
            masks = first.mask(), second.without_padding(ready.undo).mask()
            yield Shown(entry.name, ready.image, *masks, first.margin())


def clear_agreement(output: Output, reference: Values, candidate: Values) -> Agreement:
    """How the masks differ, and where that is no tie between the reference's two largest logits."""
    found = agreement(reference, candidate)
    if not found.changed or not output.is_logits:
        return found
    changed = reference != candidate
    margin = Output(output.planes[:, changed][:, None]).margin()
    if margin is None:
        return found
    return Agreement(found.pixels, found.changed, int((margin > output.tie()).sum()))


def output_error(reference: Sequence[Tensor], candidate: Sequence[Tensor]) -> OutputError:
    """The distance of the raw outputs, the largest over all of them. Raises InputError for other shapes."""
    largest = relative = 0.0
    for ours, theirs in zip(reference, candidate, strict=True):
        comparison = compare_arrays(ours.array, theirs.array)
        if comparison.mismatch:
            raise InputError(f"the raw outputs cannot be compared: {comparison.mismatch}")
        largest = max(largest, comparison.metrics.max_abs)
        relative = max(relative, comparison.metrics.max_rel)
    return OutputError(largest, relative)
