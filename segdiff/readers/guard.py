"""How does a damaged file become one clear line instead of a traceback?

Model files are untrusted input: whatever a parser throws at a broken one leaves ``readers`` as a
:class:`~segdiff.core.errors.ModelError` that names the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segdiff.core.errors import ModelError

PROTOBUF_LIMIT = 2**31 - 1
"""Largest message protobuf parses, in bytes."""

_MESSAGE_LENGTH = 200
"""A parser's own words are cut here: some of them quote half the file."""


@contextmanager
def guard(path: Path, what: str) -> Iterator[None]:
    """Turn every failure inside the block into a ``ModelError`` about ``path``.

    ``what`` says which part of the file was being read. ``Exception`` is caught on purpose: protobuf, json,
    numpy and onnx's C++ raise types of their own, and none of them may reach a user.
    """
    try:
        yield
    except ModelError as error:
        if str(error).isprintable():
            raise
        raise ModelError(_one_line(str(error))) from error  # a damaged name is part of it
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be read ({error.strerror or error}); check path and rights"
        ) from error
    except RecursionError as error:
        raise ModelError(f"{path}: {what} is nested too deeply to be a model; export it again") from error
    except MemoryError as error:
        raise ModelError(f"{path}: {what} does not fit into memory") from error
    except Exception as error:
        words = _one_line(" ".join(str(error).split()))[:_MESSAGE_LENGTH]
        reason = f"{type(error).__name__}: {words}" if words else type(error).__name__
        raise ModelError(
            f"{path}: {what} is damaged or not understood ({reason}); export it again"
        ) from error


def _one_line(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def read_bytes(path: Path, limit: int = PROTOBUF_LIMIT) -> bytes:
    """The whole file, after a look at its size: missing, empty and oversized files are refused."""
    readable_size(path, limit)
    with guard(path, "the file"):
        return path.read_bytes()


def readable_size(path: Path, limit: int = PROTOBUF_LIMIT) -> int:
    """Bytes of a file that can be a program; ModelError where it is missing, empty or too large."""
    with guard(path, "the file"):
        if not path.is_file():
            raise ModelError(f"{path}: no such file")
        size = path.stat().st_size
        if size == 0:
            raise ModelError(f"{path}: the file is empty; export the model again")
        if size > limit:
            raise ModelError(f"{path}: {size} bytes is more than a program can have ({limit})")
        return size
