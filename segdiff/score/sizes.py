"""Do masks have their label's size? A model that was built for one size returns that one, fed what it may."""

from __future__ import annotations

from collections import Counter
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
        """A sentence for each side whose masks all have one size, and none its label's."""
        images = self.labels.total()
        for side, found in self.masks.items():
            if len(found) != 1 or not images or self.others[side] != images:
                continue
            (size,) = found
            yield (
                f"The {side}'s masks are {shown(size)}, the labels {self._labels()}: a model that was built "
                f"for {shown(size)} alone returns that size, whatever the picture's, so its pictures were "
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
