"""What does a model want to be fed? One :class:`InputSpec` an input, and how it is written in a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class InputSpec:
    """One input of a model.

    ``shape`` has None or a negative number where a dimension is dynamic and is None where nothing is known;
    ``dtype`` is numpy's name of the element type (``float32``, ``int64``). ``asked`` says that height and
    width are not the model's own but those that the user wants it compared at.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str
    asked: bool = False

    @property
    def dims(self) -> tuple[int | None, ...] | None:
        """The shape with None for every dynamic dimension; None where nothing is known."""
        if self.shape is None:
            return None
        return tuple(None if dim is None or dim < 0 else int(dim) for dim in self.shape)

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape can be fed: equal rank, equal static dimensions."""
        dims = self.dims
        if dims is None:
            return True
        return len(dims) == len(shape) and all(d in (None, s) for d, s in zip(dims, shape, strict=True))

    def __str__(self) -> str:
        return f"'{self.name}' {show_shape(self.dims)} {self.dtype}"


def show_shape(shape: Sequence[int | None] | None) -> str:
    """A shape as the reports print it: ``(1, 3, ?, ?)``, a question mark for a dynamic dimension."""
    if shape is None:
        return "(of unknown shape)"
    inside = ", ".join("?" if dim is None else str(dim) for dim in shape)
    return f"({inside},)" if len(shape) == 1 else f"({inside})"
