"""How many points do two folders of masks lie apart, and where do the points go? No model is needed.

labels, reference masks, candidate masks -> one pass over the images -> scores, the table, the pictures
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from segdiff.core.errors import InputError
from segdiff.core.memory import PeakMemory
from segdiff.core.pictured import Pictures
from segdiff.core.progress import Progress, told_to
from segdiff.inputs.image import one_line, read_image
from segdiff.readers.urls import takes_urls
from segdiff.score.areas import IGNORE
from segdiff.score.asked import asked
from segdiff.score.bounds import Bounds
from segdiff.score.check import check_classes
from segdiff.score.compare import CANDIDATE, REFERENCE, ImageResult, Summary, agreement, scored
from segdiff.score.conclude import Terms, fraction, score_report
from segdiff.score.encoding import CITYSCAPES
from segdiff.score.files import Values, list_masks
from segdiff.score.folder import Folder, classes_in, open_masks
from segdiff.score.matching import matched, named_results
from segdiff.score.names import class_names
from segdiff.score.pictures import Shown, write_gallery
from segdiff.score.protocol import DATASET, LABEL_CENTRED, Frame, protocol_of, resized
from segdiff.score.readings import OTHER, OTHER_SIDES, TWO, Doubt, doubt_of, label_reading
from segdiff.score.report import ScoreReport
from segdiff.score.results import SUFFIXES as RESULTS
from segdiff.score.results import Form, checked_form
from segdiff.score.seen import MOST, remembered, seen_of
from segdiff.score.sizes import Sizes
from segdiff.score.urls import a_dataset, some_masks, some_names

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})


@takes_urls(
    labels=some_masks,
    reference_masks=some_masks,
    candidate_masks=some_masks,
    images=a_dataset,
    names=some_names,
)
def score(
    labels: str | Path,
    reference_masks: str | Path,
    candidate_masks: str | Path,
    *,
    reference_protocol: str = "dataset",
    candidate_protocol: str = "image",
    label_resize: str = "linear",
    reference_score: float | None = None,
    candidate_score: float | None = None,
    ignore_index: int | None = IGNORE,
    num_classes: int | None = None,
    names: str | Path | Sequence[str] | None = None,
    label_encoding: str | None = None,
    reference_encoding: str | None = None,
    candidate_encoding: str | None = None,
    shape: tuple[int, int] | None = None,
    dtype: str | None = None,
    output_index: int | None = None,
    images: str | Path | None = None,
    pictures: str | Path | None = None,
    worst: int = 8,
    progress: Progress | None = None,
) -> ScoreReport:
    """Score two folders of saved masks against labels, and split the gap between two scores into its causes.

    labels, reference_masks, candidate_masks   folders whose files have the same names, whatever the suffix
    reference_protocol, candidate_protocol   ``dataset``: areas summed over the data set at the label's size,
                   as PaddleSeg does; ``image``: the mean of per-image IoU at the mask's size
    label_resize   how ``image`` brings the label to the mask's size: ``linear`` (what ``cv2.resize`` does
                   unasked), ``nearest``, ``nearest_exact``, ``area`` or ``cubic``
    reference_score, candidate_score   the mIoU that were printed, in percent or as fractions
    ignore_index   the label that does not count, or None
    num_classes    by default as many as the labels have
    names          of the classes: a sequence, a file with one a line, or ``a,b,c``
    label_encoding, reference_encoding, candidate_encoding   what the values of the files mean: ``index``,
                   ``binary``, ``paddleseg``, ``voc`` or ``cityscapes``; by default the files show it
    shape, dtype   height and width of masks without a header (``.bin``, ``.raw``), and numpy's name of their
                   numbers; by default the bytes tell the type
    output_index   which output of a device's results is the mask, where an image has several
    images         the folder of the original images, for the pictures
    pictures       a folder to write pictures of the ``worst`` images to
    worst          how many images are listed as the worst

    Raises InputError where a folder or an option cannot be used, or no image is left. An image that cannot be
    used is skipped and reported.

    >>> import tempfile
    >>> import cv2
    >>> import numpy as np
    >>> label = np.repeat([0, 1], 32).astype(np.uint8).reshape(8, 8)
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for side, mask in (("labels", label), ("paddle", label), ("onnx", 1 - label)):
    ...         (Path(name) / side).mkdir()
    ...         written = cv2.imwrite(f"{name}/{side}/street.png", mask)
    ...     report = score(f"{name}/labels", f"{name}/paddle", f"{name}/onnx", candidate_protocol="dataset")
    >>> [(side.name, *{scores.miou for scores in side.scores.values()}) for side in report.sides]
    [('reference', 1.0), ('candidate', 0.0)]
    """
    start = time.perf_counter()
    terms = Terms(
        protocol_of(reference_protocol, label_resize),
        protocol_of(candidate_protocol, label_resize),
        fraction(reference_score, "The reference's score"),
        fraction(candidate_score, "The candidate's score"),
    )
    shown = (DATASET, protocol_of("image", label_resize))
    with PeakMemory() as peak:
        said = checked_form(shape, dtype)
        folders = [
            opened(folder, kind, said, output_index)
            for folder, kind in (
                (labels, label_encoding),
                (reference_masks, reference_encoding),
                (candidate_masks, candidate_encoding),
            )
        ]
        (of_labels, of_reference, of_candidate), renamed = matched(folders, output_index)
        pictured = list_masks(images, PICTURES) if images else {}
        masks = Masks(of_labels, of_reference, of_candidate, pictured)
        doubt = doubt_of(masks.labels.files.values(), label_encoding, ignore_index, masks.labels.raw)
        scorer = Scorer(
            masks,
            num_classes or masks.classes(doubt, ignore_index),
            ignore_index,
            doubt=doubt,
            frames=(LABEL_CENTRED, *{p.frame: None for p in (*shown, *terms.protocols())}),
        )
        if names is None and masks.labels.kind == "cityscapes" and scorer.classes == len(CITYSCAPES):
            names = tuple(CITYSCAPES)
        known = class_names(names, scorer.classes)
        with told_to(progress) as told:
            summary, bounds = scorer.run(worst, told)
        sources = {REFERENCE: str(masks.reference), CANDIDATE: str(masks.candidate)}
        report = score_report(summary, terms, shown, sources, known, bounds)
        printed = terms.reference_score, terms.candidate_score
        reading = label_reading(summary, doubt, scorer.classes, (terms.reference, terms.candidate), printed)
        kept: list[tuple[str, Pictures]] = []
        files: tuple[Path, ...] = ()
        if pictures:
            files = write_gallery(pictures, remembered(scorer.pictures(report.worst), kept), known)
        else:
            kept += seen_of(scorer.pictures(report.worst[:MOST]))
    return replace(
        report,
        asked=asked(
            "score",
            ["--labels", labels, "--reference-masks", reference_masks, "--candidate-masks", candidate_masks],
            {
                "--label-resize": (label_resize, "linear"),
                "--reference-protocol": (reference_protocol, "dataset"),
                "--ignore-index": (ignore_index, IGNORE),
                "--num-classes": (num_classes, None),
                "--label-encoding": (label_encoding, None),
                "--reference-encoding": (reference_encoding, None),
                "--candidate-encoding": (candidate_encoding, None),
                "--shape": (shape and f"{shape[0]}x{shape[1]}", None),
                "--dtype": (dtype, None),
                "--output-index": (output_index, None),
            },
        ),
        labels=reading,
        remarks=(
            *([reading.sentence()] if reading else []),
            *scorer.sizes.sentences(),
            *([renamed] if renamed else []),
            *told_forms([folder for folder in folders if dtype is None and folder.headerless]),
            *scorer.remarks,
        ),
        files=files,
        pictures=tuple(kept),
        timing_s={"score": round(time.perf_counter() - start, 3)},
        peak_memory_mb=round(peak.bytes / 2**20, 1),
    )


def opened(folder: str | Path, kind: str | None, said: Form, output: int | None) -> Folder:
    """A folder of masks, a device's results by the image that each is of. Raises InputError."""
    found = open_masks(folder, kind, said)
    if not all(path.suffix.lower() in RESULTS for path in found.files.values()):
        return found
    return replace(found, files=named_results(found.path, found.files, output))


