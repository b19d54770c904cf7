"""``segdiff demo``: three faults were planted around a small network; each is found and mended in seconds.

Every line that begins with ``$`` is run as it stands, in a folder with the bundled example.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from segdiff.commands import locate, repair, score
from segdiff.commands.base import COULD_NOT_TELL, Arguments, Command, Parser, common_arguments
from segdiff.commands.console import complain, print_renderable

MASKS = "segdiff score --labels labels --reference-masks masks/paddle --candidate-masks masks/onnx"
FED = "segdiff locate deploy/ healthy.onnx street.png --candidate-input infer.py"


@dataclass(frozen=True)
class Chapter:
    """One fault: where it is, what a user sees of it, the command that finds it, and the one that mends it
    or shows it mended; ``codes`` are the exit codes that they should end with."""

    place: str
    story: str
    found: str
    between: str
    mended: str
    codes: tuple[int, int]
    lesson: str


CHAPTERS = (
    Chapter(
        "in the network",
        "Since the conversion to ONNX the masks have changed. Where does that begin?",
        "segdiff locate deploy/ model.onnx street.png",
        "The cause is proven, so it can be mended, as that last line says:",
        "segdiff repair deploy/ model.onnx street.png -o fixed.onnx",
        (1, 0),
        "a Resize that forgot its corners, mended in fixed.onnx",
    ),
    Chapter(
        "in the input",
        "healthy.onnx is converted well, and still its masks are wrong in the app, that feeds it by infer.py",
        f"{FED}:preprocess",
        "infer.py has a second function, that turns BGR to RGB:",
        f"{FED}:mended",
        (1, 0),
        "BGR where the network wants RGB, mended in infer.py",
    ),
    Chapter(
        "in the score",
        "Paddle's evaluation and the app's script print another mIoU. Both have saved their masks.",
        MASKS,
        "Counted in the same way:",
        f"{MASKS} --candidate-protocol dataset",
        (0, 0),
        "a mean over images where Paddle sums them up",
    ),
)

COMMANDS: Mapping[str, Command] = {
    "locate": locate.COMMAND,
    "repair": repair.COMMAND,
    "score": score.COMMAND,
}


def demo_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff demo``."""
    parser.add_argument(
        "--keep", metavar="DIR", help="keep the example's files in this new folder, to go on with"
    )
    common_arguments(parser)


def run_demo(arguments: Arguments, parser: Parser) -> int:
    """``segdiff demo``: 0 where all three faults were found and mended."""
    start = time.perf_counter()
    if arguments.keep:
        _refuse_full(Path(arguments.keep), parser)
    _say("A small street segmentation network, trained, exported by Paddle and converted to ONNX.", "bold")
    _say("Three faults were planted around it. Every line after a $ is run as it stands.")
    flags = ["--debug"] * arguments.debug + ["--no-progress"] * arguments.no_progress
    with _files(arguments.keep):
        for number, chapter in enumerate(CHAPTERS, 1):
            if not _told(number, chapter, flags):
                complain(f"the demo's fault {chapter.place} was not found and mended as it should have been")
                return COULD_NOT_TELL
    _summary(time.perf_counter() - start, arguments.keep)
    return 0


def _refuse_full(folder: Path, parser: Parser) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        parser.error(f"--keep {folder} is there already; name a new folder")


def _told(number: int, chapter: Chapter, flags: list[str]) -> bool:
    """Tell one chapter; whether both of its commands ended as they should."""
    _say(f"\n── {number} of {len(CHAPTERS)}: {chapter.place} {'─' * 24}", "bold cyan")
    _say(chapter.story)
    steps = ((chapter.story, chapter.found), (chapter.between, chapter.mended))
    for index, (words, command) in enumerate(steps):
        _say(f"\n{words}" if index else "")
        _say(f"$ {command}", "bold", whole=True)
        _say("")
        if _run([*shlex.split(command)[1:], *flags]) != chapter.codes[index]:
            return False
    return True


def _run(words: list[str]) -> int:
    command = COMMANDS[words[0]]
    parser = command.parser(words[0])
    arguments = parser.words(words[1:])
    arguments.words = ("segdiff", *words)
    return command.run(arguments, parser)


def _summary(seconds: float, kept: str | None) -> None:
    """What was seen, and what to do with a model of one's own, last."""
    _say(f"\n✓ Three faults found and mended in {seconds:.0f} s:", "bold green")
    for chapter in CHAPTERS:
        _say(f"  {chapter.place:<16}{chapter.lesson}")
    if kept:
        _say(f"  {'the files':<16}are kept in {kept}, to run those commands again")
    _say("Now yours: the Paddle model's folder, the ONNX file, a picture.")
    _say("segdiff locate deploy/ model.onnx street.jpg", "bold", whole=True)


def _say(text: str, style: str = "", *, whole: bool = False) -> None:
    """Print some words; a ``whole`` line is never wrapped."""
    from rich.console import Group
    from rich.text import Text

    print_renderable(Group(Text(text, style, no_wrap=whole, overflow="ignore" if whole else "fold")))


@contextmanager
def _files(keep: str | None) -> Iterator[None]:
    """The example's files in the working folder, for as long as the context lasts: a folder that is kept, or
    one of its own that goes."""
    from segdiff.example import HERE

    before = Path.cwd()
    with TemporaryDirectory(prefix="segdiff-demo-") as scratch:
        folder = Path(keep or scratch)
        shutil.copytree(HERE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__*"))
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


COMMAND = Command(
    "Find and mend three planted faults, to see how it is done.",
    "segdiff demo [--keep DIR] [options]",
    demo_arguments,
    run_demo,
    ("segdiff demo", "segdiff demo --keep play", "segdiff demo --no-progress > demo.txt"),
    ("the planted faults were found and mended", ""),
)
