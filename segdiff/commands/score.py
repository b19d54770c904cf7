"""``segdiff score``: what two folders of saved masks score, and where the points between them go."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdiff.commands.base import (
    COULD_NOT_TELL,
    Arguments,
    Command,
    Parser,
    common_arguments,
)
from segdiff.commands.console import complain, one_line, quiet_stderr
from segdiff.commands.delivery import deliver
from segdiff.commands.exports import check_forms, output_arguments, written_forms
from segdiff.commands.guard import Reads, Written, file_output, refuse_losses
from segdiff.commands.values import bound, plane, whole
from segdiff.report.exports import EXPORTS

if TYPE_CHECKING:
    from segdiff.score.report import ScoreReport

ENCODINGS = ("index", "binary", "paddleseg", "voc", "cityscapes")
RESIZES = ("linear", "nearest", "nearest_exact", "area", "cubic")


def score_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff score``."""
    parser.add_argument("--labels", required=True, metavar="DIR", help="the labels")
    parser.add_argument("--reference-masks", required=True, metavar="DIR", help="masks of the reference")
    parser.add_argument("--candidate-masks", required=True, metavar="DIR", help="masks of the candidate")
    parser.add_argument("--images", metavar="DIR", help="the original images, for the pictures")
    protocol_arguments(parser, candidate="image")
    group = parser.add_argument_group("the printed scores", "In percent, or as fractions.")
    group.add_argument("--reference-score", type=bound, metavar="X", help="mIoU printed for the reference")
    group.add_argument("--candidate-score", type=bound, metavar="X", help="mIoU printed for the candidate")
    group = parser.add_argument_group("what the files mean", "By default the files show it.")
    for side in ("label", "reference", "candidate"):
        group.add_argument(f"--{side}-encoding", choices=ENCODINGS, help=f"values of the {side} files")
    group.add_argument(
        "--num-classes", type=whole, metavar="N", help="by default, as many as the labels have"
    )
    group = parser.add_argument_group("what a device returned", "Files without a header, .npy or text.")
    group.add_argument(
        "--shape", type=plane, metavar="HxW", help="height and width of masks without a header"
    )
    group.add_argument("--dtype", metavar="TYPE", help="their numbers: int32, uint8, ... (the bytes tell it)")
    group.add_argument(
        "--output-index", type=index, metavar="N", help="which output is the mask, where there are several"
    )
    score_output(parser)
    common_arguments(parser)


def protocol_arguments(parser: Parser, candidate: str) -> None:
    """The options that say how a score is computed."""
    group = parser.add_argument_group(
        "how a score is computed",
        "dataset: areas summed over the data set at the label's size, as PaddleSeg does; "
        "image: mean of per-image IoU at the mask's size.",
    )
    protocols = ("dataset", "image")
    group.add_argument("--reference-protocol", choices=protocols, default="dataset", help="(dataset)")
    group.add_argument("--candidate-protocol", choices=protocols, default=candidate, help=f"({candidate})")
    group.add_argument(
        "--label-resize",
        choices=RESIZES,
        default="linear",
        help="how image brings labels to the mask's size (linear)",
    )
    group.add_argument(
        "--ignore-index",
        type=index_or_none,
        default=255,
        metavar="N",
        help="label that does not count, or none (255)",
    )


def index_or_none(text: str) -> int | None:
    """A class number from 0 up, or ``none``."""
    return None if text.lower() == "none" else index(text)


def index(text: str) -> int:
    """A number from 0 up."""
    return 0 if text == "0" else whole(text)


def score_output(parser: Parser) -> argparse._ArgumentGroup:
    """The options on what is shown and written."""
    group = output_arguments(parser, "ScoreReport", "list every class and every skipped image")
    group.add_argument("--names", metavar="NAMES", help="class names: a,b,c or a file with one a line")
    group.add_argument("--pictures", metavar="DIR", help="write pictures of the worst images to this folder")
    group.add_argument("--worst", type=whole, default=8, metavar="N", help="how many images that is (8)")
    return group


def run_score(arguments: Arguments, parser: Parser) -> int:
    """``segdiff score``: scores from saved masks."""
    import segdiff
    from segdiff.commands.progress import progress_bar

    check_forms(arguments, parser)
    refuse_losses(outputs(arguments), _reads(arguments), arguments)
    with ExitStack() as stack:
        if not arguments.debug:
            stack.enter_context(quiet_stderr())
        progress = stack.enter_context(progress_bar(False if arguments.no_progress else None))
        report = segdiff.score(progress=progress, **chosen(arguments))
    return finish(report, arguments)


def outputs(arguments: Arguments) -> tuple[Written | None, ...]:
    """What both commands on scores write."""
    return (
        file_output("--pictures", arguments.pictures, "pictures"),
        *written_forms(arguments),
    )


def _reads(arguments: Arguments) -> Reads:
    folders = (arguments.labels, arguments.reference_masks, arguments.candidate_masks, arguments.images)
    found = tuple(Path(folder) for folder in folders if folder)
    names = (Path(arguments.names),) if arguments.names else ()
    return Reads(files=names, folders=found, more=lambda: files_in(found))


def files_in(folders: Iterable[Path]) -> Iterator[Path]:
    """Every file in some folders, however deep."""
    for folder in folders:
        yield from (Path(above, name) for above, _, names in os.walk(folder) for name in names)


def chosen(arguments: Arguments) -> dict[str, Any]:
    """What the Python function takes: all options but those that say how the answer is shown."""
    own = {"debug", "no_progress", "json", "full", "all", "force", "words", "github", "annotate"}
    own |= {export.attribute for export in EXPORTS}
    return {name: value for name, value in vars(arguments).items() if name not in own}


def finish(report: ScoreReport, arguments: Arguments) -> int:
    """Write and print the report; the exit code."""
    delivered = deliver(replace(report, command=getattr(arguments, "words", None)), arguments)
    if report.skipped:
        more = "; --all lists them" if report.skipped > 1 else ""
        first = f": {one_line(report.problems[0])}" if report.problems else ""
        complain(f"{report.skipped} image{'s' if report.skipped > 1 else ''} skipped{first}{more}")
    return report.exit_code if delivered else COULD_NOT_TELL


USAGE = "segdiff score --labels DIR --reference-masks DIR --candidate-masks DIR [options]"

COMMAND = Command(
    "Split the gap between two scores, from saved masks.",
    USAGE,
    score_arguments,
    run_score,
    ("segdiff score --labels labels/ --reference-masks paddle/ --candidate-masks onnx/",),
    ("the masks agree", "they do not"),
)
