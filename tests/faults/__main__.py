"""``python -m tests.faults MODEL.onnx --kind K --seed N -o OUT.onnx``: plant one fault and print it."""

import argparse
import sys
from pathlib import Path

import onnx

from .plant import NoEligibleNode, plant
from .registry import KINDS


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, _, dims = text.rpartition("=")
    return name, tuple(int(dim) for dim in dims.split(","))


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--kind", choices=sorted(KINDS), help="default: a random kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument(
        "--shape",
        type=_shape,
        action="append",
        default=[],
        metavar="INPUT=1,3,64,96",
        help="concrete shape of an input with dynamic dimensions",
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Plant, save, print; 1 when the model has no node for this kind."""
    args = _parse(argv)
    try:
        faulty, fault = plant(onnx.load(args.model), args.seed, args.kind, shapes=dict(args.shape))
    except NoEligibleNode as error:
        print(f"{args.model}: {error}", file=sys.stderr)
        return 1
    onnx.save(faulty, args.output)
    print(fault)
    return 0


if __name__ == "__main__":
    sys.exit(main())