def told_forms(folders: Sequence[Folder]) -> list[str]:
    """How the bytes of some folders' masks were read."""
    told = ", ".join(dict.fromkeys(f"those in {folder.path} as {folder.form}" for folder in folders))
    return [f"By their bytes the files without a header were read: {told}."] if told else []


@dataclass(frozen=True)
class Masks:
    """The three folders, and the original images by name."""

    labels: Folder
    reference: Folder
    candidate: Folder
    images: Mapping[str, Path]

    def classes(self, doubt: Doubt | None, ignore_index: int | None) -> int:
        """As many as the labels have; where their meaning is in doubt, as many as any file has, and two."""
        if doubt is None:
            return classes_in(self.labels, ignore_index)
        return max(TWO, *(classes_in(folder, ignore_index) for folder in (self.reference, self.candidate)))

    def names(self) -> tuple[list[str], list[str]]:
        """Names that all three folders have, and a line for each label and mask that lacks its partner."""
        folders = (self.labels, self.reference, self.candidate)
        every = sorted({name for folder in folders for name in folder.files})
        lacking = {name: [f for f in folders if name not in f.files] for name in every}
        shared = [name for name in every if not lacking[name]]
        if not shared:
            raise InputError(
                f"No file has the same name in {', '.join(str(folder.path) for folder in folders)} "
                f"(there is {', '.join(repr(next(iter(folder.files))) for folder in folders)})."
            )
        return shared, [
            f"{name}: not in {' nor in '.join(str(folder.path) for folder in absent)}"
            for name, absent in lacking.items()
            if absent
        ]


