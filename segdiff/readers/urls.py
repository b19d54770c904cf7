"""How does a function take URLs that knows files alone? What they name is fetched, and named again after.

The one place for all of segdiff's functions: an argument that is a URL becomes a file of this run, and where
the answer, or an error, names that file, it says the URL. What an answer keeps to repair by keeps the files;
else they are gone when the function returns.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from segdiff.core.errors import SegdiffError
from segdiff.core.kept import KeptTensors
from segdiff.core.question import Question
from segdiff.readers.remote import Fetched, is_url

P = ParamSpec("P")
T = TypeVar("T")

Fetch = Callable[[Fetched, str, Mapping[str, Any]], Path]
"""How an argument's URL is fetched; the other arguments may have a word in it."""


def a_model(fetched: Fetched, url: str, arguments: Mapping[str, Any]) -> Path:
    """A model's folder or file, with what belongs to it."""
    return fetched.model(url)


def a_file(fetched: Fetched, url: str, arguments: Mapping[str, Any]) -> Path:
    """One file."""
    return fetched.file(url)


class Folder:
    """A temporary folder that is there as long as somebody knows it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="segdiff-"))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


_shared: ContextVar[tuple[Folder, Fetched] | None] = ContextVar("shared", default=None)
"""What several calls fetch together."""


def fresh() -> tuple[Folder, Fetched]:
    """A folder in which nothing is fetched yet."""
    folder = Folder()
    return folder, Fetched(folder.path)


@contextmanager
def fetched_once() -> Iterator[None]:
    """All calls within share what they fetch."""
    token = _shared.set(fresh())
    try:
        yield
    finally:
        _shared.reset(token)


def takes_urls(**kinds: Fetch) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator: the arguments of these names may be URLs, each fetched in its way."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        known = signature(function)

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> T:
            given = dict(zip(known.parameters, args, strict=False)) | kwargs
            if not any(is_url(given.get(name)) for name in kinds):
                return function(*args, **kwargs)
            bound = known.bind(*args, **kwargs)
            folder, fetched = _shared.get() or fresh()
            asked = dict(bound.arguments)
            try:
                for name, fetch in kinds.items():
                    if is_url(asked.get(name)):
                        bound.arguments[name] = fetch(fetched, asked[name], asked)
                answer = function(*bound.args, **bound.kwargs)
            except SegdiffError as error:
                error.args = tuple(renamed(each, fetched.sources) for each in error.args)
                raise
            local = {bound.arguments[name]: asked[name] for name in kinds if is_url(asked.get(name))}
            found: T = Naming(fetched.sources, local, folder).of(answer)
            return found

        return called

    return decorate


class UrlPath(type(Path())):  # type: ignore[misc]
    """A path that is a URL: it has a name and a suffix, and is written with both slashes.

    >>> str(UrlPath("s3://bucket/deploy/model.onnx")), UrlPath("s3://bucket/deploy/model.onnx").name
    ('s3://bucket/deploy/model.onnx', 'model.onnx')
    """

    def __str__(self) -> str:
        return str(super().__str__()).replace(":/", "://", 1)

    def __fspath__(self) -> str:
        return str(self)


def renamed(text: Any, sources: Mapping[Path, str]) -> Any:
    """A text in which the fetched files are called by their URLs.

    >>> renamed("/tmp/x/0/model.onnx: no such operator", {Path("/tmp/x/0"): "s3://models"})
    's3://models/model.onnx: no such operator'
    """
    if not isinstance(text, str):
        return text
    for slot, url in sources.items():
        text = text.replace(f"{slot}/", f"{url.rstrip('/')}/" if not url.endswith("//") else url)
    return text


class Naming:
    """Gives an answer the names that were asked for."""

    def __init__(self, sources: Mapping[Path, str], local: Mapping[Path, str], folder: Folder) -> None:
        self.sources, self.local, self.folder = sources, local, folder

    def of(self, value: Any) -> Any:
        """The same value, with URLs in the place of the fetched files."""
        if isinstance(value, str):
            return renamed(value, self.sources)
        if isinstance(value, Path):
            text = renamed(str(value), self.sources)
            return value if text == str(value) else UrlPath(text)
        if isinstance(value, KeptTensors):  # these are read again: by a repair, for a repro
            return replace(value, folder=self.folder)
        if isinstance(value, Question):
            models = self._asked(value.reference), self._asked(value.candidate)
            return Question(*models, self._asked(value.image), value.options)
        if isinstance(value, tuple) and type(value) is tuple:
            found = [self.of(each) for each in value]
            return value if all(a is b for a, b in zip(found, value, strict=True)) else tuple(found)
        if isinstance(value, dict):
            return {key: self.of(each) for key, each in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            changes = {}
            for each in fields(value):
                if each.init:
                    old = getattr(value, each.name)
                    new = self.of(old)
                    if new is not old and not (isinstance(old, str | dict) and new == old):
                        changes[each.name] = new
            return replace(value, **changes) if changes else value
        if hasattr(value, "close"):  # an open case: its files are read as long as it is asked
            value.fetched = self.folder
        return value

    def _asked(self, given: Any) -> Any:
        """The URL that was given for what was fetched, to be given again."""
        return self.local.get(given, given) if isinstance(given, Path) else given
