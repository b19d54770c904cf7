"""``segdiff precision``: what half precision would cost, where, and what keeps it right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from segdiff.commands.base import COULD_NOT_TELL, Arguments, Command, Parser, common_arguments
from segdiff.commands.console import complain, one_line, quiet_stderr
from segdiff.commands.delivery import deliver
from segdiff.commands.evaluate import listed
from segdiff.commands.exports import check_forms, output_arguments, written_forms
from segdiff.commands.guard import Reads, file_output, refuse_losses
from segdiff.commands.score import ENCODINGS, chosen, files_in, index_or_none
from segdiff.commands.values import bound, seconds, whole

TARGETS = ("generic", "ascend310p", "ascend910b", "tensorrt")
BATCH_NORMS = ("folded", "affine", "ascend", "exported")


def precision_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff precision``."""
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        help="the folder with the Paddle model: its config says how images are prepared",
    )
    parser.add_argument("candidate", metavar="CANDIDATE", help="the .onnx file, in float32")
    parser.add_argument(
        "images", metavar="IMAGES", help="an image, a .npy file, a folder of images, or a list of them"
    )
    group = parser.add_argument_group("half precision")
    group.add_argument("--target", choices=TARGETS, default="generic", help="what it will run on (generic)")
    group.add_argument("--precision", choices=("fp16", "bf16"), default="fp16", help="(fp16)")
    group.add_argument(
        "--batch-norm", choices=BATCH_NORMS, help="how batch norms are computed, if not as the target does"
    )
    group.add_argument("--thorough", action="store_true", help="round every op alone, however long it takes")
    group = parser.add_argument_group("what helps")
    group.add_argument(
        "--remedies", metavar="DIR", help="write the files of what helps into this new or empty folder"
    )
    group.add_argument(
        "--candidate",
        dest="edited",
        metavar="FILE",
        help="the file as you have edited it: tell what that changes in float32 and in half precision",
    )
    group = parser.add_argument_group("what may change")
    group.add_argument(
        "--allow-mask", type=bound, default=0.001, metavar="X", help="share of the mask's pixels (0.001)"
    )
    group.add_argument(
        "--mask-threshold", type=float, default=0.5, metavar="X", help="cuts a one-channel mask (0.5)"
    )
    group = parser.add_argument_group("labels")
    group.add_argument("--labels", metavar="DIR", help="the labels that go with a folder of images")
    group.add_argument("--root", metavar="DIR", help="where a list's paths start (the list's folder)")
    group.add_argument("--label-encoding", choices=ENCODINGS, help="values of the labels; they show it")
    group.add_argument(
        "--ignore-index",
        type=index_or_none,
        default=255,
        metavar="N",
        help="label that does not count, or none (255)",
    )
    group.add_argument("--names", metavar="NAMES", help="class names: a,b,c or a file with one a line")
    group = parser.add_argument_group("resources")
    group.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="S", help="seconds the engine may be silent (300)"
    )
    group.add_argument("--threads", type=whole, metavar="N", help="threads of the engine (all cores)")
    output_arguments(parser, "HalfReport", "list every op")
    common_arguments(parser)


def run_precision(arguments: Arguments, parser: Parser) -> int:
    """``segdiff precision``: 0 half precision keeps mask and score, 1 it loses them, 2 could not tell."""
    import segdiff
    from segdiff.commands.progress import progress_bar

    check_forms(arguments, parser)
    helps = [file_output("--remedies", arguments.remedies, "repro")]
    refuse_losses([*written_forms(arguments), *helps], _reads(arguments), arguments)
    with ExitStack() as stack:
        if not arguments.debug:
            stack.enter_context(quiet_stderr())
        progress = stack.enter_context(progress_bar(False if arguments.no_progress else None))
        report = segdiff.precision(progress=progress, **chosen(arguments))
    delivered = deliver(replace(report, command=getattr(arguments, "words", None)), arguments)
    if report.verdict == "inconclusive":
        complain(f"could not tell: {one_line(report.sentence)}")
    return report.exit_code if delivered else COULD_NOT_TELL


def _reads(arguments: Arguments) -> Reads:
    images = Path(arguments.images)
    folders = tuple(Path(each) for each in (images, arguments.labels) if each and Path(each).is_dir())
    names = (Path(arguments.names),) if arguments.names else ()
    edited = (Path(arguments.edited),) if arguments.edited else ()
    models = (Path(arguments.reference), Path(arguments.candidate), *edited)

    def more() -> Iterator[Path]:
        yield from files_in(folders)
        yield from listed(arguments.images, arguments.labels, arguments.root)

    return Reads(models, (images, *names), folders, more=more)


COMMAND = Command(
    "Tell what half precision would cost, where, and what keeps it right.",
    "segdiff precision REFERENCE CANDIDATE IMAGES [options]",
    precision_arguments,
    run_precision,
    (
        "segdiff precision deploy/ model.onnx street.jpg",
        "segdiff precision deploy/ model.onnx images/ --labels labels/ --target ascend310p --json half.json",
    ),
    ("half precision keeps mask and score", "it loses them"),
)