@dataclass
class Scorer:
    """One pass over the images."""

    masks: Masks
    classes: int
    ignore_index: int | None
    frames: tuple[Frame, ...]
    doubt: Doubt | None = None
    remarks: list[str] = field(default_factory=list)
    sizes: Sizes = field(default_factory=lambda: Sizes())

    def run(self, worst: int, progress: Progress) -> tuple[Summary, Bounds]:
        """All images, one at a time."""
        summary, bounds = Summary(worst), Bounds.none(self.classes)
        shared, lonely = self.masks.names()
        for problem in lonely:
            summary.skip(problem)
        for done, name in enumerate(shared):
            progress("score", done, len(shared))
            try:
                label, *sides = self.read(name)
                self.sizes.add(label.shape, *(side.shape for side in sides))
                summary.add(self.result(name, label, *sides))
                bounds.add(sides[0], label, self.ignore_index)
            except InputError as error:
                summary.skip(f"{name}: {one_line(error)}")
        progress("score", len(shared), len(shared))
        return summary, bounds

    def read(self, name: str) -> tuple[Values, Values, Values]:
        """Label, reference mask and candidate mask of one image, in class numbers that exist."""
        masks = self.masks
        label = masks.labels.read(name)
        if self.doubt is not None:
            label = self.doubt.read(label, self.doubt.taken(self.classes))
        check_classes(label, self.classes, self.ignore_index, f"The label {masks.labels.files[name]}")
        sides = []
        for folder in (masks.reference, masks.candidate):
            mask = folder.read(name)
            check_classes(mask, self.classes, None, f"The mask {folder.files[name]}")
            sides.append(mask)
        return label, sides[0], sides[1]

    def result(self, name: str, label: Values, reference: Values, candidate: Values) -> ImageResult:
        """What one image says."""
        areas = {
            side: scored(mask, label, self.frames, self.classes, self.ignore_index)
            for side, mask in ((REFERENCE, reference), (CANDIDATE, candidate))
        }
        if self.doubt is not None:
            other = self.doubt.read(self.masks.labels.read(name), OTHER[self.doubt.taken(self.classes)])
            areas |= {
                OTHER_SIDES[side]: scored(mask, other, self.frames, self.classes, self.ignore_index)
                for side, mask in ((REFERENCE, reference), (CANDIDATE, candidate))
            }
        return ImageResult(name, areas, agreement(reference, self.brought(candidate, reference)))

    def brought(self, candidate: Values, reference: Values) -> Values:
        """The candidate's mask at the reference's size."""
        if candidate.shape != reference.shape and not self.remarks:
            self.remarks.append(
                f"The masks have different sizes ({show(reference)} and {show(candidate)}); to compare them, "
                "the candidate's were resized to the reference's (nearest)."
            )
        return resized(candidate, reference.shape, "nearest")

    def pictures(self, results: Sequence[ImageResult]) -> Iterator[Shown]:
        """What there is to see of some images."""
        for result in results:
            label, reference, candidate = self.read(result.name)
            image = self.masks.images.get(result.name)
            original = read_image(image) if image else None
            yield Shown(result.name, original, reference, self.brought(candidate, reference), label=label)


def show(mask: Values) -> str:
    """Height and width."""
    return f"{mask.shape[0]}x{mask.shape[1]}"
