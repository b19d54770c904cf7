"""Who runs the images where there are many? Workers, each with both models, a few images a task.

What comes back is the same as from one process, in the same order: areas are counts, and whatever is summed
in floating point is summed here, image by image as the data set has them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from segdiff.core.crew.held import held, let_go
from segdiff.core.crew.told import Crew, Done
from segdiff.core.errors import EngineError, SegdiffError
from segdiff.engines.cache import opened
from segdiff.inputs.image import one_line
from segdiff.score.compare import ImageResult
from segdiff.score.dataset import Entry
from segdiff.score.evaluation import Evaluation, Keep, Numbered
from segdiff.score.fleet.pairs import script_of
from segdiff.score.run import loaded
from segdiff.score.started import Setting, evaluation_of

SHARE = 8
"""Images of a task, where there are enough: the next one is read beside while one runs."""

SHARES = 16
"""Tasks that each worker has at least, before tasks have several images: so none waits long for the last."""


@dataclass(frozen=True)
class Share:
    """What a worker is asked: some images, and how they are run; ``run`` names what it holds for the next."""

    run: str
    setting: Setting
    images: Numbered
    cache: tuple[str | Path | None, int | None] = (None, None)


@dataclass
class Told:
    """What a worker tells: a result of each image, or the message why there is none; remarks, each with the
    image at which it was first made; why the models are to blame, and no image."""

    results: list[tuple[int, ImageResult | str]] = field(default_factory=list)
    remarks: list[tuple[int, str]] = field(default_factory=list)
    broken: str | None = None


def run_share(share: Share) -> Told:
    """Run a share. Raises what starting the models raises."""
    evaluation: Evaluation = held(share.run, partial(stood_up, share))
    told = Told()
    for number, _, ready in loaded(evaluation.loader, share.images):
        known = len(made_by(evaluation))
        try:
            if isinstance(ready, SegdiffError):
                raise ready
            result: ImageResult | str = evaluation.one(ready)
        except SegdiffError as error:
            result = one_line(error)
            if isinstance(error, EngineError) and evaluation.is_broken:
                told.broken = result
        told.results.append((number, result))
        told.remarks += [(number, remark) for remark in made_by(evaluation)[known:]]
        if told.broken:
            break
    return told


def made_by(evaluation: Evaluation) -> list[str]:
    """All remarks so far, those of both models among them; one more each time that one is made."""
    pair = evaluation.pair
    return [*evaluation.remarks, *pair.reference.remarks, *pair.candidate.remarks]


def stood_up(share: Share) -> AbstractContextManager[Evaluation]:
    """Both models on a worker. The number of classes is known by then."""
    folder, size = share.cache
    store = None if folder is None else opened(folder, size)
    return evaluation_of(share.setting, partial(int, 0), store)


@dataclass
class Spread:
    """A crew, and what its workers need: the results of a data set, in its order.

    ``evaluation`` is this process's own, which runs images until one has shown the number of classes, and
    which gets the workers' remarks.
    """

    crew: Crew
    setting: Setting
    evaluation: Evaluation
    cache: str | Path | None = None
    cache_size: int | None = None

    def __call__(self, todo: Numbered, kept: Keep) -> Iterator[ImageResult | SegdiffError]:
        """What came of each image, in their order. Raises EngineError where a model is broken."""
        begun = 0
        while begun < len(todo) and self.evaluation.classes is None:
            yield from self.evaluation.here(todo[begun : begun + 1], kept)
            begun += 1
        if begun < len(todo):
            yield from self.elsewhere(todo[begun:], kept)

    def elsewhere(self, todo: Numbered, kept: Keep) -> Iterator[ImageResult | SegdiffError]:
        """The same, run by the crew; what comes early waits for those before it."""
        shares = self.shares(todo)
        waiting: dict[int, ImageResult | SegdiffError] = {}
        remarks: dict[str, int] = {}
        order = iter(number for number, _ in todo)
        following = next(order, None)
        with closing(self.crew.run(run_share, shares, leave=partial(let_go, shares[0].run))) as run:
            for done in run:
                told = told_by(done, shares[done.number])
                if told.broken is not None:
                    raise EngineError(told.broken)
                for number, result in told.results:
                    waiting[number] = EngineError(result) if isinstance(result, str) else result
                    if isinstance(result, ImageResult):
                        kept(number, result)
                for number, remark in told.remarks:
                    remarks[remark] = min(number, remarks.get(remark, number))
                while following in waiting:
                    yield waiting.pop(following)
                    following = next(order, None)
        known = made_by(self.evaluation)
        first = sorted(remarks, key=lambda remark: (remarks[remark], remark))
        self.evaluation.remarks += [remark for remark in first if remark not in known]

    def shares(self, todo: Numbered) -> Sequence[Share]:
        """The images in shares, in their order."""
        size = max(1, min(SHARE, len(todo) // (SHARES * self.crew.workers)))
        setting = replace(self.setting, classes=self.evaluation.classes)
        if setting.threads is None:
            setting = replace(setting, threads=self.crew.threads)
        run = uuid.uuid4().hex
        cache = None if self.cache is None else Path(self.cache).absolute()
        images = list(todo)
        if self.crew.where == "cluster":  # its workers stand in other folders
            setting = far(setting)
            images = [(number, absolute(entry)) for number, entry in todo]
        return [
            Share(run, setting, images[begin : begin + size], (cache, self.cache_size))
            for begin in range(0, len(images), size)
        ]


def far(setting: Setting) -> Setting:
    """The same, by whole paths."""
    ours, theirs = (
        replace(
            files,
            program=files.program.absolute(),
            params=files.params and files.params.absolute(),
            deploy_yaml=files.deploy_yaml and files.deploy_yaml.absolute(),
        )
        for files in setting.files
    )
    fed = setting.candidate_input
    fed = script_of(fed, Path()) if isinstance(fed, str) else fed
    return replace(setting, files=(ours, theirs), candidate_input=fed)


def absolute(entry: Entry) -> Entry:
    """An image that every worker finds, in whatever folder it stands."""
    label = entry.label.absolute() if entry.label is not None else None
    return replace(entry, image=entry.image.absolute(), label=label)


def told_by(done: Done[Told], share: Share) -> Told:
    """What a worker tells. One that was lost tells nothing of its images; one that cannot begin ends the run.

    Raises EngineError.
    """
    if done.value is not None:
        return done.value
    assert done.failure is not None
    if done.failure.kind != "lost":
        raise EngineError(f"a worker could not run its images: {done.failure.message}")
    return Told([(number, done.failure.message) for number, _ in share.images])
