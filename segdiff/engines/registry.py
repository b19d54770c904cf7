"""Which engine runs which model? One row an engine: this is the one place that asks for a format.

A new runtime is a module that fulfils ``segdiff.engines.framework.Framework`` and a row of this table. What
an engine cannot do is said in the report and not guessed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from segdiff.core.errors import ModelError
from segdiff.core.graph import Graph
from segdiff.core.sequences import sequences
from segdiff.engines.lists import undelivered
from segdiff.engines.protocol import Deployed
from segdiff.engines.workers import ONNXRUNTIME, PADDLE, WHOLE_ONNXRUNTIME, Home


def nothing_hidden(graph: Graph) -> frozenset[str]:
    """An engine that shows every value."""
    return frozenset()


@dataclass(frozen=True)
class EngineRow:
    """One engine.

    ``home`` is where its framework lives. ``cuts``: it runs any of its
    ops alone, with edits (a candidate must); ``ways``: how it runs a model as deployed, its default first;
    ``optimiser``: the kind of finding that its optimiser gives, None for one without. ``threads``: by default
    (None for every core). ``hidden(graph)``: values that it cannot show. ``computes_in``: the types that it
    computes in as stored, the others it widens to float32. ``interpreter``: the Python that runs it, None for
    this one; ``packages``: the distributions that compute, by any of their names, whose versions decide
    whether what was computed once still holds (none: nothing is cached).
    """

    name: str
    formats: tuple[str, ...]
    home: Home
    cuts: bool = False
    ways: tuple[Deployed, ...] = ()
    optimiser: str | None = None
    threads: int | None = None
    hidden: Callable[[Graph], frozenset[str]] = nothing_hidden
    computes_in: tuple[str, ...] = ("float32", "float64")
    interpreter: str | None = None
    packages: tuple[str, ...] = ()


WHOLE = "onnx-whole"
"""What an ONNX file is called that is never cut: no reader gives it, who wants it so says so."""

ENGINES: tuple[EngineRow, ...] = (
    EngineRow(
        name="onnxruntime",
        formats=("onnx",),
        home=ONNXRUNTIME,
        cuts=True,
        ways=(Deployed(),),
        optimiser="runtime.optimisation",
        hidden=sequences,
        packages=("onnxruntime", "onnxruntime-gpu", "onnx"),
    ),
    EngineRow(
        name="onnxruntime",
        formats=(WHOLE,),
        home=WHOLE_ONNXRUNTIME,
        ways=(Deployed(),),
    ),
    EngineRow(
        name="paddle",
        formats=("pdmodel", "pir"),
        home=PADDLE,
        cuts=False,
        # Paddle 3.3's oneDNN instructions refuse attributes that its own programs have: then without.
        ways=(Deployed(onednn=True), Deployed()),
        optimiser="runtime.paddle_ir",
        threads=1,  # its threads spin while they wait; one leaves the other cores to the candidate
        hidden=undelivered,
        packages=("paddlepaddle", "paddlepaddle-gpu"),
    ),
)


def engine_for(model_format: str, rows: tuple[EngineRow, ...] | None = None) -> EngineRow:
    """The row of the engine that runs a format. Raises ModelError where none does."""
    rows = ENGINES if rows is None else rows
    for row in rows:
        if model_format in row.formats:
            return row
    known = ", ".join(name for row in rows for name in row.formats)
    raise ModelError(f"no engine runs a model of the format {model_format!r}; there are {known}")


def threads_of(row: EngineRow, asked: int | None) -> int:
    """Threads for an engine: as asked, or its own default."""
    return asked or row.threads or os.cpu_count() or 1


def threads_beside(row: EngineRow, asked: int | None) -> int:
    """Threads for an engine while another one computes: as asked, or a core fewer than there are."""
    return asked or max(1, threads_of(row, None) - 1)


def lacking(words: str, python: str | None) -> str:
    """What to do where another Python has ended for want of a module; nothing otherwise.

    >>> lacking(": ModuleNotFoundError: No module named 'numpy'", "/env/bin/python")
    '; /env/bin/python needs the framework and numpy; for an ONNX file onnx and onnx-graphsurgeon, too'
    >>> lacking(": ModuleNotFoundError: No module named 'paddle'", None)
    ''
    """
    if python is None or "ModuleNotFoundError" not in words:
        return ""
    return f"; {python} needs the framework and numpy; for an ONNX file onnx and onnx-graphsurgeon, too"
