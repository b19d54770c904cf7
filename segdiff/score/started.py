"""What must stand before the first image is run? Both models in their engines, and a way to read images.

A setting is plain data, so that a worker elsewhere can stand up the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segdiff.core.errors import InputError
from segdiff.engines import Blocks, Engine
from segdiff.engines.cache import Cache
from segdiff.engines.cached import Keeping, engine_of, keeping
from segdiff.engines.session import input_specs
from segdiff.inputs import DeployConfig, InputSpec
from segdiff.inputs.fed import CandidateInput, Reader, candidate_reader
from segdiff.readers import ModelFiles, read
from segdiff.score.dataset import Entry
from segdiff.score.encoding import Encoding
from segdiff.score.evaluation import Evaluation
from segdiff.score.folder import Folder, checked_kind, classes_in, found_kind
from segdiff.score.protocol import Frame
from segdiff.score.readings import Doubt
from segdiff.score.run import BothModels, Loader, Model, check_inputs


@dataclass(frozen=True)
class Setting:
    """How both models are run over a data set, and what is scored; see :func:`segdiff.evaluate`."""

    files: tuple[ModelFiles, ModelFiles]
    config: DeployConfig | None
    label_kind: Encoding
    frames: tuple[Frame, ...]
    ignore_index: int | None
    classes: int | None
    doubt: Doubt | None
    candidate_input: CandidateInput | None
    timeout: float
    threads: int | None
    pythons: tuple[str | None, str | None]


@contextmanager
def evaluation_of(
    setting: Setting, count: Callable[[], int], cache: Cache | None = None
) -> Iterator[Evaluation]:
    """Both models, started, and how images are read and scored; stopped at the end, whatever happens.

    ``count`` tells the number of classes by the labels.
    """
    with ExitStack() as stack:
        pair = stack.enter_context(
            models_started(setting.files, setting.timeout, setting.threads, setting.pythons, cache)
        )
        fed_by = None
        if setting.candidate_input is not None:
            fed_by = stack.enter_context(candidate_reader(setting.candidate_input, timeout=setting.timeout))
        loader = loader_of(pair, setting.config, setting.label_kind, fed_by)
        yield Evaluation(
            pair, loader, setting.frames, setting.ignore_index, setting.classes, count, doubt=setting.doubt
        )


@contextmanager
def models_started(
    files: tuple[ModelFiles, ModelFiles],
    timeout: float,
    threads: int | None,
    pythons: tuple[str | None, str | None] = (None, None),
    cache: Cache | None = None,
) -> Iterator[BothModels]:
    """Both models in their engines, loaded; stopped at the end, whatever happens.

    With ``cache`` the reference runs for what that does not hold.
    """
    blocks = Blocks()
    cores = threads or os.cpu_count() or 1

    known = (keeping(cache, files[0], pythons[0], cores), None)

    def start(which: ModelFiles, python: str | None, kept: Keeping | None) -> Engine:
        return engine_of(
            lambda: Engine(which, blocks, timeout=timeout, threads=cores, python=python), which, blocks, kept
        )

    engines: list[Engine] = []
    models: list[Model] = []
    try:
        for each in zip(files, pythons, known, strict=True):  # one by one: a failure must not lose the first
            engines.append(start(*each))
        graphs = read(files[0]), read(files[1])
        check_inputs(*graphs)
        models += [
            Model(graph, partial(start, each, python, kept), engine)
            for graph, each, python, kept, engine in zip(graphs, files, pythons, known, engines, strict=True)
        ]
        for engine in engines:
            engine.wait_until_ready()
        yield BothModels(blocks, *models)
    finally:
        for engine in (*engines, *(model.engine for model in models)):
            engine.close()
        blocks.close()


def label_kind_of(entries: Sequence[Entry], encoding: str | None) -> Encoding:
    """What the labels' values mean: as the user says, or as they show it."""
    if encoding:
        return checked_kind(encoding)
    labels = [entry.label for entry in entries if entry.label is not None]
    return found_kind("the data set", labels) if labels else "index"


def loader_of(
    pair: BothModels, config: DeployConfig | None, kind: Encoding = "index", fed_by: Reader | None = None
) -> Loader:
    """What reads the images of a data set for both models. Raises InputError where a candidate input has not
    the one input that it could fill."""
    graphs = pair.reference.graph, pair.candidate.graph
    specs = input_specs(graphs)
    own = InputSpec(graphs[1].inputs[0], graphs[1].value(graphs[1].inputs[0]).shape, specs[0].dtype)
    if fed_by is not None and len(specs) > 1:
        raise InputError(f"{graphs[0].path} has {len(specs)} inputs; a candidate input fills one.")
    return Loader(specs, config, kind, fed_by, own)


def count_classes(entries: Sequence[Entry], kind: Encoding, ignore_index: int | None) -> int:
    """As many classes as the labels have; 0 without labels."""
    labels = {entry.name: entry.label for entry in entries if entry.label is not None}
    return classes_in(Folder(Path("the data set"), labels, kind), ignore_index) if labels else 0
