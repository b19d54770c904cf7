"""What does the user's own script make of an image? The process it runs in, and the checks on what it
returns.

``python -c … FUNCTION SOCKET OUT`` (see :mod:`segdiff.inputs.script`) imports the function and answers image
after image: a packet with the image's path comes in by the descriptor SOCKET, the tensor is written to the
descriptor OUT, and a packet goes back, ``ok`` or one line on what went wrong.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.errors import InputError
from segdiff.inputs.image import one_line

Array = NDArray[Any]
Function = Callable[[str], Any]

REAL_NUMBERS = "fiu"
WANTED = "return one tensor, as a numpy array"


LARGEST_PACKET = 1 << 16
"""Bytes of a path or an error."""

OK = b"ok"


def main() -> None:
    """Answer for each image, never with a traceback, until nobody asks any more."""
    name, talk, out = sys.argv[1], socket.socket(fileno=int(sys.argv[2])), os.fdopen(int(sys.argv[3]), "r+b")
    for descriptor in (talk.fileno(), out.fileno()):
        os.set_inheritable(descriptor, False)  # what the script starts has no business with them
    threading.Thread(target=_end_with, args=(talk,), daemon=True).start()
    function: Function | None = None
    while question := talk.recv(LARGEST_PACKET):
        try:
            function = function or load(name)
            tensor = called(function, os.fsdecode(question), name)
            out.seek(0)
            out.truncate()
            np.save(out, tensor, allow_pickle=False)
            out.flush()
            answer = OK
        except InputError as error:
            answer = str(error).encode(errors="replace")[:LARGEST_PACKET]
        except Exception as error:
            answer = f"The candidate input '{name}' cannot be handed over: {one_line(error)}.".encode()
        talk.send(answer)


def _end_with(talk: socket.socket) -> None:
    """End this process and all that it has started when who asks is gone, whatever the script is at."""
    poll = select.poll()
    poll.register(talk, 0)  # the end of the conversation is always told
    poll.poll()
    os.killpg(0, signal.SIGKILL)


def load(name: str) -> Function:
    """The function of ``module:function`` or ``script.py:function``.

    Modules are looked for in the current folder first, and a script's neighbours in its own, as if it were
    run. Raises InputError where there is no such module or function, or importing it fails.
    """
    where, _, what = name.rpartition(":")
    is_script = where.endswith(".py")
    sys.path.insert(0, str(Path(where).resolve().parent if is_script else Path.cwd()))
    try:
        module = _script(Path(where)) if is_script else importlib.import_module(where)
    except BaseException as error:
        raise InputError(_import_failure(name, where, error)) from error
    function: Any = module
    for part in what.split("."):
        function = getattr(function, part, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    own = [
        k for k, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__
    ]
    has = f"it has {', '.join(own)}" if own else "it has no functions"
    raise InputError(f"The candidate input '{name}': {where} has no function '{what}'; {has}.")


def called(function: Function, image: str, name: str) -> Array:
    """The tensor that the function makes of an image's path.

    Raises InputError, with the line of the user's file, where it raises or exits, and where it returns
    anything but one tensor of real numbers. A dict with one entry counts as its value, a framework's tensor
    as its array.
    """
    try:
        made = function(image)
    except BaseException as error:
        raise InputError(
            f"The candidate input '{name}' failed on {image}: {_what(error)}{_line_of(error)}."
        ) from error
    try:
        array = as_array(made)
    except Exception as error:
        raise InputError(
            f"The candidate input '{name}' returned a {type(made).__name__} that numpy cannot take "
            f"({one_line(error)}); {WANTED}."
        ) from error
    return checked(array, f"The candidate input '{name}'", made)


def as_array(made: Any) -> Array:
    """A numpy array, a framework's tensor or a dict with one of them as an array; object dtype for others."""
    if isinstance(made, Mapping) and len(made) == 1:
        made = next(iter(made.values()))
    for step in ("detach", "cpu", "numpy"):
        if not isinstance(made, np.ndarray) and callable(getattr(made, step, None)):
            made = getattr(made, step)()
    if isinstance(made, np.ndarray | np.generic):
        return np.asarray(made)
    return np.empty((), object)


def checked(array: Array, who: str, made: object = None) -> Array:
    """The array, C-contiguous. Raises InputError where it is no tensor of real numbers."""
    if array.dtype == object:
        kind = "nothing (None)" if made is None else f"a {type(made).__name__}"
        raise InputError(f"{who} is {kind}, not a tensor; {WANTED}.".replace("' is ", "' returned "))
    if array.dtype.kind not in REAL_NUMBERS:
        raise InputError(f"{who} is a tensor of {array.dtype.name}, not of real numbers.")
    if array.size == 0:
        raise InputError(f"{who} is an empty tensor, its shape is {list(array.shape)}.")
    return np.ascontiguousarray(array)


def _script(path: Path) -> ModuleType:
    """A module from a file, under its own name, so that ``if __name__ == "__main__"`` does not run."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _import_failure(name: str, where: str, error: BaseException) -> str:
    text = f"The candidate input '{name}': {where} cannot be imported: {_what(error)}{_line_of(error)}."
    if isinstance(error, SystemExit):
        return f'{text} What it does when it is run belongs under `if __name__ == "__main__":`.'
    if isinstance(error, ModuleNotFoundError) and error.name == where.partition(".")[0]:
        return (
            f"{text} Modules are looked for in {Path.cwd()} first; a file goes as path/to/script.py:function."
        )
    return text


def _what(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it exits with {error.code!r}"
    text = one_line(error)
    return text if text == type(error).__name__ else f"{type(error).__name__}: {text}"


def _line_of(error: BaseException) -> str:
    """Where in the user's own code it happened: the last line outside segdiff and the installed libraries."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and "site-packages" not in frame.filename and frame.filename[:1] != "<"
    ]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
