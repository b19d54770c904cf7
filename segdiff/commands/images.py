"""Which options ask ``segdiff locate`` about many images, and do the others go with them?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdiff.commands.base import Arguments, Parser
from segdiff.commands.values import whole

LISTS = (".txt", ".lst", ".list", ".csv")
"""What names images, one a line."""

NOT_OF_MANY = ("candidate_input", "allow_nan", "candidate_model", "reference_model", "map", "keep_tensors")
"""Options of ``locate`` that :func:`segdiff.locate_images` does not have."""


def images_options(parser: Parser) -> None:
    """The options on many images."""
    group = parser.add_argument_group(
        "many images",
        "All are run whole by both models; those that differ most are located, and their origins merged.",
    )
    group.add_argument("--worst", type=whole, metavar="N", help="images that are located (3)")
    group.add_argument("--root", metavar="DIR", help="where a list's paths start (the list's folder)")


def many(arguments: Arguments) -> bool:
    """Whether the last file stands for many images: a folder, a list, or what ``--worst`` is asked of."""
    image = arguments.files[-1]
    elsewhere = "://" in image and not Path(image.partition("?")[0]).suffix  # a folder, by all it says
    listed = elsewhere or Path(image).suffix.lower() in LISTS or Path(image).is_dir()
    return listed or getattr(arguments, "worst", None) is not None


def check_images(arguments: Arguments, parser: Parser, one_alone: Sequence[str]) -> None:
    """Stop where an option speaks of one image."""
    for name in ("batch", "sizes", "allow_nan", *one_alone):
        if getattr(arguments, name, None):
            parser.error(f"--{name.replace('_', '-')} goes with one image, and {arguments.files[-1]} is many")
