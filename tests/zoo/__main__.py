"""The command line of the zoo: ``python -m tests.zoo build|list|environments``."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from . import build as steps
from .architectures import ARCHITECTURES
from .convert import CONVERTER_ENVIRONMENT, CONVERTERS_OF_KIND, DEFAULT_OPSET, Conversion
from .environments import REQUIREMENTS, python_of
from .layout import MODELS, Model, root
from .processes import StepError

SEAFORMER_SIZE = (480, 640)
"""Written into the program of the case."""


def main() -> int:
    """Do what the command line says; the exit status tells whether all pairs were built."""
    given = parser().parse_args()
    return int(given.run(given))


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    top = argparse.ArgumentParser(prog="python -m tests.zoo", description=__doc__)
    commands = top.add_subparsers(required=True)

    build = commands.add_parser("build", help="build pairs, as far as they are missing")
    build.add_argument("--arch", nargs="+", choices=[*ARCHITECTURES, "all"], required=True, metavar="NAME")
    build.add_argument("--size", type=size, help="HxW; by default the small size of each architecture")
    build.add_argument("--kind", choices=list(CONVERTERS_OF_KIND), required=True)
    build.add_argument(
        "--converter", choices=list(CONVERTER_ENVIRONMENT), help="by default the first of the kind"
    )
    build.add_argument("--opset", type=int, help="by default 12, or 14 for paddle2onnx 2")
    build.add_argument("--dynamic", action="store_true", help="export for images of any size")
    build.add_argument("--output-op", choices=["none", "argmax", "softmax"], default="none")
    build.set_defaults(run=build_pairs)

    seaformer = commands.add_parser("seaformer", help="give a .pdmodel weights, and convert it")
    seaformer.add_argument("pdmodel", type=Path, help="the program file of the SeaFormer case")
    seaformer.add_argument("--converter", choices=CONVERTERS_OF_KIND["pdmodel"], default="1.1.0")
    seaformer.add_argument("--opset", type=int, default=12)
    seaformer.set_defaults(run=build_seaformer)

    listing = commands.add_parser("list", help="list the architectures, and the pairs that are there")
    listing.set_defaults(run=list_pairs)

    environments = commands.add_parser("environments", help="make the virtual environments")
    environments.add_argument("name", nargs="*", choices=list(REQUIREMENTS), default=list(REQUIREMENTS))
    environments.set_defaults(run=make_environments)
    return top


def size(text: str) -> tuple[int, int]:
    """Read a size as ``64x96``, height first."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form HEIGHTxWIDTH")
    return int(match[1]), int(match[2])


def build_pairs(given: argparse.Namespace) -> int:
    """Build a pair for each architecture that was asked for."""
    converter = given.converter or CONVERTERS_OF_KIND[given.kind][0]
    opset = given.opset or DEFAULT_OPSET[converter]
    failed = 0
    for name in chosen(given.arch, given.size):
        shape = given.size or ARCHITECTURES[name].small
        model = Model(name, shape, given.kind, dynamic=given.dynamic, output_op=given.output_op)
        failed += "failed" in steps.build(Conversion(model, converter, opset))
    return int(failed > 0)


def chosen(names: list[str], shape: tuple[int, int] | None) -> list[str]:
    """Return the architectures asked for, where ``all`` are those that take the size asked for."""
    if "all" not in names:
        return names
    return [name for name, found in ARCHITECTURES.items() if found.takes(shape or found.small)]


def build_seaformer(given: argparse.Namespace) -> int:
    """Fill the SeaFormer program with weights, and convert it."""
    model = Model("SeaFormer", SEAFORMER_SIZE, "pdmodel")
    try:
        steps.fill(model, given.pdmodel)
    except StepError as error:
        print(f"FAILED {model.folder.name}: {error}")
        return 1
    return int("failed" in steps.build(Conversion(model, given.converter, given.opset)))


def list_pairs(given: argparse.Namespace) -> int:
    """Print the table of architectures, then a line for each pair on disk."""
    for name, architecture in ARCHITECTURES.items():
        height, width = architecture.small
        print(f"{name:24} {architecture.model:24} {architecture.backbone or '-':30} {height}x{width}")
    print()
    for record in sorted((root() / MODELS).glob("*/p2o-*.json")):
        print(f"{record.parent.name} {record.stem}: {steps.summary(json.loads(record.read_text()))}")
    return 0


def make_environments(given: argparse.Namespace) -> int:
    """Make the environments that were asked for, and print their interpreters."""
    for name in given.name:
        print(python_of(name))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
