"""What does a model make of an image, value by value? Written down, to be compared on another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from segdiff.align.view import view_of
from segdiff.core.dumped import WrittenDump
from segdiff.core.errors import InputError
from segdiff.core.graph import Array, Graph
from segdiff.core.outputs import refuse_existing, refuse_full_folder
from segdiff.core.progress import Progress, told_to
from segdiff.core.sequences import sequences
from segdiff.engines import Blocks, Engine, Tensor
from segdiff.engines.registry import engine_for, threads_of
from segdiff.engines.session import default_memory, deploy_config, own_specs
from segdiff.finding.dump_files import keeper
from segdiff.finding.side_by_side import Image
from segdiff.inputs import prepare
from segdiff.readers import find, read
from segdiff.readers.urls import a_file, a_model, takes_urls
from segdiff.walk import Run

if TYPE_CHECKING:
    import onnx


@takes_urls(model=a_model, image=a_file)
def dump(
    model: str | Path | onnx.ModelProto,
    image: Image,
    *,
    out: str | Path,
    only: Sequence[str] = (),
    allow_nan: bool = False,
    memory: int | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    python: str | None = None,
    progress: Progress | None = None,
) -> WrittenDump:
    """Run a model on an image and write every value that it makes, as its engine shows it.

    model      a folder with a Paddle model, or a ``.pdmodel``, ``.json`` (PIR) or ``.onnx`` file; an
               ``onnx.ModelProto``, too
    image      as :func:`segdiff.locate` takes it
    out        a new or an empty folder: a ``.npy`` file for each value and a ``manifest.json`` that says
               which is which; or a name that ends in ``.npz``
    only       patterns (``*conv*``, ``p2o.*``) of the values to write; by default all, inputs included
    memory, timeout, threads, python   as for :func:`segdiff.locate`

    The tensors are written as they come, in the shape and type that the engine has them in (bfloat16 as
    float32, which holds it). Raises ModelError (the model cannot be read), InputError (the image cannot be
    used, the place not be written, no value has such a name) or EngineError (the model does not run; what
    came until then is in the folder).
    """
    files = find(model)
    graph = read(files)
    names = shown(graph, only)
    place = Path(out)
    refuse_taken(place)
    prepared = prepare(image, own_specs(graph), deploy_config((files, files)), allow_nan=allow_nan)
    with ExitStack() as stack:
        told = stack.enter_context(told_to(progress))
        told("start", 0, 0)
        blocks = Blocks()
        stack.callback(blocks.close)
        row = engine_for(files.format)
        engine = Engine(
            files,
            blocks,
            timeout=timeout,
            threads=threads_of(row, threads),
            allowance=(memory or default_memory()) // 8,
            python=python,
        )
        stack.callback(engine.close)
        engine.wait_until_ready()
        kept = stack.enter_context(keeper(place))
        feeds = {name: blocks.tensor(array) for name, array in prepared.tensors.items()}
        count = 0
        for name, array in streamed(engine.stream, feeds, names):
            kept.keep(name, array)
            count += 1
            told("dump", count, len(names))
    return WrittenDump(place, count, len(names) - count, prepared.how)


def refuse_taken(place: Path) -> None:
    """Raise InputError where a dump would be mixed into files that are there, or replace one."""
    refuse_full_folder(place, "the dump's folder")
    refuse_existing(place, "the dump")


def shown(graph: Graph, only: Sequence[str] = ()) -> tuple[str, ...]:
    """The values to write: those that somebody reads or receives and the engine can show.

    Raises InputError where a pattern fits none.
    """
    view = view_of(graph)
    unseen = engine_for(graph.format).hidden(graph) | sequences(graph) | set(graph.parameters)
    values = dict.fromkeys((*view.values, *graph.outputs))
    names = [name for name in values if name not in unseen]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            close = get_close_matches(pattern, names, n=1)
            hint = (
                f"did you mean {close[0]!r}" if close else f"{names[0]!r} is one" if names else "it has none"
            )
            raise InputError(f"{graph.path}: no value is called {pattern!r}; {hint}")
    return tuple(name for name in names if not only or any(fnmatchcase(name, p) for p in only))


Stream = Callable[[Mapping[str, Tensor], Iterable[str]], Iterator[tuple[str, Tensor]]]


def streamed(
    stream: Stream, feeds: Mapping[str, Tensor], names: Iterable[str]
) -> Iterator[tuple[str, Array]]:
    """The named values, inputs first, one at a time. Raises EngineError."""
    names = list(names)
    for name in names:
        if name in feeds:
            yield name, feeds[name].array
    for name, tensor in stream(feeds, [name for name in names if name not in feeds]):
        yield name, tensor.array


def tensors_written(run: Run, place: Path) -> None:
    """Both sides of a run, each as a dump of its own in a folder. Raises EngineError, InputError."""
    probe = run.probe
    sides = (
        ("reference", probe.reference, run.reference.engine.stream, run.reference.feeds),
        ("candidate", probe.graph, lambda *asked: probe.candidate.living().stream(*asked), probe.feeds),
    )
    for side, graph, stream, feeds in sides:
        with keeper(place / side) as kept:
            for name, array in streamed(stream, feeds, shown(graph)):
                kept.keep(name, array)
