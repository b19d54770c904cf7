"""What is a hypothesis? A pipeline, and in words every change that leads from the reference's to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from segdiff.inputs.pipeline import Pipeline

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "input.channel_order": "RGB or BGR",
        "input.normalize_order": "the channels are swapped behind the normalisation, not before it",
        "input.scale": "the division by 255 is missing, done twice, or by another number",
        "input.mean_std": "the mean and std of the normalisation: missing, swapped, or others",
        "input.interpolation": "the library or the mode of the resize",
        "input.resize_dtype": "the picture is resized as uint8 or as float32",
        "input.size": "the size that the picture is brought to",
        "input.size_swapped": "height and width of the resize are swapped",
        "input.keep_ratio": "the picture is stretched, or its ratio of height and width kept",
        "input.crop": "a part of the picture is cut out",
        "input.padding": "the picture is padded, or padded with another value or at another place",
        "input.orientation": "the picture is mirrored or turned",
        "input.grey": "the picture is turned to grey",
        "input.layout": "the order of the axes: CHW, HWC, or one read as the other",
        "input.batch_axis": "the batch axis",
        "input.dtype": "the dtype of the tensor, where its values lose precision",
        "input.unexplained": "no hypothesis turns the reference's tensor into the candidate's",
    }
)
"""Every kind that a finding about the input can have, and what the two sides then differ in."""


@dataclass(frozen=True)
class Change:
    """One thing done otherwise: its stable ``kind``, and a sentence about the candidate."""

    kind: str
    text: str


@dataclass(frozen=True)
class Variant:
    """A changed pipeline and the changes that lead to it, none for the reference's own."""

    pipeline: Pipeline
    changes: tuple[Change, ...] = ()

    @property
    def cost(self) -> int:
        """How many changes it takes."""
        return len(self.changes)
