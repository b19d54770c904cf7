"""``segdiff sweep``: many pairs of models, over workers, in one table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from segdiff.commands.base import COULD_NOT_TELL, Arguments, Command, Parser, common_arguments
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
from segdiff.commands.locate import script_of
from segdiff.commands.score import ENCODINGS, files_in, index_or_none
from segdiff.commands.values import whole
from segdiff.commands.walk_options import locate_options
from segdiff.core.errors import SegdiffError


def sweep_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff sweep``."""
    parser.add_argument(
        "pairs",
        metavar="PAIRS",
        help="a folder, below which every Paddle model with its ONNX file is found, or a list of pairs as "
        ".yaml or .json (docs/fleet.md)",
    )
    parser.add_argument(
        "--images",
        metavar="PATH",
        action="append",
        default=[],
        help="a picture, ready tensors, or a folder of them, for the pairs that have none; may be repeated",
    )
    group = parser.add_argument_group("labels", "Where they are known, the table has the points lost.")
    group.add_argument(
        "--labels",
        metavar="PATH",
        help="a folder with a label of each image's name, or the label of the one image, for the pairs that "
        "have none",
    )
    group.add_argument("--label-encoding", choices=ENCODINGS, help="values of the labels; they show it")
    group.add_argument(
        "--num-classes", type=whole, metavar="N", help="by default, as the output has channels"
    )
    group.add_argument(
        "--ignore-index",
        type=index_or_none,
        default=255,
        metavar="N",
        help="label that does not count, or none (255)",
    )
    crew_options(parser.add_argument_group("who does the work"))
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="keep each result as it comes, with index.html and a page of each pair; an interrupted sweep "
        "goes on there",
    )
    locate_options(parser)
    baseline_argument(parser)
    output_arguments(parser, "SweepReport", "the same as --full")
    common_arguments(parser)


def crew_options(group: argparse._ArgumentGroup) -> None:
    """The options that say who does the work, which other commands share."""
    group.add_argument(
        "--workers", type=whole, metavar="N", help="processes of this machine that share the work (1)"
    )
    group.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a running Dask cluster, tcp://host:8786, whose workers see the same files; needs segdiff[dask]",
    )


def run_sweep(arguments: Arguments, parser: Parser) -> int:
    """``segdiff sweep``: the exit code is that of the worst pair."""
    import segdiff
    from segdiff.commands.progress import progress_bar
    from segdiff.score.fleet.sweep import write

    check_forms(arguments, parser)
    check_baseline(arguments)
    written = (file_output("--out", arguments.out, "sweep"), *written_forms(arguments))
    refuse_losses(written, _reads(arguments), arguments)
    with ExitStack() as stack:
        if not arguments.debug:
            stack.enter_context(quiet_stderr())
        progress = stack.enter_context(progress_bar(False if arguments.no_progress else None))
        swept = segdiff.sweep(arguments.pairs, progress=progress, **_options(arguments))
    swept = held(replace(swept, command=getattr(arguments, "words", None)), arguments)
    if arguments.out is not None:
        write(swept, arguments.out)
    delivered = deliver(swept, arguments)
    if swept.exit_code == COULD_NOT_TELL:
        complain(f"could not tell: {one_line(swept.sentence)}")
    return swept.exit_code if delivered else COULD_NOT_TELL


def _options(arguments: Arguments) -> dict[str, Any]:
    names = ["images", "labels", "label_encoding", "num_classes", "ignore_index"]
    names += ["workers", "scheduler", "out", "candidate_input"]
    names += ["cosine", "abs_error", "rel_l2", "deployed", "full_walk", "allow_nan", "memory"]
    names += ["timeout", "threads", "reference_python", "candidate_python", "cache", "cache_size"]
    return {name: getattr(arguments, name) for name in names}


def _reads(arguments: Arguments) -> Reads:
    source = Path(arguments.pairs)
    one = filter(None, [arguments.baseline, arguments.labels])
    named = tuple(map(Path, (*arguments.images, *one)))
    folders = tuple(path for path in (source, *named) if path.is_dir())
    files = tuple(path for path in (source, *named) if not path.is_dir())
    return Reads(
        files=(*files, *script_of(arguments.candidate_input)),
        folders=folders,
        more=lambda: (*files_in(folders), *_named(source)),
    )


def _named(source: Path) -> Iterator[Path]:
    """What a list names; nothing where it makes no sense, which the run will say."""
    from segdiff.readers.companions import companions
    from segdiff.score.fleet.pairs import pairs_of

    with suppress(SegdiffError):
        for pair in pairs_of(source).pairs if source.is_file() else ():
            for model in (pair.reference, pair.candidate):
                yield from companions(Path(model))
            yield from map(Path, (*pair.images, *pair.labels.values()))


USAGE = "segdiff sweep PAIRS [options]"

COMMAND = Command(
    "Locate on many pairs of models, over workers, in one table.",
    USAGE,
    sweep_arguments,
    run_sweep,
    (
        "segdiff sweep zoo/ --workers 4 --out swept/",
        "segdiff sweep pairs.yaml --scheduler tcp://head:8786 --out swept/",
        "segdiff sweep pairs.yaml --baseline known.json --json swept.json",
        "segdiff sweep zoo/ --images val/images --labels val/labels",
    ),
    (
        "every pair agrees (or differs in nothing that --baseline does not know)",
        "at least one pair diverges",
    ),
)
