"""Do masks have their label's size? A model that was built for one size returns that one, fed what it may."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from segdiff.score.compare import CANDIDATE, REFERENCE

Size = tuple[int, ...]

SHOWN = 3
"""Sizes of labels that a sentence names."""


@dataclass
class Sizes:
    """The sizes that were seen: of each side's masks, and of the labels."""

    labels: Counter[Size] = field(default_factory=Counter)
    masks: dict[str, Counter[Size]] = field(
        default_factory=lambda: {REFERENCE: Counter(), CANDIDATE: Counter()}
    )
    others: Counter[str] = field(default_factory=Counter)

    def add(self, label: Size, reference: Size, candidate: Size) -> None:
        """Take note of one image."""
        self.labels[label] += 1
        for side, size in ((REFERENCE, reference), (CANDIDATE, candidate)):
            self.masks[side][size] += 1
            self.others[side] += size != label

    def sentences(self) -> Iterator[str]:
        """A sentence for each size that all masks of a side have, and none of their labels."""
        images, found = self.labels.total(), defaultdict(list)
        for side, sizes in self.masks.items():
            if len(sizes) == 1 and images and self.others[side] == images:
                found[next(iter(sizes))].append(side)
        for size, sides in found.items():
            whose = f"The {sides[0]}'s masks are" if len(sides) == 1 else "The masks of both sides are"
            yield (
                f"{whose} {shown(size)}, the labels {self._labels()}: a model that was built for "
                f"{shown(size)} alone returns that size, whatever the picture's, so its pictures were "
                "resized, padded or cut to it. Here the masks were resized to their labels (nearest); what "
                "was padded has to be cut off before."
            )

    def _labels(self) -> str:
        every = [shown(size) for size, _ in self.labels.most_common()]
        more = f" and {len(every) - SHOWN} more sizes" if len(every) > SHOWN else ""
        return f"{', '.join(every[:SHOWN])}{more}"


def shown(size: Size) -> str:
    """Height x width."""
    return "x".join(map(str, size))
