"""What can be said of a walk? The options that every command shares which makes one."""

from __future__ import annotations

import argparse

from segdiff.commands.base import Parser
from segdiff.commands.values import bound, cosine, seconds, size, whole

LEGS = ("usual", "all", "none")
"""As segdiff.deployed.legs has them, which a command line that only helps does not load."""


def locate_options(parser: Parser) -> None:
    """The options of the walk, which other commands share."""
    parser.add_argument(
        "--candidate-input",
        metavar="WHAT",
        help="what the candidate is really fed: a .npy file, or your own function from image path to tensor, "
        "module:function or script.py:function",
    )
    group = parser.add_argument_group(
        "thresholds of your own", "By default a segment is judged against its own measured rounding."
    )
    group.add_argument("--cosine", type=cosine, metavar="X", help="lowest cosine that is no fault")
    group.add_argument("--abs-error", type=bound, metavar="X", help="largest max_abs that is no fault")
    group.add_argument("--rel-l2", type=bound, metavar="X", help="largest rel_l2 that is no fault")
    parser.add_argument(
        "--deployed",
        choices=LEGS,
        default="usual",
        help="which models run as deployed, optimised, too (an optimiser's fault hides from the walk): "
        "usual (the candidate, and an ONNX reference), all, none",
    )
    parser.add_argument(
        "--no-deployed",
        dest="deployed",
        action="store_const",
        const="none",
        help="the same as --deployed none",
    )
    parser.add_argument(
        "--full-walk",
        action="store_true",
        help="measure the cumulative error of every value, not only from the first origin on",
    )
    parser.add_argument(
        "--allow-nan", action="store_true", help="compare NaN and infinite values of the input like any other"
    )
    group = parser.add_argument_group("resources")
    group.add_argument(
        "--memory", type=size, metavar="SIZE", help="for tensors that wait or are kept: 512M, 2G"
    )
    group.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="S", help="seconds an engine may be silent (300)"
    )
    group.add_argument(
        "--threads",
        type=whole,
        metavar="N",
        help="threads of each engine (one for Paddle, all cores for onnxruntime)",
    )
    cache_options(group)
    python_options(group)


def cache_options(group: argparse._ArgumentGroup) -> None:
    """The options on what is kept of the reference for the next run."""
    group.add_argument(
        "--cache", metavar="DIR", help="keep the reference's values here: unchanged, it does not run again"
    )
    group.add_argument("--cache-size", type=size, metavar="SIZE", help="what the cache may hold (16G)")


def python_options(group: argparse._ArgumentGroup) -> None:
    """The options that name the environment of a side."""
    for side in ("reference", "candidate"):
        group.add_argument(
            f"--{side}-python",
            metavar="PATH",
            help=f"the Python that runs the {side}: that of an environment with your versions",
        )
