"""What do two models make of one image, as scores? Outputs -> masks -> areas and agreement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from segdiff.core.errors import EngineError, InputError, SegdiffError
from segdiff.core.metrics import compare_arrays
from segdiff.core.precision import disturbed
from segdiff.core.progress import Progress
from segdiff.engines import Tensor
from segdiff.inputs import InputComparison
from segdiff.inputs.image import one_line
from segdiff.score.areas import Areas, areas
from segdiff.score.check import check_classes
from segdiff.score.compare import (
    CANDIDATE,
    REFERENCE,
    SAME_INPUT,
    Agreement,
    ImageResult,
    OutputError,
    Summary,
    agreement,
)
from segdiff.score.conclude import MAX_REL
from segdiff.score.dataset import Entry
from segdiff.score.files import Values
from segdiff.score.journal import Journal
from segdiff.score.output import Output, output_of
from segdiff.score.pictures import Shown
from segdiff.score.protocol import Frame, framed
from segdiff.score.readings import OTHER, OTHER_SIDES, Doubt
from segdiff.score.run import BothModels, LoadedImage, Loader, loaded
from segdiff.walk.judge import NOISE_FACTOR

Numbered = Sequence[tuple[int, Entry]]
"""Images with their numbers in the data set."""

Keep = Callable[[int, ImageResult], None]
"""Keeps the result of an image by its number."""

Results = Callable[[Numbered, Keep], Iterator[ImageResult | SegdiffError]]
"""Who runs images: what came of each, in their order; each result is kept as it comes."""


@dataclass
class Evaluation:
    """Two models, a way to read images, and the frames in which masks are scored.

    ``classes`` is None until the first output shows it; ``count_classes`` tells it from the labels where the
    outputs are masks.
    """

    pair: BothModels
    loader: Loader
    frames: tuple[Frame, ...]
    ignore_index: int | None
    classes: int | None
    count_classes: Callable[[], int]
    remarks: list[str] = field(default_factory=list)
    doubt: Doubt | None = None

    def all(
        self,
        entries: Sequence[Entry],
        keep: int,
        journal: Journal | None,
        progress: Progress,
        results: Results | None = None,
    ) -> Summary:
        """Every image, in the order of the data set: from the journal, or from ``results`` (by default this
        process). Raises EngineError where a model is broken."""
        return self.into(Summary(keep), entries, journal, progress, results)

    def into(
        self,
        summary: Summary,
        entries: Sequence[Entry],
        journal: Journal | None,
        progress: Progress,
        results: Results | None = None,
    ) -> Summary:
        """The same, added to a summary."""
        places = journal.places() if journal else {}
        if places:
            found = "1 image was" if len(places) == 1 else f"{len(places)} images were"
            self.remarks.append(f"{found} already done and taken from {journal and journal.path}.")
        kept = journal.add if journal else _not_kept
        todo = [(number, entry) for number, entry in enumerate(entries) if number not in places]
        coming = (results or self.here)(todo, kept)
        for number, entry in enumerate(entries):
            progress("evaluate", number, len(entries))
            if journal and number in places:
                summary.add(journal.at(places[number]))
                continue
            result = next(coming)
            if isinstance(result, SegdiffError):
                summary.skip(f"{entry.name}: {one_line(result)}")
            else:
                summary.add(result)
        progress("evaluate", len(entries), len(entries))
        return summary

    def here(self, todo: Numbered, kept: Keep) -> Iterator[ImageResult | SegdiffError]:
        """The result of each image, run in this process, in their order; each is kept as it comes."""
        for number, _, ready in loaded(self.loader, todo):
            try:
                if isinstance(ready, SegdiffError):
                    raise ready
                result = self.one(ready)
            except SegdiffError as error:
                self._give_up(error)
                yield error
                continue
            kept(number, result)
            yield result

    def _give_up(self, error: SegdiffError) -> None:
        if isinstance(error, EngineError) and self.is_broken:
            raise error

    @property
    def is_broken(self) -> bool:
        """Whether a model is to blame for what failed, and no image."""
        return self.pair.reference.is_broken or self.pair.candidate.is_broken

    def one(self, ready: LoadedImage) -> ImageResult:
        """What one image says. Raises InputError or EngineError where it says nothing.

        Where the reference's input rests on assumed transforms, the candidate is judged on that same input:
        its own may well be the right one.
        """
        ours, theirs, own = self.pair.run(ready)
        outputs = {REFERENCE: self.output(ours[0], REFERENCE)}
        if own is None:
            outputs[CANDIDATE] = self.output(theirs[0], CANDIDATE)
        else:
            outputs[SAME_INPUT] = self.output(theirs[0], CANDIDATE)
            outputs[CANDIDATE] = self.output(own[0], CANDIDATE)
        judged = CANDIDATE if own is None or ready.assumed is None else SAME_INPUT
        final = theirs if own is None or judged == SAME_INPUT else own
        if ready.assumed is not None and ready.assumed not in self.remarks:
            self.remarks.append(ready.assumed)
        masks = {side: output.without_padding(ready.undo).mask() for side, output in outputs.items()}
        first = outputs[REFERENCE].without_padding(ready.undo)
        scored = self.areas(ready, outputs, masks) if ready.label is not None else {}
        agreed = clear_agreement(first, masks[REFERENCE], masks[judged])
        return ImageResult(ready.entry.name, scored, agreed, self.raw_error(outputs, ours, final))

    def raw_error(
        self, outputs: Mapping[str, Output], ours: Sequence[Tensor], theirs: Sequence[Tensor]
    ) -> OutputError | None:
        """The distance of the raw outputs; None where one model gives logits and the other a mask."""
        kinds = [outputs[side].is_logits for side in (REFERENCE, CANDIDATE)]
        if kinds[0] == kinds[1]:
            return output_error(ours, theirs)
        first, second = ("logits" if kind else "a mask" for kind in kinds)
        remark = f"The reference gives {first}, the candidate {second}: only the masks are compared."
        if remark not in self.remarks:
            self.remarks.append(remark)
        return None

    def output(self, tensor: Tensor, side: str) -> Output:
        """An output as planes; the first one also tells the number of classes."""
        output = output_of(tensor.array, f"The {side}'s output")
        if self.classes is None:
            self.classes = output.classes or self.count_classes()
        return output

    def areas(
        self, ready: LoadedImage, outputs: Mapping[str, Output], masks: Mapping[str, Values]
    ) -> dict[str, dict[Frame, Areas]]:
        """The areas of each side in each frame; where 255 may mean two things, with both readings."""
        label, classes = ready.label, self.classes
        assert label is not None and classes is not None
        if self.doubt is None:
            return self.areas_with(label, ready, outputs, masks)
        taken = self.doubt.taken(classes)
        found = self.areas_with(self.doubt.read(label, taken), ready, outputs, masks)
        with_other = self.areas_with(self.doubt.read(label, OTHER[taken]), ready, outputs, masks)
        return found | {name: with_other[side] for side, name in OTHER_SIDES.items()}

    def areas_with(
        self, label: Values, ready: LoadedImage, outputs: Mapping[str, Output], masks: Mapping[str, Values]
    ) -> dict[str, dict[Frame, Areas]]:
        """The areas of each side in each frame, against one label."""
        classes = self.classes
        assert classes is not None
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
            yield Shown(entry.name, ready.image, *masks, first.margin(), ready.label)

    def input_of(self, entry: Entry) -> InputComparison | None:
        """What the candidate's own preprocessing does otherwise; also said in the remarks."""
        try:
            comparison = self.loader.judge(entry)
        except SegdiffError as error:
            self.remarks.append(f"{entry.name}: its input could not be judged: {one_line(error)}.")
            return None
        for finding in comparison.findings if comparison else ():
            how = "proven" if finding.proven else "not proven"
            self.remarks.append(f"{finding.kind}, {how} on {entry.name}: {finding.text}")
        return comparison

    def rounding(self, entry: Entry) -> float:
        """What counts as the reference's own rounding on an image, as a part of its largest output.

        As in a walk: ``NOISE_FACTOR`` times what the last bit of the input does. 0 where it does not run.
        """
        try:
            ready = self.loader.load(entry)
            shaken = {
                name: disturbed(array, seed) for seed, (name, array) in enumerate(ready.tensors.items())
            }
            runs = [
                self.pair.reference.run(
                    {name: self.pair.blocks.tensor(array) for name, array in given.items()}
                )
                for given in (ready.tensors, shaken)
            ]
            found = NOISE_FACTOR * output_error(*runs).max_rel
        except SegdiffError as error:
            self.remarks.append(f"{entry.name}: its rounding could not be measured: {one_line(error)}")
            return 0.0
        self.remarks.append(
            f"The masks differ clearly, the raw outputs hardly. On {entry.name}, up to {found:.1g} of the "
            f"largest value is rounding: {NOISE_FACTOR:g} times what the last bits of the input do to the "
            "reference's own output."
        )
        return found

    def optimised_away(self, entry: Entry) -> Iterator[str]:
        """Which framework's own optimiser changes what its model makes of an image, in a sentence each."""
        try:
            tensors = self.pair.feeds(self.loader.load(entry))
            for model, feeds in zip((self.pair.reference, self.pair.candidate), tensors, strict=True):
                if (way := model.ways[0]) is None:
                    continue
                error = output_error(model.run_in(None, feeds), model.run_in(way, feeds))
                if not error.max_rel <= MAX_REL:
                    yield (
                        f"{model.engine.name}'s own optimiser changes the output of {model.graph.path}: "
                        f"max_abs_diff {error.max_abs:.3g} on {entry.name}, as deployed against as written. "
                        "That part is no fault of the conversion; segdiff locate names the optimiser."
                    )
        except SegdiffError as error:
            yield f"{entry.name}: not compared with a run without optimisation: {one_line(error)}"


def _not_kept(number: int, result: ImageResult) -> None:
    """Where nothing keeps results."""


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
