"""Which of these pairs of models part, and in what? Every pair on every image, over workers, in one table.

find the pairs -> what an earlier run has kept -> the rest over the workers, kept as it comes -> merge
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from segdiff.core.crew import crew_of
from segdiff.core.crew.told import Crew, Done
from segdiff.core.errors import InputError, SegdiffError
from segdiff.core.journal import Kept, digest
from segdiff.core.outputs import SWEEP, refuse_inside, refuse_unwritable_folder, write_atomically
from segdiff.core.progress import Progress, told_to
from segdiff.core.sweep_report import SweepReport, SweptImage, SweptPair
from segdiff.core.version import VERSION
from segdiff.engines.warm import let_go
from segdiff.readers import find
from segdiff.readers.remote import is_url
from segdiff.score.areas import IGNORE
from segdiff.score.fleet.faults import faults_of
from segdiff.score.fleet.labels import Reading, reading_of
from segdiff.score.fleet.pairs import LABELLING, Found, Pair, pairs_of, path_of, script_of
from segdiff.score.fleet.points import score_of
from segdiff.score.fleet.state import belonging, size_of, state_of, versions
from segdiff.score.fleet.task import Answered, Asked, answered, failed, from_dict, to_dict
from segdiff.score.fleet.words import sentence_of

JOURNAL, REPORT, INDEX = SWEEP, "sweep.json", "index.html"
REPORTS, PAGES = "reports", "pages"
"""What lies in the folder of a sweep."""


THREADS = 1
"""Of each engine. onnxruntime splits a sum by its threads and so rounds otherwise: with as many for every
number of workers the table is the same to the last digit, and no two workers wait for one core."""

NO_MATTER = ("cache", "cache_size", "memory", "timeout")
"""Options that change how long a result takes, and not what it is."""


SLUG = 60
"""Characters of a pair's name in the names of its files."""

Source = str | Path | Sequence[Mapping[str, Any]]


def sweep(
    pairs: Source,
    *,
    images: Sequence[str | Path] | str | Path = (),
    labels: str | Path | None = None,
    label_encoding: str | None = None,
    num_classes: int | None = None,
    ignore_index: int | None = IGNORE,
    candidate_input: str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    out: str | Path | None = None,
    cosine: float | None = None,
    abs_error: float | None = None,
    rel_l2: float | None = None,
    deployed: bool | str = "usual",
    full_walk: bool = False,
    allow_nan: bool = False,
    memory: int | None = None,
    timeout: float = 300.0,
    threads: int | None = None,
    reference_python: str | None = None,
    candidate_python: str | None = None,
    cache: str | Path | None = None,
    cache_size: int | None = None,
    progress: Progress | None = None,
) -> SweepReport:
    """Locate on many pairs of models, each on several images, over workers, and score where labels are known.

    pairs     a folder, below which every pair of a Paddle model and its ONNX file is found; a list as
              ``.yaml`` or ``.json``, which like all that it names may be a URL; or that list: mappings with
              ``reference``, ``candidate``, ``images``, and where wanted ``name``, ``labels`` and ``options``,
              those of :func:`segdiff.locate` and the three of the labels
    images    pictures, ready tensors, folders of them or lists (``image`` or ``image label`` a line), for the
              pairs that name none
    labels    a folder with the labels of the images, or the label of the one image, for the pairs that name
              none: both models are scored as :func:`segdiff.evaluate` does, and the points that a pair loses
              told
    label_encoding, num_classes, ignore_index   what the labels mean, as :func:`segdiff.evaluate` takes them
    candidate_input   what the candidates are really fed: ``module:function`` or ``script.py:function``
    workers   processes of this machine; by default this one does it all
    scheduler the address of a running Dask cluster, ``tcp://host:8786``, whose workers see the same files
    out       a folder that keeps each result as it comes, with the report and a page of each pair; a second
              start with the same folder does only what is missing, or whose files have changed

    The other arguments are those of :func:`segdiff.locate`, for all pairs; ``threads`` is by default 1, so
    that the table is the same for any number of workers; ``memory`` a worker's part of it. A pair that fails
    is a row that says so.

    Raises InputError where no pair is found or a list makes no sense, EngineError where no worker starts.

    >>> from segdiff.example import example_files
    >>> with example_files() as (reference, candidate, image):
    ...     street = {"name": "street", "reference": reference, "candidate": candidate, "images": image}
    ...     swept = sweep([street])
    >>> swept.verdict, swept.pair("street").told.origins[0].kind, len(swept.faults)
    ('diverges', 'resize.coordinate_mode', 1)
    """
    begin = time.monotonic()
    options = {
        "label_encoding": label_encoding,
        "num_classes": num_classes,
        "ignore_index": ignore_index,
        "candidate_input": candidate_input and script_of(candidate_input, Path()),
        "cosine": cosine,
        "abs_error": abs_error,
        "rel_l2": rel_l2,
        "deployed": deployed,
        "full_walk": full_walk,
        "allow_nan": allow_nan,
        "memory": memory,
        "timeout": timeout,
        "threads": threads,
        "reference_python": reference_python,
        "candidate_python": candidate_python,
        "cache": cache and path_of(cache, None),
        "cache_size": cache_size,
    }
    given = (images,) if isinstance(images, str | Path) else tuple(images)
    with ExitStack() as stack:
        told = stack.enter_context(told_to(progress))
        told("pairs", 0, 0)
        folder = checked_folder(out, pairs)
        found = pairs_of(pairs, given, labels)
        tasks = tuple(tasks_of(found, options))
        kept = stack.enter_context(journal_in(folder)) if folder else None
        rows = earlier(kept, folder, tasks)
        missing = sorted((task for task in tasks if task.key not in rows), key=Task.weight, reverse=True)
        if missing:
            crew = stack.enter_context(crew_of(workers, scheduler))
            with closing(done_by(crew, missing, folder, kept)) as run:
                for task, row in run:
                    rows[task.key] = row
                    told("sweep", len(rows), len(tasks))
        told("conclude", 0, 0)
    whole = tuple(merged(found, tasks, rows))
    report = SweepReport(
        sentence_of(whole, faults := faults_of(whole)),
        whole,
        faults,
        found.left_over,
        str(pairs) if isinstance(pairs, str | Path) else "",
        remarks=remarks_of(len(tasks) - len(missing), folder),
        timing_s={
            "total": round(time.monotonic() - begin, 3),
            "tasks": round(sum(row.seconds for row in rows.values()), 3),
        },
    )
    if folder is not None:
        write(report, folder)
    return report


