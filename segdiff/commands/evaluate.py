"""``segdiff evaluate``: what both models score on a data set, and on which images they differ most."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from segdiff.commands.base import Arguments, Command, Parser, common_arguments
from segdiff.commands.console import quiet_stderr
from segdiff.commands.exports import check_forms
from segdiff.commands.guard import Reads, file_output, refuse_losses
from segdiff.commands.locate import script_of
from segdiff.commands.score import (
    ENCODINGS,
    chosen,
    files_in,
    finish,
    outputs,
    protocol_arguments,
    score_output,
)
from segdiff.commands.sweep import crew_options
from segdiff.commands.values import seconds, whole
from segdiff.commands.walk_options import cache_options, python_options
from segdiff.core.errors import SegdiffError


def evaluate_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff evaluate``."""
    parser.add_argument(
        "reference", metavar="REFERENCE", help="a folder with a Paddle model, or a model file"
    )
    parser.add_argument("candidate", metavar="CANDIDATE", help="an .onnx file")
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        help="a list with 'image label' a line, a folder of images, or one image",
    )
    group = parser.add_argument_group("the data set")
    group.add_argument("--labels", metavar="DIR", help="the labels that go with a folder of images")
    group.add_argument("--root", metavar="DIR", help="where a list's paths start (the list's folder)")
    group.add_argument(
        "--separator", default=" ", metavar="S", help="between image and label in a list (space)"
    )
    group.add_argument("--label-encoding", choices=ENCODINGS, help="values of the labels; they show it")
    group.add_argument(
        "--num-classes", type=whole, metavar="N", help="by default, as the output has channels"
    )
    group.add_argument(
        "--candidate-input",
        metavar="MODULE:FUNCTION",
        help="your own preprocessing, from an image's path to the candidate's tensor",
    )
    protocol_arguments(parser, candidate="dataset")
    crew_options(parser.add_argument_group("who does the work"))
    group = parser.add_argument_group("resources")
    group.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="S", help="seconds an engine may be silent (300)"
    )
    group.add_argument("--threads", type=whole, metavar="N", help="threads of each engine (all cores)")
    cache_options(group)
    python_options(group)
    group = score_output(parser)
    group.add_argument(
        "--out",
        metavar="FILE",
        help="the same JSON, for a long run: each image's result is kept beside it, and an interrupted run "
        "goes on",
    )
    group.add_argument("--locate-worst", action="store_true", help="locate the fault on the worst image")
    common_arguments(parser)


def run_evaluate(arguments: Arguments, parser: Parser) -> int:
    """``segdiff evaluate``: both models on a data set."""
    import segdiff
    from segdiff.commands.progress import progress_bar

    check_forms(arguments, parser)
    written = (*outputs(arguments), file_output("--out", arguments.out, "results"))
    refuse_losses(written, _reads(arguments), arguments)
    with ExitStack() as stack:
        if not arguments.debug:
            stack.enter_context(quiet_stderr())
        progress = stack.enter_context(progress_bar(False if arguments.no_progress else None))
        report = segdiff.evaluate(progress=progress, **chosen(arguments))
    return finish(report, arguments)


def _reads(arguments: Arguments) -> Reads:
    dataset = Path(arguments.dataset)
    folders = tuple(Path(each) for each in (dataset, arguments.labels) if each and Path(each).is_dir())
    names = (Path(arguments.names),) if arguments.names else ()
    files = (dataset, *names, *script_of(arguments.candidate_input))
    models = (Path(arguments.reference), Path(arguments.candidate))
    return Reads(
        models,
        files,
        folders,
        more=lambda: (
            *files_in(folders),
            *listed(arguments.dataset, arguments.labels, arguments.root, arguments.separator),
        ),
    )


def listed(dataset: str, labels: str | None, root: str | None, separator: str = " ") -> Iterator[Path]:
    """The images and labels that a list names; none where it cannot be read, which the run will say."""
    from segdiff.score.dataset import read_dataset

    with suppress(SegdiffError):
        for entry in read_dataset(dataset, labels=labels, root=root, separator=separator):
            yield entry.image
            if entry.label is not None:
                yield entry.label


USAGE = "segdiff evaluate REFERENCE CANDIDATE DATASET [options]"

COMMAND = Command(
    "Score both models on a data set.",
    USAGE,
    evaluate_arguments,
    run_evaluate,
    (
        "segdiff evaluate deploy/ model.onnx val.txt --out report.json --pictures worst/",
        "segdiff evaluate deploy/ model.onnx val.txt --candidate-input infer.py:preprocess",
        "segdiff evaluate deploy/ model.onnx val.txt --workers 4 --out report.json",
        "segdiff evaluate deploy/ model.onnx val.txt --cache ~/.cache/segdiff",
    ),
    ("the masks and the raw outputs agree", "they do not"),
)
