"""What can one try segdiff on? A small trained network, its ONNX file with one planted fault, and a picture.

    deploy/         the reference: a street segmentation network in Paddle format, with its deploy.yaml
    model.onnx      the candidate: one Resize in it forgets that corners are aligned
    healthy.onnx    the conversion before the fault was planted
    street.png      a drawn street
    infer.py        how an app feeds the network: it forgets that OpenCV reads BGR
    labels/         of six more streets
    masks/          what the reference and healthy.onnx make of those: the same, in every pixel

``tests/example/make.py`` makes these files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
"""The folder of the example."""


class ExampleFiles(NamedTuple):
    """The arguments of :func:`segdiff.locate`, in order."""

    reference: Path
    candidate: Path
    image: Path


@contextmanager
def example_files(candidate: str = "model.onnx") -> Iterator[ExampleFiles]:
    """The example as real files, for as long as the context lasts.

    ``candidate`` is ``model.onnx``, which has the fault, or ``healthy.onnx``, which has none.

        with example_files() as files:
            report = segdiff.locate(*files)
    """
    here = files(__name__)
    with ExitStack() as stack:
        names = "deploy", candidate, "street.png"
        yield ExampleFiles(*(stack.enter_context(as_file(here / name)) for name in names))