def write(report: SweepReport, folder: str | Path) -> None:
    """The sweep in the folder of its results: ``sweep.json``, and ``index.html`` with a link to each page.

    Raises InputError where they cannot be written.
    """
    linked = replace(report, linked=True)
    for name in (REPORT, INDEX):
        linked.save(Path(folder, name))


@dataclass(frozen=True)
class Task:
    """One pair on one image; ``stem`` begins the names of its files, ``problem`` is why nothing is to do."""

    pair: Pair
    image: str
    stem: str
    options: Mapping[str, Any]
    label: str | None = None
    reading: Reading = field(default_factory=Reading)

    @cached_property
    def key(self) -> str:
        """What its result rests on, hashed: files, options, versions. Another one is another result."""
        said = sorted((name, value) for name, value in self.options.items() if name not in NO_MATTER)
        rests_on: list[Any] = [self.pair.name, *map(state_of, self.files), said, VERSION, versions()]
        if self.label is not None:
            rests_on += [state_of(self.label), self.reading]
        return digest(map(str, rests_on))

    def weight(self) -> int:
        """Bytes of its files: the largest is begun first, so that nobody waits for it at the end."""
        return sum(size_of(file) for file in set(self.files))

    @property
    def files(self) -> Iterator[str | Path | None]:
        """All that is read."""
        for model in (self.pair.reference, self.pair.candidate):
            yield model
            if not is_url(model):
                with suppress(SegdiffError, OSError):  # what is wrong, the task itself will say
                    yield from belonging(find(model))
        yield self.image
        script = str(self.options.get("candidate_input") or "").rpartition(":")
        yield from (script[0], script[2])

    def asked(self, crew: Crew, folder: Path | None) -> Asked:
        """What a worker is asked."""
        options = {**self.options, "threads": self.options["threads"] or THREADS}
        models = self.pair.reference, self.pair.candidate
        whole = folder is not None
        return Asked(*models, self.image, options, crew.beside, whole, self.label, self.reading)


def tasks_of(found: Found, options: Mapping[str, Any]) -> Iterator[Task]:
    """A task for every image of every pair, in the order of the table."""
    read: dict[Any, Reading] = {}
    for pair in found.pairs:
        said = {**options, **pair.options}
        meaning = tuple(said.pop(name) for name in LABELLING)
        labels = tuple(sorted(set(pair.labels.values())))
        if labels and (labels, meaning) not in read:
            read[labels, meaning] = reading_of(labels, *meaning)
        reading = read.get((labels, meaning), Reading())
        for number, image in enumerate(() if pair.problem else pair.images, start=1):
            stem = stem_of(pair.name) + (f"-{number}" if len(pair.images) > 1 else "")
            yield Task(pair, image, stem, said, pair.labels.get(image), reading)


