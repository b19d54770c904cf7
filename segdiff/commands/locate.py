"""``segdiff locate``: find the operator that is to blame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from shlex import quote
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
from segdiff.commands.exports import (
    baseline_argument,
    check_baseline,
    check_forms,
    held,
    output_arguments,
    written_forms,
)
from segdiff.commands.guard import Reads, file_output, refuse_losses
from segdiff.commands.images import LISTS, NOT_OF_MANY, check_images, images_options, many
from segdiff.commands.values import batches, sizes, whole
from segdiff.commands.walk_options import locate_options
from segdiff.engines.early import begun

if TYPE_CHECKING:
    from segdiff.core.answer import Report
    from segdiff.core.progress import Progress
    from segdiff.core.shapes_report import ShapesReport


def locate_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff locate``."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="REFERENCE: a folder with a Paddle model, a .pdmodel, .json (PIR) or .onnx file; "
        "CANDIDATE: an .onnx file (not with --convert); IMAGE: a picture, ready tensors as .npy or .npz, or "
        "many pictures: a folder, or a list with one a line",
    )
    group = parser.add_argument_group("a candidate made on the spot")
    group.add_argument("--convert", action="store_true", help="convert REFERENCE with paddle2onnx first")
    group.add_argument("--opset", type=whole, metavar="N", help="ONNX opset of the conversion")
    group.add_argument("--keep", metavar="FILE", help="keep the converted model here")
    shape_options(parser)
    images_options(parser)
    device_options(parser)
    locate_options(parser)
    baseline_argument(parser)
    output_options(parser, "Report", "the full report, with every pair of values")
    common_arguments(parser)


def device_options(parser: Parser) -> None:
    """The options for a side of which there is a dump alone."""
    group = parser.add_argument_group("a dump in the place of a side", "What a device has left: docs/npu.md.")
    group.add_argument(
        "--candidate-model", metavar="FILE", help="the .onnx file that CANDIDATE, a dump, was made of"
    )
    group.add_argument("--reference-model", metavar="MODEL", help="the model that REFERENCE is a dump of")
    group.add_argument("--map", metavar="FILE", help="which nodes the device fused: an OM's JSON, or .om2")
    group.add_argument("--keep-tensors", metavar="DIR", help="write every value of both sides here")


def output_options(parser: Parser, kind: str, everything: str) -> None:
    """The options on what is shown and written of an answer of this kind."""
    group = output_arguments(parser, kind, everything)
    group.add_argument("--repro", metavar="DIR", help="the first origin's nodes, tensors, and a script")
    group.add_argument("--issue", metavar="DIR", help="the same, and an ISSUE.md for a converter's tracker")


def shape_options(parser: Parser) -> None:
    """The options on the shapes of the input that are compared."""
    group = parser.add_argument_group(
        "several shapes of the input",
        "With one start of the engines; a verdict for each, the smallest that fails in full.",
    )
    group.add_argument("--batch", type=batches, metavar="N,N", help="at these batches: 1,4,8")
    group.add_argument(
        "--sizes", type=sizes, metavar="HxW,HxW", help="at these heights and widths: 512x512,500x500"
    )


def run_locate(arguments: Arguments, parser: Parser) -> int:
    """``segdiff locate``: find the operator that is to blame."""
    with begun(_asked_at_once(arguments)):
        return _run(arguments, parser)


def _asked_at_once(arguments: Arguments) -> list[str]:
    """The models whose engines will start as soon as segdiff itself is there, in this very Python."""
    if len(arguments.files) != 3 or arguments.batch or arguments.sizes or arguments.cache:
        return []
    if arguments.reference_python or arguments.candidate_python:
        return []
    return list(arguments.files[:2])


def _run(arguments: Arguments, parser: Parser) -> int:
    _check_files(arguments, parser)
    check_shapes(arguments, parser)
    check_forms(arguments, parser)
    check_baseline(arguments)
    refuse_losses(
        (
            file_output("--keep", arguments.keep, "model"),
            file_output("--repro", arguments.repro, "repro"),
            file_output("--issue", arguments.issue, "repro"),
            file_output("--keep-tensors", arguments.keep_tensors, "repro"),
            *written_forms(arguments),
        ),
        reads(arguments),
        arguments,
    )
    if arguments.batch or arguments.sizes or many(arguments):
        return run_images(arguments) if many(arguments) else run_shapes(arguments)
    report = held(located(arguments), arguments)
    delivered = deliver(report, arguments)
    write_repros(report, arguments)
    if report.verdict == "inconclusive":
        complain(f"could not tell: {one_line(report.sentence)}")
    return report.exit_code if delivered else COULD_NOT_TELL


def run_shapes(arguments: Arguments) -> int:
    """The same at several shapes of the input."""
    swept = located_shapes(arguments)
    delivered = deliver(swept, arguments)
    if swept.told and swept.told.report:
        write_repros(swept.told.report, arguments)
    if swept.verdict == "inconclusive":
        complain(f"could not tell: {one_line(swept.sentence)}")
    return swept.exit_code if delivered else COULD_NOT_TELL


def run_images(arguments: Arguments) -> int:
    """The same on the worst of many images."""
    import segdiff

    options = {name: value for name, value in _options(arguments).items() if name not in NOT_OF_MANY}
    chosen = {"root": arguments.root, **({"worst": arguments.worst} if arguments.worst else {})}
    with asked(arguments) as (reference, candidate, images, progress):
        found = segdiff.locate_images(reference, candidate, images, progress=progress, **chosen, **options)
    found = replace(found, command=getattr(arguments, "words", None))
    delivered = deliver(found, arguments)
    if found.told and found.told.report:
        write_repros(found.told.report, arguments)
    if found.verdict == "inconclusive":
        complain(f"could not tell: {one_line(found.sentence)}")
    return found.exit_code if delivered else COULD_NOT_TELL


ONE_ALONE = (
    *("candidate_input", "baseline", "annotate", "csv", "model_explorer"),
    *("candidate_model", "reference_model", "map", "keep_tensors"),
)
"""Options of one report, by where the parsed arguments keep them."""


def check_shapes(arguments: Arguments, parser: Parser) -> None:
    """Stop where an option speaks of one shape or image, and several are asked for."""
    if hasattr(arguments, "worst") and many(arguments):
        check_images(arguments, parser, ONE_ALONE)
    if not (arguments.batch or arguments.sizes):
        return
    for name in ONE_ALONE:
        if getattr(arguments, name, None) is not None:
            option = name.replace("_", "-")
            parser.error(f"--{option} goes with the image's own shape, without --batch and --sizes")


def write_repros(report: Report, arguments: Arguments) -> None:
    """The first origin for a bug report, where there is one and it was asked for."""
    if not {"network", "device"} & set(report.homes):
        return
    if arguments.repro:
        report.repro(arguments.repro)
    if arguments.issue:
        report.issue(arguments.issue)


def _check_files(arguments: Arguments, parser: Parser) -> None:
    count = len(arguments.files)
    for option in ("opset", "keep"):
        if getattr(arguments, option) is not None and not arguments.convert:
            parser.error(f"--{option} goes with --convert")
    if arguments.convert and count != 2:
        parser.error(f"--convert takes two files, REFERENCE and IMAGE, and got {count}")
    if not arguments.convert and count == 2:
        parser.error("give REFERENCE, CANDIDATE and IMAGE, or --convert to make the candidate")
    if not arguments.convert and count != 3:
        parser.error(f"give three files, REFERENCE, CANDIDATE and IMAGE; got {count}")
    if arguments.files[-1].endswith(".onnx") or not dumps_of(arguments):
        check_order(arguments.files, parser)


def dumps_of(arguments: Arguments) -> tuple[Path, ...]:
    """The files that stand for a side and are dumps of it."""
    from segdiff.readers.dumps.looks import is_dump

    named = (getattr(arguments, f"{side}_model", None) for side in ("reference", "candidate"))
    sides = zip(arguments.files[:-1], named, strict=False)
    return tuple(Path(file) for file, model in sides if model is not None or is_dump(file))


_PICTURES = (".npy", ".npz", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def check_order(files: Sequence[str], parser: Parser) -> None:
    """Stop where the three files make sense in another order only, by what their names say they are."""
    if len(files) != 3 or _makes_sense(files):
        return
    other = next((order for order in permutations(files) if _makes_sense(order)), None)
    if other:
        parser.error(f"the order is REFERENCE CANDIDATE IMAGE; did you mean {' '.join(map(quote, other))}?")


def _makes_sense(files: Sequence[str]) -> bool:
    reference, candidate, image = (Path(file).suffix.lower() for file in files)
    models = reference not in _PICTURES and candidate == ".onnx"
    return models and (image in (*_PICTURES, *LISTS) or not image)


def reads(arguments: Arguments) -> Reads:
    """The files that ``locate`` and ``repair`` read."""
    *models, image = map(Path, arguments.files)
    dumps = dumps_of(arguments)
    named = (getattr(arguments, name, None) for name in ("reference_model", "candidate_model", "map"))
    models = [model for model in models if model not in dumps] + [Path(name) for name in named if name]
    baseline = getattr(arguments, "baseline", None)
    known = (Path(baseline),) if baseline else ()
    return Reads(tuple(models), (image, *known, *script_of(arguments.candidate_input)), dumps)


def script_of(candidate_input: str | None) -> tuple[Path, ...]:
    """The file of a candidate input: a tensor, or the script of a function."""
    if candidate_input is None:
        return ()
    module, _, _ = candidate_input.rpartition(":")
    return (Path(candidate_input), Path(module)) if module else (Path(candidate_input),)


def located(arguments: Arguments) -> Report:
    """The report that these arguments ask for."""
    import segdiff

    with asked(arguments) as (reference, candidate, image, progress):
        report = segdiff.locate(reference, candidate, image, progress=progress, **_options(arguments))
    report = replace(report, command=getattr(arguments, "words", None))
    if not arguments.convert or arguments.keep:
        return report
    opset, got = arguments.opset, report.candidate.opset
    instead = f", not {opset}, which the model does not fit" if opset and opset != got else ""
    note = f"The candidate was converted to opset {got}{instead} for this run and is gone; "
    note += f"--keep {KEPT} keeps it."
    return replace(
        report, remarks=(*report.remarks, note), candidate=replace(report.candidate, path=Path(KEPT))
    )


def located_shapes(arguments: Arguments) -> ShapesReport:
    """The answer for all shapes that these arguments ask for."""
    import segdiff

    options = {name: value for name, value in _options(arguments).items() if name not in ONE_ALONE}
    shapes = {"batch": arguments.batch, "sizes": arguments.sizes}
    with asked(arguments) as (reference, candidate, image, progress):
        swept = segdiff.locate_shapes(reference, candidate, image, progress=progress, **shapes, **options)
    swept = replace(swept, command=getattr(arguments, "words", None))
    if not arguments.convert or arguments.keep:
        return swept
    note = f"The candidate was converted for this run and is gone; --keep {KEPT} keeps it."
    return replace(swept, remarks=(*swept.remarks, note))


@contextmanager
def asked(arguments: Arguments) -> Iterator[tuple[str, str | Path, str, Progress]]:
    """Reference, candidate (converted first, where that is wanted), image, and who is told how far it is."""
    from segdiff.commands.progress import progress_bar
    from segdiff.finding.beforehand import check_beforehand
    from segdiff.readers.urls import fetched_once

    reference, *given, image = arguments.files
    candidates: list[str | Path] = list(given)
    with ExitStack() as stack:
        if not arguments.debug:
            stack.enter_context(quiet_stderr())
        stack.enter_context(fetched_once())
        progress = stack.enter_context(progress_bar(False if arguments.no_progress else None))
        if arguments.convert:
            progress("check", 0, 0)
            check_beforehand(
                reference,
                image,
                arguments.candidate_input,
                allow_nan=arguments.allow_nan,
                opset=arguments.opset,
            )
            progress("convert", 0, 0)
            candidates = [_converted(reference, arguments, stack)]
        yield reference, candidates[0], image, progress


KEPT = "model.onnx"
"""What a conversion that was not kept is called in the report."""


def _converted(reference: str, arguments: Arguments, stack: ExitStack) -> Path:
    from tempfile import TemporaryDirectory

    import segdiff

    folder = Path(stack.enter_context(TemporaryDirectory(prefix="segdiff-")))
    return segdiff.convert(reference, arguments.keep or folder / KEPT, opset=arguments.opset)


def _options(arguments: Arguments) -> dict[str, Any]:
    names = ["candidate_input", "cosine", "abs_error", "rel_l2", "deployed", "full_walk", "allow_nan"]
    names += ["memory", "timeout", "threads", "reference_python", "candidate_python"]
    own = ["candidate_model", "reference_model", "map", "keep_tensors", "cache", "cache_size"]
    names += [each for each in own if getattr(arguments, each, None) is not None]
    return {name: getattr(arguments, name) for name in names}


USAGE = """segdiff locate REFERENCE CANDIDATE IMAGE [options]
       segdiff locate REFERENCE DUMP IMAGE --candidate-model FILE [options]
       segdiff locate --convert REFERENCE IMAGE [options]"""

COMMAND = Command(
    "Find the operator that is to blame for a difference.",
    USAGE,
    locate_arguments,
    run_locate,
    (
        "segdiff locate deploy/ model.onnx street.jpg",
        "segdiff locate deploy/ model.onnx street.jpg --candidate-input infer.py:preprocess",
        "segdiff locate deploy/ model.onnx street.jpg --batch 1,4,8 --sizes 512x512,500x500",
        "segdiff locate deploy/ model.onnx images/ --worst 5",
        "segdiff locate --convert deploy/ street.jpg --json report.json",
        "segdiff locate deploy/ dump/ street.jpg --candidate-model model.onnx",
    ),
    ("the models agree", "they diverge"),
)
