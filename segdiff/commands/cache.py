"""``segdiff cache``: what a cache holds, and an end to it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from segdiff.commands.base import Arguments, Command, Parser
from segdiff.commands.console import print_text

CLEAR = "clear"


def home() -> Path:
    """Where a cache lies if nobody says: among the user's other caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segdiff"


def cache_arguments(parser: Parser) -> None:
    """The arguments of ``segdiff cache``."""
    parser.add_argument(
        "what", nargs="*", metavar="[clear] [DIR]", help="clear: remove all of it; DIR: ~/.cache/segdiff"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def run_cache(arguments: Arguments, parser: Parser) -> int:
    """``segdiff cache``: say what it holds, or remove that."""
    from segdiff.engines.cache import clear, held

    words = list(arguments.what)
    clearing = words[:1] == [CLEAR]
    places = words[1:] if clearing else words
    if len(places) > 1:
        parser.error(f"give one folder, and got {len(places)}")
    place = Path(places[0]) if places else home()
    if not places and not place.exists():
        print_text(f"{place}: nothing there yet; --cache DIR makes a cache where you say\n")
        return 0
    found = clear(place) if clearing else held(place)
    told = f"{counted(found.tensors, 'tensor')} of {counted(found.inputs, 'input')} of "
    told += f"{counted(found.models, 'reference')}, {found.bytes / 1e6:.1f} MB"
    if clearing:
        told = f"removed {told}"
    elif found.oldest is not None:
        told += (
            f"; the least used was last needed on {time.strftime('%Y-%m-%d', time.localtime(found.oldest))}"
        )
    print_text(f"{place}: {told}\n")
    return 0


def counted(number: int, what: str) -> str:
    """``1 input``, ``2 inputs``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


COMMAND = Command(
    "Say what a cache holds, or clear it.",
    "segdiff cache [clear] [DIR]",
    cache_arguments,
    run_cache,
    (
        "segdiff cache",
        "segdiff cache clear",
        "segdiff cache /mnt/nightly/cache",
    ),
    ("it was told, or cleared", ""),
)