def stem_of(name: str) -> str:
    """A name of files that says which pair it is, is safe anywhere, and another pair's never."""
    plain = "".join(each if each.isascii() and (each.isalnum() or each in "-_") else "_" for each in name)
    return plain if plain == name and len(name) <= SLUG else f"{plain[:SLUG]}-{digest([name])[:6]}"


def checked_folder(out: str | Path | None, pairs: Source) -> Path | None:
    """The folder of the results, made. Raises InputError where it cannot be, or is one that is read."""
    if out is None:
        return None
    folder = Path(out)
    if isinstance(pairs, str | Path) and not is_url(pairs):
        refuse_inside(folder, [Path(pairs)], "The folder of the results")
    refuse_unwritable_folder(folder, "The folder of the results")
    try:
        for each in (folder, folder / REPORTS, folder / PAGES):
            each.mkdir(parents=True, exist_ok=True)
        for name in (REPORT, INDEX):  # of an earlier run: nobody shall take them for this one's
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror or error}") from error
    return folder


def journal_in(folder: Path) -> Kept[str, SweptImage]:
    """The journal of a sweep's folder: one for all sweeps that go there, whatever changed in between."""
    return Kept(folder / JOURNAL, {"sweep": "pairs"}, str, to_dict, from_dict)


def earlier(
    kept: Kept[str, SweptImage] | None, folder: Path | None, tasks: Sequence[Task]
) -> dict[str, SweptImage]:
    """What an earlier run has found of the same tasks, its files being there."""
    if kept is None or folder is None:
        return {}
    wanted = {task.key for task in tasks}
    return {key: row for key, row in kept.done() if key in wanted and has_files(row, folder)}


def has_files(row: SweptImage, folder: Path) -> bool:
    """Whether the report and the page of a row are still there."""
    return all(each is not None and (folder / each).is_file() for each in (row.report, row.page))


def done_by(
    crew: Crew, tasks: Sequence[Task], folder: Path | None, kept: Kept[str, SweptImage] | None
) -> Generator[tuple[Task, SweptImage], None, None]:
    """Each task with its row, kept as it comes. What failed is not kept: a second start tries it again."""
    asked = [task.asked(crew, folder) for task in tasks]
    with closing(crew.run(answered, asked, leave=let_go)) as run:
        for done in run:
            task = tasks[done.number]
            row = row_kept(task, done, folder)
            if kept is not None and is_final(row):
                kept.add(task.key, row)
            yield task, row


def is_final(row: SweptImage) -> bool:
    """Whether a second start would find the same: nothing failed but what its files themselves forbid."""
    unscored = row.labelled.failure if row.labelled else None
    return row.failure is None and (unscored is None or unscored.type in ("InputError", "ModelError"))


def row_kept(task: Task, done: Done[Answered], folder: Path | None) -> SweptImage:
    """The row of a task that has ended, its report and its page written. Raises InputError."""
    if done.value is None or done.failure is not None:
        assert done.failure is not None
        return replace(failed(task.image, done.failure), seconds=done.seconds)
    row, answer = replace(done.value.row, seconds=done.seconds), done.value
    if folder is None or answer.report is None or answer.page is None:
        return row
    row = replace(row, report=f"{REPORTS}/{task.stem}.json", page=f"{PAGES}/{task.stem}.html")
    try:
        write_atomically(folder / str(row.report), answer.report)
        write_atomically(folder / str(row.page), answer.page)
    except OSError as error:
        raise InputError(f"The results cannot be kept in {folder}: {error.strerror or error}.") from error
    return row


def merged(found: Found, tasks: Sequence[Task], rows: Mapping[str, SweptImage]) -> Iterator[SweptPair]:
    """Each pair with the rows of its images."""
    of_pair: dict[str, list[SweptImage]] = {}
    for task in tasks:
        of_pair.setdefault(task.pair.name, []).append(rows[task.key])
    for pair in found.pairs:
        images = tuple(of_pair.get(pair.name, ()))
        score = score_of(image.labelled for image in images)
        yield SweptPair(pair.name, pair.reference, pair.candidate, images, pair.problem, score)


def remarks_of(known: int, folder: Path | None) -> tuple[str, ...]:
    """How much an earlier run had done."""
    if not known:
        return ()
    were = "1 result was" if known == 1 else f"{known} results were"
    return (f"{were} already there and taken from {folder and folder / JOURNAL}.",)
