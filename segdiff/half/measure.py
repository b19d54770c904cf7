"""What does half precision cost on a user's images, and where? Image by image, one session for all of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from segdiff.core.errors import EngineError, InputError, SegdiffError
from segdiff.core.graph import Array, Graph
from segdiff.core.half import Static
from segdiff.core.progress import Progress
from segdiff.half.bench import Bench, Look
from segdiff.half.cost import Difference, Held, Tally, differences, squared
from segdiff.half.examples import Example, Examples
from segdiff.half.groups import Group
from segdiff.half.shares import Part, by_halves, one_by_one
from segdiff.half.targets import How
from segdiff.inputs.image import one_line
from segdiff.score.areas import Areas, areas, scores
from segdiff.score.check import check_classes
from segdiff.score.output import output_of

SHARED = 3
"""Images on which shares are measured, at most: their spread is known from three."""

LITERAL = 1e12
"""Multiply-adds that rounding every group alone may take, all images together: a minute of two cores. Up to
here shares are measured literally; where one image takes more, the few that matter are looked for."""

WORST_STATIC = frozenset({"precision.variance", "precision.alpha", "precision.overflow"})
"""What is known without a run and lets a group be rounded alone at once."""


@dataclass(frozen=True)
class Asked:
    """What is asked: how half precision is simulated, the threshold of one-channel masks, the label that does
    not count, and whether every group is rounded alone whatever it takes."""

    how: How
    threshold: float
    ignore_index: int | None
    thorough: bool


@dataclass
class Measured:
    """What the images have told so far.

    ``parts`` are the groups as they were rounded, a list an image; ``alone`` what each group costs alone.
    """

    tally: Tally = field(default_factory=Tally)
    looks: tuple[Look, ...] = ()
    parts: list[list[Part]] = field(default_factory=list)
    alone: dict[int, Tally] = field(default_factory=dict)
    areas: tuple[Areas, Areas] | None = None
    images: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def points(self) -> float | None:
        """mIoU points lost; None without labels."""
        if self.areas is None:
            return None
        plain, half = (scores(each).miou for each in self.areas)
        return 100 * (plain - half)


def measure(
    tried: Bench, graph: Graph, examples: Examples, asked: Asked, static: Sequence[Static], progress: Progress
) -> Measured:
    """Every image in float32 and in half precision, and the shares on the first few.

    Raises EngineError where the model does not run at all; an image that cannot be used is a problem.
    """
    found = Measured()
    everything = range(len(tried.groups))
    literal, shared = True, 0
    for place in range(len(examples)):
        progress("half", place, len(examples))
        try:
            example = examples.load(place)
            if place == 0 or not found.images or shared > len(found.parts):
                plain, looks = tried.look(example.tensors)
            else:
                plain, looks = tried.run(example.tensors, ()), ()
            reference = tried.kept(plain)
            del plain
            half = tried.run(example.tensors, everything)
        except (InputError, EngineError) as error:
            give_up(error, found, examples)
            found.problems.append(f"{examples_name(examples, place)}: {one_line(error)}")
            continue
        told = differences(reference, half, asked.threshold)
        found.tally.add(told)
        found.images.append(example.name)
        score(found, graph, example, reference, half, asked.ignore_index)
        if example.assumed and example.assumed not in found.remarks:
            found.remarks.append(example.assumed)
        del half
        if not found.looks:
            found.looks = looks
            literal, shared = plan(graph, tried.groups, looks, len(examples), thorough=asked.thorough)
        if len(found.parts) < shared:
            shares(found, tried, example, reference, looks, told, asked, static, progress, literal=literal)
        del reference
    progress("half", len(examples), len(examples))
    return found


def give_up(error: SegdiffError, found: Measured, examples: Examples) -> None:
    """Raise where the model, and not an image, is to blame: nothing has run so far, or nothing else will."""
    if isinstance(error, EngineError) and (not found.images or len(examples) == 1):
        raise error
    if len(examples) == 1:
        raise error


def examples_name(examples: Examples, place: int) -> str:
    """What an image is called that could not be used."""
    return examples.ready.name if examples.ready else examples.entries[place].name


def shares(
    found: Measured,
    tried: Bench,
    example: Example,
    plain: Mapping[str, Held],
    looks: Sequence[Look],
    told: Mapping[str, Difference],
    asked: Asked,
    static: Sequence[Static],
    progress: Progress,
    *,
    literal: bool,
) -> None:
    """Round groups alone, or the parts that matter, on one image."""

    def attempt(places: Collection[int]) -> dict[str, Difference]:
        return differences(plain, tried.run(example.tensors, places), asked.threshold)

    def tell(done: int, total: int) -> None:
        progress("shares", done, total)

    if literal:
        parts = one_by_one(attempt, len(tried.groups), tell)
    else:
        known = {name for each in static if each.reason in WORST_STATIC for name in each.nodes}
        suspected = [place for place, each in enumerate(tried.groups) if each.is_named(frozenset(known))]
        parts = by_halves(attempt, looks, squared(told), asked.how, tell, suspected)
    found.parts.append(parts)
    for part in parts:
        if part.differences is not None:
            found.alone.setdefault(part.groups[0], Tally()).add(part.differences)


def plan(
    graph: Graph, groups: Sequence[Group], looks: Sequence[Look], images: int, *, thorough: bool
) -> tuple[bool, int]:
    """Whether every group is rounded alone, and on how many images shares are measured."""
    wanted = min(images, SHARED)
    once = work(graph, groups, looks) * len(groups)
    if thorough or once * wanted <= LITERAL:
        return True, wanted
    return (True, 1) if once <= LITERAL else (False, 1)


def work(graph: Graph, groups: Sequence[Group], looks: Sequence[Look]) -> float:
    """About how many multiply-adds a run takes."""
    ops = {op.index: op for op in graph.ops}
    total = 0.0
    for each, look in zip(groups, looks, strict=True):
        terms = 1.0
        for index in each.nodes[:1]:
            op = ops.get(index)
            weights = graph.parameters.get(op.inputs[1]) if op and len(op.inputs) > 1 else None
            shape = weights.shape if weights else ()
            if op is not None and op.type in ("Conv", "ConvTranspose"):
                terms = float(math.prod(shape[1:]))
            elif op is not None and op.type in ("MatMul", "Gemm"):
                terms = float(shape[0]) if len(shape) == 2 else 64.0
        total += look.count * terms
    return total


def score(
    found: Measured,
    graph: Graph,
    example: Example,
    plain: Mapping[str, Held],
    half: Mapping[str, Held],
    ignore_index: int | None,
) -> None:
    """The areas of both masks against the label, as PaddleSeg's evaluation counts them."""
    if example.label is None:
        return
    try:
        masks = []
        classes = 0
        for side in (plain, half):
            output = output_of(finite(side[graph.outputs[0]].array), f"{graph.path}")
            labelled = example.label[example.label != ignore_index]
            classes = max(classes, output.classes or int(labelled.max(initial=0)) + 1)
            masks.append(output.mask_at(example.undo))
        check_classes(example.label, classes, ignore_index, f"The label of {example.name}")
        new = tuple(areas(mask, example.label, classes, ignore_index) for mask in masks)
    except InputError as error:
        problem = f"No score: {one_line(error)}"
        if problem not in found.remarks:
            found.remarks.append(problem)
        return
    found.areas = (new[0], new[1]) if found.areas is None else grown(found.areas, (new[0], new[1]))


def grown(known: tuple[Areas, Areas], new: tuple[Areas, Areas]) -> tuple[Areas, Areas]:
    """Sums of areas, where one may know of more classes than the other."""
    most = max(len(known[0].label), len(new[0].label))
    a, b = ([widened(each, most) for each in pair] for pair in (known, new))
    return a[0] + b[0], a[1] + b[1]


def widened(found: Areas, classes: int) -> Areas:
    """The same areas of more classes."""
    more = classes - len(found.label)
    return replace(
        found, **{name: np.pad(getattr(found, name), (0, more)) for name in ("intersect", "pred", "label")}
    )


def finite(array: Array) -> Array:
    """What is not finite as 0: a mask that a device would still give."""
    return np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0) if array.dtype.kind == "f" else array
