"""Why does one group lose so much in half precision? By what its values reach, and by what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from segdiff.core.graph import Graph, Op
from segdiff.core.half import Static
from segdiff.half.bench import Look
from segdiff.half.groups import Group
from segdiff.half.kinds import MOVES
from segdiff.half.norms import norm_of
from segdiff.half.rounding import LARGEST, SMALLEST_NORMAL, UNIT
from segdiff.half.shares import held_badly
from segdiff.half.static import called
from segdiff.half.targets import How

DECISIVE = (
    "precision.variance",
    "precision.alpha",
    "precision.overflow",
    "precision.underflow",
    "precision.mask",
)
"""Of what is known without a run, what explains a loss by itself, in this order."""

EXPONENTIALS = frozenset({"Softmax", "LogSoftmax", "Exp"})

SENSITIVE = 0.005
"""A rounding of the largest logit from which a softmax shows it: half a percent of a probability."""

DIFFERENCES = frozenset({"Add", "Sub", "BatchNormalization", "InstanceNormalization", "LayerNormalization"})
"""Ops behind which little may be left of large numbers."""

CANCELLED = 8.0
"""How many times larger what goes in is than what comes out where it is called a cancellation: three bits."""

TINY = 0.1
"""Share of the values below the smallest normal number from which that is told."""

SHOWN = 8
"""Channels that are told by number."""


@dataclass(frozen=True)
class Reasons:
    """What is known of a model's groups: their looks in a plain run, and what is known without one."""

    graph: Graph
    groups: Sequence[Group]
    looks: Sequence[Look]
    static: Sequence[Static]
    how: How

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place of the group that makes a value, directly or behind what only moves it."""
        found = {name: place for place, each in enumerate(self.groups) for name in each.outputs}
        for op in self.graph.ops:
            source = next((found[name] for name in op.inputs[:1] if name in found), None)
            if source is not None and (op.type in MOVES or op.type == "Cast"):
                for name in op.outputs:
                    found.setdefault(name, source)
        return found

    @cached_property
    def reading(self) -> Mapping[int, tuple[Op, ...]]:
        """The ops that compute on what each group makes, by the group's place."""
        found: dict[int, list[Op]] = {}
        for op in self.graph.ops:
            if op.type not in MOVES:
                for name in op.inputs:
                    if name in self.places:
                        found.setdefault(self.places[name], []).append(op)
        return {place: tuple(ops) for place, ops in found.items()}

    def of(self, place: int) -> tuple[str | None, str]:
        """The kind of reason for one group's loss, and words with numbers; None where nothing is unusual."""
        for kind in DECISIVE:
            known = [each for each in self.static if each.reason == kind and self._is(place, each)]
            if known:
                return kind, known[0].text
        for found in (self._reach, self._shifted, self._softmax, self._cancelled, self._tiny):
            text = found(place)
            if text:
                return text
        return None, f"nothing unusual: values up to {self.looks[place].reach:.3g}, rounded like all others"

    def _is(self, place: int, each: Static) -> bool:
        return not set(each.nodes).isdisjoint({*self.groups[place].names, *self.groups[place].outputs})

    def _reach(self, place: int) -> tuple[str, str] | None:
        """Values beyond the largest number."""
        look, largest = self.looks[place], LARGEST[self.how.precision]
        if not look.reach > largest:
            return None
        becomes = "become infinite" if self.how.overflow == "inf" else "are cut off there"
        text = f"its values go up to {look.reach:.3g}: those beyond {largest:.6g} {becomes}"
        return "precision.overflow", text

    def _shifted(self, place: int) -> tuple[str, str] | None:
        """Ascend's alpha: much larger than what it is added to."""
        if self.how.batch_norm != "ascend" or "BatchNormalization" not in self.groups[place].types:
            return None
        names = set(self.groups[place].names)
        op = next(op for op in self.graph.ops if op.type == "BatchNormalization" and called(op) in names)
        norm = norm_of(self.graph, op)
        source = self.places.get(op.inputs[0])
        if norm is None or source is None:
            return None
        usual = rms(self.looks[source])
        size = np.abs(np.nan_to_num(norm.alpha, nan=np.inf, posinf=np.inf, neginf=np.inf))
        wide = np.flatnonzero(size > CANCELLED * usual)
        if not wide.size:
            return None
        listed = ", ".join(map(str, wide[np.argsort(-size[wide], kind="stable")][:SHOWN]))
        return (
            "precision.alpha",
            f"alpha = offset / gamma * sigma - mean is up to {size.max():.3g} (channels {listed}) beside "
            f"values of {usual:.3g}: their sum keeps few digits of them",
        )

    def _softmax(self, place: int) -> tuple[str, str] | None:
        """What an exponential reads is worth more, the larger it is."""
        reads = [op for op in self.reading.get(place, ()) if op.type in EXPONENTIALS]
        worth = self.looks[place].reach * UNIT[self.how.precision]
        if not reads or worth < SENSITIVE:
            return None
        return (
            "precision.softmax",
            f"a {reads[0].type} reads it, and its values reach {self.looks[place].reach:.3g}: one rounding "
            f"of such a value changes the result by up to {worth:.1%}",
        )

    def _cancelled(self, place: int) -> tuple[str, str] | None:
        """Large values of which little is left."""
        before = rms(self.looks[place])
        for op in self.reading.get(place, ()):
            behind = next((self.places[name] for name in op.outputs if name in self.places), None)
            if op.type not in DIFFERENCES or behind is None or behind == place:
                continue
            after = rms(self.looks[behind])
            scale = self._scale(op)
            if after > 0 and scale * before > CANCELLED * after:
                return (
                    "precision.cancellation",
                    f"it stores values of about {before:.3g}, and {op.type} leaves {after / scale:.3g} of "
                    f"them: the error counts {scale * before / after:.0f} times",
                )
        return None

    def _scale(self, op: Op) -> float:
        """What an op multiplies by: a batch norm's largest factor, else 1."""
        norm = norm_of(self.graph, op)
        return float(np.sqrt(np.mean(np.square(norm.factor)))) if norm is not None else 1.0

    def _tiny(self, place: int) -> tuple[str, str] | None:
        """Values too small to have all their digits, where that is felt."""
        sample = np.abs(self.looks[place].sample)
        sample = sample[sample > 0]
        limit = SMALLEST_NORMAL[self.how.precision]
        if not sample.size or place not in held_badly(self.looks, self.how):
            return None
        if float(np.mean(sample < limit)) < TINY:
            return None
        return (
            "precision.underflow",
            f"{np.mean(sample < limit):.0%} of its values are below {limit:.2g}, where half precision has "
            "fewer digits or none",
        )


def rms(look: Look) -> float:
    """The usual size of a group's values, by their sample."""
    if not look.sample.size:
        return look.reach
    return float(np.sqrt(np.mean(np.square(look.sample.astype(np.float64)))))
