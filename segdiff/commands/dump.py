"""``segdiff dump``: write every tensor of a run, to be compared on another machine."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from segdiff.commands.base import Arguments, Command, Parser, common_arguments
from segdiff.commands.console import print_text, quiet_stderr
from segdiff.commands.guard import Reads, Written, refuse_losses
from segdiff.commands.values import seconds, size, whole


def dump_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff dump``."""
    parser.add_argument(
        "model", metavar="MODEL", help="a folder with a Paddle model, a .pdmodel, .json (PIR) or .onnx file"
    )
    parser.add_argument("image", metavar="IMAGE", help="a picture, or ready tensors as .npy or .npz")
    parser.add_argument(
        "-o", "--output", metavar="PLACE", required=True, help="a new folder, or a name that ends in .npz"
    )
    parser.add_argument(
        "--only", metavar="PATTERN", nargs="+", default=(), help="values to write, by name: '*conv*'"
    )
    parser.add_argument("--allow-nan", action="store_true", help="take an input with NaN or infinite values")
    group = parser.add_argument_group("resources")
    group.add_argument("--memory", type=size, metavar="SIZE", help="for waiting tensors: 512M, 2G")
    group.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="S", help="seconds an engine may be silent (300)"
    )
    group.add_argument("--threads", type=whole, metavar="N", help="threads of the engine")
    group.add_argument("--python", metavar="PATH", help="the Python of an environment with your versions")
    common_arguments(parser)


def run_dump(arguments: Arguments, parser: Parser) -> int:
    """``segdiff dump``: 0 all is written."""
    place = Path(arguments.output)
    arguments.force = False  # two dumps in one place would be none
    kind = "archive" if place.suffix == ".npz" else "repro"
    reads = Reads((Path(arguments.model),), (Path(arguments.image),))
    refuse_losses((Written("--output", place, kind),), reads, arguments)
    import segdiff
    from segdiff.commands.progress import progress_bar

    names = ("only", "allow_nan", "memory", "timeout", "threads", "python")
    with ExitStack() as stack:
        if not arguments.debug:
            stack.enter_context(quiet_stderr())
        progress = stack.enter_context(progress_bar(False if arguments.no_progress else None))
        options = {name: getattr(arguments, name) for name in names}
        found = segdiff.dump(arguments.model, arguments.image, out=place, progress=progress, **options)
    more = f"; {found.left_out} values are shown by no engine" if found.left_out else ""
    print_text(f"{found.values} values written to {found.path}{more}\n")
    for line in found.how:
        print_text(f"  {line}\n")
    return 0


COMMAND = Command(
    "Write every tensor of a run, to compare it elsewhere.",
    "segdiff dump MODEL IMAGE -o PLACE [options]",
    dump_arguments,
    run_dump,
    (
        "segdiff dump deploy/ street.jpg -o dump/",
        "segdiff dump model.onnx street.jpg -o dump.npz --only '*Resize*' logits",
    ),
    ("all was written", ""),
)
