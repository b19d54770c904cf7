"""How does text leave the process? To a terminal, a pipe that may close, a file that may be full.

Only the command uses this; the Python API never touches the process's streams.
"""

from __future__ import annotations

import codecs
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO

from segdiff.core.printable import clean

if TYPE_CHECKING:
    from segdiff.report.document import Detail

PIPE_WIDTH = 80
"""Columns where stdout is no terminal."""

MESSAGE = 4000
"""Characters of an error message; its remedy stands at the end and must not be lost."""

_ASCII = {"✓": "+", "✗": "x", "↓": "v", "→": ">", "…": "~", "≠": "!", "█": "#", "─": "-"} | dict(
    zip("▁▂▃▄▅▆▇·", "_.:-=+*?", strict=True)
)
"""Stand-ins on a terminal that is not UTF-8."""


def prepare_streams() -> None:
    """Let no character fail to encode: stdout and stderr fall back to ASCII stand-ins, or ``?``."""
    codecs.register_error("segdiff", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="segdiff")


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ASCII.get(c, "?") for c in error.object[error.start : error.end]), error.end


def one_line(message: object) -> str:
    """A message, or an exception's, as one clean line."""
    return clean(message, MESSAGE) or type(message).__name__


def complain(message: str) -> None:
    """One line on stderr."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"segdiff: {message}\n")
        sys.stderr.flush()


def print_answer(answer: Any, detail: Detail = "full") -> bool:
    """Print an answer on stdout, in short or in full; see :func:`print_text` for the result."""
    from segdiff.report.forms import shown

    return print_renderable(shown(answer, "terminal", detail))


def print_renderable(renderable: Any) -> bool:
    """Print anything that rich can show on stdout; see :func:`print_text` for the result."""
    from rich.console import Console

    if sys.stdout is None:
        return True
    sheet = _Sheet(sys.stdout)
    console = Console(file=sheet, width=None if sheet.isatty() else PIPE_WIDTH)
    console.print(renderable, crop=False)
    text = sheet.getvalue()
    if not console.is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    return print_text(text)


class _Sheet(StringIO):
    """Memory that rich takes for the stream it stands for: it chooses colours and characters by that, while
    writing, and all that can go wrong with it, is left to us."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The stream's encoding."""
        return self._stream.encoding or "utf-8"


def print_text(text: str) -> bool:
    """Write to stdout. A reader that has gone (``| head``) is no failure; False where stdout cannot be
    written, which has then been said on stderr."""
    if sys.stdout is None:
        return True
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go(sys.stdout)
    except OSError as error:
        _let_go(sys.stdout)
        complain(f"cannot write to standard output: {error.strerror or error}")
        return False
    return True


def flush() -> None:
    """Flush stdout now, so that a pipe that has closed is not noticed by the interpreter at its exit."""
    print_text("")


def _let_go(stream: TextIO) -> None:
    """Point the stream's descriptor at nothing: what its buffer still holds must not fail again."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Silence what C libraries print (OpenCV and libjpeg on a damaged image) and Python's warnings.

    Descriptor 2 points at nothing inside, also for processes started there; ``sys.stderr`` goes on writing
    to where it did.
    """
    own = sys.stderr
    try:
        saved = os.dup(2)
        nothing = os.open(os.devnull, os.O_WRONLY)
    except OSError:  # stderr is closed: nothing to silence
        yield
        return
    if _is_descriptor_2(own):
        own.flush()
        sys.stderr = os.fdopen(
            saved, "w", buffering=1, encoding=own.encoding, errors=own.errors, closefd=False
        )
    os.dup2(nothing, 2)
    os.close(nothing)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        sys.stderr = own
        os.dup2(saved, 2)
        os.close(saved)


def _is_descriptor_2(stream: TextIO | None) -> bool:
    with suppress(OSError, ValueError, AttributeError):
        return stream is not None and stream.fileno() == 2
    return False
