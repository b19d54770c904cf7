"""What was the candidate really fed? An array, a ``.npy`` file, or what the user's own script makes.

read_candidate_input("onnx_infer.py:preprocess", "street.jpg") -> Fed(tensor, how)
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import InputError
from segdiff.inputs.call import Function, called, checked
from segdiff.inputs.image import check_file
from segdiff.inputs.script import Script, too_long
from segdiff.inputs.spec import show_shape
from segdiff.inputs.tensors import read_npy

Array = NDArray[Any]
CandidateInput = Array | str | PathLike[str] | Callable[[str], Any]

TIMEOUT = 300.0
"""Seconds for the user's script, as for an engine: importing a framework can take a minute."""


@dataclass(frozen=True)
class Fed:
    """The tensor as the candidate got it, any shape and dtype of real numbers, and in words where from."""

    tensor: Array
    how: tuple[str, ...]


def read_candidate_input(given: CandidateInput, image: object = None, *, timeout: float = TIMEOUT) -> Fed:
    """The tensor that the candidate was fed for ``image``.

    ``given`` is one of

    - an array, or the path of an ``.npy`` file;
    - ``"module:function"`` or ``"path/to/script.py:function"``: your own preprocessing, from an image's path
    to
      the tensor. It runs in a process of its own, modules are looked for in the current folder first, and
      what it prints is dropped. It is your own code and does whatever it does: never name a file that you do
      not trust;
    - a Python callable, the same way, but in this process.

    ``image`` is the path that a callable is given. A tensor of PyTorch or Paddle and a dict with one entry
    are taken as well.

    Raises InputError where the file or the function does not exist, where it raises, exits, crashes or takes
    longer than ``timeout`` seconds (a callable then goes on in the background: Python cannot stop it), and
    where it returns anything but one tensor of real numbers.
    """
    with candidate_reader(given, timeout=timeout) as read:
        return read(image)


Reader = Callable[[object], Fed]
"""From an image's path to what the candidate is fed; raises InputError."""


@contextmanager
def candidate_reader(given: CandidateInput, *, timeout: float = TIMEOUT) -> Iterator[Reader]:
    """:func:`read_candidate_input` for image after image: the user's script runs in one process for all.

    ``timeout`` is that of one image. Raises InputError where ``given`` could be no candidate input at all.
    """
    if isinstance(given, np.ndarray):
        yield lambda image: _fed(checked(given, "The candidate input"), "the given array")
    elif callable(given):
        name = getattr(given, "__qualname__", type(given).__name__)
        yield lambda image: _fed(_in_thread(given, _image_path(image), name, timeout), f"{name}({image})")
    elif not isinstance(given, str | PathLike):
        raise InputError(
            f"The candidate input is a {type(given).__name__}; give an array, a .npy file, module:function "
            "or a callable."
        )
    else:
        text = os.fspath(given)
        check_named(text)
        if is_npy(text):
            yield lambda image: _fed(checked(read_npy(text), f"The candidate input {text}"), text)
            return
        with Script(text, timeout) as script:
            yield lambda image: _fed(script.tensor(_image_path(image)), f"{text} called with {image}")


def is_npy(given: CandidateInput | None) -> bool:
    """Whether a candidate input is the path of one tensor."""
    return isinstance(given, str | PathLike) and os.fspath(given).lower().endswith(".npy")


def check_named(text: str) -> None:
    """Raise InputError where a candidate input given as text names no file or function that could exist."""
    if is_npy(text):
        check_file(text, "candidate input")
        return
    module, _, function = text.rpartition(":")
    if not module or not function or "/" in function:
        raise InputError(
            f"The candidate input '{text}' is neither a .npy file nor a function, written module:function or "
            "path/to/script.py:function."
        )
    if module.endswith(".py"):
        check_file(module, "candidate input's script")


def _fed(tensor: Array, source: str) -> Fed:
    what = f"{show_shape(tensor.shape)} {tensor.dtype.name}"
    return Fed(tensor, (f"The candidate was fed {what}, from {source}.",))


def _image_path(image: object) -> str:
    if not isinstance(image, str | PathLike):
        raise InputError(
            "The candidate input is a function from an image's path to a tensor, but no path was given as "
            "the image. Give the image as a file, or the tensor itself as an array or a .npy file."
        )
    return str(check_file(os.fspath(image), "image"))


def _in_thread(function: Function, image: str, name: str, timeout: float) -> Array:
    """What a callable returns, waited for no longer than ``timeout``."""
    results: list[Array | BaseException] = []

    def run() -> None:
        try:
            results.append(called(function, image, name))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run, daemon=True, name=f"segdiff candidate input {name}")
    thread.start()
    thread.join(timeout)
    if not results:
        raise InputError(too_long(name, image, timeout))
    if isinstance(results[0], BaseException):
        raise results[0]
    return results[0]
