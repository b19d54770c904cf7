"""What can be done with a report beyond reading it? Asked on, drawn, taken apart in a table.

matplotlib and pandas are wanted here alone, and are imported when they are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdiff.core.late import door

if TYPE_CHECKING:
    from collections.abc import Callable


class Further:
    """The methods of a report that lead on."""

    def open(self, *, progress: Callable[[str, int, int], None] | None = None) -> Any:
        """Start both models again, on the same image with the same options, and keep them up: an open case,
        as :func:`segdiff.open` has it.

        Raises InputError where the report was read from a file, and otherwise what ``segdiff.open`` raises.
        """
        return door("report.open")(self, progress=progress)

    def issue(self, folder: str | Path, *, origin: int = 0) -> Path:
        """Write an origin, by its place, for a converter's tracker: the repro, and an ``ISSUE.md`` that tells
        what its maintainers need. Returns the folder.

        Raises InputError where there is no such origin, or the folder is not new or empty.
        """
        place: Path = door("report.issue")(self, folder, origin=origin)
        return place

    def to_dataframe(self) -> Any:
        """A row a pair, in walk order (pandas.DataFrame): names, operators, shape, state, both errors.

        Raises InputError where pandas is not installed.
        """
        return door("report.to_dataframe")(self)

    def plot_walk(self) -> Any:
        """Both errors and the rounding of every pair along the walk, on a log axis (matplotlib Figure).

        All four of these raise InputError where matplotlib is not installed, or there is nothing to draw.
        """
        return door("plot.walk")(self)

    def plot_origin(self, origin: int = 0) -> Any:
        """The tensors of an origin, by its place in ``origins``: the reference's, the candidate's on the same
        inputs, and how far they are apart (matplotlib Figure)."""
        return door("plot.origin")(self, origin)

    def plot_masks(self) -> Any:
        """The image, the masks of both models, where these differ, and the mask after repair (matplotlib
        Figure)."""
        return door("plot.masks")(self)

    def plot_heatmap(self) -> Any:
        """The error of the first origin's tensor on equal inputs, over the image (matplotlib Figure)."""
        return door("plot.heatmap")(self)
